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

// doneLocked forgets a taken batch and returns the barriers that cover it.
func (q *queue) doneLocked(b *batch) []coverage {
	if i := slices.Index(q.taken, b); i >= 0 {
		q.taken = slices.Delete(q.taken, i, i+1)
	}
	return b.coverage
}

// coverLocked puts a barrier behind everything that the queue holds; with hurry it ends the linger of what waits.
func (q *queue) coverLocked(r *barrier, hurry bool) {
	for _, b := range q.taken {
		r.coverAll(b)
	}
	for _, b := range q.waiting {
		b.flush = b.flush || hurry
		r.coverAll(b)
	}
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
