package memnet

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// Listener hands the server's end of every dialled connection to Accept. Inside a synctest bubble
// it must have been made in that bubble.
type Listener struct {
	// Immutable after Listen.
	dialled chan *Conn    // never closed; unbuffered, so that no connection is lost at Close
	done    chan struct{} // closed by Close

	closing sync.Once
}

var _ net.Listener = (*Listener)(nil)

// Listen returns a listener that only its own Dial reaches.
func Listen() *Listener {
	return &Listener{dialled: make(chan *Conn), done: make(chan struct{})}
}

// Dial connects to the listener. It returns the client's end after Accept has taken the other. It
// fails with ctx's error if ctx ends first, and with syscall.ECONNREFUSED if the listener is
// closed.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, l.dialError(err)
	}
	client, server := Pipe()
	select {
	case l.dialled <- server:
		return client, nil
	case <-ctx.Done():
		return nil, l.dialError(context.Cause(ctx))
	case <-l.done:
		return nil, l.dialError(syscall.ECONNREFUSED)
	}
}

// Accept waits for the next connection. After Close its error is net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, l.closedError()
	default:
	}
	select {
	case c := <-l.dialled:
		return c, nil
	case <-l.done:
		return nil, l.closedError()
	}
}

// Close ends Accept and Dial, including waiting calls. Connections stay open.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.done) })
	return nil
}

// Addr returns the address "listener".
func (l *Listener) Addr() net.Addr { return Addr("listener") }

func (l *Listener) dialError(err error) error {
	return &net.OpError{Op: "dial", Net: "memnet", Addr: l.Addr(), Err: err}
}

func (l *Listener) closedError() error {
	return &net.OpError{Op: "accept", Net: "memnet", Addr: l.Addr(), Err: net.ErrClosed}
}
