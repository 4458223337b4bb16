package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/go-amqp"
)

// batchFormat marks a message whose data sections are whole messages, which the
// service takes apart and stores one by one.
const batchFormat = 0x80013700

// Outcome is what became of a batch.
type Outcome uint8

// The outcomes. Only Accepted means stored, and only Unknown leaves it open.
const (
	NotSent  Outcome = iota // nothing was sent: surely not stored
	Accepted                // stored
	Rejected                // refused by the service, also by a detach that can mean nothing else: not stored
	Released                // given back by the service: not stored
	Modified                // given back by the service: not stored
	Unknown                 // sent, wholly or in part, and no outcome came: may or may not be stored
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	switch o {
	case NotSent:
		return "not sent"
	case Accepted:
		return "accepted"
	case Rejected:
		return "rejected"
	case Released:
		return "released"
	case Modified:
		return "modified"
	case Unknown:
		return "unknown"
	default:
		return fmt.Sprintf("outcome %d", uint8(o))
	}
}

// Result is what became of one try. Err is nil if Outcome is Accepted, otherwise
// an *Error.
type Result struct {
	Outcome Outcome
	Err     error
}

// Send makes one try to store a batch: each event is the encoding of a whole
// message and becomes one data section. It opens what is not open.
//
// If ctx ends before the service has granted credit for the message, nothing was
// sent, and the link stays, unless it has been waited for in vain for openTimeout
// altogether. If it ends later, the link is given up, which every other Send under way
// on this sender suffers too, and if the peer does not answer that within
// closeTimeout, the connection. Send returns only when go-amqp's call has
// returned, so the events' memory may then be used again. It retries nothing,
// except that a link that turns out to have been lost before the try is replaced.
func (s *Sender) Send(ctx context.Context, events [][]byte) Result {
	switch {
	case len(events) == 0:
		return emptyBatch()
	case s.idempotent:
		return Result{NotSent, &Error{Code: CodeRejected, Err: errors.New("an idempotent sender sends with SendOn")}}
	}
	result, stale := s.try(ctx, events)
	if stale {
		result, _ = s.try(ctx, events)
	}
	return result
}

// emptyBatch refuses what go-amqp would not send, while it gave a receipt that
// waits for ever.
func emptyBatch() Result {
	return Result{NotSent, &Error{Code: CodeRejected, Err: errors.New("a batch needs at least one event")}}
}

// try opens the link and makes one try.
func (s *Sender) try(ctx context.Context, events [][]byte) (result Result, stale bool) {
	l, err := s.open(ctx)
	if err != nil {
		return Result{NotSent, err}, false
	}
	return s.tryOn(ctx, l, events)
}

// tryOn makes one try on a link. It waits for a token first only if the old one is
// over or was refused. It reports a stale link when go-amqp refused the message without
// so much as looking at it.
func (s *Sender) tryOn(ctx context.Context, l *link, events [][]byte) (result Result, stale bool) {
	p, err := l.client.authorize(ctx, s.hub, s.partitionID)
	if err != nil {
		return Result{NotSent, err}, false
	}

	start := time.Now()
	a := &attempt{caller: ctx, message: amqp.Message{Format: batchFormat, Data: events}}
	s.latest.Store(a)
	defer s.latest.CompareAndSwap(a, nil)
	receipt, err := l.transmit(a)
	if creditDenied(err) {
		err := contextError(ctx)
		if l.starved(time.Since(start)) {
			s.drop(l, err)
		}
		return Result{NotSent, classify(fmt.Errorf("waiting for the service to grant credit: %w", err))}, false
	}
	if err != nil {
		return s.sendFailed(ctx, l, a, err), a.stale(err)
	}
	if l.waited.Load() != 0 {
		l.waited.Store(0)
	}
	state, err := l.await(ctx, &receipt)
	if err != nil {
		s.drop(l, err)
		return l.lostWith(callersError(ctx, err)), false
	}
	l.unsettled.Add(-1)
	result = stateResult(state)
	if was := l.permit.Load(); was.same(p) {
		p = *was // which knows more
	}
	switch {
	case result.Outcome == Rejected:
		l.client.distrust(p, s.partitionID, result.Err)
	case !p.used:
		l.client.trust(p)
		p.used = true
		l.permit.Store(new(p))
	}
	return result, false
}

// sendFailed says what became of a message that go-amqp did not send, or not
// wholly.
func (s *Sender) sendFailed(ctx context.Context, l *link, a *attempt, err error) Result {
	if errorOfLink(err) {
		s.drop(l, err)
	}
	if a.written.Load() {
		return l.lostWith(callersError(ctx, err))
	}
	e := asError(callersError(ctx, err))
	if e.Code == CodeTooLarge && errorOfLink(err) { // another message was: nothing of this one was seen
		e = &Error{Code: CodeConnectionLost, TrackingID: e.TrackingID, Transient: true, Lost: true,
			Err: fmt.Errorf("nothing was sent: the link was ended for the size of another message: %w", err)}
	}
	return Result{NotSent, e}
}

// lostWith says what became of a message that has left and had no outcome when its link
// ended. A link that the peer detaches since a message is too large says so of the only
// one that it has no outcome for: as good as a rejection. Of several it leaves open which
// one it was, so that each may well be sent again.
func (l *link) lostWith(err error) Result {
	e := asError(err)
	if _, detached := errors.AsType[*amqp.LinkError](err); e.Code != CodeTooLarge || !detached {
		return Result{Unknown, e}
	}
	if l.unsettled.Load() == 1 {
		return Result{Rejected, e}
	}
	e = new(*e) // its own, since it is changed
	e.Transient = true
	return Result{Unknown, e}
}

// callersError joins the reason why a caller gave a link up to what that did to
// the link.
func callersError(ctx context.Context, err error) error {
	if ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w (the link was given up: %v)", contextError(ctx), err)
}

// stateResult says what a settled outcome means. go-amqp's own Send takes
// released and modified for success.
func stateResult(state amqp.DeliveryState) Result {
	switch state := state.(type) {
	case *amqp.StateAccepted:
		return Result{Outcome: Accepted}
	case *amqp.StateRejected:
		if state.Error == nil {
			return Result{Rejected, &Error{Code: CodeRejected, Err: errors.New("the service refused the batch and gave no reason")}}
		}
		return Result{Rejected, remoteError(state.Error, state.Error)}
	case *amqp.StateReleased:
		return Result{Released, &Error{Code: CodeNotAccepted, Transient: true, Err: errors.New("the service released the batch without storing it")}}
	case *amqp.StateModified:
		return Result{Modified, &Error{Code: CodeNotAccepted, Transient: true, Err: errors.New("the service gave the batch back, modified, without storing it")}}
	default:
		return Result{Unknown, &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("the service settled the batch without an outcome (%T)", state)}}
	}
}
