package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

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
				Encoding:     func(_ context.Context, p *eventhubs.Properties) { p.Add("traceparent", "mine") },
				Connected:    func() { told += "connected " },
				Throttled:    func(eventhubs.TracedBatch, error, time.Duration) { told += "throttled " },
				Retrying:     func(eventhubs.TracedBatch, error, time.Duration) { told += "retrying " },
				Settled:      func(eventhubs.TracedBatch, eventhubs.Outcome) { told += "settled " },
				Disconnected: func(err error) { told += fmt.Sprintf("disconnected %v ", err) },
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

func TestAnInstrumentationIsForOneProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, eventhubs.Options{}, telemetry.Options{})
		if err := w.made.Observe(w.producer); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("a second Observe returned %v, want ErrInvalidArgument", err)
		}
		if _, err := telemetry.Instrument(nil, nil); !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("Instrument(nil) returned %v, want ErrInvalidArgument", err)
		}
		if len(w.read()) == 0 {
			t.Error("nothing is collected")
		}
		if err := errors.Join(w.made.Close(), w.made.Close()); err != nil {
			t.Fatal(err)
		}
		for _, line := range w.collect() {
			t.Errorf("after Close there is %s", line)
		}
	})
}

func TestCloseLetsGoOfTheProducer(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	options := &eventhubs.Options{}
	made, err := telemetry.Instrument(options, &telemetry.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), TracerProvider: tracenoop.NewTracerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	gone := func() weak.Pointer[eventhubs.BufferedProducer] {
		p, err := eventhubs.NewBufferedProducerFromConnectionString("Endpoint=sb://a.b/;SharedAccessKeyName=n;SharedAccessKey=k", "hub", options)
		if err != nil {
			t.Fatal(err)
		}
		if err := made.Observe(p); err != nil {
			t.Fatal(err)
		}
		_ = p.Close(context.Background())
		return weak.Make(p)
	}()
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		runtime.GC()
	}
	if gone.Value() != nil {
		t.Error("after Close the Instrumentation holds the producer")
	}
	runtime.KeepAlive(made)
	runtime.KeepAlive(options)
}
