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

// An identity holds the id, the epoch and the numbers of an idempotent producer on one partition.
// The service stores the event with the number after the last one that it knows. It recognises
// events that it has stored already, and refuses all others. A producer that attaches with a higher
// epoch fences off the events of lower epochs that are still on their way.
//
// The holder of the turn owns the fields: the partition's sender, or Connect while it opens the
// link.
type identity struct {
	// Immutable after newIdentity.
	partitionID string
	key         ProducerKey
	store       ProducerStore   // nil: nothing is kept
	journal     *identityRecord // the store, if that is the journal; else nil
	link        link
	lifetime    *lifetime
	observer    *observer

	turn chan struct{} // has room for one holder
	last atomic.Int64  // number of the last stored event; -1 while unknown. For Stats

	fenced  atomic.Bool // state is identityFenced
	counted atomic.Bool // of events of former lives in the journal it is known whether the service has stored them

	state   identityState
	fence   error      // why the partition sends nothing any more; nil unless fenced
	saved   ProducerID // the store's id, unless unread
	next    numbers    // of the next batch
	skip    int        // events that the service has stored, at the front of the lane in the journal
	certain bool       // the reply to the latest raised epoch has counted what is stored
	attach  uint64     // the attach whose reply was taken over; zero before the first
}

// An identityState is how an identity stands with the service. It begins as unread, or as fresh if
// there is no store.
//
//	from      event                                                        to
//	unread    the store holds no id                                        fresh
//	unread    the store holds an id                                        suspect
//	fresh     the reply to an attach gives an id                           agreed
//	fresh     the service refused the old id, and takes no new one either  raised
//	agreed    the reply to an attach gives another id or epoch             agreed
//	agreed    the service refuses a batch: it may have forgotten the id    suspect
//	suspect   the next epoch is saved                                      raised
//	suspect   there is no next epoch                                       fresh
//	raised    the reply to an attach takes the epoch                       agreed
//	raised    the service refuses the epoch for good                       fresh
//	raised    a batch runs out of tries while the epoch is refused         doubted
//	doubted   the reply to an attach takes the epoch                       agreed
//	doubted   the service refuses the epoch, for good or by an own fault   fresh
//	each      numbers of a failed batch may still arrive                   suspect
//	each      another process saves an id before the first reply           unread
//	each      another producer has taken over                              fenced
//	fenced    any                                                          fenced
type identityState int

const (
	identityUnread  identityState = iota // Options.ProducerStore was not asked yet
	identityFresh                        // the next attach asks for a new id
	identityAgreed                       // the service has agreed to next
	identitySuspect                      // the epoch must be raised before anything is sent
	identityRaised                       // the link claims a raised epoch that no reply has taken
	identityDoubted                      // raised, and a batch ran out of tries: maybe for the epoch
	identityFenced                       // another producer has taken over
)

func newIdentity(p *partition) *identity {
	i := &identity{
		partitionID: p.id,
		key:         ProducerKey{FullyQualifiedNamespace: p.namespace, EventHubName: strings.ToLower(p.hubName), PartitionID: p.id},
		store:       p.options.ProducerStore, link: p.link, lifetime: p.lifetime, observer: p.observer,
		turn: make(chan struct{}, 1),
	}
	if p.lane != nil {
		i.journal = &identityRecord{journal: p.journal, lane: p.lane}
		i.store = *i.journal
	}
	if i.store == nil {
		i.state = identityFresh
	}
	i.last.Store(-1)
	return i
}

// take waits for the turn until ctx ends.
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

// claims reports whether the link claims an epoch that no reply has taken yet.
func (i *identity) claims() bool { return i.state == identityRaised || i.state == identityDoubted }

// open attaches the link as the producer whose numbers the partition's next batch carries, unless
// it is attached so. The caller holds the turn.
func (i *identity) open(ctx context.Context) error {
	switch i.state {
	case identityFenced:
		return i.fence
	case identityUnread:
		if err := i.read(ctx); err != nil {
			return err
		}
	}
	if i.state == identitySuspect {
		if err := i.raise(ctx); err != nil {
			return err
		}
	}
	err := i.attachLink(ctx)
	if err == nil {
		err = i.takeReply(ctx)
	}
	if refused, why := i.refused(err); refused {
		if err = i.fenceFor(why); err == nil {
			err = i.startOver(ctx, why)
		}
	}
	return err
}

