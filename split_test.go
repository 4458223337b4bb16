package eventhubs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What leaves a batch and what stays in it: each event once, with what belongs to it, in order, and with the barriers that cover it, whatever is split how often.
func TestASplitKeepsOrderExtrasAndBarriers(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 21))
		n := 1 + random.IntN(60)
		b := new(batch)
		for i := range n {
			x := extra{named: random.IntN(3) == 0}
			if random.IntN(2) == 0 {
				x.tag = i
			}
			b.append(fmt.Append(nil, i), make([]byte, random.IntN(3000)), &x, time.Unix(1, 0))
		}
		barriers := map[*barrier]int{} // to the number of the events that it covers
		for range random.IntN(3) {
			r := newBarrier()
			barriers[r] = random.IntN(n + 1)
			r.cover(b, barriers[r])
			r.covered()
		}
		all := []*batch{b}
		for range 1 + random.IntN(3) {
			limit := 1 + random.IntN(20_000)
			at := random.IntN(len(all))
			leaves := make([]bool, all[at].count)
			for i := range leaves {
				leaves[i] = random.IntN(2) == 0
			}
			s := all[at].split(func(i int) bool { return leaves[i] }, limit)
			s.leaveLocked()
			for _, piece := range s.pieces {
				if piece.bytes > limit && piece.count > 1 || piece.count == 0 || !piece.full || !piece.first.Equal(b.first) {
					t.Errorf("seed %d: a piece has %d events in %d bytes, limit %d, full %v, first %v", seed, piece.count, piece.bytes, limit, piece.full, piece.first)
				}
			}
			all = slices.Insert(all, at+1, s.pieces...)
		}
		seen := make([]bool, n)
		for _, piece := range all {
			last, bytes, count := -1, 0, 0
			covered := map[*barrier]int{}
			for i, encoded := range piece.all() {
				var number int
				if _, err := fmt.Sscanf(strings.TrimRight(string(encoded), "\x00"), "%d", &number); err != nil {
					t.Fatal(err)
				}
				if seen[number] || number <= last {
					t.Errorf("seed %d: event %d comes behind %d, or again", seed, number, last)
				}
				if tag := at(piece.extras.tags, i); tag != nil && tag != number {
					t.Errorf("seed %d: event %d has the tag %v", seed, number, tag)
				}
				seen[number], last = true, number
				bytes += sectionSize(len(encoded))
				count++
				for r, events := range barriers {
					if number < events {
						covered[r]++
					}
				}
			}
			if piece.count != count || piece.bytes != bytes {
				t.Errorf("seed %d: a batch says %d events in %d bytes and has %d in %d", seed, piece.count, piece.bytes, count, bytes)
			}
			for _, c := range piece.coverage {
				if c.events != covered[c.barrier] {
					t.Errorf("seed %d: a barrier covers %d events of a batch, want %d", seed, c.events, covered[c.barrier])
				}
				c.barrier.settled(c.events, c.events, Outcome{})
			}
		}
		if i := slices.Index(seen, false); i >= 0 {
			t.Errorf("seed %d: event %d of %d is lost", seed, i, n)
		}
		for r, events := range barriers {
			if !r.over() || r.pending != 0 {
				t.Errorf("seed %d: a barrier of %d events is over: %v, and %d are pending", seed, events, r.over(), r.pending)
			}
		}
	}
}

// but returns what was told except of batches that begin with that event.
func (o *outcomes) but(first string) []told {
	return slices.DeleteFunc(o.all(), func(b told) bool { return b.bodies[0] == first })
}

// fleeting enqueues events for partition 0; those that expire do so after that long.
func fleeting(t *testing.T, p *BufferedProducer, n int, expires func(i int) time.Duration) {
	t.Helper()
	for i := range n {
		o := &Event{PartitionID: "0"}
		if life := expires(i); life > 0 {
			o.ExpiresAt = time.Now().Add(life)
		}
		if err := p.Enqueue(t.Context(), With(event(fmt.Sprint(i)), o)); err != nil {
			t.Fatal(err)
		}
	}
}

// everyOther expires after a second.
func everyOther(i int) time.Duration { return time.Duration(i%2) * time.Second }

