package telemetry

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Options say where telemetry goes, and what events carry. A nil *Options and zero fields mean the
// defaults.
type Options struct {
	// MeterProvider receives the metrics. Default: OpenTelemetry's global one.
	MeterProvider metric.MeterProvider

	// TracerProvider receives the spans of batches. Default: OpenTelemetry's global one.
	TracerProvider trace.TracerProvider

	// DisablePropagation leaves events unchanged: their contexts are not written into them.
	// Default: false.
	DisablePropagation bool

	// WriteDiagnosticID also writes an event's context as Diagnostic-Id. Consumers that do not know
	// traceparent need it, such as JavaScript's client (@azure/event-hubs 6.0.4), older Azure SDKs
	// and Azure Functions. It costs 70 bytes an event. Default: false.
	WriteDiagnosticID bool

	// OmitPartition leaves the partition out of the metrics' attributes. Then a hub of a thousand
	// partitions has no more time series than a hub of two. Spans have the partition in any case.
	// Default: false.
	OmitPartition bool
}

// An instrumentation is the telemetry of all producers with its Trace.
type instrumentation struct {
	// Immutable after NewTrace.
	instruments *instruments
	tracer      trace.Tracer
	options     Options

	targets sync.Map // *eventhubs.BufferedProducer to *target: from Created to Closed

	registering sync.Mutex // guards the field below; a collection does not need it
	// Of the observable metrics; nil while there is nothing to observe.
	registration metric.Registration

	mu    sync.Mutex // guards the field below, and the removal of producers from targets
	ended map[string]*ended
}

// NewTrace returns a Trace that reports metrics and spans, for Options.Trace of any number of
// producers. The metrics of a producer are collected from its construction until it is closed.
// [eventhubs.JoinTraces] joins it with the application's own Trace. If OpenTelemetry refuses an
// instrument, its error handler ([otel.Handle]) gets the error.
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
	if !o.DisablePropagation {
		told.Encoding = t.encoding
	}
	return told
}

// created includes a producer in the collections.
func (t *instrumentation) created(c eventhubs.TracedProducer) {
	t.registering.Lock()
	defer t.registering.Unlock()
	t.targets.Store(c.Producer, newTarget(c.Producer, t.options.OmitPartition))
	if t.registration != nil {
		return
	}
	registration, err := t.instruments.observe(t.read)
	if err != nil {
		otel.Handle(fmt.Errorf("eventhubs/telemetry: observing producers: %w", err))
		return
	}
	t.registration = registration
}

// closed removes a producer from the collections. The totals of its counters stay, unless they are
// zero.
func (t *instrumentation) closed(c eventhubs.TracedProducer) {
	t.registering.Lock()
	defer t.registering.Unlock()
	t.letGo(c.Producer)
	if t.registration == nil || t.anything() {
		return
	}
	if err := t.registration.Unregister(); err != nil {
		otel.Handle(fmt.Errorf("eventhubs/telemetry: ending the observation of producers: %w", err))
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

// anything reports whether there is anything to observe.
func (t *instrumentation) anything() (found bool) {
	t.targets.Range(func(any, any) bool { found = true; return false })
	t.mu.Lock()
	defer t.mu.Unlock()
	return found || len(t.ended) > 0
}

// of returns the target of a producer. A closed producer has none any more, so late records get a
// new one with the same attributes.
func (t *instrumentation) of(producer *eventhubs.BufferedProducer) *target {
	if to, ok := t.targets.Load(producer); ok {
		return to.(*target)
	}
	return newTarget(producer, t.options.OmitPartition)
}

// handled records a handler's duration.
func (t *instrumentation) handled(h eventhubs.TracedHandler) {
	name := "succeeded"
	if h.Outcome.Err != nil {
		name = "failed"
	}
	t.instruments.handlerDuration.Record(context.Background(), h.Ran.Seconds(), t.of(h.Producer).with("", keyHandler, name))
}

// destination returns the attributes of all telemetry of a producer.
func destination(producer *eventhubs.BufferedProducer) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(producer.FullyQualifiedNamespace())
	if err != nil {
		host = producer.FullyQualifiedNamespace() // it has no port
	}
	attributes := []attribute.KeyValue{keySystem.String("eventhubs"), keyDestination.String(producer.EventHubName()), keyAddress.String(host)}
	if number, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, keyPort.Int(number))
	}
	return attributes
}
