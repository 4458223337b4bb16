package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// An identity is who an idempotent producer is to the service on one partition: an id, an epoch, and how far its numbers have come. The service stores
// what follows the last number that it knows, recognises what it has stored already, and refuses everything else; whoever attaches with a higher
// epoch fences off what the lower ones still have on their way.
//
// It belongs to whoever holds its turn: the partition's sender, or Connect while it opens the link.
type identity struct {
	turn chan struct{} // has room for the one who holds it
	last atomic.Int64  // number of the event that was stored last; -1 while it is not known. For Stats

	next    numbers // of the next batch
	attach  uint64  // the attach whose reply is taken over; zero before the first
	adopted bool    // next is what the service has agreed to, under the present claim
	raised  bool    // the present claim raises the epoch, and no reply has taken it yet
	suspect bool    // numbers of a batch that has failed may still arrive: the epoch must be raised before others are used
	fenced  error   // why nothing is sent any more: another producer has taken over

	recalled bool       // what Options.ProducerState holds is known
	saved    ProducerID // that
}

func newIdentity() *identity {
	i := &identity{turn: make(chan struct{}, 1)}
	i.last.Store(-1)
	return i
}

// take waits for the turn, no longer than ctx.
func (i *identity) take(ctx context.Context) error {
	select {
	case i.turn <- struct{}{}:
		return nil // also if ctx has ended
	default:
	}
	select {
	case i.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (i *identity) release() { <-i.turn }

// attachAs opens the link as the producer whose numbers the partition's events are to carry, as far as that is not done. Whoever calls it holds the
// identity's turn.
func (p *partition) attachAs(ctx context.Context) error {
	i := p.identity
	if i.fenced != nil {
		return i.fenced
	}
	if err := p.recall(ctx); err != nil {
		return err
	}
	if i.suspect {
		if err := p.raise(ctx); err != nil {
			return err
		}
	}
	err := p.openLink(ctx)
	if err == nil {
		err = p.adopt(ctx)
	}
	if refused, why := i.refused(err); refused {
		if err = p.fence(why); err == nil {
			// The service does not take the producer back, for a reason of its own: this changes nothing for what was told as stored.
			p.producer.logger.Warn("eventhubs: the service refused an idempotent producer's higher epoch; it goes on as a new producer",
				"hub", p.producer.hubName, "partition", p.id, "producer", i.next.id, "epoch", i.next.epoch, "error", why)
			p.forget()
			if err = p.openLink(ctx); err == nil {
				err = p.adopt(ctx)
			}
		}
	}
	return err
}

// recall asks Options.ProducerState, once, who the producer was. If there was one, its epoch is raised next.
func (p *partition) recall(ctx context.Context) error {
	i, state := p.identity, p.producer.options.ProducerState
	if i.recalled || state == nil {
		return nil
	}
	saved, err := state.Load(ctx, p.id)
	if err != nil {
		return stateError("loading", p.id, err)
	}
	i.recalled, i.saved = true, saved
	if saved != (ProducerID{}) {
		i.next.id, i.next.epoch, i.suspect = saved.ID, saved.Epoch, true
	}
	return nil
}

// raise claims the next epoch for the link that is opened next, and gives up the present one. What the old epoch has on its way is fenced off when the
// service takes the claim.
func (p *partition) raise(ctx context.Context) error {
	i := p.identity
	if i.next.epoch == math.MaxInt16 {
		p.forget()
		return nil
	}
	claim := ProducerID{ID: i.next.id, Epoch: i.next.epoch + 1}
	// Before the service hears of it: a crash in between skips an epoch, and never uses one twice.
	if err := p.save(ctx, claim); err != nil {
		return err
	}
	i.next.epoch = claim.Epoch
	i.suspect, i.adopted, i.raised = false, false, true
	p.link.Detach()
	p.link.Claim(&connection.Claim{ProducerID: claim.ID, Epoch: claim.Epoch})
	return nil
}

// forget makes the next attach one without an identity, to which the service gives a new one.
func (p *partition) forget() {
	i := p.identity
	i.suspect, i.adopted, i.raised = false, false, false
	p.link.Detach()
	p.link.Claim(nil)
}

// adopt takes over what the service's reply to a new attach says.
func (p *partition) adopt(ctx context.Context) error {
	i := p.identity
	reply, attach := p.link.Identity()
	if attach == i.attach && i.adopted {
		return nil
	}
	if i.adopted && reply.ProducerID == i.next.id && reply.Epoch == i.next.epoch {
		// The same producer again: what was sent keeps its numbers, whatever the reply says. See stored.
		i.attach = attach
		return nil
	}
	if reply.Sequence < 0 && i.raised {
		return &connection.Error{Code: connection.CodeOutOfOrder, Refused: true, Err: errors.New("the service does not tell the last sequence number of a producer that comes back")}
	}
	became := ProducerID{ID: reply.ProducerID, Epoch: reply.Epoch}
	if err := p.save(ctx, became); err != nil {
		return err
	}
	p.link.Claim(&connection.Claim{ProducerID: became.ID, Epoch: became.Epoch})
	last := max(reply.Sequence, 0)
	i.next = numbers{id: became.ID, epoch: became.Epoch, first: follow(last, 1)}
	i.attach, i.adopted, i.raised = attach, true, false
	i.last.Store(int64(last))
	return nil
}

// refused reports whether an attach failed because the service does not let the producer be who it claims to be, and why.
func (i *identity) refused(err error) (refused bool, why *connection.Error) {
	e, ok := errors.AsType[*connection.Error](err)
	if !ok {
		return false, nil
	}
	switch e.Code {
	case connection.CodeFenced:
		return true, e
	case connection.CodeOutOfOrder, connection.CodePartitionUnknown, connection.CodeRejected: // an epoch out of range is the same to it as a partition
		return i.raised && e.Refused, e // and not the token, or the connection
	default:
		return false, nil
	}
}

// fence ends the partition's sending if another producer has taken over, with the error that says so. It returns nil where there can be none: nobody but us
// knows an id that is not kept anywhere.
func (p *partition) fence(why *connection.Error) error {
	i := p.identity
	if why.Code != connection.CodeFenced || i.raised && p.producer.options.ProducerState == nil {
		return nil
	}
	i.fenced = why
	p.producer.logger.Error("eventhubs: another producer with the same identity has taken this partition over; nothing more is sent to it",
		"hub", p.producer.hubName, "partition", p.id, "producer", i.next.id, "epoch", i.next.epoch)
	return why
}

// save keeps who the producer is, if that is asked for. If somebody else has done so meanwhile they have taken over: from a producer that has sent something
// already for good, and else whoever comes last is the one.
func (p *partition) save(ctx context.Context, id ProducerID) error {
	i, state := p.identity, p.producer.options.ProducerState
	if state == nil || i.saved == id {
		return nil
	}
	err := state.Save(ctx, p.id, i.saved, id)
	switch {
	case err == nil:
		i.saved = id
		return nil
	case !errors.Is(err, ErrProducerStateChanged):
		return stateError("saving", p.id, err)
	case i.attach != 0:
		return p.fence(&connection.Error{Code: connection.CodeFenced, Err: err})
	}
	i.recalled, i.saved = false, ProducerID{}
	p.forget()
	return stateError("saving", p.id, err)
}

func stateError(doing, partitionID string, err error) error {
	return &Error{Code: CodeProducerState, PartitionID: partitionID, Transient: true, Err: fmt.Errorf("%s who the producer is (Options.ProducerState): %w", doing, err)}
}

// stored reports whether the service, when it was last attached to, has told that the batch, which was sent before, is stored. While it is not settled
// nothing else uses its numbers, so that its last is the one that the service knows of if and only if it is.
func (p *partition) stored(b *batch) bool {
	reply, attach := p.link.Identity()
	i := p.identity
	return attach == i.attach && reply.ProducerID == b.numbers.id && reply.Epoch == b.numbers.epoch && reply.Sequence == b.lastNumber()
}

// lastNumber is the number of the batch's last event.
func (b *batch) lastNumber() int32 { return follow(b.numbers.first, b.count-1) }

// conclude notes what became of a batch and of its numbers, if it has any.
func (p *partition) conclude(b *batch, o Outcome) {
	i := p.identity
	if i == nil || !b.handed || i.take(p.producer.lifetime) != nil { // when lifetime is over nothing more is numbered
		return
	}
	defer i.release()
	e, failed := errors.AsType[*connection.Error](o.Err)
	switch {
	case o.Storage == Stored:
		if b.numbers.id == i.next.id && b.numbers.epoch == i.next.epoch {
			i.next.first = follow(b.lastNumber(), 1)
		}
		i.last.Store(int64(b.lastNumber()))
	case failed && e.Code == connection.CodeFenced:
		_ = p.fence(e) // it is e: no claim is open while a batch is sent
	case o.Storage == PossiblyStored, failed && e.Code == connection.CodeOutOfOrder:
		i.suspect = true
	}
	// Otherwise it is certainly not stored, and the next batch has its numbers.
}
