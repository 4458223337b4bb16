package eventhubs

import (
	"context"
	"fmt"
	"time"
)

// closeGrace is how long Close waits for handlers after its context has ended. What is in flight has its outcome then, whatever the service does: a send ends
// with its context or its link.
const closeGrace = time.Second

// Close sends what is buffered, waits for the outcomes and for the handlers, and releases the connection, if it is the producer's own. From its first
// moment Enqueue fails with [ErrClosed], also one that is waiting for room.
//
// If ctx ends first, nothing more is sent and the producer's links are closed. Events without an outcome then fail with an error that
// matches ErrClosed and the context's error, and wraps the *Error of what had failed before: not stored, or possibly stored if they were in flight. Handlers are told of them, with a
// context that does not end; Close waits for them 1 more second at most.
//
// The error is an [*UndeliveredError] with what Flush would return and what fails until the end; nil if there is nothing. A further Close or Abandon waits for the first
// and returns its result. In a handler, with its context, Close does nothing and returns [ErrInHandler].
func (p *BufferedProducer) Close(ctx context.Context) error {
	return p.shut(ctx, "Close", false)
}

// Abandon is Close that sends nothing more: what is buffered and not in flight fails with [ErrAbandoned], what is in flight is awaited until ctx ends.
func (p *BufferedProducer) Abandon(ctx context.Context) error {
	return p.shut(ctx, "Abandon", true)
}

func (p *BufferedProducer) shut(ctx context.Context, call string, abandon bool) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: %s: %w", call, ErrInHandler)
	}
	if !p.lifetime.closing.CompareAndSwap(false, true) {
		select {
		case <-p.lifetime.closed:
		case <-ctx.Done():
			select {
			case <-p.lifetime.closed: // both at once: the result says more
			default:
				return fmt.Errorf("eventhubs: waiting for another Close to end: %w", contextError(ctx))
			}
		}
		return p.lifetime.closeErr
	}
	p.lifetime.closeErr = p.close(ctx, abandon)
	defer close(p.lifetime.closed)
	p.observer.closed(p.lifetime.closeErr)
	return p.lifetime.closeErr
}

// close is the one Close or Abandon that does the work. The closing flag is set by now: what it covers is all there will be.
func (p *BufferedProducer) close(ctx context.Context, abandon bool) error {
	defer p.observer.health.close(ctx)
	defer p.watch.close()
	p.admission.close(errClosed())
	all := newBarrier()
	if abandon {
		p.cover(all, false)                                          // first: some of it fails, and is told, before giveUp has returned
		p.lifetime.giveUp(fmt.Errorf("eventhubs: %w", ErrAbandoned)) // from here on senders and discovery fail what they have not begun
	}
	p.cover(all, true)
	all.covered()
	_ = all.wait(ctx) // what it returns may be out of date when over is asked
	if !all.over() {
		if err := p.cutOff(ctx, all); !all.over() {
			return err // a handler is still running; its goroutine ends when it returns
		}
	}
	err := all.result(nil, &p.observer.health)
	p.lifetime.abort(errClosed()) // nothing is left to be sent: this only lets go of the contexts
	p.crew.wait()
	if closeErr := p.hub.Close(ctx); err == nil && closeErr != nil {
		p.observer.logger.Warn("eventhubs: the connection did not close cleanly", "hub", p.observer.hubName, "error", closeErr)
	}
	return err
}

// cutOff stops all sending because Close's context has ended, and waits for what that leaves to be told.
func (p *BufferedProducer) cutOff(ctx context.Context, all *barrier) error {
	p.lifetime.abort(fmt.Errorf("eventhubs: %w: %w", ErrClosed, contextError(ctx)))
	// ctx has ended, so that this cuts the connection at once.
	if err := p.hub.Close(ctx); err != nil {
		p.observer.logger.Debug("eventhubs: the connection was cut", "hub", p.observer.hubName, "error", err)
	}
	grace, cancel := context.WithTimeoutCause(context.Background(), closeGrace,
		fmt.Errorf("a handler has not returned %v after Close's context ended", closeGrace))
	defer cancel()
	return p.await(grace, all)
}
