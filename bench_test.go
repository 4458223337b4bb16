package eventhubs_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// discarding is an emulator on loopback TCP that accepts every batch and keeps nothing.
func discarding(tb testing.TB) *emulator.Server {
	server, err := emulator.New(&emulator.Options{Hubs: hub(8), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Accept()
		}
		return emulator.Pass()
	}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = server.Close() })
	return server
}

func discardingProducer(tb testing.TB) *eventhubs.BufferedProducer {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(discarding(tb).ConnectionString("hub"), "", &eventhubs.Options{
		MaxBufferedEvents: 100_000,
		OnBatchFailed:     func(_ context.Context, b *eventhubs.Batch) { tb.Error(b.Outcome.Err) },
	})
	if err != nil {
		tb.Fatal(err)
	}
	return producer
}

// BenchmarkPublish is one caller, Enqueue by Enqueue, until everything is stored: client and emulator in one process.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{100, 1000, 10_000} {
		for _, keyed := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dB/keyed=%v", size, keyed), func(b *testing.B) {
				p := discardingProducer(b)
				body := make([]byte, size)
				keys := make([]string, 1000)
				for i := range keys {
					if keyed {
						keys[i] = fmt.Sprint("device-", i)
					}
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i++
					event := &azeventhubs.EventData{Body: body}
					if err := p.Enqueue(b.Context(), event, &eventhubs.EnqueueOptions{PartitionKey: keys[i%len(keys)]}); err != nil {
						b.Fatal(err)
					}
				}
				if err := p.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// A steady state allocates for each batch, not for each event.
func TestEnqueueAllocatesNothingPerEvent(t *testing.T) {
	p := discardingProducer(t)
	body := make([]byte, 100)
	publish := func(events int) {
		for range events {
			if err := p.Enqueue(t.Context(), &azeventhubs.EventData{Body: body}, &eventhubs.EnqueueOptions{PartitionKey: "key"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	warm, events := 200_000, 300_000
	if raceEnabled {
		warm, events = 20_000, 30_000
	}
	publish(warm) // links, chunks, batches
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	publish(events)
	runtime.ReadMemStats(&after)
	// The emulator's allocations are counted as well; the race detector makes sync.Pool drop things on purpose.
	perEvent := float64(after.Mallocs-before.Mallocs) / float64(events)
	t.Logf("%.4f allocations an event, client and emulator together", perEvent)
	limit := 0.1
	if raceEnabled {
		limit = 3
	}
	if perEvent > limit {
		t.Errorf("%.4f allocations an event, want at most %v", perEvent, limit)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
