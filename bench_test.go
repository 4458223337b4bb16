package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// discarding is an emulator on loopback TCP that accepts every batch and keeps nothing.
func discarding(tb testing.TB) *emulator.Server {
	server, err := emulator.New(&emulator.Options{Hubs: world.Hubs(8), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
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

// BenchmarkPublish has one caller that enqueues one event at a time until everything is stored.
// Client and emulator share one process.
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
					if err := p.Enqueue(b.Context(), &eventhubs.Event{Body: body, PartitionKey: keys[i%len(keys)]}); err != nil {
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

// An enqueuer hides the producer's type from the compiler.
type enqueuer interface {
	Enqueue(context.Context, *eventhubs.Event) error
}

// A steady state allocates for each batch, and not for each event. A call through an interface
// costs one allocation for a new event, since the compiler cannot keep the event on the stack. An
// event that is used again costs none.
func TestEnqueueAllocatesNothingPerEvent(t *testing.T) {
	body, id, key := make([]byte, 100), fmt.Sprint("message-", 1), "key"
	again := &eventhubs.Event{Body: body, PartitionKey: key}
	for name, test := range map[string]struct {
		enqueue func(p *eventhubs.BufferedProducer, through enqueuer) error
		want    float64
	}{
		"a new event": {func(p *eventhubs.BufferedProducer, _ enqueuer) error {
			return p.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionKey: key})
		}, 0},
		"with ids": {func(p *eventhubs.BufferedProducer, _ enqueuer) error {
			return p.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionKey: key, MessageID: id, CorrelationID: id, ContentType: id})
		}, 0},
		"with a partition": {func(p *eventhubs.BufferedProducer, _ enqueuer) error {
			return p.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionID: "0"})
		}, 0},
		"tried": {func(p *eventhubs.BufferedProducer, _ enqueuer) error {
			err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: body, PartitionKey: key})
			// Enqueue lets others in, and this test waits for their events.
			if errors.Is(err, eventhubs.ErrBufferFull) {
				return p.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionKey: key})
			}
			return err
		}, 0},
		"through an interface, new": {func(_ *eventhubs.BufferedProducer, p enqueuer) error {
			return p.Enqueue(t.Context(), &eventhubs.Event{Body: body, PartitionKey: key})
		}, 1},
		"through an interface, used again": {func(_ *eventhubs.BufferedProducer, p enqueuer) error { return p.Enqueue(t.Context(), again) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := discardingProducer(t)
			publish := func(events int) {
				for range events {
					if err := test.enqueue(p, p); err != nil {
						t.Fatal(err)
					}
				}
				if err := p.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			warm, events := 100_000, 200_000
			if raceEnabled {
				warm, events = 20_000, 30_000
			}
			publish(warm) // makes links, chunks and batches
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			publish(events)
			runtime.ReadMemStats(&after)
			// The count includes the emulator's allocations. The race detector makes sync.Pool drop
			// items.
			perEvent := float64(after.Mallocs-before.Mallocs) / float64(events)
			t.Logf("%.4f allocations an event, client and emulator together", perEvent)
			limit := test.want + 0.1
			if raceEnabled {
				limit += 3
			}
			if perEvent > limit || perEvent < test.want-0.01 {
				t.Errorf("%.4f allocations an event, want from %v to %v", perEvent, test.want, limit)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
