package eventhubs

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// The events that two barriers cover stay covered when the batch is cut, and when a piece is cut
// again.
func TestCuttingABatchTwiceKeepsItsBarriers(t *testing.T) {
	cut := func(b *batch, keep int) []*batch {
		s := b.split(func(i int) bool { return i >= keep }, 1<<20)
		s.leaveLocked()
		return s.pieces
	}
	b := new(batch)
	for i := range 10 {
		b.append(fmt.Append(nil, i), nil, &extra{}, time.Time{})
	}
	first, second := newBarrier(), newBarrier()
	first.cover(b, 7)
	second.cover(b, 9)
	all := []*batch{b}
	all = append(all, cut(b, 2)...)
	all = append(all, cut(all[1], 3)...)
	for _, r := range []*barrier{first, second} {
		r.covered()
	}
	for i, piece := range all {
		if first.over() || second.over() {
			t.Errorf("a barrier ended before the outcome of piece %d of %d", i, len(all))
		}
		for _, c := range piece.coverage {
			c.barrier.settled(c.events, c.events, Outcome{})
		}
	}
	for _, r := range []*barrier{first, second} {
		if !r.over() || r.pending != 0 {
			t.Errorf("in the end a barrier is over: %v, and %d events are pending", r.over(), r.pending)
		}
	}
}

// A Flush that begins while the list of partitions arrives finds the same events twice: staged, and
// then in their partitions. It counts them once.
func TestAFlushCountsWhatLeavesStagingUnderItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.List = func(call int) error {
			if call == 1 {
				time.Sleep(time.Minute)
			}
			return nil
		}
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Refused("never") }
		p := producerOver(peer, Options{MaxWaitTime: time.Minute, OnBatchFailed: (&outcomes{}).handle})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		synctest.Wait()   // discovery asks for the list
		r := newBarrier() // the steps of cover, one by one
		p.directory.staging.cover(r, true)
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "d")
		for _, part := range p.directory.partitions() {
			part.cover(r, true)
		}
		r.covered()
		undelivered, ok := errors.AsType[*UndeliveredError](p.await(t.Context(), r))
		if !ok || undelivered.Failed() != 4 || undelivered.Pending != 0 {
			t.Errorf("the barrier returned %v, want 4 failed", undelivered)
		}
	})
}
