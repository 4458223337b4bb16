package eventhubs

import (
	"fmt"
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
		p := peer.producer(Options{MaxWaitTime: UntilFull, MaxBufferedEventCount: 100_000})
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
