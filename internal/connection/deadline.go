package connection

import (
	"context"
	"sync"
	"time"
)

// Deadlines makes contexts for one try after another, one at a time. Each ends with its parent or
// after a timeout. Unlike context.WithTimeout it allocates nothing for a try that finishes in time.
// It belongs to one goroutine.
type Deadlines struct {
	parent  context.Context
	current *deadline // reused until it ends; nil before the first
}

// NewDeadlines makes contexts from a parent. Call Close after the last try.
func NewDeadlines(parent context.Context) *Deadlines { return &Deadlines{parent: parent} }

// Start returns the context of a try that may take that long. The caller must call Stop before the
// next Start, and must not use the context after Stop.
func (d *Deadlines) Start(timeout time.Duration) context.Context {
	if d.current == nil {
		d.current = newDeadline(d.parent)
	}
	d.current.start(timeout)
	return d.current
}

// Stop says that the try is over.
func (d *Deadlines) Stop() {
	if !d.current.timer.Stop() {
		d.Close() // the timeout has passed or is about to
	}
}

// Close detaches from the parent.
func (d *Deadlines) Close() {
	if d.current != nil {
		d.current.leave()
		d.current = nil
	}
}

// deadline is a context whose timeout can be set again until it has ended.
type deadline struct {
	// Immutable.
	parent context.Context
	leave  func() bool // leave detaches from the parent
	done   chan struct{}

	timer *time.Timer // used by Start and Stop only

	mu   sync.Mutex // guards the fields below
	ends time.Time
	err  error // why done is closed
}

func newDeadline(parent context.Context) *deadline {
	d := &deadline{parent: parent, done: make(chan struct{})}
	d.leave = context.AfterFunc(parent, func() { d.end(parent.Err()) })
	return d
}

func (d *deadline) start(timeout time.Duration) {
	d.mu.Lock()
	d.ends = time.Now().Add(timeout)
	d.mu.Unlock()
	if d.timer == nil {
		d.timer = time.AfterFunc(timeout, func() { d.end(context.DeadlineExceeded) })
	} else {
		d.timer.Reset(timeout)
	}
}

// end ends the context unless it has ended already.
func (d *deadline) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
		close(d.done)
	}
}

func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if parents, ok := d.parent.Deadline(); ok && parents.Before(d.ends) {
		return parents, true
	}
	return d.ends, true
}

func (d *deadline) Done() <-chan struct{} { return d.done }

func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *deadline) Value(key any) any { return d.parent.Value(key) }
