package trial

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestFlushReportsWhatFailedBeforeItWasCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result { return scripted.Refused("no") }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "c")
		time.Sleep(time.Minute)
		world.WantFailed(t, `FlushPartition("1")`, p.FlushPartition(t.Context(), "1"), 1)
		world.WantFailed(t, "Flush", p.Flush(t.Context()), 2)
		world.WantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
		world.Enqueue(t, p, "0", "d")
		time.Sleep(time.Minute)
		world.WantFailed(t, "Close", p.Close(t.Context()), 1)
	})
}

func TestFlushesThatRunAtOnceEachReportWhatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "0" {
				return scripted.Refused("no")
			}
			time.Sleep(time.Hour)
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, DeliveryTimeout: -1, Retry: eventhubs.RetryOptions{TryTimeout: 2 * time.Hour}, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a", "b")
		time.Sleep(time.Minute)
		world.Enqueue(t, p, "1", "c")
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- p.Flush(t.Context()) }()
			synctest.Wait()
		}
		for range 2 {
			world.WantFailed(t, "Flush", <-results, 2)
		}
		world.WantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
	})
}

func TestWhatFailsAfterItsFlushGaveUpIsReportedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return 10 * time.Second }
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Refused("no") }
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(ctx)); !ok || u.Pending != 1 || u.Failed() != 0 {
			t.Errorf("the first Flush returned %v, want 1 pending", u)
		}
		time.Sleep(time.Minute)
		world.WantFailed(t, "the next Flush", p.Flush(t.Context()), 1)
	})
}

func TestWhatWasClearedOrEnqueuedAgainIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		first := true
		peer.Answer = func(scripted.Sent) connection.Result {
			if first {
				first = false
				return scripted.Refused("once")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
			if !errors.Is(b.Outcome.Err, eventhubs.ErrCleared) {
				_, _ = b.EnqueueAgain(ctx)
			}
		}})
		world.Enqueue(t, p, "0", "a", "b")
		time.Sleep(time.Minute)
		world.Enqueue(t, p, "0", "c")
		if n, err := p.Clear(t.Context()); n != 1 || err != nil {
			t.Errorf("Clear took out %d events, want 1", n)
		}
		world.WantFailed(t, "Flush", p.Flush(t.Context()), 0)
	})
}

func TestWhatSomebodyWasToldOfMayBeLeftOutOfFlush(t *testing.T) {
	for name, handler := range map[string]func(context.Context, *eventhubs.Batch){
		"a handler":               func(context.Context, *eventhubs.Batch) {},
		"a handler that releases": func(_ context.Context, b *eventhubs.Batch) { b.Release() },
		"a Delivery":              nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 1)
				peer.Answer = func(s scripted.Sent) connection.Result { return scripted.Refused("no") }
				p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, FlushOmitsTold: true, OnBatchFailed: handler, Logger: slog.New(slog.DiscardHandler)})
				left := 0
				for i := range 10 {
					o := &eventhubs.Event{PartitionID: "0"}
					if i%3 == 0 {
						o.Delivery = new(eventhubs.Delivery)
					} else if handler == nil {
						left++
					}
					if err := p.Enqueue(t.Context(), world.With(world.Event("a"), o)); err != nil {
						t.Fatal(err)
					}
				}
				world.WantFailed(t, "Flush", p.Flush(t.Context()), left)
				if _, err := p.Publish(t.Context(), world.Event("b")); err == nil {
					t.Error("Publish returned no error")
				}
				world.WantFailed(t, "Close", p.Close(t.Context()), 0)
			})
		})
	}
}

// A kept batch may be enqueued again while a Flush waits, after the Flush has noted its failure.
// Only the new outcome counts, once.
func TestWhatIsEnqueuedAgainWhileAFlushWaitsCountsByItsNewOutcome(t *testing.T) {
	for name, before := range map[string]bool{"failed before the Flush": true, "failed under it": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 2)
				var taken atomic.Bool // partition 0 accepts batches by now
				peer.Answer = func(s scripted.Sent) connection.Result {
					if s.Partition == "0" && !taken.Load() {
						return scripted.Refused("no")
					}
					time.Sleep(10 * time.Minute)
					return connection.Result{Outcome: connection.Accepted}
				}
				kept := make(chan *eventhubs.Batch, 1)
				p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, DeliveryTimeout: -1, Retry: eventhubs.RetryOptions{TryTimeout: time.Hour},
					OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) { kept <- b }})
				world.Enqueue(t, p, "1", "c")
				world.Enqueue(t, p, "0", "a", "b")
				if before {
					time.Sleep(time.Minute)
				}
				results := make(chan error, 2)
				for range 2 {
					go func() { results <- p.Flush(t.Context()) }() // ends when c has its outcome
				}
				time.Sleep(time.Minute)
				taken.Store(true)
				if n, err := (<-kept).EnqueueAgain(t.Context()); n != 2 || err != nil {
					t.Errorf("EnqueueAgain returned %d, %v", n, err)
				}
				for range 2 {
					world.WantFailed(t, "Flush", <-results, 0)
				}
				world.WantFailed(t, "Close", p.Close(t.Context()), 0)
			})
		})
	}
}

