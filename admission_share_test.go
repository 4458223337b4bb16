package eventhubs

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"
)

// An enqueue for one partition does not look at callers that wait for another partition.
func TestWaitersForOnePartitionCostTheOthersNothing(t *testing.T) {
	cost := func(waiters int) time.Duration {
		a := newAdmission(1000, 1<<20, nil, func(*partition) {})
		var parts []*partition
		for range 2 {
			part := new(partition)
			part.share = a.newShare(part, false)
			parts = append(parts, part)
		}
		a.spread(true)
		a.troubled(parts[0].share, troubleFailing, 0)
		for range 500 {
			if _, err := a.try(t.Context(), wish{partition: parts[0], bytes: 10}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range waiters {
			callers.Go(func() { _, _ = a.enter(ctx, wish{partition: parts[0], bytes: 10}) })
		}
		for a.callers() < waiters {
			runtime.Gosched()
		}
		least := time.Hour
		for range 20 {
			began := time.Now()
			for range 200 {
				r, err := a.enter(ctx, wish{partition: parts[1], bytes: 10})
				if err != nil {
					t.Fatal(err)
				}
				a.leave(r.share, freed{events: 1, bytes: r.bytes})
			}
			least = min(least, time.Since(began))
		}
		cancel()
		callers.Wait()
		return least
	}
	if alone, beside := cost(0), cost(4000); beside > 4*alone {
		t.Errorf("an event costs %v while 4,000 callers wait for another partition, %v without them", beside/200, alone/200)
	}
}
