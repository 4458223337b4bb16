package main

import (
	"context"
	"sync/atomic"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// A telemetryUse is what package telemetry does in a scenario.
type telemetryUse string

const (
	noTelemetry telemetryUse = ""
	again       telemetryUse = "again"                   // none either: the difference is chance
	metricsOnly telemetryUse = "metrics and batch spans" // the events carry nothing
	unsampled   telemetryUse = "traceparent, unsampled"  // of contextCount contexts
	oneSpan     telemetryUse = "traceparent, one span"   // sampled, the same for all events
	manySpans   telemetryUse = "traceparent, many spans" // sampled, contextCount of them in turn
)

// contextCount is the number of the different contexts of events: about as many as a batch of 1 KB
// events has events.
const contextCount = 1000

// telemetryScenario publishes full batches, however busy the machine is. If others slow a stream
// down, its batches have few events, and the cost of a batch weighs more.
func telemetryScenario(size int, use telemetryUse) scenario {
	return of(ours, size).with(func(s *scenario) { s.Kind, s.Telemetry, s.Linger = inTurns, use, time.Second })
}

// newTrace returns a Trace for the producer, with OpenTelemetry's SDK and an exporter that drops
// all spans; nil without telemetry.
func (u telemetryUse) newTrace() *eventhubs.Trace {
	if u == noTelemetry || u == again {
		return nil
	}
	return telemetry.NewTrace(&telemetry.Options{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(dropped{})),
	})
}

// contexts returns a function that gives each event its context.
func (u telemetryUse) contexts(ctx context.Context) func() context.Context {
	count, flags := 1, trace.FlagsSampled
	switch u {
	case noTelemetry, again, metricsOnly:
		return func() context.Context { return ctx }
	case unsampled:
		count, flags = contextCount, 0
	case manySpans:
		count = contextCount
	}
	all := make([]context.Context, count)
	for i := range all {
		low, high := byte(i), byte(i>>8)
		all[i] = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1, low, high}, SpanID: trace.SpanID{1, low, high}, TraceFlags: flags,
		}))
	}
	if count == 1 {
		return func() context.Context { return all[0] }
	}
	var next atomic.Uint64 // a scenario may have several goroutines
	return func() context.Context { return all[next.Add(1)%contextCount] }
}

// dropped is an exporter that does nothing.
type dropped struct{}

func (dropped) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (dropped) Shutdown(context.Context) error                             { return nil }
