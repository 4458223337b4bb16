package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestKeysAndIDsDoNotTurnTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		var calls atomic.Int32
		p := peer.connected(Options{KeyPartitioner: func(KeyPlacement) int { calls.Add(1); return 3 }})
		before := p.directory.ring.Load()
		set := func(to *Event) iter.Seq2[*Event, error] {
			return Events(With(event("a"), to), With(event("b"), to), With(event("c"), to))
		}
		for _, o := range []*Event{{PartitionKey: "key"}, {PartitionID: "1"}} {
			if _, err := p.EnqueueAll(t.Context(), set(o)); err != nil {
				t.Fatal(err)
			}
		}
		if p.directory.ring.Load() != before || calls.Load() != 3 {
			t.Errorf("the ring turned by %d, the hash was called %d times: want 0, and 3 for the 3 events with a key", p.directory.ring.Load()-before, calls.Load())
		}
		if p.PartitionBufferedEvents("3") != 3 || p.PartitionBufferedEvents("1") != 3 {
			t.Error("a set with a key or an id is spread over partitions")
		}
		if _, err := p.EnqueueAll(t.Context(), set(nil)); err != nil {
			t.Fatal(err)
		}
		if p.directory.ring.Load() != before+3 || calls.Load() != 3 {
			t.Errorf("events without either turned the ring by %d and called the hash %d times, want 3 and none", p.directory.ring.Load()-before, calls.Load()-3)
		}
	})
}

func TestEventsWithoutAKeyCarryNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		peer := newPeer(t, 1)
		p := peer.producer(Options{OnBatchSucceeded: func(_ context.Context, b *Batch) {
			for e := range b.Events() {
				keys = append(keys, e.PartitionKey)
			}
		}})
		e := event("a")
		for _, o := range []*Event{nil, {PartitionID: "0"}, {PartitionKey: "k"}, {}} {
			if err := p.Enqueue(t.Context(), With(e, o)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%q", keys) != `["" "" "k" ""]` || e.Properties != nil {
			t.Errorf("the events carry %q, and the caller's own has %v", keys, e.Properties)
		}
	})
}

func TestCountsFollowEachEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.connected(Options{})
		check := func(why string, total, zero, one int) {
			t.Helper()
			synctest.Wait()
			if a, b, c := p.BufferedEvents(), p.PartitionBufferedEvents("0"), p.PartitionBufferedEvents("1"); a != total || b != zero || c != one {
				t.Errorf("%s the counts are %d, %d and %d, want %d, %d and %d", why, a, b, c, total, zero, one)
			}
		}
		for i := range 6 {
			id := fmt.Sprint(i % 2)
			enqueue(t, p, id, "e")
			check(fmt.Sprintf("after event %d", i+1), i+1, (i+2)/2, (i+1)/2)
		}
		time.Sleep(500 * time.Millisecond)
		check("in flight", 6, 3, 3)
		time.Sleep(time.Second)
		check("with their outcome", 0, 0, 0)
		if p.PartitionBufferedEvents("no such") != 0 || p.PartitionBufferedEvents("") != 0 {
			t.Error("an unknown partition has events")
		}
	})
}

// "Full" is exact: ten events that fill the link's message to the last byte are one batch, the eleventh opens the next.
func TestTheEventThatDoesNotFitOpensTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 100)
		peer := newPeer(t, 1)
		peer.maxMessage = uint64(10 * takes(t, body))
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			enqueue(t, p, "0", body)
		}
		time.Sleep(time.Hour)
		peer.wantSends("ten fit, and nobody knows yet that there is no eleventh")
		for i := range 4 {
			enqueue(t, p, "0", body[:99]+fmt.Sprint(i))
		}
		synctest.Wait()
		if got := len(peer.sent()); got != 1 || len(peer.sent()[0].bodies) != 10 || p.BufferedEvents() != 4 {
			t.Errorf("%d batches were sent and %d events stay, want one of 10, and 4", got, p.BufferedEvents())
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sends := peer.sent(); len(sends) != 2 || len(sends[1].bodies) != 4 || sends[1].bodies[3] != body[:99]+"3" {
			t.Errorf("on Flush the rest was sent as %v", sends[1:])
		}
	})
}

func TestAnEventAfterTheLingerIsInTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.connected(Options{MaxWaitTime: 350 * time.Millisecond})
		enqueue(t, p, "0", "a")
		time.Sleep(525 * time.Millisecond)
		enqueue(t, p, "0", "late")
		peer.wantSends("at one and a half times the linger", "350ms 0 [a]")
		time.Sleep(time.Second)
		peer.wantSends("in the end", "350ms 0 [a]", "875ms 0 [late]")
	})
}

func TestALinkThatNeverOpensEndsInAnOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &slowHub{peer: newPeer(t, 2), open: func(ctx context.Context, id string) error {
			if id == "0" {
				return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Err: errors.New("no role")}
			}
			return nil
		}}
		var failed outcomes
		p := producerOn(t, h, Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: 3}, OnBatchFailed: failed.handle})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		synctest.Wait()
		if health := p.Health(); health.Err == nil || fmt.Sprint(health.Partitions) != "[0]" || fmt.Sprint(h.storedIn("1")) != "[c]" {
			t.Errorf("Health is %+v, partition 1 has %v: the trouble is to be seen and to stay with its partition", health, h.storedIn("1"))
		}
		_ = p.Flush(t.Context())
		events := 0
		for _, b := range failed.all() {
			events += len(b.bodies)
			if e, ok := errors.AsType[*Error](b.outcome.Err); !ok || e.Code != CodeUnauthorized || e.Tries != 4 || b.outcome.Storage != NotStored {
				t.Errorf("the outcome is %+v", b.outcome)
			}
		}
		if events != 2 || len(h.storedIn("0")) != 0 {
			t.Errorf("%d events failed, want 2", events)
		}
	})
}

func TestAnEventTooLargeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 500
		var failed outcomes
		p := peer.producer(Options{OnBatchFailed: failed.handle})
		enqueue(t, p, "0", strings.Repeat("x", 501))
		_ = p.Flush(t.Context())
		if all := failed.all(); len(all) != 1 || len(all[0].bodies) != 1 || all[0].outcome.Tries != 0 || !errors.Is(all[0].outcome.Err, ErrEventTooLarge) {
			t.Errorf("told: %+v", all)
		}
		if len(peer.sent()) != 0 || p.BufferedEvents() != 0 {
			t.Errorf("%d batches were sent, %d events are buffered", len(peer.sent()), p.BufferedEvents())
		}
	})
}

func TestThrottledOnceAndThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
			}
			return refused("no")
		}
		var failed outcomes
		p := peer.producer(Options{OnBatchFailed: failed.handle, Retry: RetryOptions{MaxRetries: -1}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if all := failed.all(); len(peer.sent()) != 2 || len(all) != 1 || !strings.Contains(all[0].outcome.Err.Error(), "amqp:not-allowed") {
			t.Errorf("%d sends, told: %+v", len(peer.sent()), all)
		}
		if s := p.Stats(); s.ThrottledTries != 1 || s.Retries != 0 {
			t.Errorf("throttled %d, retried %d, want 1 and 0", s.ThrottledTries, s.Retries)
		}
	})
}

func TestEachPartitionHasItsOwnSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		var mu sync.Mutex
		flying, most := map[string]int{}, 0
		peer.answer = func(s sent) connection.Result {
			mu.Lock()
			flying[s.partition]++
			most = max(most, flying["0"]+flying["1"]+flying["2"]+flying["3"])
			if flying[s.partition] > 3 {
				t.Errorf("%d sends at once for partition %s", flying[s.partition], s.partition)
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			flying[s.partition]--
			mu.Unlock()
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, MaxConcurrentSendsPerPartition: 3})
		for i := range 8 {
			for _, id := range peer.partitions {
				enqueue(t, p, id, fmt.Sprint(i))
			}
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if most != 12 {
			t.Errorf("at most %d sends were in flight, want 12: 3 for each of 4 partitions", most)
		}
		for _, id := range peer.partitions {
			if got := len(peer.storedIn(id)); got != 8 {
				t.Errorf("partition %s has %d events, want 8", id, got)
			}
		}
	})
}
