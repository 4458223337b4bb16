package eventhubs

import (
	"slices"
	"sync"
)

// A queue holds the batches of one partition, or of staging: those that wait, the last of which may still be open to events, and those
// that a sender has taken and whose outcome is not yet told.
type queue struct {
	mu      sync.Mutex // guards the fields below and, while they are in waiting, the batches
	waiting []*batch   // oldest first
	taken   []*batch

	unreported unreported
}

// openLocked returns the batch that the next event of that size joins, a fresh one if need be. A batch may have limit bytes.
func (q *queue) openLocked(size, limit int, fresh func() *batch) *batch {
	if n := len(q.waiting); n > 0 {
		last := q.waiting[n-1]
		if last.fits(size, limit) {
			return last
		}
		last.full = true
	}
	b := fresh()
	q.waiting = append(q.waiting, b)
	return b
}

// headLocked returns the oldest waiting batch, or nil.
func (q *queue) headLocked() *batch {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[0]
}

// takeLocked moves the oldest waiting batch to the taken ones.
func (q *queue) takeLocked() *batch {
	b := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.taken = append(q.taken, b)
	return b
}

// putBackLocked puts what leaves a batch before all that waits. It is full, so that a sender takes it as soon as one is free.
func (q *queue) putBackLocked(s *split) {
	s.leaveLocked()
	q.waiting = slices.Insert(q.waiting, 0, s.pieces...)
}

// settleLocked forgets a taken batch and tells its outcome to the barriers that cover it. What none of them returns in time, of a failure, the queue remembers for those that
// come. Failed says how many of the batch's events, from one to before another, count as failed.
func (q *queue) settleLocked(b *batch, o Outcome, failed func(from, to int) int) {
	covered := q.doneLocked(b)
	if o.Err == nil {
		for _, c := range covered {
			c.barrier.told(c.events, 0, o)
		}
		return
	}
	slices.SortStableFunc(covered, func(x, y coverage) int { return y.events - x.events }) // who covers more of it covers what others cover
	var holders []*barrier                                                                 // of the events before end
	end := b.count
	for _, c := range covered {
		if c.barrier.told(c.events, failed(0, c.events), o) {
			q.rememberLocked(b, o, c.events, end, failed, holders)
			end, holders = c.events, append(holders, c.barrier)
		}
	}
	q.rememberLocked(b, o, 0, end, failed, holders)
}

func (q *queue) rememberLocked(b *batch, o Outcome, from, to int, failed func(from, to int) int, holders []*barrier) {
	if n := failed(from, to); n > 0 {
		b.counted = append(b.counted, counted{from, to, o, q.unreported.add(n, o, holders)})
	}
}

// enqueuedAgain notes that the i-th event of a batch has a new outcome to come, which counts instead.
func (q *queue) enqueuedAgain(b *batch, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i < b.again {
		return // it was noted before
	}
	b.again = i + 1
	for _, c := range b.counted {
		if c.from <= i && i < c.to {
			c.failures.enqueuedAgain(c.outcome)
		}
	}
}

// doneLocked forgets a taken batch and returns the barriers that cover it.
func (q *queue) doneLocked(b *batch) []coverage {
	if i := slices.Index(q.taken, b); i >= 0 {
		q.taken = slices.Delete(q.taken, i, i+1)
	}
	return b.coverage
}

// coverLocked puts a barrier behind everything that the queue holds; with hurry it ends the linger of what waits.
func (q *queue) coverLocked(r *barrier, hurry bool) {
	q.unreported.tell(r)
	for _, b := range q.taken {
		r.coverAll(b)
	}
	for _, b := range q.waiting {
		b.flush = b.flush || hurry
		r.coverAll(b)
	}
}

// holds reports whether there is such a batch.
func (q *queue) holds(such func(*batch) bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.taken, such) || slices.ContainsFunc(q.waiting, such)
}

// doomLocked ends what waits: it will be told that error instead of being sent. It returns how much room that gives back, which the
// caller must do when the lock is released.
func (q *queue) doomLocked(err error) (events, bytes int) {
	for _, b := range q.waiting {
		if b.doom != nil {
			continue
		}
		b.doom = err
		b.full, b.flush, b.roomless = true, true, true
		events += b.count
		bytes += b.bytes
	}
	return events, bytes
}
