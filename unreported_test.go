package eventhubs

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// wantFailed checks how many events a Flush or Close says are not stored.
func wantFailed(t *testing.T, what string, err error, want int) {
	t.Helper()
	got := 0
	if undelivered, ok := errors.AsType[*UndeliveredError](err); ok {
		got = undelivered.Failed()
	}
	if got != want || (err == nil) != (want == 0) {
		t.Errorf("%s returned %v, want %d failed", what, err, want)
	}
}

func TestFlushReportsWhatFailedBeforeItWasCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result { return refused("no") }
		p := peer.producer(Options{MaxWaitTime: time.Second, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		time.Sleep(time.Minute)
		wantFailed(t, `FlushPartition("1")`, p.FlushPartition(t.Context(), "1"), 1)
		wantFailed(t, "Flush", p.Flush(t.Context()), 2)
		wantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
		enqueue(t, p, "0", "d")
		time.Sleep(time.Minute)
		wantFailed(t, "Close", p.Close(t.Context()), 1)
	})
}

func TestFlushesThatRunAtOnceEachReportWhatFailedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return refused("no")
			}
			time.Sleep(time.Hour)
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: time.Second, DeliveryTimeout: -1, RetryOptions: RetryOptions{TryTimeout: 2 * time.Hour}, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a", "b")
		time.Sleep(time.Minute)
		enqueue(t, p, "1", "c")
		results := make(chan error, 2)
		for range 2 {
			go func() { results <- p.Flush(t.Context()) }()
			synctest.Wait()
		}
		for range 2 {
			wantFailed(t, "Flush", <-results, 2)
		}
		wantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
	})
}

func TestWhatFailsAfterItsFlushGaveUpIsReportedByTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 10 * time.Second }
		peer.answer = func(sent) connection.Result { return refused("no") }
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if u, ok := errors.AsType[*UndeliveredError](p.Flush(ctx)); !ok || u.Pending != 1 || u.Failed() != 0 {
			t.Errorf("the first Flush returned %v, want 1 pending", u)
		}
		time.Sleep(time.Minute)
		wantFailed(t, "the next Flush", p.Flush(t.Context()), 1)
	})
}

func TestWhatWasClearedOrEnqueuedAgainIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		first := true
		peer.answer = func(sent) connection.Result {
			if first {
				first = false
				return refused("once")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: time.Second, OnBatchFailed: func(ctx context.Context, b *Batch) {
			if !errors.Is(b.Outcome.Err, ErrCleared) {
				_, _ = b.EnqueueAgain(ctx)
			}
		}})
		enqueue(t, p, "0", "a", "b")
		time.Sleep(time.Minute)
		enqueue(t, p, "0", "c")
		if n := p.Clear(); n != 1 {
			t.Errorf("Clear took out %d events, want 1", n)
		}
		wantFailed(t, "Flush", p.Flush(t.Context()), 0)
	})
}

func TestWhatSomebodyWasToldOfMayBeLeftOutOfFlush(t *testing.T) {
	for name, handler := range map[string]func(context.Context, *Batch){"a handler": func(context.Context, *Batch) {}, "a Delivery": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 1)
				peer.answer = func(s sent) connection.Result { return refused("no") }
				p := peer.producer(Options{MaxWaitTime: UntilFull, FlushOmitsTold: true, OnBatchFailed: handler, Logger: slog.New(slog.DiscardHandler)})
				left := 0
				for i := range 10 {
					o := &EnqueueOptions{PartitionID: "0"}
					if i%3 == 0 {
						o.Delivery = new(Delivery)
					} else if handler == nil {
						left++
					}
					if err := p.Enqueue(t.Context(), event("a"), o); err != nil {
						t.Fatal(err)
					}
				}
				wantFailed(t, "Flush", p.Flush(t.Context()), left)
				if err := p.Publish(t.Context(), event("b"), nil); err == nil {
					t.Error("Publish returned no error")
				}
				wantFailed(t, "Close", p.Close(t.Context()), 0)
			})
		})
	}
}

// Who asks for a partition that there is not takes no failure away from those who ask afterwards, and leaves nothing behind.
func TestFlushPartitionOfAnUnknownPartitionKeepsWhatFailedForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(int) error { return unauthorized() }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, RetryOptions: RetryOptions{MaxRetries: -1}, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		peer.mu.Lock()
		peer.properties = nil
		peer.mu.Unlock()
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.FlushPartition(t.Context(), "nowhere"); !errors.Is(err, ErrUnknownPartition) {
				t.Fatalf("FlushPartition returned %v", err)
			}
		}
		if n := len(p.staging.unreported[0].holders); n > 0 {
			t.Errorf("%d calls are remembered", n)
		}
		wantFailed(t, `FlushPartition("0")`, p.FlushPartition(t.Context(), "0"), 1)
		wantFailed(t, "Close", p.Close(t.Context()), 0)
	})
}
