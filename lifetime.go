package eventhubs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A lifetime says how far the end of a producer has come. It has three steps: no event is accepted
// (closing), no try begins (tries), and batches in flight are given up (all).
type lifetime struct {
	closing atomic.Bool // set by Close or Abandon before it visits any queue

	// Immutable after newLifetime.
	all    context.Context // its cause is the reason
	abort  context.CancelCauseFunc
	tries  context.Context // within all; its cause is the reason
	giveUp context.CancelCauseFunc

	closed   chan struct{} // closed when the first Close has ended
	closeErr error         // its result, written before closed is closed
}

func newLifetime() *lifetime {
	l := &lifetime{closed: make(chan struct{})}
	l.all, l.abort = context.WithCancelCause(context.Background())
	l.tries, l.giveUp = context.WithCancelCause(l.all)
	return l
}

// over returns why no further try begins: Abandon was called, or Close's context has ended. It
// returns nil before that.
func (l *lifetime) over() error {
	if l.tries.Err() == nil {
		return nil
	}
	return context.Cause(l.tries)
}

// sleep waits for that time, until wake is closed, or until no further try begins.
func (l *lifetime) sleep(d time.Duration, wake <-chan struct{}) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-l.tries.Done():
	}
}

// bound returns a context that ends with ctx, or when no further try begins.
func (l *lifetime) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.tries, func() { cancel(context.Cause(l.tries)) })
	return ctx, func() { stop(); cancel(nil) }
}

// contextError returns an error for a context that has ended: errors.Is finds both ctx.Err() and
// the context's cause.
func contextError(ctx context.Context) error { return connection.ContextError(ctx) }