// Flushes, handlers and batches that are enqueued again run at random. When no two of Flush,
// FlushPartition and Close overlap, they return all failures together, each once.
func TestWhatFlushesReturnAddsUpToWhatHasFailed(t *testing.T) {
	for range 150 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			var mu sync.Mutex // guards random, failed, kept
			dice := func(n int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(n)
			}
			peer := scripted.New(t, 3)
			unknown := dice(4)
			peer.List = func(call int) error {
				if call <= unknown {
					return &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}
				}
				return nil
			}
			peer.Latency = func() time.Duration { return time.Duration(dice(3000)) * time.Millisecond }
			peer.Answer = func(scripted.Sent) connection.Result {
				switch dice(4) {
				case 0:
					return scripted.Refused("no")
				case 1:
					return connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: errors.New("late")}}
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			failed := 0
			var kept []*eventhubs.Batch
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, DeliveryTimeout: 20 * time.Second,
				Retry: eventhubs.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond}, MaxConcurrentSendsPerPartition: 1 + dice(2),
				OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
					if errors.Is(b.Outcome.Err, eventhubs.ErrCleared) {
						return
					}
					again := 0
					what := dice(4)
					if what == 0 {
						time.Sleep(time.Duration(dice(2000)) * time.Millisecond)
						again, _ = b.EnqueueAgain(ctx)
					}
					mu.Lock()
					defer mu.Unlock()
					failed += b.Count - again
					if what == 1 {
						kept = append(kept, b)
					}
				}})
			returned := 0
			count := func(what string, err error) {
				u, ok := errors.AsType[*eventhubs.UndeliveredError](err)
				if err != nil && !ok && !errors.Is(err, eventhubs.ErrPartitionUnknown) {
					t.Errorf("seed %d: %s: %v", seed, what, err)
				}
				if ok {
					returned += u.Failed()
				}
			}
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { // ends after its events
					for range 30 {
						var o *eventhubs.Event
						if n := dice(5); n < 4 {
							// Partition 3 does not exist.
							o = &eventhubs.Event{PartitionID: fmt.Sprint(n)}
						}
						if err := p.Enqueue(t.Context(), world.With(world.Event("a"), o)); err != nil && !errors.Is(err, eventhubs.ErrPartitionUnknown) {
							t.Error(err)
						}
						time.Sleep(time.Duration(dice(500)) * time.Millisecond)
						switch dice(30) {
						case 0:
							p.Clear(t.Context())
						case 1:
							_, _ = p.ClearPartition(t.Context(), fmt.Sprint(dice(3)))
						}
					}
				})
			}
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(dice(4000))*time.Millisecond)
				if dice(2) == 0 {
					count("Flush", p.Flush(ctx))
				} else {
					count("FlushPartition", p.FlushPartition(ctx, fmt.Sprint(dice(4))))
				}
				cancel()
				time.Sleep(time.Duration(dice(1500)) * time.Millisecond)
			}
			wg.Wait()
			count("Flush", p.Flush(t.Context()))
			// Every failure so far was returned. If those events are enqueued again, they may fail
			// a second time.
			mu.Lock()
			late := kept
			kept = nil
			mu.Unlock()
			for _, b := range late {
				var both sync.WaitGroup
				for range 2 {
					both.Go(func() { // ends when all events are accepted
						if _, err := b.EnqueueAgain(t.Context()); err != nil && !errors.Is(err, eventhubs.ErrPartitionUnknown) {
							t.Error(err)
						}
					})
				}
				both.Wait()
			}
			count("Close", p.Close(t.Context()))
			if returned != failed {
				t.Errorf("seed %d: Flush, FlushPartition and Close returned %d failures, and %d events have failed", seed, returned, failed)
			}
		})
		if t.Failed() {
			return
		}
	}
}
