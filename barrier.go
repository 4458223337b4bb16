package eventhubs

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// A barrier is what a Flush or a Close waits for: the reported outcomes of the events that were
// accepted before it.
type barrier struct {
	done     chan struct{} // closed when nothing covered is left
	returned atomic.Bool   // the caller has a result; set under mu

	mu      sync.Mutex // guards the fields below
	open    int        // coverages that have not ended, and one while the caller is still covering
	pending int        // their events
	tally              // failed events, also earlier ones that no Flush or Close had returned
}

// A coverage is the part of a batch that a barrier covers: that many of its first events.
type coverage struct {
	barrier *barrier
	events  int
}

func newBarrier() *barrier { return &barrier{done: make(chan struct{}), open: 1} }

// coverAll covers the events of a batch that the barrier does not cover yet. Events that it covered
// in staging may have moved to their partition before it covers the partition. The lock of the
// batch's queue must be held.
func (r *barrier) coverAll(b *batch) {
	covered := 0
	for _, c := range b.coverage {
		if c.barrier == r {
			covered = c.events
		}
	}
	r.cover(b, b.count-covered)
}

// cover covers that many more events of a batch, after its first ones that are covered. The lock of
// the batch's queue must be held.
func (r *barrier) cover(b *batch, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending += events
	for i := range b.coverage {
		if b.coverage[i].barrier == r {
			b.coverage[i].events += events // no second entry: an entry counts from the batch's first event
			return
		}
	}
	b.coverage = append(b.coverage, coverage{r, events})
	r.open++
}

// uncover takes events out of a coverage that stays. They are covered again in the batches that
// they went to.
func (r *barrier) uncover(events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending -= events
}

// covered is called once, when the caller has covered everything.
func (r *barrier) covered() { r.settled(0, 0, Outcome{}) }

// settled ends a coverage: the outcome of its events was reported, and some of them count as
// failed. It reports false if the barrier's caller already has its result, and so does not get
// these failures.
func (r *barrier) settled(events, failed int, o Outcome) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending -= events
	r.count(failed, o)
	heard := !r.returned.Load()
	if r.open--; r.open == 0 {
		close(r.done)
	}
	return heard
}

// addEarlier adds earlier failures that no Flush or Close has returned.
func (r *barrier) addEarlier(t tally) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(t)
}

// enqueuedAgain takes back the failure of an event that will get a new outcome, unless the caller
// already has its result.
func (r *barrier) enqueuedAgain(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.returned.Load() {
		r.count(-1, o)
	}
}

// moved ends a coverage whose events went to other batches, where they are covered by now.
func (r *barrier) moved(events int) { r.settled(events, 0, Outcome{}) }

// wait returns when the outcomes of all covered events are reported, or when ctx ends. The error
// says why it did not wait to the end.
func (r *barrier) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// over reports whether the outcomes of all covered events are reported.
func (r *barrier) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// result returns the caller's result as it is known now. Interrupted is why the caller stops
// waiting. If events are pending, health says what delays them.
func (r *barrier) result(interrupted error, h *health) error {
	r.mu.Lock()
	r.returned.Store(true)
	failed, pending, open := r.tally, r.pending, r.open
	r.mu.Unlock()
	u := &UndeliveredError{NotStored: failed.notStored, PossiblyStored: failed.possiblyStored, Kept: failed.kept, Pending: pending, Err: failed.err}
	switch {
	case open == 0 && failed.failed() == 0:
		return nil
	case open == 0:
	case failed.failed() > 0:
		u.Err = joined(bare(interrupted)+"; the first failure: "+bare(failed.err), interrupted, failed.err)
	default:
		u.Err = h.longest(r.awaits).with(interrupted)
	}
	return u
}

// awaits reports whether the barrier covers anything in the queue.
func (r *barrier) awaits(q *queue) bool {
	return q.holds(func(b *batch) bool {
		return slices.ContainsFunc(b.coverage, func(c coverage) bool { return c.barrier == r && c.events > 0 })
	})
}

// A tally counts events that are not known to be stored, and keeps the first reason.
type tally struct {
	notStored, possiblyStored int
	kept                      int // in the journal
	err                       error
}

// count adds events with that outcome.
func (t *tally) count(events int, o Outcome) {
	if events == 0 {
		return
	}
	switch o.Storage {
	case PossiblyStored:
		t.possiblyStored += events
	case Pending:
		t.kept += events
	default:
		t.notStored += events
	}
	switch {
	case t.failed() == 0:
		t.err = nil
	case t.err == nil:
		t.err = o.Err
	}
}

// add adds another tally.
func (t *tally) add(more tally) {
	t.notStored += more.notStored
	t.possiblyStored += more.possiblyStored
	t.kept += more.kept
	if t.err == nil && more.failed() > 0 {
		t.err = more.err
	}
}

// failed returns how many events are counted.
func (t *tally) failed() int { return t.notStored + t.possiblyStored + t.kept }
