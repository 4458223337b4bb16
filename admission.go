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
	pressure  func() // called, with no lock held, when the first caller begins to wait

	waiting atomic.Int32 // callers in the line: written under mu, read anywhere

	mu     sync.Mutex // guards the fields below
	events int
	bytes  int
	first  *waiter // the line, first come first
	last   *waiter
	spare  *waiter // waiters to be used again
	closed error   // why nobody is admitted any more
}

// A waiter is one caller in the line.
type waiter struct {
	bytes   int
	ended   bool          // no longer in the line: admitted, or refused with err
	err     error         // why it was refused
	told    chan struct{} // receives one token, with room for it, when ended is set by somebody else
	next    *waiter
	earlier *waiter
}

func newAdmission(maxEvents, maxBytes int, pressure func()) *admission {
	return &admission{maxEvents: maxEvents, maxBytes: maxBytes, pressure: pressure}
}

// enter takes room for one event of that many bytes, waiting its turn while there is none.
func (a *admission) enter(ctx context.Context, bytes int) error {
	if bytes > a.maxBytes {
		return &EventTooLargeError{Size: bytes, Limit: a.maxBytes}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("eventhubs: the event was not accepted: %w", contextError(ctx))
	}
	if s := handlerScope(ctx, a); s != nil {
		return a.enterFromHandler(s, bytes)
	}
	a.mu.Lock()
	switch {
	case a.closed != nil:
		defer a.mu.Unlock()
		return a.closed
	case a.first == nil && a.fitsLocked(bytes):
		a.takeLocked(bytes)
		a.mu.Unlock()
		return nil
	}
	w := a.joinLocked(bytes)
	alone := a.first == w
	a.mu.Unlock()
	if alone {
		a.pressure()
	}
	return a.wait(ctx, w)
}

// wait returns when w is admitted or refused, or when ctx ends before.
func (a *admission) wait(ctx context.Context, w *waiter) error {
	select {
	case <-w.told:
	case <-ctx.Done():
		a.mu.Lock()
		if !w.ended {
			a.leaveLineLocked(w)
			a.admitLocked() // whoever stood behind a large event may fit
			a.recycleLocked(w)
			a.mu.Unlock()
			return fmt.Errorf("eventhubs: the event was not accepted, the buffer is full: %w", contextError(ctx))
		}
		a.mu.Unlock()
		<-w.told // the end of ctx and the end of the wait crossed: what was decided first holds
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := w.err
	a.recycleLocked(w)
	return err
}

// enterFromHandler never waits: the room that the handler's own batch gave back is its to use again, even if others took it.
func (a *admission) enterFromHandler(s *scope, bytes int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed != nil:
		return a.closed
	case s.events >= 1 && s.bytes >= bytes:
		s.events--
		s.bytes -= bytes
	case a.first != nil || !a.fitsLocked(bytes):
		return fmt.Errorf("eventhubs: enqueued from a handler, which cannot wait: %w", ErrBufferFull)
	}
	a.takeLocked(bytes)
	return nil
}

// leave gives back the room of a batch, or of an event that was not enqueued after all, and admits everybody who fits now.
func (a *admission) leave(events, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events -= events
	a.bytes -= bytes
	a.admitLocked()
}

// close refuses everybody from now on, those who wait included.
func (a *admission) close(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = err
	for a.first != nil {
		a.endLocked(a.first, err)
	}
}

// count returns how many events hold room.
func (a *admission) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events
}

func (a *admission) fitsLocked(bytes int) bool {
	return a.events < a.maxEvents && a.bytes+bytes <= a.maxBytes
}

func (a *admission) takeLocked(bytes int) {
	a.events++
	a.bytes += bytes
}

// admitLocked lets the front of the line in, as far as there is room. A large event at the front is not overtaken by smaller ones: it would never get in.
func (a *admission) admitLocked() {
	for a.first != nil && a.fitsLocked(a.first.bytes) {
		a.takeLocked(a.first.bytes)
		a.endLocked(a.first, nil)
	}
}

func (a *admission) endLocked(w *waiter, err error) {
	a.leaveLineLocked(w)
	w.ended, w.err = true, err
	w.told <- struct{}{} // never blocks: there is room for the one token that a waiter gets
}

func (a *admission) joinLocked(bytes int) *waiter {
	w := a.spare
	if w == nil {
		w = &waiter{told: make(chan struct{}, 1)}
	} else {
		a.spare = w.next
	}
	*w = waiter{bytes: bytes, told: w.told, earlier: a.last}
	if a.last == nil {
		a.first = w
	} else {
		a.last.next = w
	}
	a.last = w
	a.waiting.Add(1)
	return w
}

func (a *admission) leaveLineLocked(w *waiter) {
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
	a.waiting.Add(-1)
}

func (a *admission) recycleLocked(w *waiter) {
	w.next, w.earlier, w.err = a.spare, nil, nil
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
