package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// described is what a handler says of its events, and of where they went.
func described(b *Batch) (lines []string) {
	for e := range b.Events() {
		lines = append(lines, fmt.Sprintf("%s: asked for %q %q, went to %q, tag %v, expires %v, delivery %v", e.Body, e.PartitionID, e.PartitionKey, b.PartitionID, e.Tag, !e.ExpiresAt.IsZero(), e.Delivery != nil))
	}
	return lines
}

// A handler's event has what its sender has given, also when its batch has failed and was enqueued again; the batch says where it went.
func TestAHandlersEventIsWhatTheSenderGave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		var mu sync.Mutex // guards the variables below
		refused := map[string]bool{}
		var failed, stored []string
		peer.answer = func(s sent) connection.Result {
			mu.Lock()
			defer mu.Unlock()
			if !refused[s.partition] {
				refused[s.partition] = true
				return connection.Result{Outcome: connection.Rejected, Err: errors.New("not yet")}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{Retry: RetryOptions{MaxRetries: -1}, KeyPartitioner: func(KeyPlacement) int { return 1 },
			OnBatchSucceeded: func(_ context.Context, b *Batch) {
				mu.Lock()
				defer mu.Unlock()
				stored = append(stored, described(b)...)
			},
			OnBatchFailed: func(ctx context.Context, b *Batch) {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, described(b)...)
				if n, err := b.EnqueueAgain(ctx); n != b.Count || err != nil {
					t.Errorf("EnqueueAgain returned %d, %v", n, err)
				}
			}})
		later := time.Now().Add(time.Hour)
		events := []*Event{{Body: []byte("any"), Tag: 7}, {Body: []byte("id"), PartitionID: "1", ExpiresAt: later, Delivery: new(Delivery)}, {Body: []byte("key"), PartitionKey: "k"}}
		if n, err := p.EnqueueAll(t.Context(), Events(events...)); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		for p.BufferedEvents() > 0 {
			_ = p.Flush(t.Context())
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`any: asked for "" "", went to "0", tag 7, expires false, delivery false`,
			`id: asked for "1" "", went to "1", tag <nil>, expires true, delivery false`,
			`key: asked for "" "k", went to "1", tag <nil>, expires false, delivery false`,
		}
		slices.Sort(failed)
		slices.Sort(stored)
		if !slices.Equal(failed, want) {
			t.Errorf("failed are told as\n%q\nwant\n%q", failed, want)
		}
		if !slices.Equal(stored, want) {
			t.Errorf("enqueued again, stored are told as\n%q\nwant\n%q", stored, want)
		}
	})
}

func TestAnEventThatFailsBeforeThePartitionsAreKnownSaysWhichItAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed []string
		p := newPeer(t, 1).producer(Options{OnBatchFailed: func(_ context.Context, b *Batch) { failed = append(failed, described(b)...) }})
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("a"), PartitionID: "77", Tag: 1}); err != nil {
			t.Fatal(err)
		}
		_ = p.Close(t.Context())
		if want := []string{`a: asked for "77" "", went to "77", tag 1, expires false, delivery false`}; !slices.Equal(failed, want) {
			t.Errorf("got %q, want %q", failed, want)
		}
	})
}

// In a handler, with its context, TryEnqueue has the room that the handler was promised, as Enqueue has.
func TestTryEnqueueInAHandlerIsEnqueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *BufferedProducer
		var once bool
		var own, other error
		full := make(chan struct{})
		p = newPeer(t, 1).producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 1, OnBatchSucceeded: func(ctx context.Context, _ *Batch) {
			if once {
				return
			}
			once = true
			<-full // the room that the batch gave back is taken
			other = p.TryEnqueue(t.Context(), event("x"))
			own = p.TryEnqueue(ctx, event("h"))
		}})
		for range 2 {
			if err := p.Enqueue(t.Context(), event("a")); err != nil {
				t.Fatal(err)
			}
		}
		close(full)
		synctest.Wait()
		if own != nil || !errors.Is(other, ErrBufferFull) {
			t.Errorf("with the handler's context TryEnqueue returned %v, with another one %v; want nil and ErrBufferFull", own, other)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTryEnqueueWithAContextThatHasEndedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, err := range map[string]error{"TryEnqueue": p.TryEnqueue(ctx, event("a")), "Enqueue": p.Enqueue(ctx, event("a"))} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s returned %v, want context.Canceled", name, err)
			}
		}
		if p.BufferedEvents() != 0 {
			t.Error("an event was accepted")
		}
	})
}
