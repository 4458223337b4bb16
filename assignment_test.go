package eventhubs

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEventsWithoutKeyGoRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 7)
		p := peer.producer(Options{})
		for i := range 70 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, id := range peer.partitions {
			got := peer.storedIn(id)
			if len(got) != 10 {
				t.Errorf("partition %s has %d events, want 10", id, len(got))
			}
			for j, body := range got {
				if want := fmt.Sprint(7*j + i); body != want {
					t.Errorf("event %d of partition %s is %s, want %s", j, id, body, want)
				}
			}
		}
	})
}

// The hash itself is tested with its package; here, that the index is a position in the service's list and not a number.
func TestAKeyGoesToItsPlaceInTheServicesList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 0)
		peer.partitions = []string{"frank", "0", "17", "west-2"}
		p := peer.producer(Options{})
		for key, want := range map[string]string{"7": "west-2", "131": "17", "FWfAT": "0", "!c*_!I@1^c": "frank"} {
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(key), PartitionKey: key}); err != nil {
				t.Fatal(err)
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(peer.storedIn(want), key) {
				t.Errorf("key %q did not go to %s: %v", key, want, peer.stored)
			}
		}
	})
}

// Sticky gives what was staged to the partitions as it would have done without staging: a batch for each in turn.
func TestStickySpreadsWhatWasStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, bytes = 2000, 1000 // in batches of 256 KiB: eight
		counts := map[bool][]int{}
		for _, staged := range []bool{true, false} {
			peer := newPeer(t, 4)
			peer.maxMessage = 256 << 10
			peer.properties = func(int) error {
				time.Sleep(time.Second)
				return nil
			}
			p := peer.producer(Options{MaxWaitTime: UntilFull, Partitioning: Sticky})
			if !staged {
				peer.latency = func() time.Duration { return time.Minute / 2 }
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			for range events {
				if err := p.Enqueue(t.Context(), event(string(make([]byte, bytes)))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, id := range peer.partitions {
				counts[staged] = append(counts[staged], len(peer.storedIn(id)))
			}
			for _, s := range peer.sent() {
				if len(s.bodies) < 100 {
					t.Errorf("staged %v: a batch of %d events", staged, len(s.bodies))
				}
			}
		}
		if least := slices.Min(counts[true]); least < 400 || !slices.Equal(counts[true], counts[false]) {
			t.Errorf("of %d events in eight batches partitions got %v; without staging %v; want two batches each, and the same", events, counts[true], counts[false])
		}
	})
}

// Sticky stays with the batch that it fills when a full one in front of it leaves.
func TestStickyStaysWithItsOpenBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		peer.maxMessage = 256 << 10
		p := peer.producer(Options{MaxWaitTime: UntilFull, Partitioning: Sticky})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		spread := func(body string, events int) {
			for range events {
				if err := p.Enqueue(t.Context(), event(body)); err != nil {
					t.Fatal(err)
				}
			}
		}
		spread(string(make([]byte, 100_000)), 9) // two in a batch: one in flight for each partition, one full behind it, and an open one for the first
		time.Sleep(1500 * time.Millisecond)      // the full ones have left
		spread("small", 3)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := peer.sent()[len(peer.sent())-1]
		if got := len(last.bodies); got != 4 {
			t.Errorf("the last of %d batches has %d events, want 4: the large one and the small ones", len(peer.sent()), got)
		}
	})
}
