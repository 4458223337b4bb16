package eventhubs

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestKeysAndIDsDoNotTurnTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		var calls atomic.Int32
		p := connectedOver(peer, Options{KeyPartitioner: func(KeyPlacement) int { calls.Add(1); return 3 }})
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

// picked returns the partition for the next event without key and id.
func picked(p *BufferedProducer) *partition {
	p.admission.mu.Lock()
	defer p.admission.mu.Unlock()
	return p.directory.pick(0)
}

func TestTheRingVisitsAllPartitionsInTurn(t *testing.T) {
	for _, partitions := range []int{1, 2, 3, 4, 5, 6, 7, 16, 32, 2000} {
		synctest.Test(t, func(t *testing.T) {
			p := connectedOver(scripted.New(t, partitions), Options{})
			p.directory.ring.Store(0)
			for i := range 2*partitions + 1 {
				if got, want := picked(p).id, fmt.Sprint(i%partitions); got != want {
					t.Fatalf("of %d partitions event %d goes to %s, want %s", partitions, i, got, want)
				}
			}
		})
	}
}

func TestTheRingIsFairToCallersAtOnceAndWhenItWraps(t *testing.T) {
	for name, start := range map[string]uint32{"at once": 0, "at its end": math.MaxUint32 - 500} {
		for _, partitions := range []int{3, 7, 16} {
			t.Run(fmt.Sprint(name, " ", partitions), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := connectedOver(scripted.New(t, partitions), Options{})
					p.directory.ring.Store(start)
					counts := make([]atomic.Int32, partitions)
					var callers sync.WaitGroup
					for range 4 {
						callers.Go(func() {
							for range 100 * partitions {
								part := picked(p)
								counts[slices.Index(p.directory.table.Load().partitions, part)].Add(1)
							}
						})
					}
					callers.Wait()
					for i := range counts {
						if got := counts[i].Load(); got < 398 || got > 402 {
							t.Errorf("partition %d was chosen %d times, want 400, two more or less", i, got)
						}
					}
				})
			})
		}
	}
}
