package eventhubs

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
)

func TestLingerCountsFromTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		enqueue(t, p, "0", "a")
		for _, body := range []string{"b", "c", "d"} {
			time.Sleep(80 * time.Millisecond) // each later event is within a linger of the one before
			enqueue(t, p, "0", body)
		}
		time.Sleep(9 * time.Millisecond)
		peer.wantSends("before the linger ends")
		time.Sleep(2 * time.Millisecond)
		peer.wantSends("after 250 ms", "250ms 0 [a b c d]")

		time.Sleep(time.Hour)
		enqueue(t, p, "0", "e")
		time.Sleep(250 * time.Millisecond)
		peer.wantSends("after an idle hour the linger counts from the event, not from the last send",
			"250ms 0 [a b c d]", "1h0m0.501s 0 [e]")
	})
}

func TestSendAtOnceDoesNotLinger(t *testing.T) {
	for _, wait := range []time.Duration{SendAtOnce, 1000} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.latency = func() time.Duration { return 10 * time.Millisecond }
			p := peer.producer(Options{MaxWaitTime: wait})
			enqueue(t, p, "0", "a")
			peer.wantSends("at once", "0s 0 [a]")
			time.Sleep(time.Millisecond)
			enqueue(t, p, "0", "b", "c")
			peer.wantSends("while a send is in flight the next batch fills", "0s 0 [a]")
			time.Sleep(time.Second)
			peer.wantSends("when the sender is free", "0s 0 [a]", "10ms 0 [b c]")
		})
	}
}

func TestUntilFullWaitsForAFullBatchOrAFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "0", "a")
		time.Sleep(24 * time.Hour)
		peer.wantSends("after a day")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("on Flush", "24h0m0s 0 [a]")
	})
}

func TestABatchLeavesWhenItIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 100_000})
		body := string(make([]byte, 10_000))
		for range 60 { // 600 kB; batches are cut at 256 KiB as long as no link has told what it takes
			enqueue(t, p, "0", body)
		}
		synctest.Wait()
		sends := peer.sent()
		if len(sends) == 0 {
			t.Fatal("nothing was sent though batches are full")
		}
		for _, s := range sends {
			if s.bytes < 250_000 {
				t.Errorf("a batch of %d events and %d bytes left though it was not full", len(s.bodies), s.bytes)
			}
		}
	})
}

func TestTheNextBatchFillsWhileOneIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: 10 * time.Millisecond})
		for i := range 200 {
			enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if got := len(peer.sent()); got != 2 {
			t.Errorf("in 2 s at 1 s a send there were %d sends, want 2: what arrives meanwhile belongs into one batch", got)
		}
	})
}

func TestSendersOfOnePartitionWorkAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxConcurrentSendsPerPartition: 3})
		for _, body := range []string{"a", "b", "c", "d", "e"} {
			enqueue(t, p, "0", body)
			time.Sleep(time.Millisecond)
		}
		peer.wantSends("three senders, then the rest waits", "0s 0 [a]", "1ms 0 [b]", "2ms 0 [c]")
		time.Sleep(time.Second)
		peer.wantSends("a free sender takes all the rest", "0s 0 [a]", "1ms 0 [b]", "2ms 0 [c]", "1s 0 [d e]")
	})
}

// What is put back in front of the open batch does not hide it: its linger ends when it would have ended, or as soon as a sender is free.
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
			peer := newPeer(t, 1)
			var slow sync.Once
			peer.open = func(string) error {
				slow.Do(func() { time.Sleep(100 * time.Millisecond) })
				return nil
			}
			peer.maxMessage = test.maxMessage
			peer.latency = func() time.Duration { return 500 * time.Millisecond }
			var told outcomes
			p := peer.producer(Options{MaxConcurrentSendsPerPartition: test.senders, OnBatchSucceeded: told.handle, OnBatchFailed: told.handle})
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			for i := range 9 {
				o := &Event{PartitionID: "0"}
				if test.expires > 0 && i%3 == 1 {
					o.ExpiresAt = time.Now().Add(test.expires)
				}
				if err := p.Enqueue(t.Context(), With(event(fmt.Sprintf("%100d", i)), o)); err != nil {
					t.Fatal(err)
				}
			}
			flushing, stop := context.WithCancel(t.Context())
			defer stop()
			go func() { _ = p.Flush(flushing) }()
			time.Sleep(50 * time.Millisecond)
			enqueue(t, p, "0", "late")
			time.Sleep(time.Minute)
			if got := peer.storedIn("0"); !slices.Contains(got, "late") {
				t.Errorf("%s: after a minute the event behind what was put back lingers still; %d others are stored, %d events are buffered", name, len(got), p.BufferedEvents())
			}
		})
	}
}

// The timer of a batch that left before its linger ended serves the next one, which lingers for as long as any.
func TestABatchBehindOneThatLeftEarlyLingersAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		enqueue(t, p, "0", "a")
		time.Sleep(100 * time.Millisecond)
		if _, err := p.Publish(t.Context(), &Event{Body: []byte("b"), PartitionID: "0"}); err != nil { // takes a along
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		enqueue(t, p, "0", "c")
		time.Sleep(time.Second)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "d")
		time.Sleep(time.Second)
		peer.wantSends("each linger from its own first event", "100ms 0 [a b]", "450ms 0 [c]", "1.45s 0 [d]")
	})
}

// Nothing lingers longer than MaxWaitTime when nobody flushes, whatever is put back when: links that take less or more each time, events that expire, urgent ones,
// a buffer that is nearly full, and any number of senders.
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
			peer := newPeer(t, 1)
			peer.open = func(string) error {
				time.Sleep(time.Duration(n(100)) * time.Millisecond)
				peer.mu.Lock()
				defer peer.mu.Unlock()
				peer.maxMessage = []uint64{300, 1000, 1 << 20, 0, math.MaxUint64}[n(5)]
				return nil
			}
			peer.latency = func() time.Duration { return time.Duration(n(300)) * time.Millisecond }
			p := peer.producer(Options{MaxConcurrentSendsPerPartition: 1 + n(4), MaxBufferedEvents: []int{20, 2500}[n(2)], OnBatchFailed: (&outcomes{}).handle})
			for range 1 + n(12) {
				for range 1 + n(15) {
					o := &Event{PartitionID: "0"}
					if n(3) == 0 {
						o.ExpiresAt = time.Now().Add(time.Duration(1+n(500)) * time.Millisecond)
					}
					if err := p.Enqueue(t.Context(), With(event(fmt.Sprintf("%*d", 1+n(120), 1)), o)); err != nil {
						t.Fatal(err)
					}
				}
				if n(3) == 0 {
					go func() { _, _ = p.Publish(t.Context(), &Event{Body: []byte("now"), PartitionID: "0"}) }()
				}
				time.Sleep(time.Duration(n(300)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			if events := p.BufferedEvents(); events > 0 {
				t.Errorf("seed %d: after a minute %d events are buffered still", seed, events)
			}
		})
	}
}
