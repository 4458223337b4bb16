package eventhubs

import (
	"context"
	"fmt"
	"time"
)

// closeGrace is how long Close waits for handlers after its context has ended. Every batch in
// flight has its outcome by then, whatever the service does: a send ends with its context or its
// link.
const closeGrace = time.Second

// Close sends the buffered events, waits for the outcomes and for the handlers, and closes the
// connection if it is the producer's own. As soon as Close begins, Enqueue fails with [ErrClosed],
// even if it is waiting for room.
//
// If ctx ends first, the producer sends nothing more and closes its links. Events without an
// outcome then fail with an error that matches ErrClosed and the context's error. The error also
// wraps the *Error of an earlier failure. Events that were in flight are possibly stored. The
// others are certainly not stored. Handlers get these outcomes, with a context that does not end.
// Close waits for them 1 more second at most.
//
// With [Options.Journal] these events do not fail. They stay in the journal, and the next producer
// with it sends them. [UndeliveredError.Kept] counts them, and their Deliveries end with [ErrKept].
//
// The error is nil or an [*UndeliveredError], with what Flush would return and every later failure.
// Another Close or Abandon waits for the first one and returns its result. With a handler's context
// Close does nothing and returns [ErrInHandler].
func (p *BufferedProducer) Close(ctx context.Context) error {
	return p.shut(ctx, "Close", false)
}

// Abandon is Close that sends nothing more. Buffered events that are not in flight fail with
// [ErrAbandoned]. With [Options.Journal] they stay in the journal instead. For those in flight,
// Abandon waits until ctx ends.
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
			case <-p.lifetime.closed: // both happened: the result says more
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

// close does the work of the first Close or Abandon. The closing flag is set by now, so the barrier
// covers all there will ever be.
func (p *BufferedProducer) close(ctx context.Context, abandon bool) error {
	defer p.observer.health.close(ctx)
	defer p.watch.close()
	all := newBarrier()
	if p.journal == nil {
		p.admission.close(errClosed())
	} else {
		end := p.journal.shut()
		if !abandon {
			p.cover(all, true) // ends the lingers, so that the feeder finds room
			_ = p.journal.feeder.await(ctx, end)
		}
	}
	if abandon {
		p.cover(all, false) // first: some events fail, and are reported, before giveUp has returned
		// From now on senders and discovery fail the batches that they have not begun to send.
		p.lifetime.giveUp(fmt.Errorf("eventhubs: %w", ErrAbandoned))
	}
	p.cover(all, true)
	all.covered()
	_ = all.wait(ctx) // over decides: the wait's result may be out of date by then
	if !all.over() {
		if err := p.cutOff(ctx, all); !all.over() {
			if p.journal != nil {
				return p.journal.finish(err, nil)
			}
			return err // a handler is still running; its goroutine ends when it returns
		}
	}
	err := all.result(nil, &p.observer.health)
	p.lifetime.abort(errClosed()) // nothing is left to be sent: this only releases the contexts
	p.crew.wait()
	if p.journal != nil {
		late := newBarrier() // for what was fed, or refused, after the first had covered all
		p.cover(late, false)
		late.covered()
		err = p.journal.finish(err, late.result(nil, &p.observer.health))
	}
	if closeErr := p.hub.Close(ctx); err == nil && closeErr != nil {
		p.observer.closedBadly(closeErr)
	}
	return err
}

// cutOff stops all sending because Close's context has ended. It waits until the remaining outcomes
// are reported, for closeGrace at most.
func (p *BufferedProducer) cutOff(ctx context.Context, all *barrier) error {
	p.lifetime.abort(fmt.Errorf("eventhubs: %w: %w", ErrClosed, contextError(ctx)))
	// ctx has ended, so this cuts the connection at once.
	if err := p.hub.Close(ctx); err != nil {
		p.observer.cut(err)
	}
	grace, cancel := context.WithTimeoutCause(context.Background(), closeGrace,
		fmt.Errorf("a handler has not returned %v after Close's context ended", closeGrace))
	defer cancel()
	return p.await(grace, all)
}
