package telemetry

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options say where telemetry goes, and what events carry. Nil *Options and zero fields mean the defaults.
type Options struct {
	// MeterProvider takes the metrics.
	// Default: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider

	// TracerProvider takes the spans of batches.
	// Default: OpenTelemetry's global one.
	TracerProvider trace.TracerProvider

	// DisablePropagation sends events as they are: their contexts are not written into them.
	// Default: false.
	DisablePropagation bool

	// WriteDiagnosticID writes an event's context as Diagnostic-Id too, for consumers that know no traceparent, such as older Azure SDKs and Azure Functions. It costs 70 bytes an event.
	// Default: false.
	WriteDiagnosticID bool

	// OmitPartition leaves the partition out of the metrics' attributes, so that there are as many time series for a hub of a thousand partitions as for
	// one of two. Spans have it in any case.
	// Default: false.
	OmitPartition bool
}

// instrumentation is the telemetry of all producers that have its Trace.
type instrumentation struct {
	// Immutable after NewTrace.
	instruments *instruments
	tracer      trace.Tracer
	options     Options

	carried atomic.Bool // an event with a context has been seen, or may be there unseen
	targets sync.Map    // *eventhubs.BufferedProducer to *target: from Created to Closed

	registering  sync.Mutex          // guards the field below; whoever collects does not need it
	registration metric.Registration // of the metrics that are read: there while there is anything to read

	mu    sync.Mutex // guards the field below, and that a producer leaves targets
	ended map[string]*ended
}

// NewTrace returns a Trace that makes metrics and spans of what it is told, for Options.Trace of any number of producers: what is read from a producer is collected from its
// construction until it is closed. With a Trace of the application's own: [eventhubs.JoinTraces]. An instrument that OpenTelemetry does not accept is told to its error handler ([otel.Handle]).
func NewTrace(options *Options) *eventhubs.Trace {
	var o Options
	if options != nil {
		o = *options
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	made, err := newInstruments(o.MeterProvider.Meter(scope))
	if err != nil {
		otel.Handle(fmt.Errorf("eventhubs/telemetry: the instruments: %w", err))
	}
	t := &instrumentation{instruments: made, tracer: o.TracerProvider.Tracer(scope), options: o, ended: map[string]*ended{}}
	told := &eventhubs.Trace{
		Created: t.created, Closed: t.closed,
		Retrying: t.retrying, Throttled: t.throttled, Settled: t.settled, Handled: t.handled,
		Connected: t.connected, Disconnected: t.disconnected,
	}
	if o.DisablePropagation {
		t.carried.Store(true) // by the application itself, perhaps
	} else {
		told.Encoding = t.encoding
	}
	return told
}

// created has what is read from a producer collected from now on.
func (t *instrumentation) created(c eventhubs.TracedProducer) {
	t.registering.Lock()
	defer t.registering.Unlock()
	t.targets.Store(c.Producer, newTarget(c.Producer, t.options.OmitPartition))
	if t.registration != nil {
		return
	}
	registration, err := t.instruments.observe(t.read)
	if err != nil {
		otel.Handle(fmt.Errorf("eventhubs/telemetry: what is read from producers: %w", err))
		return
	}
	t.registration = registration
}

// closed lets go of a producer. Its counters have counted for good: what they have come to is collected still, as long as it is anything.
func (t *instrumentation) closed(c eventhubs.TracedProducer) {
	t.registering.Lock()
	defer t.registering.Unlock()
	t.letGo(c.Producer)
	if t.registration == nil || t.anything() {
		return
	}
	if err := t.registration.Unregister(); err != nil {
		otel.Handle(fmt.Errorf("eventhubs/telemetry: what was read from producers: %w", err))
	}
	t.registration = nil
}

func (t *instrumentation) letGo(producer *eventhubs.BufferedProducer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	to, ok := t.targets.LoadAndDelete(producer)
	if last := producer.Stats(); ok && last.AmbiguousTries+last.HandlerPanics+last.UnheardFailures > 0 {
		t.endedOf(to.(*target)).add(&last)
	}
}

// anything reports whether there is anything to read.
func (t *instrumentation) anything() (found bool) {
	t.targets.Range(func(any, any) bool { found = true; return false })
	t.mu.Lock()
	defer t.mu.Unlock()
	return found || len(t.ended) > 0
}

// of is the target of a producer. One that is closed has no entry any more, and what comes late all the same has its attributes.
func (t *instrumentation) of(producer *eventhubs.BufferedProducer) *target {
	if to, ok := t.targets.Load(producer); ok {
		return to.(*target)
	}
	return newTarget(producer, t.options.OmitPartition)
}

// handled records how long a handler has run.
func (t *instrumentation) handled(h eventhubs.TracedHandler) {
	name := "succeeded"
	if h.Outcome.Err != nil {
		name = "failed"
	}
	t.instruments.handlerDuration.Record(context.Background(), h.Ran.Seconds(), t.of(h.Producer).with("", keyHandler, name))
}

// destination are the attributes of everything about a producer.
func destination(producer *eventhubs.BufferedProducer) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(producer.FullyQualifiedNamespace())
	if err != nil {
		host = producer.FullyQualifiedNamespace() // without a port
	}
	attributes := []attribute.KeyValue{keySystem.String("eventhubs"), keyDestination.String(producer.EventHubName()), keyAddress.String(host)}
	if number, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, keyPort.Int(number))
	}
	return attributes
}
