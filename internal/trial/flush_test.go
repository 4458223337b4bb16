package trial

import (
	"context"
	"errors"
	"fmt"
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

func TestFlushReturnsAfterTheFailedHandlerToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the very reason")
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result {
			return connection.Result{Outcome: connection.Rejected, Err: cause}
		}
		returned := false
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
			if !errors.Is(b.Outcome.Err, cause) {
				t.Errorf("the handler got %v", b.Outcome.Err)
			}
			time.Sleep(250 * time.Millisecond)
			returned = true
		}})
		world.Enqueue(t, p, "0", "a", "b")
		err := p.Flush(t.Context())
		if !returned || !errors.Is(err, cause) || p.BufferedEvents() != 0 {
			t.Errorf("Flush returned %v; the handler had returned: %v; %d are buffered", err, returned, p.BufferedEvents())
		}
	})
}

func TestEnqueueAndFlushTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		for round := range 5 {
			for i := range 9 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(round, i))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil || p.BufferedEvents() != 0 {
				t.Fatalf("Flush %d returned %v with %d buffered", round, err, p.BufferedEvents())
			}
		}
		if got := len(peer.Sent()); got != 15 {
			t.Errorf("%d batches were sent, want 15: one for each partition and Flush", got)
		}
	})
}

func TestFlushLeavesEmptyPartitionsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 8)
		var mu sync.Mutex
		opened := map[string]bool{}
		peer.Open = func(partition string) error {
			mu.Lock()
			defer mu.Unlock()
			opened[partition] = true
			return nil
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		world.Enqueue(t, p, "2", "a")
		world.Enqueue(t, p, "5", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(opened) != 2 || len(peer.Sent()) != 2 {
			t.Errorf("the links of %v were opened and %d batches sent, want 2 and 2", opened, len(peer.Sent()))
		}
	})
}

func TestFlushInterruptsLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: 10 * time.Minute})
		world.Enqueue(t, p, "0", "a")
		world.Enqueue(t, p, "1", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if scripted.Now() != 0 {
			t.Errorf("Flush took %v, want no time at all", scripted.Now())
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are buffered after Flush", got)
		}
	})
}

func TestFlushOfAnEmptyBufferReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 2), eventhubs.Options{})
		if err := p.Flush(t.Context()); err != nil || scripted.Now() != 0 {
			t.Errorf("Flush returned %v after %v", err, scripted.Now())
		}
	})
}

func TestFlushNeitherWaitsForLaterEventsNorHoldsThemUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: 10 * time.Minute})
		world.Enqueue(t, p, "0", "a")
		flushed := make(chan time.Duration)
		go func() {
			if err := p.Flush(t.Context()); err != nil {
				t.Error(err)
			}
			flushed <- scripted.Now()
		}()
		synctest.Wait()
		world.Enqueue(t, p, "0", "b") // must not be held up, and lingers
		if scripted.Now() != 0 {
			t.Errorf("Enqueue during Flush took %v", scripted.Now())
		}
		if at := <-flushed; at != time.Second {
			t.Errorf("Flush returned after %v, want 1s", at)
		}
		peer.WantSends("the later event still lingers", "0s 0 [a]")
	})
}

func TestFlushCoversWhatIsInFlightAndWhatIsQueuedBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(500 * time.Millisecond)
		world.Enqueue(t, p, "0", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if scripted.Now() != 2*time.Second {
			t.Errorf("Flush returned at %v, want 2s", scripted.Now())
		}
	})
}

func TestManyFlushesRunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{})
		var returned atomic.Int32
		for i := range 50 {
			world.Enqueue(t, p, fmt.Sprint(i%3), fmt.Sprint(i))
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
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { time.Sleep(time.Minute) }})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if scripted.Now() != time.Minute {
			t.Errorf("Flush returned at %v, want 1m: when the handler does", scripted.Now())
		}
	})
}

func TestFlushTellsHowMuchFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		scripted.Answers(peer)["1"] = scripted.Refused("no")
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "c", "d", "e")
		err := p.Flush(t.Context())
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err)
		if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 {
			t.Fatalf("Flush returned %#v, want an UndeliveredError with 3 failed", err)
		}
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Condition != "amqp:not-allowed" || e.PartitionID != "1" || e.Transient {
			t.Errorf("the reason is %#v", e)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("the next Flush returned %v: it covers nothing that failed", err)
		}
	})
}

func TestAFlushThatGivesUpFailsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Minute / 2 }
		p := world.Over(peer, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Flush(ctx)
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err)
		if !ok || undelivered.Pending != 2 || undelivered.Failed() != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush returned %v, want an UndeliveredError with 2 pending and the deadline", err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		peer.WantSends("in all", "0s 0 [a b]")
	})
}

func TestFlushWhileTheListIsUnknownCoversWhatIsStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.List = func(call int) error {
			time.Sleep(time.Second)
			return nil
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: 10 * time.Minute})
		world.Enqueue(t, p, "0", "a")
		world.Enqueue(t, p, "1", "b")
		go func() {
			time.Sleep(time.Millisecond)
			world.Enqueue(t, p, "1", "later")
		}()
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if scripted.Now() != time.Second {
			t.Errorf("Flush returned at %v, want 1s", scripted.Now())
		}
		if got := fmt.Sprint(peer.StoredIn("0"), peer.StoredIn("1")[:1]); got != "[a] [b]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestFlushPartitionLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		world.Enqueue(t, p, "0", "a")
		world.Enqueue(t, p, "1", "b")
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		id, err := p.PartitionForKey(t.Context(), "7")
		if err != nil || id != "1" {
			t.Fatalf("PartitionForKey returned %q, %v, want 1", id, err)
		}
		if err := p.FlushPartition(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		peer.WantSends("after FlushPartition", "0s 1 [b]")
		if err := p.FlushPartition(t.Context(), "9"); !errors.Is(err, eventhubs.ErrPartitionUnknown) {
			t.Errorf("FlushPartition(9) returned %v, want ErrPartitionUnknown", err)
		}
	})
}
