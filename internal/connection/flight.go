package connection

import (
	"context"
	"time"
)

// againPause is the shortest time between a failure and the next try of the same opening. A
// thousand partitions that share the openings make at most ten tries a second.
const againPause = 100 * time.Millisecond

// pace waits until againPause has passed since a failure; the zero time means no failure.
func pace(ctx context.Context, failed time.Time) error {
	if failed.IsZero() || time.Since(failed) >= againPause {
		return nil
	}
	timer := time.NewTimer(time.Until(failed.Add(againPause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ContextError(ctx)
	}
}

// flight is one opening that several callers wait for. It runs in a goroutine of the connection. A
// caller that stops waiting does not disturb it: the result serves the next caller.
type flight[T any] struct {
	done chan struct{} // closed when value and err are set

	// Owned by run until done is closed, immutable afterwards.
	value T
	err   error
}

func newFlight[T any]() *flight[T] {
	return &flight[T]{done: make(chan struct{})}
}

// run does the work within openTimeout and the lifetime, then sets the result. The work removes the
// flight from where callers find it before it returns.
func (f *flight[T]) run(lifetime context.Context, work func(ctx context.Context) (T, error)) {
	ctx, cancel := context.WithTimeout(lifetime, openTimeout)
	defer cancel()
	f.value, f.err = work(ctx)
	close(f.done)
}

// wait returns the result, or ctx's error if that ends first.
func (f *flight[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none T
		return none, classify(ContextError(ctx))
	}
}
