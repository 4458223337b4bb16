package world

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// ErrRefused is the error of a dial to a machine where no server listens.
var ErrRefused error = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// A Door is where producers dial. It notes each dial, and may be closed.
type Door struct {
	mu     sync.Mutex // guards the fields below
	refuse error      // the error of each dial; nil while the door is open
	dials  []time.Time
}

// Pass notes a dial and takes a round trip, as a handshake of TCP does. It returns an error if the
// door is closed by then.
func (d *Door) Pass(ctx context.Context) error {
	d.mu.Lock()
	d.dials = append(d.dials, time.Now())
	d.mu.Unlock()
	if err := Sleep(ctx, Trip); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refuse
}

// Block closes the door with an error, or opens it again with nil. Existing connections stay.
func (d *Door) Block(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = err
}

// Dialled returns when producers have dialled.
func (d *Door) Dialled() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.dials)
}

// DialledSince returns how long after a time the dials came, in order.
func (d *Door) DialledSince(began time.Time) (after []time.Duration) {
	for _, at := range d.Dialled() {
		if !at.Before(began) {
			after = append(after, at.Sub(began))
		}
	}
	slices.Sort(after)
	return after
}
