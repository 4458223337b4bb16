package connection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// batchFormat marks a message whose data sections are whole messages. The service stores them one
// by one.
const batchFormat = 0x80013700

// Outcome is what happened to a batch.
type Outcome uint8

// The outcomes. Only Accepted means stored; only Unknown leaves that open.
const (
	NotSent  Outcome = iota // nothing was sent: certainly not stored
	Accepted                // stored
	Rejected                // refused by the service, also by a detach that can mean nothing else: not stored
	Released                // given back by the service: not stored
	Modified                // given back by the service: not stored
	Unknown                 // sent, wholly or in part, without an outcome: may or may not be stored
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

// Result is the result of one try. Err is nil if Outcome is Accepted, otherwise an *Error.
type Result struct {
	Outcome Outcome
	Err     error

	// Held, unless nil, is closed when the batch's memory may be changed or reused: a write of some
	// of it is still under way. If the write stands still, the connection is cut, so Held closes
	// soon. The exception is an application's net.Conn whose Write outlasts its Close.
	Held <-chan struct{}

	// Stale says that the link had ended before the try, which shows only when a link is used.
	// Nothing was sent. The next try opens another link.
	Stale bool
}

// Send makes one try to store a batch. The batch consists of data sections, each containing the
// encoding of a whole message, in pieces as [amqp.Delivery.Frames] has them. Send opens whatever is
// not open.
//
// Send ends with ctx. If ctx ends before the first byte has left, nothing was sent and nothing will
// be: the outcome is NotSent. The link stays if Send was waiting for the service's credit, unless
// the link has kept senders waiting in vain for openTimeout altogether. Otherwise the link is given
// up, which ends every other Send under way on this sender too. If the peer does not answer that
// within closeTimeout, the connection is cut; the sender's next link waits for the answer or the
// cut.
//
// Send retries nothing. See Result.Stale for a link that had ended before.
func (s *Sender) Send(ctx context.Context, batch [][]byte) Result {
	switch {
	case len(batch) == 0:
		return emptyBatch()
	case s.idempotent:
		return notSent(&Error{Code: CodeRejected, Err: errors.New("an idempotent sender sends with SendOn")})
	}
	l, err := s.open(ctx)
	if err != nil {
		return notSent(err)
	}
	return s.try(ctx, l, batch)
}

// BatchOf copies events, each the encoding of a whole message, to a batch as Send wants it, in
// pieces of the largest size.
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

// emptyBatch refuses a message without a body, which AMQP does not allow.
func emptyBatch() Result {
	return notSent(&Error{Code: CodeRejected, Err: errors.New("a batch needs at least one event")})
}

// try makes one try on a link. It waits for a token first only if the old one has expired or was
// refused.
func (s *Sender) try(ctx context.Context, l *link, batch [][]byte) (result Result) {
	p, err := l.client.authorize(ctx, s.hub, s.partitionID)
	if err != nil {
		return notSent(err)
	}

	start := time.Now()
	d, err := s.queue(l, batch)
	if err != nil {
		result = s.unsent(l, err)
		result.Stale = errorOfLink(err)
		return result
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
	return result
}

// queue hands a batch to a link.
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

// returned ends a send. over says that the engine no longer uses the delivery, so that another send
// may use it.
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

// settled turns an outcome into a Result, and notes what it means for the permit under which the
// message went.
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

// giveUp ends a try whose context has ended. The outcome may be known by now, if one write
// contained the batch and something that the network has not taken.
func (s *Sender) giveUp(ctx context.Context, l *link, p permit, d *amqp.Delivery, start time.Time) Result {
	err := ContextError(ctx)
	came := d.Withdraw()
	if came == amqp.Leaving {
		s.drop(l, err)
		came = d.Withdraw() // from here on no more of it leaves
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
		return notSent(classify(fmt.Errorf("waiting for an earlier message on the link: %w", err)))
	default:
		s.drop(l, err)
		return notSent(classify(fmt.Errorf("waiting for the service to take a message: %w", err)))
	}
}

// unsent is the result for a message of which nothing has left.
func (s *Sender) unsent(l *link, err error) Result {
	over := errorOfLink(err)
	if over {
		s.drop(l, err)
	}
	e := asError(err)
	if e.Code == CodeTooLarge && over { // another message was too large: the peer saw nothing of this one
		e = &Error{Code: CodeConnectionLost, TrackingID: e.TrackingID, Transient: true, Lost: true,
			Err: fmt.Errorf("nothing was sent: the link was ended for the size of another message: %w", err)}
	}
	return notSent(e)
}

// lostWith is the result for a message that has left and had no outcome when its link ended. If the
// peer detaches the link because a message is too large, and only one message has no outcome, that
// one is rejected. If several have none, any of them may be the large one, so each may be sent
// again.
func (l *link) lostWith(err error) Result {
	e := asError(err)
	if remote, ok := errors.AsType[*amqp.RemoteError](err); e.Code != CodeTooLarge || !ok || remote.Frame != "detach" {
		return Result{Outcome: Unknown, Err: e}
	}
	if l.amqp.Lost() == 1 {
		return Result{Outcome: Rejected, Err: e}
	}
	e = new(*e) // a copy, since it is changed
	e.Transient = true
	return Result{Outcome: Unknown, Err: e}
}

// stateResult turns a settled outcome into a Result.
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
