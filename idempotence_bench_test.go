package eventhubs_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// countingProducer is a producer for an emulator on loopback TCP that checks numbers, and keeps no events.
func countingProducer(tb testing.TB, idempotent bool) *eventhubs.BufferedProducer {
	server := emulatortest.New(tb, &emulator.Options{Hubs: hub(8), Discard: true})
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{
		EnableIdempotentRetries: idempotent,
		MaxBufferedEventCount:   100_000,
		OnBatchFailed:           func(_ context.Context, b *eventhubs.Batch) { tb.Error(b.Outcome.Err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = producer.Close(context.Background()) })
	return producer
}

// BenchmarkPublish1KB is what idempotence costs: the same caller and events, without and with it, until everything is stored; client and emulator in one process.
// Wire is what goes over it.
func BenchmarkPublish1KB(b *testing.B) {
	for name, idempotent := range map[string]bool{"off": false, "on": true} {
		b.Run(name, func(b *testing.B) {
			p := countingProducer(b, idempotent)
			event := &azeventhubs.EventData{Body: make([]byte, 1000)}
			b.SetBytes(1000)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Enqueue(b.Context(), event, nil); err != nil {
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

// Numbers are written in place: an event with them is not one allocation more.
func TestIdempotentRetriesAllocateNothingPerEvent(t *testing.T) {
	const events = 100_000
	producers := map[bool]*eventhubs.BufferedProducer{false: countingProducer(t, false), true: countingProducer(t, true)}
	event := &azeventhubs.EventData{Body: make([]byte, 100)}
	publish := func(p *eventhubs.BufferedProducer) float64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range events {
			if err := p.Enqueue(t.Context(), event, &eventhubs.EnqueueOptions{PartitionKey: "key"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return float64(after.Mallocs-before.Mallocs) / events
	}
	least := map[bool]float64{false: 1e9, true: 1e9}
	for range 4 { // the first has links, chunks and batches to make
		for idempotent, p := range producers {
			least[idempotent] = min(least[idempotent], publish(p))
		}
	}
	text := fmt.Sprintf("%.4f allocations an event with idempotent retries, %.4f without, client and emulator together", least[true], least[false])
	t.Log(text)
	limit := 0.02
	if raceEnabled {
		limit = 1 // it makes sync.Pool drop things on purpose
	}
	if least[true]-least[false] > limit {
		t.Errorf("%s: want at most %v more", text, limit)
	}
}
