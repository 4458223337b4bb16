package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
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
	suspect bool    // numbers of a batch that has failed may still arrive, or the service does not know the producer any more: the epoch must be raised first
	doubted bool    // a batch has used up its tries while the raised epoch was refused: whatever the words, it may be the epoch
	fenced  error   // why nothing is sent any more: another producer has taken over

	recalled bool       // what Options.ProducerStore holds is known
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
	err := p.openNumbered(ctx)
	if err == nil {
		err = p.adopt(ctx)
	}
	if refused, why := i.refused(err); refused {
		if err = p.fence(why); err == nil {
			err = p.beginAnew(ctx, why)
		}
	}
	return err
}

// openNumbered is openLink for an idempotent producer. Only the refusal of an attach can say that another one has taken over: from the node that takes tokens, and from
// the connection, the same words are a fault that passes.
func (p *partition) openNumbered(ctx context.Context) error {
	err := p.openLink(ctx)
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Code == connection.CodeFenced && !e.Refused {
		e = new(*e) // others wait for it too
		e.Code, e.Transient = connection.CodeInternal, true
		return e
	}
	return err
}

// beginAnew becomes a new producer, since the service does not take the former one back, for a reason of its own: this changes nothing for what was told as
// stored. A service that takes nobody now has had another reason, and the producer stays who it is: its numbers tell where a source has to go on.
func (p *partition) beginAnew(ctx context.Context, why error) error {
	p.forget()
	if err := p.openNumbered(ctx); err != nil {
		p.claimEpoch()
		return err
	}
	i := p.identity
	p.producer.logger.Warn("eventhubs: the service refused an idempotent producer's higher epoch; it goes on as a new producer",
		"hub", p.producer.hubName, "partition", p.id, "producer", i.next.id, "epoch", i.next.epoch, "error", why)
	return p.adopt(ctx)
}

// recall asks Options.ProducerStore, once, who the producer was. If there was one, its epoch is raised next.
func (p *partition) recall(ctx context.Context) error {
	i, state := p.identity, p.producer.options.ProducerStore
	if i.recalled || state == nil {
		return nil
	}
	saved, err := state.Load(ctx, p.key())
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
	p.claimEpoch()
	return nil
}

// claimEpoch makes the next attach one with the epoch that was raised.
func (p *partition) claimEpoch() {
	i := p.identity
	i.suspect, i.adopted, i.raised, i.doubted = false, false, true, false
	p.link.Detach()
	p.link.Claim(&connection.Claim{ProducerID: i.next.id, Epoch: i.next.epoch})
}

// forget makes the next attach one without an identity, to which the service gives a new one.
func (p *partition) forget() {
	i := p.identity
	i.suspect, i.adopted, i.raised, i.doubted = false, false, false, false
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
	switch {
	case !i.raised:
	case reply.Sequence < 0:
		return notTaken("the service does not tell the last sequence number of a producer that comes back")
	case reply.ProducerID == i.next.id && reply.Epoch < i.next.epoch: // its numbers are those that may still arrive
		return notTaken("the service answers a higher epoch with a lower one")
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

// notTaken is for a reply to a raised epoch that is as good as a refusal.
func notTaken(how string) error {
	return &connection.Error{Code: connection.CodeOutOfOrder, Refused: true, Err: errors.New(how)}
}

// refused reports whether an attach failed because the service does not let the producer be who it claims to be, and why.
func (i *identity) refused(err error) (refused bool, why *connection.Error) {
	e, ok := errors.AsType[*connection.Error](err)
	switch {
	case !ok || !e.Refused: // the token, or the connection
		return false, nil
	case e.Code == connection.CodeFenced:
		return true, e
	case e.Code == connection.CodeUnauthorized, e.Code == connection.CodeQuotaExceeded: // neither rights nor limits have to do with who it is
		return false, nil
	}
	// In whatever words: nobody knows those of the real service. It costs one more attach to see whether it takes anybody else. See beginAnew.
	return i.raised && (!e.Transient || e.Code == connection.CodeInternal && i.doubted), e
}

// fence ends the partition's sending if another producer has taken over, with the error that says so. It returns nil where there can be none: nobody but us
// knows an id that is not kept anywhere.
func (p *partition) fence(why *connection.Error) error {
	i := p.identity
	if why.Code != connection.CodeFenced || i.raised && p.producer.options.ProducerStore == nil {
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
	i, state := p.identity, p.producer.options.ProducerStore
	if state == nil || i.saved == id {
		return nil
	}
	err := state.Save(ctx, p.key(), i.saved, id)
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

// key is what Options.ProducerStore knows the partition by.
func (p *partition) key() ProducerKey {
	return ProducerKey{FullyQualifiedNamespace: p.producer.namespace, EventHubName: strings.ToLower(p.producer.hubName), PartitionID: p.id}
}

func stateError(doing, partitionID string, err error) error {
	return &Error{Code: CodeProducerStore, PartitionID: partitionID, Transient: true, Err: fmt.Errorf("%s who the producer is (Options.ProducerStore): %w", doing, err)}
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
	e, failed := errors.AsType[*connection.Error](o.Err)
	refused := failed && e.Refused
	if i == nil || !b.numbered && !refused || i.take(p.producer.lifetime) != nil { // when lifetime is over nothing more is numbered
		return
	}
	defer i.release()
	present := b.numbers.id == i.next.id && b.numbers.epoch == i.next.epoch
	switch {
	case o.Storage == Stored:
		if present {
			i.next.first = follow(b.lastNumber(), 1)
		}
		i.last.Store(int64(b.lastNumber()))
	case failed && e.Code == connection.CodeFenced && present && !refused: // a former identity is no loss, and of an attach attachAs has seen to it
		_ = p.fence(e) // it is e: no claim is open while a batch is sent
	case o.Storage == PossiblyStored, b.numbered && (b.doubtful || failed && (e.Code == connection.CodeOutOfOrder || leavesOpen(e))):
		i.suspect = true
	case refused:
		// Perhaps the service has forgotten the producer while its link was idle: then it takes neither this epoch nor, see refused, the next.
		i.suspect, i.doubted = i.adopted, i.raised
	}
	// Otherwise it is certainly not stored, and the next batch has its numbers.
}

// leavesOpen reports whether a service that refuses a batch so may have stored it all the same: it has failed, or not done its work in time. For the batch's
// outcome its word counts, for numbers it does not: a later event with the same ones would be taken for what is stored, and be lost.
func leavesOpen(e *connection.Error) bool {
	return e.Transient && e.Code != connection.CodeThrottled && e.Code != connection.CodeReleased
}
