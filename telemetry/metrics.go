package telemetry

import (
	"context"
	"errors"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments are the metrics. Some are recorded when something happens, the others are observed at
// each collection.
type instruments struct {
	meter metric.Meter

	operationDuration, batchFill, queueDuration, handlerDuration metric.Float64Histogram
	batchEvents                                                  metric.Int64Histogram
	sentMessages, settledEvents, storedBytes                     metric.Int64Counter
	retries, throttledTries, connectionsOpened, connectionsLost  metric.Int64Counter
	throttledDuration                                            metric.Float64Counter

	bufferedEvents, bufferedBytes, waitingCallers, inFlight, partitions metric.Int64ObservableUpDownCounter
	ambiguousTries, handlerPanics, unheardEvents                        metric.Int64ObservableCounter
	utilization, oldestEventAge, handlerRunning                         metric.Float64ObservableGauge
	troubleDuration, tokenRemaining                                     metric.Float64ObservableGauge
	health                                                              metric.Int64ObservableGauge
	journal                                                             journalInstruments
}

// Buckets. The durations are the advice of the semantic conventions.
var (
	durations = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
	ratios    = metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)
	sizes     = metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
)

// A maker makes instruments and collects the errors.
type maker struct {
	meter metric.Meter
	errs  []error
}

// made returns the instrument, and keeps the error.
func made[T any](m *maker, instrument T, err error) T {
	m.errs = append(m.errs, err)
	return instrument
}

func newInstruments(meter metric.Meter) (*instruments, error) {
	m := &maker{meter: meter}
	i := &instruments{meter: meter}
	m.histograms(i)
	m.counters(i)
	m.observables(i)
	return i, errors.Join(m.errs...)
}

func (m *maker) histograms(i *instruments) {
	float := func(name, unit, description string, buckets metric.HistogramOption) metric.Float64Histogram {
		h, err := m.meter.Float64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description), buckets)
		return made(m, h, err)
	}
	i.operationDuration = float(MetricOperationDuration, "s", "Duration of messaging operation initiated by a producer or consumer client.", durations)
	i.queueDuration = float(MetricQueueDuration, "s", "How long a batch waited in the buffer, from its first event to its first try.", durations)
	i.handlerDuration = float(MetricHandlerDuration, "s", "How long the application's handler of a batch ran.", durations)
	i.batchFill = float(MetricBatchFill, "1", "How full a stored batch was: its bytes over the bytes that it could have had.", ratios)
	events, err := m.meter.Int64Histogram(MetricBatchEvents, metric.WithUnit("{event}"), metric.WithDescription("Events of a stored batch."), sizes)
	i.batchEvents = made(m, events, err)
}

func (m *maker) counters(i *instruments) {
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := m.meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made(m, c, err)
	}
	i.sentMessages = counter(MetricSentMessages, "{message}", "Number of messages producer attempted to send to the broker.")
	i.settledEvents = counter(MetricSettledEvents, "{event}", "Events that have their outcome.")
	i.storedBytes = counter(MetricStoredBytes, "By", "Encoded bytes of events that are stored.")
	i.retries = counter(MetricRetries, "{try}", "Failed tries that were retried, without throttled ones.")
	i.throttledTries = counter(MetricThrottledTries, "{try}", "Tries that the busy service refused.")
	i.connectionsOpened = counter(MetricConnectionsOpened, "{connection}", "Connections that the producer opened.")
	i.connectionsLost = counter(MetricConnectionsLost, "{connection}", "Connections of the producer that ended without being closed by it.")
	c, err := m.meter.Float64Counter(MetricThrottledDuration, metric.WithUnit("s"), metric.WithDescription("Pauses that the service asked for, summed over all partitions."))
	i.throttledDuration = made(m, c, err)
}

func (m *maker) observables(i *instruments) {
	level := func(name, unit, description string) metric.Int64ObservableUpDownCounter {
		c, err := m.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made(m, c, err)
	}
	count := func(name, unit, description string) metric.Int64ObservableCounter {
		c, err := m.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made(m, c, err)
	}
	gauge := func(name, unit, description string) metric.Float64ObservableGauge {
		g, err := m.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made(m, g, err)
	}
	whole := func(name, unit, description string) metric.Int64ObservableGauge {
		g, err := m.meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made(m, g, err)
	}
	i.bufferedEvents = level(MetricBufferedEvents, "{event}", "Events that were accepted and have no outcome yet.")
	i.bufferedBytes = level(MetricBufferedBytes, "By", "Encoded bytes of events that were accepted and have no outcome yet.")
	i.waitingCallers = level(MetricWaitingCallers, "{caller}", "Callers of Enqueue that wait for room in the buffer.")
	i.inFlight = level(MetricInFlight, "{batch}", "Batches that a sender has taken.")
	i.partitions = level(MetricPartitions, "{partition}", "Partitions by what they wait for.")
	i.ambiguousTries = count(MetricAmbiguousTries, "{try}", "Tries that ended without saying whether the batch is stored.")
	i.handlerPanics = count(MetricHandlerPanics, "{panic}", "Panics of the application's handlers.")
	i.unheardEvents = count(MetricUnheardEvents, "{event}", "Failed events that no handler and no Delivery reported.")
	i.utilization = gauge(MetricBufferUtilization, "1", "How full the buffer is, in events or in bytes, whichever is fuller.")
	i.oldestEventAge = gauge(MetricOldestEventAge, "s", "How long the first event of the oldest batch has waited.")
	i.handlerRunning = gauge(MetricHandlerRunning, "s", "How long the oldest running handler has run.")
	i.troubleDuration = gauge(MetricTroubleDuration, "s", "How long the producer's health has been worse than ready.")
	i.tokenRemaining = gauge(MetricTokenRemaining, "s", "How long the present authorization is still valid.")
	i.health = whole(MetricHealth, "{state}", "One for the present state of the producer's health, zero for the others.")

	j := &i.journal
	j.events = level(MetricJournalEvents, "{event}", "Events in the journal that have no outcome yet.")
	j.bytes = level(MetricJournalBytes, "By", "Size of the journal's files.")
	j.limit = level(MetricJournalLimit, "By", "Bound for the size of the journal's files.")
	j.utilization = gauge(MetricJournalUtilization, "1", "Size of the journal's files over their bound.")
	j.diskFree = whole(MetricJournalDiskFree, "By", "Bytes that the journal's disk has left.")
	j.slowestSync = gauge(MetricJournalSlowestSync, "s", "How long the slowest fsync of the journal took.")
	j.failed = whole(MetricJournalFailed, "{journal}", "One if the journal has failed and takes no more events.")
}

