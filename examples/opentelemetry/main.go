// OpenTelemetry needs one line, with NewTrace. It gives metrics of the producer, a span for each
// batch, and the context of a trace in each event. They go to the providers that the program set up
// with package otel. Here they are printed at the end; in production an exporter takes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

func main() {
	metrics, spans := metric.NewManualReader(), tracetest.NewInMemoryExporter()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(metrics)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	ctx := context.Background()
	if err := errors.Join(run(ctx), show(ctx, metrics, spans.GetSpans)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime: eventhubs.UntilFull, // here one batch, which Close sends
		Trace:       telemetry.NewTrace(nil),
	})
	if err != nil {
		return err
	}
	for i := range 3 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: fmt.Appendf(nil, "order %d", i)}); err != nil {
			return errors.Join(err, producer.Close(ctx))
		}
	}
	return producer.Close(ctx)
}

// show prints the spans and the counters.
func show(ctx context.Context, metrics metric.Reader, spans func() tracetest.SpanStubs) error {
	for _, span := range spans() {
		fmt.Printf("span %s\n", span.Name)
	}
	var collected metricdata.ResourceMetrics
	if err := metrics.Collect(ctx, &collected); err != nil {
		return err
	}
	for _, scope := range collected.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && sum.IsMonotonic {
				for _, point := range sum.DataPoints {
					fmt.Printf("metric %s: %d\n", m.Name, point.Value)
				}
			}
		}
	}
	return nil
}
