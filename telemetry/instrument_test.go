package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/telemetry"
)

func TestWhatTheOptionsHadIsCalledStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := ""
		options := eventhubs.Options{
			Trace: &eventhubs.Trace{
				Encoding:     func(_ context.Context, e eventhubs.TracedEncoding) { e.Properties.Add("traceparent", "mine") },
				Connected:    func(eventhubs.TracedConnection) { told += "connected " },
				Throttled:    func(eventhubs.TracedFailure) { told += "throttled " },
				Retrying:     func(eventhubs.TracedFailure) { told += "retrying " },
				Settled:      func(eventhubs.TracedOutcome) { told += "settled " },
				Disconnected: func(c eventhubs.TracedConnection) { told += fmt.Sprintf("disconnected %v ", c.Err) },
			},
			OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { told += "handled " },
		}
		w := newWorld(t, options, telemetry.Options{})
		w.next(emulator.Reject("com.microsoft:server-busy", ""), emulator.Release())
		w.enqueue(in(t, spanContext(1, true)), "0", "a")
		if err := w.producer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := "connected throttled retrying settled handled disconnected <nil> "; told != want {
			t.Errorf("told %q, want %q", told, want)
		}
		for event := range w.server.Events("hub", "0") {
			if event.Properties["traceparent"] != "mine" {
				t.Errorf("the event has %v, want what the application has written", event.Properties)
			}
		}
	})
}

// The options, with their Trace, may make any number of producers. Each is counted once, under its
// own hub. Producers of one hub are added up.
func TestOptionsUsedTwiceCountOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { panic("of a handler") }}, telemetry.Options{OmitPartition: true})
		second, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("hub"), "", &w.options)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range []*eventhubs.BufferedProducer{w.producer, second, second} {
			if _, err := p.Publish(in(t, spanContext(byte(i), true)), &eventhubs.Event{PartitionID: "0"}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		sent := "messaging.client.sent.messages{messaging.operation.name=send,messaging.operation.type=send} 3"
		w.want(sent, "eventhubs.producer.connections.opened{} 2", "eventhubs.producer.handler.panics{} 3", "eventhubs.producer.partitions{eventhubs.waiting=not waiting} 4",
			"eventhubs.producer.health{eventhubs.health.state=ready} 1", "eventhubs.producer.handler.duration{eventhubs.handler=succeeded} 3 of 0.000")
		if err := second.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		// A counter never goes back.
		w.want(sent, "eventhubs.producer.handler.panics{} 3", "eventhubs.producer.partitions{eventhubs.waiting=not waiting} 2")
		if err := w.producer.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.want(sent, "eventhubs.producer.handler.panics{} 3")
		for _, line := range w.collect() {
			if strings.HasPrefix(line, "eventhubs.producer.health") || strings.HasPrefix(line, "eventhubs.producer.partitions") {
				t.Errorf("when all are closed there is %s", line)
			}
		}
	})
}

// A refused instrument must not prevent a producer.
func TestAnInstrumentThatIsNotAcceptedIsTold(t *testing.T) {
	var told []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err.Error()) }))
	defer otel.SetErrorHandler(before)
	trace := telemetry.NewTrace(&telemetry.Options{MeterProvider: unwilling{noop.NewMeterProvider()}, TracerProvider: tracenoop.NewTracerProvider()})
	if trace == nil || len(told) != 1 || !strings.Contains(told[0], "eventhubs/telemetry: the instruments: not this one") {
		t.Errorf("NewTrace returned %v, and told %q", trace, told)
	}
}

// An unwilling provider refuses one of the instruments.
type unwilling struct{ metric.MeterProvider }

func (u unwilling) Meter(name string, options ...metric.MeterOption) metric.Meter {
	return unwillingMeter{u.MeterProvider.Meter(name, options...)}
}

type unwillingMeter struct{ metric.Meter }

func (u unwillingMeter) Int64Counter(name string, options ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	if name == telemetry.MetricRetries {
		return noop.Int64Counter{}, errors.New("not this one")
	}
	return u.Meter.Int64Counter(name, options...)
}

func TestCloseLetsGoOfTheProducer(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	trace := telemetry.NewTrace(&telemetry.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), TracerProvider: tracenoop.NewTracerProvider()})
	options := &eventhubs.Options{Trace: trace}
	gone := func() weak.Pointer[eventhubs.BufferedProducer] {
		p, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k", "hub", options)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.Close(context.Background())
		return weak.Make(p)
	}()
	for range 10 {
		runtime.GC()
	}
	if gone.Value() != nil {
		t.Error("after Close the Trace holds the producer")
	}
	runtime.KeepAlive(trace)
	runtime.KeepAlive(options)
}
