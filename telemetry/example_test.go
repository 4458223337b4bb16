package telemetry_test

import (
	"context"
	"fmt"
	"log"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

func Example() {
	server, err := emulator.New(nil) // in production: a namespace
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	// In production: an exporter, set up once with otel.SetMeterProvider; then NewTrace gets nil.
	reader := sdkmetric.NewManualReader()
	meters := &telemetry.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{Trace: telemetry.NewTrace(meters)})
	if err != nil {
		log.Fatal(err)
	}

	for range 3 {
		if err := producer.Enqueue(context.Background(), &eventhubs.Event{Body: []byte("hello")}); err != nil {
			log.Fatal(err)
		}
	}
	if err := producer.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum(reader, telemetry.MetricSentMessages), "messages sent")
	// Output: 3 messages sent
}

// sum adds up a counter's data points.
func sum(reader *sdkmetric.ManualReader, name string) (total int64) {
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		log.Fatal(err)
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if counter, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == name {
				for _, point := range counter.DataPoints {
					total += point.Value
				}
			}
		}
	}
	return total
}
