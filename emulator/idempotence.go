package emulator

import (
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	capabilityIdempotent = "com.microsoft:idempotent-producer"

	// Link properties and message annotations of an idempotent producer: a long, a short and an
	// int.
	producerID       = "com.microsoft:producer-id"
	producerEpoch    = "com.microsoft:producer-epoch"
	producerSequence = "com.microsoft:producer-sequence-number"

	conditionEpochStolen = "com.microsoft:producer-epoch-stolen"
	conditionOutOfOrder  = "com.microsoft:out-of-order-sequence"
	conditionInternal    = "amqp:internal-error"

	// maxProducers bounds how many producers a partition remembers; it forgets the one that was
	// idle longest.
	maxProducers = 4096
	// maxRecent is how many of a producer's batches are recognized when they come again. A client
	// has one under way.
	maxRecent = 16
	// maxProducerID keeps the emulator's ids exact in JavaScript's numbers.
	maxProducerID = 1 << 53
)

// Idempotence sets how the emulator treats idempotent producers. The zero value follows the
// official clients' own tests of the service. Where they are silent, docs/emulator.md states the
// decision.
type Idempotence struct {
	// Off makes a service that does not offer idempotent publishing. It does not grant the
	// capability. Its reply to an attach has no producer id, epoch or sequence number. It ignores
	// the annotations with these numbers.
	Off bool

	// ReportTracked makes the reply to an attach always state the last sequence number that the
	// partition knows of the producer. Otherwise the reply repeats the sequence number that the
	// client stated. The service's own choice is not known, so a client should work with both.
	ReportTracked bool

	// TrustNumbers makes the partition recognize a stored batch by its numbers alone. Otherwise the
	// events must be equal byte for byte, and other events under the same numbers are refused. With
	// it, a client that uses numbers twice loses events silently.
	TrustNumbers bool
}

// numbers are the producer's numbers on the events of one batch.
type numbers struct {
	id    int64
	epoch int16
	first int32
	last  int32
	sum   uint32 // checksum of the events' bytes
}

// A producer is a partition's record of an idempotent producer.
type producer struct {
	epoch  int16
	last   int32     // sequence number of its newest stored event, or the one that it stated at its first attach
	recent []numbers // of its newest batches, oldest first
	used   uint64    // clock value of its last use
}

// producers are the idempotent producers of a partition. The partition's mutex guards them.
type producers struct {
	byID  map[int64]*producer
	clock uint64 // counts the uses of all of them
}

// follow is the sequence number by after n: numbers wrap from the largest int to 0.
func follow(n int32, by int) int32 {
	return int32((int64(n) + int64(by)) & math.MaxInt32)
}

// check decides whether a batch may be stored, or is a duplicate of a stored one.
func (ps *producers) check(n *numbers, options Idempotence) (duplicate bool, refused *refusal) {
	p := ps.byID[n.id]
	switch {
	case p == nil:
		return false, refuse(conditionOutOfOrder, "The partition knows no producer with id %d; attach with this id first.", n.id)
	case n.epoch < p.epoch:
		return false, refuse(conditionEpochStolen, "The producer with id %d and epoch %d was replaced by one with epoch %d.", n.id, n.epoch, p.epoch)
	case n.epoch > p.epoch:
		return false, refuse(conditionArgumentRange, "The epoch %d of the producer with id %d is larger than %d, with which it attached.", n.epoch, n.id, p.epoch)
	case n.first == follow(p.last, 1):
		return false, nil
	}
	for _, r := range p.recent {
		if r == *n || options.TrustNumbers && r.epoch == n.epoch && r.first == n.first && r.last == n.last {
			return true, nil
		}
	}
	return false, refuse(conditionOutOfOrder, "The sequence numbers %d to %d of the producer with id %d and epoch %d are out of order. The last sequence number is %d.", n.first, n.last, n.id, n.epoch, p.last)
}

// stored records a batch that check has allowed.
func (ps *producers) stored(n *numbers) {
	p := ps.byID[n.id]
	p.advance(n)
	ps.touch(p)
}

// after is the record of a producer after its batch is stored; nil without numbers.
func (ps *producers) after(n *numbers) *producer {
	if n == nil || ps.byID[n.id] == nil {
		return nil
	}
	p := ps.byID[n.id].clone()
	p.advance(n)
	return p
}

func (p *producer) clone() *producer {
	c := *p
	c.recent = slices.Clone(p.recent)
	return &c
}

func (p *producer) advance(n *numbers) {
	p.last = n.last
	if len(p.recent) == maxRecent {
		p.recent = slices.Delete(p.recent, 0, 1)
	}
	p.recent = append(p.recent, *n)
}

// touch makes p the most recently used producer.
func (ps *producers) touch(p *producer) {
	ps.clock++
	p.used = ps.clock
}

// An identity is what a client states about itself when it attaches, and the reply. A null or
// missing part is not set; the partition fills it in.
type identity struct {
	id       amqp.Optional[int64]
	epoch    amqp.Optional[int16]
	sequence amqp.Optional[int32]
}