func TestMixedExpirySplitsABatchOnce(t *testing.T) {
	for _, senders := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.latency = func() time.Duration { return time.Minute / 2 }
			var told outcomes
			p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxConcurrentSendsPerPartition: senders, OnBatchSucceeded: told.handle, OnBatchFailed: told.handle})
			for range senders {
				enqueue(t, p, "0", "first")
				synctest.Wait()
			}
			fleeting(t, p, 2000, everyOther)
			undelivered, ok := errors.AsType[*UndeliveredError](p.Flush(t.Context()))
			if !ok || undelivered.Failed() != 1000 || !errors.Is(undelivered, ErrExpired) {
				t.Errorf("Flush returned %v, want 1000 failed with ErrExpired", undelivered)
			}
			var live, expired []string
			for i := range 2000 {
				if i%2 == 0 {
					live = append(live, fmt.Sprint(i))
				} else {
					expired = append(expired, fmt.Sprint(i))
				}
			}
			sends := peer.sent()[senders:]
			if len(sends) != 1 || !slices.Equal(sends[0].bodies, live) {
				t.Errorf("%d senders: 1000 live events left in %d transfers, want one with all of them in order", senders, len(sends))
			}
			all := told.but("first")
			if len(all) != 2 || !slices.Equal(all[0].bodies, expired) || !errors.Is(all[0].outcome.Err, ErrExpired) || all[0].outcome.Tries != 0 || !slices.Equal(all[1].bodies, live) {
				t.Errorf("%d senders: %d batches were told, want the 1000 that have expired, and then the others", senders, len(all))
			}
		})
	}
}

// A partition without gaps has none where an event has expired: what is behind it is not sent.
func TestAStoppedPartitionKeepsNoGapsWhereEventsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Minute / 2 }
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, StopPartitionOnFailure: true, OnBatchSucceeded: told.handle, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "first")
		synctest.Wait()
		fleeting(t, p, 6, func(i int) time.Duration { return []time.Duration{0, 0, time.Second, 0, time.Second, 0}[i] })
		time.Sleep(time.Hour)
		var got []string
		for _, b := range told.all() {
			switch {
			case b.outcome.Err == nil:
				got = append(got, fmt.Sprint("stored ", b.bodies))
			case errors.Is(b.outcome.Err, ErrPartitionStopped):
				got = append(got, fmt.Sprint("stopped ", b.bodies))
			case errors.Is(b.outcome.Err, ErrExpired):
				got = append(got, fmt.Sprint("expired ", b.bodies))
			}
		}
		if want := "stored [first], stored [0 1], expired [2 4], stopped [3 5]"; strings.Join(got, ", ") != want {
			t.Errorf("told %s, want %s", strings.Join(got, ", "), want)
		}
	})
}

// Events that expire one after the other while the link does not open give the others neither more tries nor more time.
func TestWhatIsSplitOffHasTheTriesThatItHad(t *testing.T) {
	for name, options := range map[string]Options{
		"tries":     {Retry: RetryOptions{MaxRetries: 3}},
		"time":      {Retry: RetryOptions{MaxRetries: 1000}, DeliveryTimeout: 3500 * time.Millisecond},
		"UntilFull": {MaxWaitTime: UntilFull, Retry: RetryOptions{MaxRetries: 1000}, DeliveryTimeout: 3500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			var told outcomes
			peer.open = func(string) error { return transient(0).Err }
			options.Retry.Policy = func(f FailedTry) (time.Duration, bool) {
				return time.Second, f.Failures <= options.Retry.MaxRetries // without the spread
			}
			options.OnBatchFailed = told.handle
			p := peer.producer(options)
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			fleeting(t, p, 4, func(i int) time.Duration { return time.Duration(max(0, 2*i-1)) * time.Second / 2 }) // 0 never, the others half a second behind a try
			if err := p.Flush(t.Context()); err == nil {
				t.Error("Flush returned no error")
			}
			for _, b := range told.all() {
				if slices.Contains(b.bodies, "0") && (errors.Is(b.outcome.Err, ErrExpired) || b.at > 3500*time.Millisecond) {
					t.Errorf("%s: what does not expire failed at %v with %v, want 3 s or 3.5 s", name, b.at, b.outcome.Err)
				}
			}
			if n := len(told.all()); n != 4 {
				t.Errorf("%s: %d batches failed, want 4: %v", name, n, told.all())
			}
		})
	}
}
