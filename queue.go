package eventhubs

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// A queue holds the batches of one partition, or the staged ones. First come those that a sender
// has taken, until their outcome is reported. Then come those that wait. The last one that waits
// may still be open to events.
type queue struct {
	// Immutable.
	*parts
	share *share // of the buffer; nil for staging
	work  work

	mu         sync.Mutex // guards the fields below and, while they wait, the batches
	waiting    []*batch   // oldest first
	taken      []*batch
	freed      freed
	unreported unreported
}

// Freed is room that unlock gives back to the buffer.
type freed struct {
	given         bool // unlock calls leave, which may end the pressure even if no room was freed
	events, bytes int
	ceased        trouble // of the partition, since a batch has its outcome
}

// freeLocked frees the room of a batch. The second time it does nothing: a doomed batch gives its
// room back before its outcome is reported.
func (q *queue) freeLocked(b *batch) {
	if b.roomless {
		return
	}
	b.roomless = true
	q.freed.given = true
	q.freed.events += b.count
	q.freed.bytes += b.bytes
}

// unlock unlocks the queue, and then gives the freed room back to the buffer, which has another
// lock.
func (q *queue) unlock() {
	f := q.freed
	q.freed = freed{}
	q.mu.Unlock()
	if f.given {
		q.admission.leave(q.share, f)
	}
}

// openLocked returns the batch that the next event of that size joins, a new one if necessary. A
// batch may have limit bytes.
func (q *queue) openLocked(size, limit int) *batch {
	if b := q.lastLocked(); b != nil {
		if b.takes(size, limit) {
			return b
		}
		b.full = true
	}
	b := newBatch()
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

// lastLocked returns the youngest waiting batch, or nil.
func (q *queue) lastLocked() *batch {
	if len(q.waiting) == 0 {
		return nil
	}
	return q.waiting[len(q.waiting)-1]
}

// takeLocked moves the oldest waiting batch to the taken ones.
func (q *queue) takeLocked() *batch {
	b := q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	q.taken = append(q.taken, b)
	return b
}

// putBackLocked puts the pieces of a split before everything that waits. They are full, so a free
// sender takes them at once.
func (q *queue) putBackLocked(s *split) {
	s.leaveLocked()
	q.waiting = slices.Insert(q.waiting, 0, s.pieces...)
}

// settle takes a batch out of the queue after its outcome was reported, and informs the barriers
// that cover it. A failure that none of them returns in time is kept for later barriers.
func (q *queue) settle(b *batch, o Outcome, flushOmitsTold bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	covered := q.doneLocked(b)
	if o.Err == nil {
		for _, c := range covered {
			c.barrier.settled(c.events, 0, o)
		}
		return
	}
	// The barrier that covers most of the batch covers the events of all others.
	slices.SortStableFunc(covered, func(x, y coverage) int { return y.events - x.events })
	var holders []*barrier // those that have the events before end
	end := b.count
	for _, c := range covered {
		if c.barrier.settled(c.events, b.countFailed(o, 0, c.events, flushOmitsTold), o) {
			q.rememberLocked(b, o, c.events, end, flushOmitsTold, holders)
			end, holders = c.events, append(holders, c.barrier)
		}
	}
	q.rememberLocked(b, o, 0, end, flushOmitsTold, holders)
}

func (q *queue) rememberLocked(b *batch, o Outcome, from, to int, flushOmitsTold bool, holders []*barrier) {
	if n := b.countFailed(o, from, to, flushOmitsTold); n > 0 {
		b.counted = append(b.counted, counted{from, to, o, q.unreported.add(n, o, holders)})
	}
}

// countFailed returns how many events of a failed batch, from one index to before another, Flush
// and Close return as failed. The lock of the batch's queue must be held.
func (b *batch) countFailed(o Outcome, from, to int, flushOmitsTold bool) (events int) {
	from = max(from, b.again) // the new outcome counts for the events that were enqueued again
	switch {
	case errors.Is(o.Err, ErrCleared), flushOmitsTold && b.heard:
		return 0
	case !flushOmitsTold || len(b.extras.deliveries) == 0:
		return max(0, to-from)
	}
	for i := from; i < to; i++ {
		if at(b.extras.deliveries, i) == nil {
			events++
		}
	}
	return events
}

// enqueuedAgain records that the i-th event of a batch gets a new outcome, which counts instead.
func (q *queue) enqueuedAgain(b *batch, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i < b.again {
		return // recorded before
	}
	b.again = i + 1
	for _, c := range b.counted {
		if c.from <= i && i < c.to {
			c.failures.enqueuedAgain(c.outcome)
		}
	}
}

// doneLocked takes a taken batch out of the queue, and returns the barriers that cover it.
func (q *queue) doneLocked(b *batch) []coverage {
	if i := slices.Index(q.taken, b); i >= 0 {
		q.taken = slices.Delete(q.taken, i, i+1)
	}
	return b.coverage
}

// coverLocked covers everything in the queue by a barrier. With hurry, waiting batches linger no
// longer.
func (q *queue) coverLocked(r *barrier, hurry bool) {
	q.unreported.giveTo(r)
	for _, b := range q.taken {
		r.coverAll(b)
	}
	for _, b := range q.waiting {
		b.flush = b.flush || hurry
		r.coverAll(b)
	}
}

// holds reports whether the queue has a batch with that property.
func (q *queue) holds(property func(*batch) bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.taken, property) || slices.ContainsFunc(q.waiting, property)
}

// doomLocked gives every waiting batch that error as its end, so that it is not sent, and frees its
// room. It returns how many events these batches have.
func (q *queue) doomLocked(err error) (events int) {
	q.freed.given = true
	for _, b := range q.waiting {
		if b.doom != nil {
			continue
		}
		b.doom = err
		b.full, b.flush = true, true
		q.freeLocked(b)
		events += b.count
	}
	return events
}

// oldest returns when the first event of the oldest batch was accepted; zero if there is none.
func (q *queue) oldest() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.oldestLocked()
}

func (q *queue) oldestLocked() (first time.Time) {
	for _, batches := range [][]*batch{q.taken, q.waiting} {
		for _, b := range batches {
			if b.count > 0 && (first.IsZero() || b.first.Before(first)) {
				first = b.first
			}
		}
	}
	return first
}

// stats returns what the queue holds.
func (q *queue) stats(now time.Time) (s PartitionStats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.BatchesInFlight = len(q.taken)
	for _, b := range q.waiting {
		s.BufferedEvents += b.count
		s.BufferedBytes += b.bytes
	}
	if first := q.oldestLocked(); !first.IsZero() {
		s.OldestEventAge = max(0, now.Sub(first))
	}
	return s
}
