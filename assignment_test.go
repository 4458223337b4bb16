package eventhubs

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

func TestEventsWithoutKeyGoRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 7)
		p := peer.producer(Options{})
		for i := range 70 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i)), nil); err != nil {
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
			if err := p.Enqueue(t.Context(), event(key), &EnqueueOptions{PartitionKey: key}); err != nil {
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
