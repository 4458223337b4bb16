// One trace leads from the place where an event was enqueued to the place where it is processed.
// The two share only the event. Each strong earthquake of a week is reported in its own span. The
// producer writes the span's context into the event, and links the batch's span to it. A consumer
// reads the context back and continues the trace. Here the spans end in memory and are printed. In
// production an exporter takes them, set up once with otel.SetTracerProvider, and NewTrace gets
// nil.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
	"github.com/go-eventhubs/eventhubs/examples/internal/quakes"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	spans := tracetest.NewInMemoryExporter()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	tracer := tracers.Tracer("earthquakes")

	began := time.Now()
	quakes, err := strongQuakes()
	if err != nil {
		return err
	}
	if err := report(ctx, h, tracers, tracer, quakes); err != nil {
		return err
	}
	if err := process(ctx, h, tracer, began, len(quakes)); err != nil {
		return err
	}
	show(spans.GetSpans())
	return nil
}

// report publishes the earthquakes, each in its own span. The important line has
// telemetry.NewTrace.
func report(ctx context.Context, h *hub.Hub, tracers trace.TracerProvider, tracer trace.Tracer, quakes []string) (err error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime: eventhubs.UntilFull, // here one batch, which Close sends
		Trace:       telemetry.NewTrace(&telemetry.Options{TracerProvider: tracers}),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()
	for _, title := range quakes {
		ctx, span := tracer.Start(ctx, "report "+title)
		err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(title)})
		span.End()
		if err != nil {
			return err
		}
	}
	return nil
}

// process acts as another program on another machine. It knows only the events, not the spans
// above.
func process(ctx context.Context, h *hub.Hub, tracer trace.Tracer, began time.Time, events int) error {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(h.ConnectionString, "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	partition, err := client.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: azeventhubs.StartPosition{EnqueuedTime: &began, Inclusive: true}})
	if err != nil {
		return err
	}
	defer func() { _ = partition.Close(ctx) }()
	for left := events; left > 0; {
		received, err := partition.ReceiveEvents(ctx, left, nil)
		if err != nil {
			return err
		}
		for _, event := range received {
			_, span := tracer.Start(telemetry.Extract(ctx, event.Properties), "process "+string(event.Body), trace.WithSpanKind(trace.SpanKindConsumer))
			span.End()
		}
		left -= len(received)
	}
	return nil
}

// show prints, for each span of a report, the spans that are joined to it.
func show(spans tracetest.SpanStubs) {
	for _, span := range spans {
		if span.Parent.IsValid() || span.SpanKind != trace.SpanKindInternal {
			continue
		}
		fmt.Println(span.Name)
		for _, other := range spans {
			for _, link := range other.Links {
				if link.SpanContext.Equal(span.SpanContext.WithRemote(true)) {
					fmt.Printf("  is linked to by %q, a batch of %d\n", other.Name, len(other.Links))
				}
			}
			if other.Parent.SpanID() == span.SpanContext.SpanID() && other.SpanContext.TraceID() == span.SpanContext.TraceID() {
				fmt.Printf("  has the child  %q, in the same trace\n", other.Name)
			}
		}
	}
}

// strongQuakes returns the titles of the earthquakes of magnitude 6 and above.
func strongQuakes() (titles []string, err error) {
	file, err := quakes.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var quake struct {
			Properties struct {
				Mag   float64
				Title string
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &quake); err != nil {
			return nil, err
		}
		if quake.Properties.Mag >= 6 {
			titles = append(titles, quake.Properties.Title)
		}
	}
	return titles, lines.Err()
}