// enroll registers a client that attaches as want as a producer of the partition. If the journal
// fails, nothing has changed: a producer whose epoch could not be stored fences no other.
func (p *partition) enroll(want identity) (got identity, refused *refusal) {
	if p.journal != nil {
		p.writing <- struct{}{}
		defer func() { <-p.writing }()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed != nil {
		return got, p.closed
	}
	got, state, refused := p.producers.plan(want, p.settings.idempotent)
	if refused != nil {
		return got, refused
	}
	id := got.id.Value
	forgotten := p.producers.surplus(id)
	if p.journal != nil {
		p.mu.Unlock()
		err := p.journal.putProducer(p.index, id, state, forgotten) // only the holder of writing changes the producers meanwhile
		p.mu.Lock()
		if err != nil {
			return got, refuse(conditionInternal, "The producer could not be stored: %v.", err)
		}
	}
	p.producers.enroll(id, state, forgotten)
	return got, nil
}

// plan finds the producer that a client states, or makes one. It changes nothing: state is the
// producer's new record.
func (ps *producers) plan(want identity, options Idempotence) (got identity, state *producer, refused *refusal) {
	id := want.id.Value
	for !want.id.Set && (id == 0 || ps.byID[id] != nil) {
		id = rand.Int64N(maxProducerID)
	}
	if p := ps.byID[id]; p != nil {
		state = p.clone()
	} else {
		state = &producer{epoch: want.epoch.Value, last: want.sequence.Value}
	}
	epoch := want.epoch.Or(state.epoch)
	if epoch < state.epoch {
		return got, nil, refuse(conditionEpochStolen, "A producer with id %d and the higher epoch %d exists. A producer with epoch %d cannot be created.", id, state.epoch, epoch)
	}
	state.epoch = epoch
	sequence := state.last
	if !options.ReportTracked {
		sequence = want.sequence.Or(sequence)
	}
	return identity{amqp.Some(id), amqp.Some(epoch), amqp.Some(sequence)}, state, nil
}

// surplus are the producers to forget when one with this id is enrolled: those idle longest.
func (ps *producers) surplus(id int64) (forgotten []int64) {
	n := len(ps.byID)
	if ps.byID[id] == nil {
		n++
	}
	for ; n > maxProducers; n-- {
		oldest, used := id, uint64(math.MaxUint64)
		for other, p := range ps.byID {
			if p.used < used && other != id && !slices.Contains(forgotten, other) {
				oldest, used = other, p.used
			}
		}
		forgotten = append(forgotten, oldest)
	}
	return forgotten
}

// enroll sets the record of a producer and forgets others.
func (ps *producers) enroll(id int64, state *producer, forgotten []int64) {
	for _, other := range forgotten {
		delete(ps.byID, other)
	}
	if ps.byID == nil {
		ps.byID = make(map[int64]*producer)
	}
	ps.byID[id] = state
	ps.touch(state)
}

// wantsIdempotence reports whether the client of a sender link becomes an idempotent producer. That
// is possible only on a link to a partition, since the numbers belong to the partition.
func (a *attach) wantsIdempotence() bool {
	return !a.receiver && a.partition != nil && !a.partition.settings.idempotent.Off &&
		slices.Contains(a.remote.DesiredCapabilities, capabilityIdempotent)
}

// enroll registers the client as an idempotent producer and returns the link properties with its
// identity.
func (a *attach) enroll() (amqp.Map, *refusal) {
	want, refused := readIdentity(a.remote.Properties)
	if refused != nil {
		return nil, refused
	}
	got, refused := a.partition.enroll(want)
	if refused != nil {
		return nil, refused
	}
	return amqp.Map{
		{Key: amqp.Symbol(producerID), Value: got.id.Value},
		{Key: amqp.Symbol(producerEpoch), Value: got.epoch.Value},
		{Key: amqp.Symbol(producerSequence), Value: got.sequence.Value},
	}, nil
}

// readIdentity reads the link properties of an idempotent producer.
func readIdentity(properties amqp.Map) (want identity, refused *refusal) {
	for _, p := range []struct {
		key, kind string
		read      func(any) (int64, bool)
	}{
		{producerID, "long", func(v any) (n int64, ok bool) { n, ok = v.(int64); want.id = amqp.Some(n); return }},
		{producerEpoch, "short", func(v any) (int64, bool) { n, ok := v.(int16); want.epoch = amqp.Some(n); return int64(n), ok }},
		{producerSequence, "int", func(v any) (int64, bool) { n, ok := v.(int32); want.sequence = amqp.Some(n); return int64(n), ok }},
	} {
		v, _ := properties.Get(p.key)
		if v == nil {
			continue
		}
		n, ok := p.read(v)
		if !ok {
			return want, refuse(conditionArgument, "The link property '%s' has the type %s; it must be of type %s.", p.key, amqp.TypeName(v), p.kind)
		}
		if n < 0 {
			return want, refuse(conditionArgumentRange, "The link property '%s' is %d; it cannot be negative.", p.key, n)
		}
	}
	return want, nil
}

// number reads the numbers of an idempotent producer's batch. Each event must have the next number.
func (b *batch) number() *refusal {
	var n numbers
	for i, e := range b.events {
		id, epoch, sequence, refused := readNumbers(b.buffer[e.annotations:e.rest])
		switch {
		case refused != nil:
			return refused
		case i == 0:
			n = numbers{id: id, epoch: epoch, first: sequence}
		case id != n.id || epoch != n.epoch:
			return refuse(conditionArgument, "Event %d of the batch is of another producer than the first one.", i)
		case sequence != follow(n.first, i):
			return refuse(conditionOutOfOrder, "Event %d of the batch has the sequence number %d instead of %d.", i, sequence, follow(n.first, i))
		}
		n.last = sequence
		n.sum = crc32.Update(n.sum, castagnoli, b.message(i))
	}
	b.numbers = &n
	return nil
}

// castagnoli is the polynomial for which processors have an instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)