// attachLink opens the link. Only a refused attach shows that another producer has taken over. The
// same code from the token node ($cbs), or for the connection, is a fault that passes.
func (i *identity) attachLink(ctx context.Context) error {
	err := i.link.Open(ctx)
	if e, ok := errors.AsType[*connection.Error](err); ok && e.Code == connection.CodeFenced && !e.Refused {
		e = new(*e) // other partitions share the error
		e.Code, e.Transient = connection.CodeInternal, true
		return e
	}
	return err
}

// startOver asks for a new id, since the service refuses the former one. Events that were reported
// as stored stay stored. If the service accepts no producer at all now, the refusal had another
// reason. Then the identity keeps its id and numbers, because the numbers say where a source has to
// go on.
func (i *identity) startOver(ctx context.Context, why error) error {
	i.drop()
	if err := i.attachLink(ctx); err != nil {
		i.claim()
		return err
	}
	i.observer.becameNew(i.partitionID, i.next, why)
	return i.takeReply(ctx)
}

// read loads the producer's last id and epoch from the store, once.
func (i *identity) read(ctx context.Context) error {
	saved, err := i.store.Load(ctx, i.key)
	if err != nil {
		return i.storeError("loading", err)
	}
	i.state, i.saved = identityFresh, saved
	if saved != (ProducerID{}) {
		i.state, i.next.id, i.next.epoch = identitySuspect, saved.ID, saved.Epoch
	}
	return nil
}

// raise gives up the link, and claims the next epoch for the next attach. When the service accepts
// the claim, it fences off the batches of the old epoch.
func (i *identity) raise(ctx context.Context) error {
	if i.next.epoch == math.MaxInt16 {
		i.drop()
		return nil
	}
	claim := ProducerID{ID: i.next.id, Epoch: i.next.epoch + 1}
	// The store keeps the epoch before the service sees it. A crash in between skips an epoch, and
	// never uses one twice.
	if err := i.save(ctx, claim); err != nil {
		return err
	}
	i.next.epoch = claim.Epoch
	i.claim()
	return nil
}

// claim makes the next attach claim the raised epoch.
func (i *identity) claim() {
	i.state = identityRaised
	i.link.Detach()
	i.link.Claim(&connection.Claim{ProducerID: i.next.id, Epoch: i.next.epoch})
}

// drop makes the next attach claim nothing, so that the service gives a new id.
func (i *identity) drop() {
	i.state = identityFresh
	i.link.Detach()
	i.link.Claim(nil)
}

// takeReply takes over the service's reply to a new attach.
func (i *identity) takeReply(ctx context.Context) error {
	reply, attach := i.link.Identity()
	if i.state == identityAgreed {
		switch {
		case attach == i.attach:
			return nil
		case reply.ProducerID == i.next.id && reply.Epoch == i.next.epoch:
			// The producer is the same. Batches that were sent keep their numbers, whatever number
			// the reply has. See stored.
			i.attach = attach
			return nil
		}
	}
	switch {
	case !i.claims():
	case reply.Sequence < 0:
		return notTaken("the service does not tell the last sequence number of a producer that comes back")
	case reply.ProducerID == i.next.id && reply.Epoch < i.next.epoch:
		// Its numbers are those that may still arrive.
		return notTaken("the service answers a higher epoch with a lower one")
	}
	same := i.claims() && reply.ProducerID == i.next.id
	became := ProducerID{ID: reply.ProducerID, Epoch: reply.Epoch}
	if err := i.save(ctx, became); err != nil {
		return err
	}
	i.link.Claim(&connection.Claim{ProducerID: became.ID, Epoch: became.Epoch})
	last := max(reply.Sequence, 0)
	if err := i.agree(same, last); err != nil {
		return err
	}
	i.next = numbers{id: became.ID, epoch: became.Epoch, first: follow(last, 1)}
	i.state, i.attach = identityAgreed, attach
	i.last.Store(int64(last))
	return nil
}

// agree lets the journal compare its last number with the service's.
func (i *identity) agree(same bool, last int32) error {
	if i.journal == nil {
		return nil
	}
	before := int64(-1)
	if i.attach != 0 {
		before = i.last.Load()
	}
	stored, counted, err := i.journal.agree(same, before, last)
	if err != nil {
		return i.storeError("saving", err)
	}
	i.skip += stored
	i.counted.Store(i.skip == 0)
	i.certain = counted // a number that went back counts nothing: the service has forgotten the producer
	return nil
}

// stop ends all sending to the partition, for that reason, which it returns.
func (i *identity) stop(why *connection.Error) error {
	i.state, i.fence = identityFenced, why
	i.fenced.Store(true)
	return why
}

