package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestFlushInterruptsLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.producer(Options{MaxWaitTime: 10 * time.Minute})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now() != 0 {
			t.Errorf("Flush took %v, want no time at all", now())
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are buffered after Flush", got)
		}
	})
}

func TestFlushOfAnEmptyBufferReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 2).producer(Options{})
		if err := p.Flush(t.Context()); err != nil || now() != 0 {
			t.Errorf("Flush returned %v after %v", err, now())
		}
	})
}

func TestFlushNeitherWaitsForLaterEventsNorHoldsThemUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: 10 * time.Minute})
		enqueue(t, p, "0", "a")
		flushed := make(chan time.Duration)
		go func() {
			if err := p.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			flushed <- now()
		}()
		synctest.Wait()
		enqueue(t, p, "0", "b") // must not be held up, and lingers
		if now() != 0 {
			t.Errorf("Enqueue during Flush took %v", now())
		}
		if at := <-flushed; at != time.Second {
			t.Errorf("Flush returned after %v, want 1s", at)
		}
		peer.wantSends("the later event still lingers", "0s 0 [a]")
	})
}

func TestFlushCoversWhatIsInFlightAndWhatIsQueuedBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		time.Sleep(500 * time.Millisecond)
		enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now() != 2*time.Second {
			t.Errorf("Flush returned at %v, want 2s", now())
		}
	})
}

func TestManyFlushesRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{})
		var returned atomic.Int32
		for i := range 50 {
			enqueue(t, p, fmt.Sprint(i%3), fmt.Sprint(i))
			go func() {
				if err := p.Flush(t.Context()); err != nil {
					t.Error(err)
				}
				returned.Add(1)
			}()
		}
		time.Sleep(2500 * time.Millisecond)
		if got := returned.Load(); got != 50 {
			t.Errorf("%d of 50 calls have returned", got)
		}
	})
}

func TestFlushReturnsAfterTheHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{OnBatchSucceeded: func(context.Context, *Batch) { time.Sleep(time.Minute) }})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now() != time.Minute {
			t.Errorf("Flush returned at %v, want 1m: when the handler does", now())
		}
	})
}

func TestFlushTellsHowMuchFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "1" {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c", "d", "e")
		err := p.Flush(t.Context())
		undelivered, ok := errors.AsType[*UndeliveredError](err)
		if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 {
			t.Fatalf("Flush returned %#v, want an UndeliveredError with 3 failed", err)
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Condition != "amqp:not-allowed" || e.PartitionID != "1" || e.Transient {
			t.Errorf("the reason is %#v", e)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("the next Flush returned %v: it covers nothing that failed", err)
		}
	})
}

func TestAFlushThatGivesUpFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Minute / 2 }
		p := peer.producer(Options{})
		enqueue(t, p, "0", "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Flush(ctx)
		undelivered, ok := errors.AsType[*UndeliveredError](err)
		if !ok || undelivered.Pending != 2 || undelivered.Failed() != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush returned %v, want an UndeliveredError with 2 pending and the deadline", err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		peer.wantSends("in all", "0s 0 [a b]")
	})
}

func TestFlushWhileTheListIsUnknownCoversWhatIsStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.properties = func(call int) error {
			time.Sleep(time.Second)
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: 10 * time.Minute})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		go func() {
			time.Sleep(time.Millisecond)
			enqueue(t, p, "1", "later")
		}()
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now() != time.Second {
			t.Errorf("Flush returned at %v, want 1s", now())
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("1")[:1]); got != "[a] [b]" {
			t.Errorf("stored %s", got)
		}
	})
}

// What two barriers cover must stay covered when the batch is cut, and when a piece of it is cut again.
func TestCuttingABatchTwiceKeepsItsBarriers(t *testing.T) {
	cut := func(b *batch, keep int) []*batch {
		s := b.split(func(i int) bool { return i >= keep }, 1<<20)
		s.leaveLocked()
		return s.pieces
	}
	b := new(batch)
	for i := range 10 {
		b.append(fmt.Append(nil, i), nil, &extra{}, time.Time{})
	}
	first, second := newBarrier(), newBarrier()
	first.cover(b, 7)
	second.cover(b, 9)
	all := []*batch{b}
	all = append(all, cut(b, 2)...)
	all = append(all, cut(all[1], 3)...)
	for _, r := range []*barrier{first, second} {
		r.covered()
	}
	for i, piece := range all {
		if first.over() || second.over() {
			t.Errorf("a barrier is over before piece %d of %d was told", i, len(all))
		}
		for _, c := range piece.coverage {
			c.barrier.settled(c.events, c.events, Outcome{})
		}
	}
	for _, r := range []*barrier{first, second} {
		if !r.over() || r.pending != 0 {
			t.Errorf("in the end a barrier is over: %v, and %d events are pending", r.over(), r.pending)
		}
	}
}

// A Flush that begins while the list of partitions arrives finds the same events twice, staged and then in their partitions. It counts them once.
func TestAFlushCountsWhatLeavesStagingUnderItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.properties = func(call int) error {
			if call == 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}
		peer.answer = func(sent) connection.Result { return refused("never") }
		p := peer.producer(Options{MaxWaitTime: time.Minute, OnBatchFailed: (&outcomes{}).handle})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		synctest.Wait()   // discovery asks
		r := newBarrier() // as cover does, with what may happen in between
		p.directory.staging.cover(r, true)
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "d")
		for _, part := range p.directory.partitions() {
			part.cover(r, true)
		}
		r.covered()
		undelivered, ok := errors.AsType[*UndeliveredError](p.await(t.Context(), r))
		if !ok || undelivered.Failed() != 4 || undelivered.Pending != 0 {
			t.Errorf("the barrier returned %v, want 4 failed", undelivered)
		}
	})
}
