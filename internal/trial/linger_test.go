package trial

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAnEventAfterTheLingerIsInTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: 350 * time.Millisecond})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(525 * time.Millisecond)
		world.Enqueue(t, p, "0", "late")
		peer.WantSends("at one and a half times the linger", "350ms 0 [a]")
		time.Sleep(time.Second)
		peer.WantSends("in the end", "350ms 0 [a]", "875ms 0 [late]")
	})
}

// Peers hold a send slot while a batch lingers, so with many partitions their lingers add up.
func TestLingeringHoldsNoSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 500
		peer := scripted.New(t, partitions)
		p := world.Connected(peer, eventhubs.Options{})
		for i := range partitions {
			world.Enqueue(t, p, fmt.Sprint(i), "e")
		}
		synctest.Wait()
		if n := scripted.Goroutines(); n > 0 {
			t.Errorf("%d goroutines wait for batches to fill", n)
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if got := len(peer.Sent()); got != partitions {
			t.Errorf("after one linger %d batches were sent, want %d", got, partitions)
		}
	})
}

// Each way of sealing a batch meets each kind of trouble. No event may stay in the buffer for ever.
func TestNoBatchStaysBehind(t *testing.T) {
	for _, wait := range []time.Duration{eventhubs.SendAtOnce, 100 * time.Millisecond, eventhubs.UntilFull} {
		for _, concurrent := range []int{1, 3} {
			for _, partitioning := range []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky, eventhubs.ServiceAssigned} {
				for _, troubled := range []bool{false, true} {
					t.Run(fmt.Sprint(wait, concurrent, partitioning, troubled), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { leaveNothing(t, wait, concurrent, partitioning, troubled) })
					})
				}
			}
		}
	}
}

// leaveNothing keeps callers waiting for room, so that pressure alone must empty the buffer. Then
// it stops, and without pressure the linger must do it.
func leaveNothing(t *testing.T, wait time.Duration, concurrent int, partitioning eventhubs.Partitioning, troubled bool) {
	peer := scripted.New(t, 4)
	peer.Latency = func() time.Duration { return 20 * time.Millisecond }
	peer.Answer = func(s scripted.Sent) connection.Result {
		if troubled && s.Partition == "1" && s.Try <= 6 {
			return scripted.Transient(connection.NotSent)
		}
		return connection.Result{Outcome: connection.Accepted}
	}
	p := world.Connected(peer, eventhubs.Options{MaxWaitTime: wait, MaxConcurrentSendsPerPartition: concurrent, Partitioning: partitioning, MaxBufferedEvents: 40, OnBatchFailed: world.Ignore})
	var callers sync.WaitGroup
	for c := range 20 {
		callers.Go(func() {
			for i := range 30 {
				o := &eventhubs.Event{}
				if c%4 == 0 {
					o.PartitionID = fmt.Sprint(i % 4)
				}
				if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprint(c, i)), o)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if took := scripted.Now(); took > 5*time.Minute {
		t.Errorf("600 events into a buffer for 40 took %v", took)
	}
	if wait == eventhubs.UntilFull {
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	} else {
		time.Sleep(5 * time.Minute)
	}
	synctest.Wait()
	if got := p.BufferedEvents(); got != 0 {
		t.Errorf("%d events are still buffered: %+v", got, p.Stats())
	}
}

func TestLingerCountsFromTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a")
		for _, body := range []string{"b", "c", "d"} {
			// Each later event comes within a linger of the one before.
			time.Sleep(80 * time.Millisecond)
			world.Enqueue(t, p, "0", body)
		}
		time.Sleep(9 * time.Millisecond)
		peer.WantSends("before the linger ends")
		time.Sleep(2 * time.Millisecond)
		peer.WantSends("after 250 ms", "250ms 0 [a b c d]")

		time.Sleep(time.Hour)
		world.Enqueue(t, p, "0", "e")
		time.Sleep(250 * time.Millisecond)
		peer.WantSends("after an idle hour the linger counts from the event, not from the last send",
			"250ms 0 [a b c d]", "1h0m0.501s 0 [e]")
	})
}

func TestSendAtOnceDoesNotLinger(t *testing.T) {
	for _, wait := range []time.Duration{eventhubs.SendAtOnce, 1000} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			peer.Latency = func() time.Duration { return 10 * time.Millisecond }
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: wait})
			world.Enqueue(t, p, "0", "a")
			peer.WantSends("at once", "0s 0 [a]")
			time.Sleep(time.Millisecond)
			world.Enqueue(t, p, "0", "b", "c")
			peer.WantSends("while a send is in flight the next batch fills", "0s 0 [a]")
			time.Sleep(time.Second)
			peer.WantSends("when the sender is free", "0s 0 [a]", "10ms 0 [b c]")
		})
	}
}

func TestUntilFullWaitsForAFullBatchOrAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(24 * time.Hour)
		peer.WantSends("after a day")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.WantSends("on Flush", "24h0m0s 0 [a]")
	})
}

func TestABatchLeavesWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 100_000})
		body := string(make([]byte, 10_000))
		for range 60 { // 600 kB; batches are cut at 256 KiB until a link has stated its limit
			world.Enqueue(t, p, "0", body)
		}
		synctest.Wait()
		sends := peer.Sent()
		if len(sends) == 0 {
			t.Fatal("nothing was sent though batches are full")
		}
		for _, s := range sends {
			if s.Bytes < 250_000 {
				t.Errorf("a batch of %d events and %d bytes left though it was not full", len(s.Bodies), s.Bytes)
			}
		}
	})
}

func TestTheNextBatchFillsWhileOneIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: 10 * time.Millisecond})
		for i := range 200 {
			world.Enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if got := len(peer.Sent()); got != 2 {
			t.Errorf("in 2 s at 1 s a send there were %d sends, want 2: events that arrive meanwhile belong into one batch", got)
		}
	})
}

// A batch is put back in front of the open one. The open batch's linger still ends on time, or as
// soon as a sender is free.
func TestAnEventDoesNotLingerBehindWhatWasPutBack(t *testing.T) {
	for name, test := range map[string]struct {
		maxMessage uint64
		expires    time.Duration
		senders    int
	}{
		"a smaller link":             {150, 0, 2},
		"a smaller link, 3 senders":  {150, 0, 3},
		"expiry":                     {1 << 20, 90 * time.Millisecond, 2},
		"expiry and a smaller link":  {150, 90 * time.Millisecond, 2},
		"one sender, a smaller link": {150, 0, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 1)
			var slow sync.Once
			peer.Open = func(string) error {
				slow.Do(func() { time.Sleep(100 * time.Millisecond) })
				return nil
			}
			peer.MaxMessage = test.maxMessage
			peer.Latency = func() time.Duration { return 500 * time.Millisecond }
			var told world.Outcomes
			p := world.Over(peer, eventhubs.Options{MaxConcurrentSendsPerPartition: test.senders, OnBatchSucceeded: told.Handle, OnBatchFailed: told.Handle})
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			for i := range 9 {
				o := &eventhubs.Event{PartitionID: "0"}
				if test.expires > 0 && i%3 == 1 {
					o.ExpiresAt = time.Now().Add(test.expires)
				}
				if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprintf("%100d", i)), o)); err != nil {
					t.Fatal(err)
				}
			}
			flushing, stop := context.WithCancel(t.Context())
			defer stop()
			go func() { _ = p.Flush(flushing) }()
			time.Sleep(50 * time.Millisecond)
			world.Enqueue(t, p, "0", "late")
			time.Sleep(time.Minute)
			if got := peer.StoredIn("0"); !slices.Contains(got, "late") {
				t.Errorf("%s: after a minute the event after the batch that was put back still lingers; %d others are stored, %d events are buffered", name, len(got), p.BufferedEvents())
			}
		})
	}
}

// The timer of a batch that left early serves the next batch, which lingers as long as any.
func TestABatchBehindOneThatLeftEarlyLingersAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(100 * time.Millisecond)
		if _, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0"}); err != nil { // takes a along
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		world.Enqueue(t, p, "0", "c")
		time.Sleep(time.Second)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		world.Enqueue(t, p, "0", "d")
		time.Sleep(time.Second)
		peer.WantSends("each linger from its own first event", "100ms 0 [a b]", "450ms 0 [c]", "1.45s 0 [d]")
	})
}

// No event lingers longer than MaxWaitTime without a Flush, whatever is put back. Links take more
// or less each time, events expire, some are urgent, and the buffer is nearly full. The number of
// senders varies.
func TestNothingLingersForEver(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 23))
			var mu sync.Mutex // guards random
			n := func(most int) int {
				mu.Lock()
				defer mu.Unlock()
				return random.IntN(most)
			}
			peer := scripted.New(t, 1)
			peer.Open = func(string) error {
				time.Sleep(time.Duration(n(100)) * time.Millisecond)
				peer.Mu.Lock()
				defer peer.Mu.Unlock()
				peer.MaxMessage = []uint64{300, 1000, 1 << 20, 0, math.MaxUint64}[n(5)]
				return nil
			}
			peer.Latency = func() time.Duration { return time.Duration(n(300)) * time.Millisecond }
			p := world.Over(peer, eventhubs.Options{MaxConcurrentSendsPerPartition: 1 + n(4), MaxBufferedEvents: []int{20, 2500}[n(2)], OnBatchFailed: (&world.Outcomes{}).Handle})
			for range 1 + n(12) {
				for range 1 + n(15) {
					o := &eventhubs.Event{PartitionID: "0"}
					if n(3) == 0 {
						o.ExpiresAt = time.Now().Add(time.Duration(1+n(500)) * time.Millisecond)
					}
					if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprintf("%*d", 1+n(120), 1)), o)); err != nil {
						t.Fatal(err)
					}
				}
				if n(3) == 0 {
					go func() { _, _ = p.Publish(t.Context(), &eventhubs.Event{Body: []byte("now"), PartitionID: "0"}) }()
				}
				time.Sleep(time.Duration(n(300)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			if events := p.BufferedEvents(); events > 0 {
				t.Errorf("seed %d: after a minute %d events are still buffered", seed, events)
			}
		})
	}
}
