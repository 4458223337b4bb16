package eventhubs

import (
	"context"
	"sync"
)

// A barrier is what a Flush or a Close waits at: the outcomes, told, of the events that were accepted before it.
type barrier struct {
	done chan struct{} // closed when nothing covered is left

	mu      sync.Mutex // guards the fields below
	open    int        // coverages not yet told, and one for the caller who is still covering
	pending int        // events of these
	failed  int
	err     error // of the first failure
}

// A coverage is the part of a batch that a barrier covers: so many of its first events.
type coverage struct {
	barrier *barrier
	events  int
}

func newBarrier() *barrier { return &barrier{done: make(chan struct{}), open: 1} }

// coverAll adds a batch, but for what of it is covered: it may have been staged when that was, and have come to its partition before the partition was visited. The
// lock of the batch's queue must be held.
func (r *barrier) coverAll(b *batch) {
	covered := 0
	for _, c := range b.coverage {
		if c.barrier == r {
			covered = c.events
		}
	}
	r.cover(b, b.count-covered)
}

// cover adds so many more events of a batch to its first ones that are covered. The lock of the batch's queue must be held.
func (r *barrier) cover(b *batch, events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending += events
	for i := range b.coverage {
		if b.coverage[i].barrier == r {
			b.coverage[i].events += events // not an entry of its own: an entry is about the batch's first events
			return
		}
	}
	b.coverage = append(b.coverage, coverage{r, events})
	r.open++
}

// uncover takes back events from a coverage that stays; they were covered again where they are now.
func (r *barrier) uncover(events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending -= events
}

// covered is called once, when the caller has covered all there is.
func (r *barrier) covered() { r.told(0, nil) }

// told ends a coverage: the outcome of so many events was told, and was err.
func (r *barrier) told(events int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending -= events
	if err != nil && events > 0 {
		r.failed += events
		if r.err == nil {
			r.err = err
		}
	}
	if r.open--; r.open == 0 {
		close(r.done)
	}
}

// moved ends a coverage whose events went on to other batches, which are covered by now.
func (r *barrier) moved(events int) { r.told(events, nil) }

// wait returns when all that is covered was told, or when ctx ends. The error is nil if all was stored.
func (r *barrier) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.result(nil)
	case <-ctx.Done():
		return r.result(contextError(ctx))
	}
}

// over reports whether everything covered was told.
func (r *barrier) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// result is what is known now; interrupted says why nobody waits any longer.
func (r *barrier) result(interrupted error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.failed == 0 && r.open == 0:
		return nil
	case r.open == 0 || interrupted == nil:
		return &UndeliveredError{Failed: r.failed, Pending: r.pending, Err: r.err}
	default:
		return &UndeliveredError{Failed: r.failed, Pending: r.pending, Err: interrupted}
	}
}