// A target is a producer with its attributes. Most records have one of few sets of attributes,
// which are made once.
type target struct {
	producer   *eventhubs.BufferedProducer
	together   bool                 // Options.OmitPartition
	hub        string               // the hub with its namespace
	attributes []attribute.KeyValue // of all telemetry
	// setKey to metric.MeasurementOption: few keys, each written once and read for each batch.
	sets sync.Map
}

type setKey struct {
	partition string
	key       attribute.Key // empty: none
	value     string
	error     string // empty: none
	operation bool
}

func newTarget(producer *eventhubs.BufferedProducer, together bool) *target {
	return &target{producer: producer, together: together, hub: producer.FullyQualifiedNamespace() + "/" + producer.EventHubName(), attributes: destination(producer)}
}

// set returns the attributes for a key.
func (t *target) set(k setKey) metric.MeasurementOption {
	if known, ok := t.sets.Load(k); ok {
		return known.(metric.MeasurementOption)
	}
	attributes := append(make([]attribute.KeyValue, 0, len(t.attributes)+5), t.attributes...)
	if k.operation {
		attributes = append(attributes, keyOperation.String("send"), keyType.String("send"))
	}
	if k.partition != "" {
		attributes = append(attributes, keyPartition.String(k.partition))
	}
	if k.key != "" {
		attributes = append(attributes, k.key.String(k.value))
	}
	if k.error != "" {
		attributes = append(attributes, keyErrorType.String(k.error))
	}
	option := metric.WithAttributeSet(attribute.NewSet(attributes...))
	t.sets.Store(k, option)
	return option
}

// with returns the attributes of the producer, of a partition (unless Options.OmitPartition), and
// one more.
func (t *target) with(partition string, key attribute.Key, value string) metric.MeasurementOption {
	return t.set(setKey{partition: t.partition(partition), key: key, value: value})
}

func (t *target) partition(id string) string {
	if t.together {
		return ""
	}
	return id
}

func (t *instrumentation) retrying(f eventhubs.TracedFailure) {
	to := t.of(f.Producer)
	t.instruments.retries.Add(context.Background(), 1, to.set(setKey{partition: to.partition(f.PartitionID), error: errorType(f.Err)}))
}

func (t *instrumentation) throttled(f eventhubs.TracedFailure) {
	attributes := t.of(f.Producer).with(f.PartitionID, "", "")
	t.instruments.throttledTries.Add(context.Background(), 1, attributes)
	t.instruments.throttledDuration.Add(context.Background(), f.Pause.Seconds(), attributes)
}

func (t *instrumentation) connected(c eventhubs.TracedConnection) {
	t.instruments.connectionsOpened.Add(context.Background(), 1, t.of(c.Producer).with("", "", ""))
}

func (t *instrumentation) disconnected(c eventhubs.TracedConnection) {
	if c.Err != nil { // otherwise the producer closed it
		t.instruments.connectionsLost.Add(context.Background(), 1, t.of(c.Producer).set(setKey{error: errorType(c.Err)}))
	}
}

// settled records a batch with its outcome.
func (t *instrumentation) settled(b eventhubs.TracedOutcome) {
	ctx, i, to, o := context.Background(), t.instruments, t.of(b.Producer), b.Outcome
	partition, reason, events := to.partition(b.PartitionID), errorType(o.Err), int64(b.Events)
	i.settledEvents.Add(ctx, events, to.set(setKey{partition: partition, key: keyStorage, value: o.Storage.String(), error: reason}))
	if tried(o) {
		operation := to.set(setKey{partition: partition, error: reason, operation: true})
		i.sentMessages.Add(ctx, events, operation)
		i.operationDuration.Record(ctx, o.OnWire.Seconds(), operation)
		t.span(to, b)
	}
	if o.Storage == eventhubs.Stored {
		plain := to.set(setKey{partition: partition})
		i.storedBytes.Add(ctx, int64(b.Bytes), plain)
		i.batchEvents.Record(ctx, events, plain)
		i.batchFill.Record(ctx, min(1, float64(b.Bytes)/float64(max(1, b.MaxBytes))), plain)
		i.queueDuration.Record(ctx, o.Queued.Seconds(), plain)
	}
}

// tried reports whether the producer tried to send the batch. A try that could not even open the
// link counts. A batch that the application cleared before does not.
func tried(o eventhubs.Outcome) bool {
	for _, end := range []error{eventhubs.ErrCleared, eventhubs.ErrAbandoned, eventhubs.ErrExpired, eventhubs.ErrClosed, eventhubs.ErrPartitionStopped} {
		if errors.Is(o.Err, end) {
			return o.Tries > 0 // the Error below may be of an earlier batch
		}
	}
	_, outside := errors.AsType[*eventhubs.Error](o.Err)
	return o.Tries > 0 || outside
}
