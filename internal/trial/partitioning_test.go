package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestEventsWithoutKeyGoRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 7)
		p := world.Over(peer, eventhubs.Options{})
		for i := range 70 {
			if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		start := slices.IndexFunc(peer.Partitions, func(id string) bool { return slices.Contains(peer.StoredIn(id), "0") })
		for i := range peer.Partitions {
			id := peer.Partitions[(start+i)%7]
			got := peer.StoredIn(id)
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

// Programs that each publish a few events, or a fleet that starts in one instant, must not all
// begin with partition 0.
func TestProducersBeginWithDifferentPartitions(t *testing.T) {
	for _, partitioning := range []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky} {
		synctest.Test(t, func(t *testing.T) {
			const producers = 200
			peer := scripted.New(t, 4)
			for range producers {
				p := world.Over(peer, eventhubs.Options{Partitioning: partitioning})
				if _, err := p.Publish(t.Context(), world.Event("the only one")); err != nil {
					t.Fatal(err)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var counts []int
			for _, id := range peer.Partitions {
				counts = append(counts, len(peer.StoredIn(id)))
			}
			if slices.Min(counts) < producers/16 {
				t.Errorf("%d producers with one event each: the partitions got %v, want at least %d each", producers, counts, producers/16)
			}
		})
	}
}

// The hash itself is tested with its package. This test checks that the index is a position in the
// service's list, and not a number.
func TestAKeyGoesToItsPlaceInTheServicesList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 0)
		peer.Partitions = []string{"frank", "0", "17", "west-2"}
		p := world.Over(peer, eventhubs.Options{})
		for key, want := range map[string]string{"7": "west-2", "131": "17", "FWfAT": "0", "!c*_!I@1^c": "frank"} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(key), PartitionKey: key}); err != nil {
				t.Fatal(err)
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(peer.StoredIn(want), key) {
				t.Errorf("key %q did not go to %s: %v", key, want, peer.Stored)
			}
		}
	})
}

// Sticky gives staged events to the partitions as it would without staging: a batch to each in
// turn.
func TestStickySpreadsWhatWasStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events, bytes = 2000, 1000 // in batches of 256 KiB: eight
		counts := map[bool][]int{}
		for _, staged := range []bool{true, false} {
			peer := scripted.New(t, 4)
			peer.MaxMessage = 256 << 10
			peer.List = func(int) error {
				time.Sleep(time.Second)
				return nil
			}
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, Partitioning: eventhubs.Sticky})
			if !staged {
				peer.Latency = func() time.Duration { return time.Minute / 2 }
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			for range events {
				if err := p.Enqueue(t.Context(), world.Event(string(make([]byte, bytes)))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, id := range peer.Partitions {
				counts[staged] = append(counts[staged], len(peer.StoredIn(id)))
			}
			for _, s := range peer.Sent() {
				if len(s.Bodies) < 100 {
					t.Errorf("staged %v: a batch of %d events", staged, len(s.Bodies))
				}
			}
		}
		slices.Sort(counts[true]) // a producer begins with any partition
		slices.Sort(counts[false])
		if least := slices.Min(counts[true]); least < 400 || !slices.Equal(counts[true], counts[false]) {
			t.Errorf("of %d events in eight batches partitions got %v; without staging %v; want two batches each, and the same", events, counts[true], counts[false])
		}
	})
}

// Sticky stays with the batch that it fills when a full batch in front of it leaves.
func TestStickyStaysWithItsOpenBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		peer.MaxMessage = 256 << 10
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, Partitioning: eventhubs.Sticky})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		spread := func(body string, events int) {
			for range events {
				if err := p.Enqueue(t.Context(), world.Event(body)); err != nil {
					t.Fatal(err)
				}
			}
		}
		// A batch holds two: each partition has one in flight, one full batch waits, and the first
		// has an open one.
		spread(string(make([]byte, 100_000)), 9)
		time.Sleep(1500 * time.Millisecond) // the full ones have left
		spread("small", 3)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		last := peer.Sent()[len(peer.Sent())-1]
		if got := len(last.Bodies); got != 4 {
			t.Errorf("the last of %d batches has %d events, want 4: the large one and the small ones", len(peer.Sent()), got)
		}
	})
}

func TestEventsWithoutAKeyCarryNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			for e := range b.Events() {
				keys = append(keys, e.PartitionKey)
			}
		}})
		e := world.Event("a")
		for _, o := range []*eventhubs.Event{nil, {PartitionID: "0"}, {PartitionKey: "k"}, {}} {
			if err := p.Enqueue(t.Context(), world.With(e, o)); err != nil {
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

func TestStickyFillsOneBatchAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		p := world.Over(peer, eventhubs.Options{Partitioning: eventhubs.Sticky})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for round := range 4 {
			for i := range 5 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(round, i))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		var got []string
		for _, s := range peer.Sent() {
			got = append(got, fmt.Sprint(s.Partition, len(s.Bodies)))
		}
		// The first partition is any.
		if !slices.Contains([]string{"[05 15 25 05]", "[15 25 05 15]", "[25 05 15 25]"}, fmt.Sprint(got)) {
			t.Errorf("batches went to %v, want one of 5 to each partition in turn", got)
		}
	})
}

// Peers begin the next batch with the event that did not fit, in the same partition. There it
// lingers alone.
func TestStickyLeavesNoStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.MaxMessage = 4096
		p := world.Over(peer, eventhubs.Options{Partitioning: eventhubs.Sticky})
		if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.Enqueue(t.Context(), world.Event(strings.Repeat("x", 400))); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		sizes := map[int]int{}
		for _, s := range peer.Sent() {
			sizes[len(s.Bodies)]++
		}
		// A batch of 4096 bytes holds nine of these.
		if fmt.Sprint(sizes) != "map[1:1 9:11]" {
			t.Errorf("batches by their size: %v, want 11 full ones and the rest", sizes)
		}
	})
}

func TestServiceAssignedUsesOneLinkWithoutAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		p := world.Over(peer, eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
		for _, body := range []string{"a", "b", "c"} {
			if err := p.Enqueue(t.Context(), world.Event(body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.WantSends("one batch without a partition, and no question for the list", "0s  [a b c]")
		if peer.Asked != 0 {
			t.Errorf("the list was asked for %d times", peer.Asked)
		}
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("k"), PartitionKey: "7"}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.WantSends("a key is still mapped here", "0s  [a b c]", "0s 2 [k]")
	})
}

func TestAHashOfTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.List = func(int) error { time.Sleep(time.Second); return nil }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, KeyPartitioner: func(k eventhubs.KeyPlacement) int {
			switch k.Key {
			case "out of range":
				return k.Partitions
			case "panic":
				panic("boom")
			}
			return len(k.Key) % k.Partitions
		}})
		// Staged: the outcome reports a fault.
		for _, key := range []string{"xxx", "out of range", "panic", "xx"} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(key), PartitionKey: key}); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Flush(t.Context())
		if all := told.All(); len(all) != 2 || !errors.Is(all[0].Outcome.Err, eventhubs.ErrInvalidArgument) || !strings.Contains(all[1].Outcome.Err.Error(), "boom") {
			t.Errorf("outcomes: %+v", all)
		}
		if got := fmt.Sprint(peer.StoredIn("3"), peer.StoredIn("2")); got != "[xxx] [xx]" {
			t.Errorf("stored %s", got)
		}
		// Known: Enqueue returns the fault, and the event leaves no trace.
		for _, key := range []string{"out of range", "panic"} {
			err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(key), PartitionKey: key})
			if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), key) {
				t.Errorf("Enqueue returned %v", err)
			}
		}
		if p.BufferedEvents() != 0 {
			t.Errorf("%d events are counted", p.BufferedEvents())
		}
	})
}

func TestServiceAssignedEventsArriveThroughTheHubsOwnLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4)})
		p := world.NewProducer(t, server, eventhubs.Options{Partitioning: eventhubs.ServiceAssigned, MaxWaitTime: time.Millisecond})
		for i := range 8 {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{"0", "1", "2", "3"} {
			if got := len(world.Bodies(server, id)); got != 2 {
				t.Errorf("partition %s has %d events, want 2: the emulator takes its partitions in turn", id, got)
			}
		}
	})
}
