package telemetry_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

// A course is one way to publish.
type course struct {
	name      string
	telemetry bool
	spans     int  // how many different contexts the events have; zero: none
	sampled   bool // whether they are sampled
}

// BenchmarkCost publishes the same events of 1 KB in turn with and without telemetry. It reports
// how many times longer each way takes than the one without. The way "again" is also without, so
// its difference from 1 is chance. Client and emulator share the machine, and there is no network.
// So the bytes of a span's context weigh as much as they can.
func BenchmarkCost(b *testing.B) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "hub", Partitions: 8}}, Discard: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	courses := []course{
		{name: "off"}, {name: "again"}, {name: "metrics", telemetry: true},
		{name: "unsampled", telemetry: true, spans: 1000}, {name: "1-span", telemetry: true, spans: 1, sampled: true}, {name: "1000-spans", telemetry: true, spans: 1000, sampled: true},
	}
	run := make([]func() time.Duration, len(courses))
	for i, c := range courses {
		run[i] = c.publisher(b, server)
	}
	took := make([][]float64, len(courses))
	for round := 0; b.Loop(); round++ {
		for i := range courses {
			turn := (i + round) % len(courses) // no course is always the first
			took[turn] = append(took[turn], run[turn]().Seconds())
		}
	}
	median := func(i int) float64 { slices.Sort(took[i]); return took[i][len(took[i])/2] }
	for i, c := range courses[1:] {
		b.ReportMetric(median(i+1)/median(0), c.name+"/off")
	}
	b.ReportMetric(0, "ns/op")
}

// publisher returns a function that publishes 20,000 events and returns how long that took.
func (c course) publisher(b *testing.B, server *emulator.Server) func() time.Duration {
	options := &eventhubs.Options{MaxBufferedEvents: 100_000, OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) { b.Error(batch.Outcome.Err) }}
	if c.telemetry {
		options.Trace = telemetry.NewTrace(&telemetry.Options{
			MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{})),
		})
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := producer.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	contexts := []context.Context{b.Context()}
	for i := range c.spans {
		config := trace.SpanContextConfig{TraceID: trace.TraceID{1, byte(i), byte(i >> 8)}, SpanID: trace.SpanID{1, byte(i), byte(i >> 8)}}
		if c.sampled {
			config.TraceFlags = trace.FlagsSampled
		}
		contexts = append(contexts[:i], trace.ContextWithSpanContext(b.Context(), trace.NewSpanContext(config)))
	}
	body, events := make([]byte, 1000), make([]*eventhubs.Event, 100)
	for i := range events {
		events[i] = &eventhubs.Event{Body: body, PartitionKey: fmt.Sprint("device-", i)}
	}
	return func() time.Duration {
		runtime.GC()
		began := time.Now()
		for i := range 20_000 {
			if err := producer.Enqueue(contexts[i%len(contexts)], events[i%len(events)]); err != nil {
				b.Fatal(err)
			}
		}
		if err := producer.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
}

// discard is an exporter that does nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }
