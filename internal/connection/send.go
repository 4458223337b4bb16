package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
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

	// Held, unless nil, is closed when the batch's memory may be changed or used again:
	// a write of some of it is under way. One that stands still is given up with its
	// connection, so that this is soon, unless the net.Conn is an application's whose
	// Write outlasts its Close.
	Held <-chan struct{}
}

// Send makes one try to store a batch, which is data sections, each of them the encoding
// of a whole message, in pieces as [amqp.Delivery.Frames] has them. It opens what is not
// open.
//
// Send ends with ctx. If that ends before the first byte was on its way, nothing was
// sent and nothing will be: the outcome is NotSent. The link stays if it was the
// service's credit that was waited for, unless it has been waited for in vain for
// openTimeout altogether. Otherwise it is given up, which every other Send under way
// on this sender suffers too; if the peer does not answer that within closeTimeout, the
// connection is, and the sender's next link waits for it. It retries nothing, except
// that a link that turns out to have been lost before the try is replaced.
func (s *Sender) Send(ctx context.Context, batch [][]byte) Result {
	switch {
	case len(batch) == 0:
		return emptyBatch()
	case s.idempotent:
		return notSent(&Error{Code: CodeRejected, Err: errors.New("an idempotent sender sends with SendOn")})
	}
	result, stale := s.try(ctx, batch)
	if stale {
		result, _ = s.try(ctx, batch)
	}
	return result
}

// BatchOf copies events, each the encoding of a whole message, to a batch as Send wants it, in pieces as large as may be.
func BatchOf(events ...[]byte) (batch [][]byte) {
	var message []byte
	for _, event := range events {
		message = amqp.AppendBinary(amqp.AppendSectionHeader(message, amqp.SectionData), event)
	}
	for content := range slices.Chunk(message, amqp.MaxPiece-amqp.FrameRoom) {
		batch = append(batch, slices.Concat(make([]byte, amqp.FrameRoom), content))
	}
	return batch
}

func notSent(err error) Result { return Result{Outcome: NotSent, Err: err} }

// emptyBatch refuses a message without a body, which AMQP does not know.
func emptyBatch() Result {
	return notSent(&Error{Code: CodeRejected, Err: errors.New("a batch needs at least one event")})
}

// try opens the link and makes one try.
func (s *Sender) try(ctx context.Context, batch [][]byte) (result Result, stale bool) {
	l, err := s.open(ctx)
	if err != nil {
		return notSent(err), false
	}
	return s.tryOn(ctx, l, batch)
}

// tryOn makes one try on a link. It waits for a token first only if the old one is
// over or was refused. It reports a stale link when that had ended before.
func (s *Sender) tryOn(ctx context.Context, l *link, batch [][]byte) (result Result, stale bool) {
	p, err := l.client.authorize(ctx, s.hub, s.partitionID)
	if err != nil {
		return notSent(err), false
	}

	start := time.Now()
	d, err := s.queue(l, batch)
	if err != nil {
		return s.unsent(l, err), errorOfLink(err)
	}
	state, err := d.Wait(ctx)
	switch {
	case err == nil:
		result = s.settled(l, p, state)
	case !errorOfLink(err):
		result = s.giveUp(ctx, l, p, d, start)
	case !d.Sent():
		result = s.unsent(l, err)
	default:
		s.drop(l, err)
		result = l.lostWith(err)
	}
	if result.Held = d.Held(); result.Held != nil {
		l.client.cutIfStill(result.Held)
	}
	s.returned(d, err == nil && result.Held == nil)
	return result, false
}

// queue hands a batch over to a link.
func (s *Sender) queue(l *link, batch [][]byte) (d *amqp.Delivery, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.spare); n > 0 {
		d, s.spare = s.spare[n-1], s.spare[:n-1]
	} else {
		d = new(amqp.Delivery)
	}
	d.Tag, d.Format, d.Frames = nil, batchFormat, batch
	if err := l.amqp.Queue(d); err != nil {
		return nil, err
	}
	s.latest = d
	return d, nil
}

// returned ends a send. Over says that nobody will look at its delivery any more, so that another may use it.
func (s *Sender) returned(d *amqp.Delivery, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == d {
		s.latest = nil
	}
	if over {
		d.Frames = nil
		s.spare = append(s.spare, d)
	}
}

// settled says what an outcome means, also for the permit under which the message went.
func (s *Sender) settled(l *link, p permit, state amqp.DeliveryState) Result {
	if l.waited.Load() != 0 {
		l.waited.Store(0)
	}
	result := stateResult(state)
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
	return result
}

// giveUp ends a try whose context has ended. The outcome may be known by then: of a batch
// that the network has taken, together with something in the same write that it does not take.
func (s *Sender) giveUp(ctx context.Context, l *link, p permit, d *amqp.Delivery, start time.Time) Result {
	err := contextError(ctx)
	came := d.Withdraw()
	if came == amqp.Leaving {
		s.drop(l, err)
		came = d.Withdraw() // by now no more of it leaves
	}
	switch came {
	case amqp.Settled:
		state, _ := d.Result()
		return s.settled(l, p, state)
	case amqp.Leaving:
		return Result{Outcome: Unknown, Err: classify(fmt.Errorf("waiting for the service's answer: %w", err))}
	case amqp.Uncredited:
		if l.starved(time.Since(start)) {
			s.drop(l, err)
		}
		return notSent(classify(fmt.Errorf("waiting for the service to grant credit: %w", err)))
	case amqp.Queued:
		return notSent(classify(fmt.Errorf("waiting for another message, which was in the way: %w", err)))
	default:
		s.drop(l, err)
		return notSent(classify(fmt.Errorf("waiting for the service to take a message: %w", err)))
	}
}

// unsent says what became of a message of which nothing has left.
func (s *Sender) unsent(l *link, err error) Result {
	over := errorOfLink(err)
	if over {
		s.drop(l, err)
	}
	e := asError(err)
	if e.Code == CodeTooLarge && over { // another message was: nothing of this one was seen
		e = &Error{Code: CodeConnectionLost, TrackingID: e.TrackingID, Transient: true, Lost: true,
			Err: fmt.Errorf("nothing was sent: the link was ended for the size of another message: %w", err)}
	}
	return notSent(e)
}

// lostWith says what became of a message that has left and had no outcome when its link
// ended. A link that the peer detaches since a message is too large says so of the only
// one that it has no outcome for: as good as a rejection. Of several it leaves open which
// one it was, so that each may well be sent again.
func (l *link) lostWith(err error) Result {
	e := asError(err)
	if remote, ok := errors.AsType[*amqp.RemoteError](err); e.Code != CodeTooLarge || !ok || remote.Frame != "detach" {
		return Result{Outcome: Unknown, Err: e}
	}
	if l.amqp.Lost() == 1 {
		return Result{Outcome: Rejected, Err: e}
	}
	e = new(*e) // its own, since it is changed
	e.Transient = true
	return Result{Outcome: Unknown, Err: e}
}

// stateResult says what a settled outcome means.
func stateResult(state amqp.DeliveryState) Result {
	switch state := state.(type) {
	case amqp.Accepted:
		return Result{Outcome: Accepted}
	case amqp.Rejected:
		if state.Error == nil {
			return Result{Outcome: Rejected, Err: &Error{Code: CodeRejected, Err: errors.New("the service refused the batch and gave no reason")}}
		}
		return Result{Outcome: Rejected, Err: remoteError(state.Error, state.Error)}
	case amqp.Released:
		return Result{Outcome: Released, Err: &Error{Code: CodeReleased, Transient: true, Err: errors.New("the service released the batch without storing it")}}
	case amqp.Modified:
		return Result{Outcome: Modified, Err: &Error{Code: CodeReleased, Transient: true, Err: errors.New("the service gave the batch back, modified, without storing it")}}
	default:
		return Result{Outcome: Unknown, Err: &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("the service settled the batch without an outcome (%T)", state)}}
	}
}
