package eventhubs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// An admission is the budget of the buffer, in events and in bytes, and the line of those who wait for room in it. Room is taken before an event is
// put into a batch and given back once for each batch, when its outcome is known.
type admission struct {
	// Immutable after newAdmission.
	maxEvents int
	maxBytes  int
	pressure  func() // called, with no lock held, when the buffer comes under pressure

	// Somebody waits for room, or was refused for lack of it since the last was given back. Written under mu, read anywhere.
	pressed atomic.Bool

	_      cacheLine
	mu     sync.Mutex // guards the fields below
	events int
	bytes  int
	first  *waiter // the line, first come first
	last   *waiter
	line   int     // how many are in it
	spare  *waiter // waiters to be used again
	closed error   // why nobody is admitted any more
}

// A waiter is one caller in the line.
type waiter struct {
	partition *partition // nil: any
	bytes     int
	ended     bool          // no longer in the line: admitted, or refused with err
	claimed   bool          // of the partition, when it was admitted
	err       error         // why it was refused
	told      chan struct{} // receives one token, with room for it, when ended is set
	next      *waiter
	earlier   *waiter
}

func newAdmission(maxEvents, maxBytes int, pressure func()) *admission {
	return &admission{maxEvents: maxEvents, maxBytes: maxBytes, pressure: pressure}
}

// enter takes room for one event of that many bytes and, unless it is nil, for that partition, waiting its turn while there is none. Claimed says that the
// partition must be told, by unclaim, when the event is in a batch.
func (a *admission) enter(ctx context.Context, part *partition, bytes int) (claimed bool, err error) {
	if err := a.possible(ctx, bytes); err != nil {
		return false, err
	}
	a.mu.Lock()
	switch {
	case a.closed != nil:
		defer a.mu.Unlock()
		return false, a.closed
	case a.first == nil && a.fitsLocked(bytes) && !part.overShare(bytes):
		claimed = a.takeLocked(part, bytes)
		a.mu.Unlock()
		return claimed, nil
	}
	if s := handlerScope(ctx, a); s != nil {
		a.mu.Unlock()
		return a.enterFromHandler(s, part, bytes)
	}
	before := a.pressed.Load()
	w := a.joinLocked(part, bytes)
	a.admitLocked() // those who are ahead may all be waiting for a partition in trouble
	pressed := a.pressed.Load() && !before
	a.mu.Unlock()
	if pressed {
		a.pressure()
	}
	return a.wait(ctx, w)
}

// try is enter for who does not wait: it takes room that is there and that nobody ahead could use.
func (a *admission) try(part *partition, bytes int) (claimed bool, err error) {
	if err := a.possible(context.Background(), bytes); err != nil {
		return false, err
	}
	a.mu.Lock()
	switch {
	case a.closed != nil:
		defer a.mu.Unlock()
		return false, a.closed
	case a.fitsLocked(bytes) && !part.overShare(bytes) && !a.aheadLocked():
		claimed = a.takeLocked(part, bytes)
		a.mu.Unlock()
		return claimed, nil
	}
	pressed := !part.overShare(bytes) && !a.pressed.Swap(true)
	a.mu.Unlock()
	if pressed {
		a.pressure()
	}
	return false, fmt.Errorf("eventhubs: %w", ErrBufferFull)
}

// possible tells what no waiting would help.
func (a *admission) possible(ctx context.Context, bytes int) error {
	if bytes > a.maxBytes {
		return &EventTooLargeError{Size: bytes, Limit: a.maxBytes}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("eventhubs: the event was not accepted: %w", contextError(ctx))
	}
	return nil
}