// notTaken returns the error for a reply to a raised epoch that amounts to a refusal.
func notTaken(how string) error {
	return &connection.Error{Code: connection.CodeOutOfOrder, Refused: true, Err: errors.New(how)}
}

// refused reports whether an attach failed because the service refuses the producer's claim, and
// returns the error.
func (i *identity) refused(err error) (refused bool, why *connection.Error) {
	e, ok := errors.AsType[*connection.Error](err)
	switch {
	case !ok || !e.Refused: // the token, or the connection
		return false, nil
	case e.Code == connection.CodeFenced:
		return true, e
	case e.Code == connection.CodeUnauthorized, e.Code == connection.CodeQuotaExceeded:
		// Neither depends on the identity.
		return false, nil
	}
	// The code of the refusal does not matter, because the real service's is not known. One more
	// attach shows whether the service accepts a new producer. See startOver.
	return i.claims() && (!e.Transient || e.Code == connection.CodeInternal && i.state == identityDoubted), e
}

// fenceFor fences the partition if the error says that another producer has taken over, and returns
// that error. It returns nil if no other producer can exist: an id without a store is known to this
// producer only.
func (i *identity) fenceFor(why *connection.Error) error {
	if why.Code != connection.CodeFenced || i.claims() && i.store == nil {
		return nil
	}
	i.observer.fenced(i.partitionID, i.next)
	return i.stop(why)
}

// save keeps the id and epoch, if there is a store. Another process that has saved an id meanwhile
// has taken over. This is final if this producer has sent something; otherwise the latest of both
// wins.
func (i *identity) save(ctx context.Context, id ProducerID) error {
	if i.store == nil || i.saved == id {
		return nil
	}
	err := i.store.Save(ctx, i.key, i.saved, id)
	switch {
	case err == nil:
		i.saved = id
		return nil
	case !errors.Is(err, ErrProducerStateChanged):
		return i.storeError("saving", err)
	case i.attach != 0:
		return i.fenceFor(&connection.Error{Code: connection.CodeFenced, Err: err})
	}
	i.drop()
	i.state, i.saved = identityUnread, ProducerID{}
	return i.storeError("saving", err)
}

func (i *identity) storeError(doing string, err error) error {
	return &Error{Code: CodeProducerStore, PartitionID: i.partitionID, Transient: true, Err: fmt.Errorf("%s who the producer is (Options.ProducerStore): %w", doing, err)}
}

// stored reports whether the reply to the latest attach shows that the batch is stored, which was
// sent before it. No other event gets the batch's numbers until the batch is settled. So the last
// number of the reply is the batch's if, and only if, the batch is stored.
func (i *identity) stored(b *batch) bool {
	reply, attach := i.link.Identity()
	return attach == i.attach && reply.ProducerID == b.numbers.id && reply.Epoch == b.numbers.epoch && reply.Sequence == b.lastNumber()
}

// lastNumber is the number of the batch's last event.
func (b *batch) lastNumber() int32 { return follow(b.numbers.first, b.count-1) }

// suspect makes the next attach raise the epoch before the partition sends anything else.
func (i *identity) suspect() {
	if i.state != identityFenced {
		i.state = identitySuspect
	}
}

// record notes the outcome of a batch and its numbers, if it has any.
func (i *identity) record(b *batch, o Outcome) {
	e, failed := errors.AsType[*connection.Error](o.Err)
	refused := failed && e.Refused
	// After lifetime.all ends, no batch is numbered.
	if !b.numbered && !refused || i.take(i.lifetime.all) != nil {
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
	case failed && e.Code == connection.CodeFenced && present && !refused:
		// Losing a former identity costs nothing; open handles a refused attach.
		_ = i.fenceFor(e) // it is e: no claim is open while a batch is sent
	case o.Storage == PossiblyStored, b.numbered && (b.doubtful || failed && (e.Code == connection.CodeOutOfOrder || leavesOpen(e))):
		i.suspect()
	case refused && i.state == identityAgreed:
		// The service may have forgotten the producer while its link was idle. Then it accepts
		// neither this epoch nor the next: see refused.
		i.state = identitySuspect
	case refused && i.state == identityRaised:
		i.state = identityDoubted
	}
	// Otherwise the batch is certainly not stored, and the next one gets its numbers.
}

// leavesOpen reports whether a service that refuses a batch with that error may have stored it.
// That is so if the service failed, or ran out of time. The batch's outcome follows the service's
// word. The numbers do not: the service would take a later event with the same numbers for the
// stored one, and lose it.
func leavesOpen(e *connection.Error) bool {
	return e.Transient && e.Code != connection.CodeThrottled && e.Code != connection.CodeReleased
}
