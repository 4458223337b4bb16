package emulator

import (
	"context"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// publisherCredit is how many messages a client may have under way to a link.
const publisherCredit = 300

// servePublisher stores a client's events until the link is detached.
func (a *attach) servePublisher(ctx context.Context, action Action) {
	if a.accept() != nil {
		return
	}
	if action.answer == answerWithhold && !a.withhold(ctx, action.answerDelay) {
		return
	}
	if a.link.Credit(publisherCredit) != nil { // the engine renews it
		return
	}
	in := a.newInbox(ctx)
	defer in.close()
	for {
		d, err := in.receive()
		if err != nil {
			a.connection.log.Debug("sender gone", "address", a.address.text, "error", err)
			return
		}
		if !a.receive(ctx, d) {
			return
		}
		if a.connection.server.options.Discard {
			d.Recycle()
		}
	}
}

// withhold waits until the client may have credit; false if the link ended meanwhile.
func (a *attach) withhold(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		<-a.link.Done()
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.link.Done():
		return false
	case <-ctx.Done():
		return false
	}
}

// receive applies the hook's action to one message; false if the link is over.
func (a *attach) receive(ctx context.Context, d *amqp.Delivery) bool {
	if d.TooLarge {
		return a.reject(d, refuse(conditionSize, textMessageSizeExceeded, d.ID(), d.Size, a.maxMessageSize()))
	}
	b, route, refused := splitMessage(d.Payload, d.Format)
	if refused != nil {
		return a.reject(d, refused)
	}
	if a.idempotent {
		if refused := b.number(); refused != nil {
			return a.reject(d, refused)
		}
	}
	p := a.choose(&route)
	op := Operation{
		Kind:         KindTransfer,
		Connection:   a.connection.number,
		Address:      a.address.text,
		Hub:          a.hub.name,
		PartitionID:  p.id,
		PartitionKey: route.key,
		Events:       len(b.events),
		Bytes:        len(d.Payload),
	}
	action, ok := a.decide(ctx, op)
	if !ok {
		return false
	}
	a.messages.Add(1)
	a.events.Add(int64(op.Events))
	if action.performs() {
		refused = a.store(p, b, op)
	}
	return a.acknowledge(ctx, d, action.unless(refused))
}

// reject refuses a message that cannot be read; false if the link is over. A client that has
// settled its message gets no outcome, so its link is detached: the loss would be silent.
func (a *attach) reject(d *amqp.Delivery, refused *refusal) bool {
	if d.Settled {
		_ = a.link.Detach(refused.amqp())
		return false
	}
	_ = d.Settle(refused.rejected())
	return true
}

// store stores a batch, unless the throughput units are used up or the partition refuses it.
func (a *attach) store(p *partition, b *batch, op Operation) *refusal {
	server := a.connection.server
	if refused := server.namespace.throttle.ingress(op.Bytes, op.Events); refused != nil {
		server.faults.noteThrottled(op)
		return refused
	}
	return a.hub.store(p, b)
}

// unless is the action, or a rejection if the service refuses an operation that the action lets
// pass.
func (a Action) unless(refused *refusal) Action {
	if refused != nil && a.answer == answerNormal {
		a.answer, a.refused = answerReject, refused
	}
	return a
}

// choose returns the partition of a message: the link's own, else by key, else in turn.
func (a *attach) choose(r *route) *partition {
	if a.partition != nil {
		return a.partition
	}
	if a.address.hasPublisher {
		r.key, r.hasKey = a.address.publisher, true // a publisher's name is the key of all its events
	}
	return a.hub.choose(r.key, r.hasKey)
}

// acknowledge answers the client as the action says; false if the link is over.
func (a *attach) acknowledge(ctx context.Context, d *amqp.Delivery, action Action) bool {
	switch action.answer {
	case answerSilence:
		return true
	case answerCut:
		a.connection.amqp.Cut()
		return false
	case answerClose:
		_ = a.connection.close(action.refusal())
		return false
	case answerDetach:
		_ = a.link.Detach(action.refusal().amqp())
		return false
	}
	if d.Settled {
		return true // the client wants no answer
	}
	outcome := action.outcome()
	if action.answerDelay <= 0 {
		return d.Settle(outcome) == nil
	}
	// It ends after the delay or with the link; the connection waits for it.
	a.connection.wg.Go(func() {
		if wait(ctx, action.answerDelay) {
			_ = d.Settle(outcome)
		}
	})
	return true
}

// outcome is the delivery state of an action.
func (a Action) outcome() amqp.DeliveryState {
	switch a.answer {
	case answerReject:
		return a.refusal().rejected()
	case answerRelease:
		return amqp.Released{}
	case answerModify:
		return amqp.Modified{DeliveryFailed: true}
	default:
		return amqp.Accepted{}
	}
}

// amqp is the refusal as the error of a detach or a close.
func (r *refusal) amqp() *amqp.Error {
	return &amqp.Error{Condition: amqp.Symbol(r.condition), Description: r.text}
}

// rejected is the refusal as the outcome of a delivery.
func (r *refusal) rejected() amqp.DeliveryState {
	return amqp.Rejected{Error: r.amqp()}
}