// wait returns when w is admitted or refused, or when ctx ends before.
func (a *admission) wait(ctx context.Context, w *waiter) (claimed bool, err error) {
	select {
	case <-w.told:
	case <-ctx.Done():
		a.mu.Lock()
		if !w.ended {
			a.leaveLineLocked(w)
			a.admitLocked() // whoever stood behind a large event may fit
			a.recycleLocked(w)
			a.mu.Unlock()
			return false, fmt.Errorf("eventhubs: the event was not accepted, the buffer is full: %w", contextError(ctx))
		}
		a.mu.Unlock()
		<-w.told // the end of ctx and the end of the wait crossed: what was decided first holds
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	claimed, err = w.claimed, w.err
	a.recycleLocked(w)
	return claimed, err
}

// enterFromHandler is enter for a handler, which finds no room that it could take at once and never waits: the room that its own batch gave back is its to
// use again, even if others took it.
func (a *admission) enterFromHandler(s *scope, part *partition, bytes int) (claimed bool, err error) {
	a.mu.Lock()
	switch {
	case a.closed != nil:
		defer a.mu.Unlock()
		return false, a.closed
	case s.events >= 1 && s.bytes >= bytes:
		s.events--
		s.bytes -= bytes
	case !a.fitsLocked(bytes) || part.overShare(bytes) || a.aheadLocked():
		pressed := !part.overShare(bytes) && !a.pressed.Swap(true)
		a.mu.Unlock()
		if pressed {
			a.pressure()
		}
		return false, fmt.Errorf("eventhubs: enqueued from a handler, which cannot wait: %w", ErrBufferFull)
	}
	claimed = a.takeLocked(part, bytes)
	a.mu.Unlock()
	return claimed, nil
}

// leave gives back the room of a batch, or of an event that was not enqueued after all, and admits everybody who fits now.
func (a *admission) leave(events, bytes int) {
	a.mu.Lock()
	before := a.pressed.Load()
	a.events -= events
	a.bytes -= bytes
	a.admitLocked()
	pressed := a.pressed.Load() && !before
	a.mu.Unlock()
	if pressed {
		a.pressure()
	}
}

// close refuses everybody from now on, those who wait included.
func (a *admission) close(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = err
	for a.first != nil {
		a.endLocked(a.first, err)
	}
	a.pressed.Store(false)
}

// count returns how many events hold room, and how many bytes.
func (a *admission) count() (events, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events, a.bytes
}

// waiting returns how many wait for room.
func (a *admission) waiting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.line
}

// aheadLocked reports whether somebody in the line waits for room, and not only for a partition that has used up its share.
func (a *admission) aheadLocked() bool {
	for w := a.first; w != nil; w = w.next {
		if !w.partition.overShare(w.bytes) {
			return true
		}
	}
	return false
}

func (a *admission) fitsLocked(bytes int) bool {
	return a.events < a.maxEvents && bytes <= a.maxBytes-a.bytes
}

func (a *admission) takeLocked(part *partition, bytes int) (claimed bool) {
	a.events++
	a.bytes += bytes
	return part.claim(bytes)
}

// admitLocked lets the line in, as far as there is room. Those who wait for a partition that has used up its share are passed over; otherwise nobody is
// overtaken: a large event at the front would never get in.
func (a *admission) admitLocked() {
	var next *waiter
	for w := a.first; w != nil; w = next {
		next = w.next
		switch {
		case w.partition.overShare(w.bytes):
		case !a.fitsLocked(w.bytes):
			a.pressed.Store(true)
			return
		default:
			w.claimed = a.takeLocked(w.partition, w.bytes)
			a.endLocked(w, nil)
		}
	}
	a.pressed.Store(false)
}

func (a *admission) endLocked(w *waiter, err error) {
	a.leaveLineLocked(w)
	w.ended, w.err = true, err
	w.told <- struct{}{} // never blocks: there is room for the one token that a waiter gets
}

func (a *admission) joinLocked(part *partition, bytes int) *waiter {
	w := a.spare
	if w == nil {
		w = &waiter{told: make(chan struct{}, 1)}
	} else {
		a.spare = w.next
	}
	*w = waiter{partition: part, bytes: bytes, told: w.told, earlier: a.last}
	if a.last == nil {
		a.first = w
	} else {
		a.last.next = w
	}
	a.last = w
	a.line++
	return w
}

func (a *admission) leaveLineLocked(w *waiter) {
	a.line--
	if w.earlier == nil {
		a.first = w.next
	} else {
		w.earlier.next = w.next
	}
	if w.next == nil {
		a.last = w.earlier
	} else {
		w.next.earlier = w.earlier
	}
}

func (a *admission) recycleLocked(w *waiter) {
	w.next, w.earlier, w.err, w.partition = a.spare, nil, nil, nil
	a.spare = w
}

// contextError returns an error for a context that has ended: errors.Is finds both ctx.Err() and the cause it was given.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
