package eventhubs_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// countingProducer is a producer for an emulator on loopback TCP that checks numbers and keeps no
// events.
func countingProducer(tb testing.TB, idempotent bool) *eventhubs.BufferedProducer {
	server := emulatortest.New(tb, &emulator.Options{Hubs: world.Hubs(8), Discard: true})
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{
		EnableIdempotentRetries: idempotent,
		MaxBufferedEvents:       100_000,
		OnBatchFailed:           func(_ context.Context, b *eventhubs.Batch) { tb.Error(b.Outcome.Err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = producer.Close(context.Background()) })
	return producer
}

// BenchmarkPublish1KB measures the cost of idempotence: one caller publishes the same events with
// it and without it. Each run lasts until everything is stored.
//
// Client and emulator share one process and its processors. With idempotence the emulator reads
// each event's annotations and computes a checksum. That costs more than the producer's own work.
//
// An event takes 1,011 bytes on the wire, and 1,131 with idempotence. On a slow network the ratio
// of their rates is therefore at most 0.89.
func BenchmarkPublish1KB(b *testing.B) {
	for _, idempotent := range []bool{false, true} {
		b.Run(map[bool]string{false: "off", true: "on"}[idempotent], func(b *testing.B) {
			p := countingProducer(b, idempotent)
			event := &eventhubs.Event{Body: make([]byte, 1000)}
			b.SetBytes(1000)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Enqueue(b.Context(), event); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(p.Stats().StoredBytes)/1e6/b.Elapsed().Seconds(), "wire-MB/s")
		})
	}
}

// The producer writes numbers in place. An event with numbers costs no allocation more than an
// event that is 120 bytes larger. (The memory for frames and batches grows with the bytes.)
func TestIdempotentRetriesAllocateNothingPerEvent(t *testing.T) {
	events := 100_000
	if raceEnabled {
		events = 10_000
	}
	producers := map[bool]*eventhubs.BufferedProducer{false: countingProducer(t, false), true: countingProducer(t, true)}
	publish := func(p *eventhubs.BufferedProducer, size int) float64 {
		event := &eventhubs.Event{Body: make([]byte, size)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range events {
			if err := p.Enqueue(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / float64(events)
	}
	least := map[bool]float64{false: math.Inf(1), true: math.Inf(1)}
	for range 4 { // the first round makes links, chunks and batches
		least[false] = min(least[false], publish(producers[false], 1120))
		least[true] = min(least[true], publish(producers[true], 1000))
	}
	text := fmt.Sprintf("%.4f allocations an event with idempotent retries, %.4f without, client and emulator together", least[true], least[false])
	t.Log(text)
	limit := 0.02
	if raceEnabled {
		limit = 1 // the race detector makes sync.Pool drop items
	}
	if least[true]-least[false] > limit {
		t.Errorf("%s: want at most %v more", text, limit)
	}
}
