package telemetry

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Config says where a producer's telemetry goes. A nil *Config and zero fields mean the defaults.
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

	// OmitPartition leaves the partition out of the metrics' attributes, so that there are as many time series for a hub of a thousand partitions as for
	// one of two. Spans have it in any case.
	// Default: false.
	OmitPartition bool
}

// An Instrumentation is the telemetry of one producer.
type Instrumentation struct {
	// Immutable after Instrument.
	instruments *instruments
	tracer      trace.Tracer
	together    bool

	carried atomic.Bool // an event with a context has been seen, or may be there unseen

	target atomic.Pointer[target] // what Observe was given; before, one without attributes of a hub

	mu           sync.Mutex // guards the fields below
	observed     bool
	registration metric.Registration // nil before Observe and after Close
}

// Instrument adds telemetry to the options of a producer that is to be made with them: to Options.Trace and to the handlers, which go on being called. Give the
// options to one constructor, and what it returns to Observe. The error is OpenTelemetry's, about an instrument that it does not accept.
func Instrument(options *eventhubs.Options, config *Options) (*Instrumentation, error) {
	if options == nil {
		return nil, fmt.Errorf("eventhubs/telemetry: Instrument: %w: the options are nil, and nothing could be added to them", eventhubs.ErrInvalidArgument)
	}
	var c Options
	if config != nil {
		c = *config
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	made, err := newInstruments(c.MeterProvider.Meter(scope))
	if err != nil {
		return nil, fmt.Errorf("eventhubs/telemetry: the instruments: %w", err)
	}
	t := &Instrumentation{instruments: made, tracer: c.TracerProvider.Tracer(scope), together: c.OmitPartition}
	t.target.Store(newTarget(nil, nil))
	t.trace(options, !c.DisablePropagation)
	options.OnBatchSucceeded = t.timed(options.OnBatchSucceeded, "succeeded")
	options.OnBatchFailed = t.timed(options.OnBatchFailed, "failed")
	return t, nil
}

// Observe tells whose telemetry it is, and has the metrics that are read from the producer collected from now on. Call it before the first event is enqueued, once. The
// error is OpenTelemetry's, or says that another producer is observed already.
func (t *Instrumentation) Observe(producer *eventhubs.BufferedProducer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.observed {
		return fmt.Errorf("eventhubs/telemetry: Observe: %w: a producer is observed already, and each needs an Instrument of its own", eventhubs.ErrInvalidArgument)
	}
	t.target.Store(newTarget(producer, destination(producer)))
	registration, err := t.instruments.observe(func(_ context.Context, o metric.Observer) error {
		t.read(o, producer)
		return nil
	})
	if err != nil {
		return fmt.Errorf("eventhubs/telemetry: Observe: %w", err)
	}
	t.observed, t.registration = true, registration
	return nil
}

// Close ends the collection of what is read from the producer, and so lets go of it. Call it after the producer's Close, in a program that
// outlives its producers. A further Close does nothing.
func (t *Instrumentation) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.registration == nil {
		return nil
	}
	err := t.registration.Unregister()
	t.registration = nil
	t.target.Store(newTarget(nil, t.target.Load().attributes)) // what comes late still has its attributes
	return err
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

// trace makes options.Trace one that calls what was there and then what is ours.
func (t *Instrumentation) trace(options *eventhubs.Options, intoEvents bool) {
	var c eventhubs.Trace
	if options.Trace != nil {
		c = *options.Trace
	}
	if intoEvents {
		c.Encoding = both2(c.Encoding, t.inject)
	} else {
		t.carried.Store(true) // by the application itself, perhaps
	}
	c.Retrying = both3(c.Retrying, t.retrying)
	c.Throttled = both3(c.Throttled, t.throttled)
	c.Settled = both2(c.Settled, t.settled)
	connected, disconnected := c.Connected, c.Disconnected
	c.Connected = func() {
		if connected != nil {
			connected()
		}
		t.connected()
	}
	c.Disconnected = func(err error) {
		if disconnected != nil {
			disconnected(err)
		}
		t.disconnected(err)
	}
	options.Trace = &c
}

// both2 returns a function that calls first, unless it is nil, and then.
func both2[A, B any](first, then func(A, B)) func(A, B) {
	if first == nil {
		return then
	}
	return func(a A, b B) {
		first(a, b)
		then(a, b)
	}
}

// both3 is both2 for three arguments.
func both3[A, B, C any](first, then func(A, B, C)) func(A, B, C) {
	if first == nil {
		return then
	}
	return func(a A, b B, c C) {
		first(a, b, c)
		then(a, b, c)
	}
}

// timed returns a handler that measures how long another takes, also when that panics; nil for nil, since a handler that is not there changes what the producer logs.
func (t *Instrumentation) timed(handler func(context.Context, *eventhubs.Batch), name string) func(context.Context, *eventhubs.Batch) {
	if handler == nil {
		return nil
	}
	return func(ctx context.Context, batch *eventhubs.Batch) {
		began := time.Now()
		defer func() {
			t.instruments.handlerDuration.Record(ctx, time.Since(began).Seconds(), t.attributes("", keyHandler, name))
		}()
		handler(ctx, batch)
	}
}
