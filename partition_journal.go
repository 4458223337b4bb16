package eventhubs

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// With a journal a batch ends only if it is stored, has expired, or is refused for what it is.
// Everything else is tried again, for as long as the producer lives, and then stays in the journal.

// leastPause is the pause before a batch is tried again whose tries are over, also with a negative
// RetryDelay: it may be tried for days.
const leastPause = 100 * time.Millisecond

// goesOn reports whether a batch is tried again although the options say that its tries are over.
func (p *partition) goesOn(b *batch, r connection.Result) bool {
	if p.lane == nil {
		return false
	}
	e, ok := errors.AsType[*connection.Error](r.Err)
	switch {
	case !ok:
		return true
	case e.Code == connection.CodeFenced:
		return false
	case p.unclear(b):
		return true
	}
	return r.Outcome != connection.Rejected || !refusesContent(e.Code)
}

// refusesContent reports whether a refusal is about the events of a batch, so that it comes again
// whatever happens.
func refusesContent(code connection.Code) bool {
	return code == connection.CodeTooLarge || code == connection.CodeRejected
}

// unclear reports whether the number of the service will show if a batch is stored.
func (p *partition) unclear(b *batch) bool {
	return p.lane != nil && p.identity != nil && b.ambiguous && !b.untold
}

// askNumber ends the use of a batch's numbers, as if the batch had failed. If they may be used up,
// the next attach raises the epoch, and the reply says whether the batch is stored.
func (p *partition) askNumber(b *batch, reason error) {
	if p.identity == nil {
		return
	}
	p.identity.record(b, b.failed(reason))
	b.numbered, b.doubtful = false, false
}

// skipStored ends the events at the front of the lane that the service has stored already. A former
// life has sent them, or a try without an answer. The reply to the latest attach has shown how many
// these are. Others stay in the batch, or go back to the queue. The caller holds the identity's
// turn.
func (p *partition) skipStored(b *batch) (stored bool, err error) {
	i := p.identity
	p.doubt(b) // the service may have forgotten the producer at this attach
	if i.skip == 0 {
		switch {
		case !b.ambiguous || b.numbered:
		case i.certain:
			b.ambiguous = b.untold
		default:
			b.untold = true
		}
		return false, nil
	}
	known := 0
	for known < min(b.count, i.skip) && (b.ambiguous || at(b.extras.positions, known) < p.journal.life) {
		known++
	}
	if known < min(b.count, i.skip) {
		return false, i.stop(&connection.Error{Code: connection.CodeFenced, Err: fmt.Errorf("the service has stored %d events more of this producer than the journal has sent: "+
			"the journal is an older copy, or another process has used a copy of it; enable the partition again with a new directory", i.skip)})
	}
	if known < b.count {
		p.putBack(b.split(func(n int) bool { return n >= known }, math.MaxInt))
	}
	i.skip -= known
	i.counted.Store(i.skip == 0)
	return true, nil
}

// mayBeStored reports whether a former life may have stored events of the batch, and no reply of
// the service has shown it yet. Until then they do not expire: their numbers may be used up.
func (p *partition) mayBeStored(b *batch) bool {
	return p.lane != nil && p.identity != nil && p.journal.recovers(b) && !p.identity.counted.Load()
}

// doubt notes that a former life may have stored events of the batch, if no number will show it.
func (p *partition) doubt(b *batch) {
	if p.journal.recovers(b) {
		b.unsure = b.unsure || p.identity == nil || b.extras.positions[0] < p.journal.ledger.unsureBefore(p.lane)
	}
}

// unsureBefore returns the position before which the service may have stored events of a lane under
// a producer that it has forgotten.
func (l *ledger) unsureBefore(n *lane) journal.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return n.unsure
}

// keeps reports whether a batch stays in the journal without an outcome: the producer ends, or
// another one has taken over.
func (p *partition) keeps(b *batch, o Outcome) bool {
	if p.lane == nil || o.Err == nil {
		return false
	}
	if p.identity != nil && p.identity.fenced.Load() {
		p.journal.ledger.halt(p.lane, o.Err)
	}
	if p.halted() != nil {
		return true
	}
	e, ok := errors.AsType[*connection.Error](o.Err)
	return p.lifetime.over() != nil && !errors.Is(o.Err, ErrExpired) && !(ok && refusesContent(e.Code) && !p.unclear(b))
}

// leave takes a batch out of memory that stays in the journal.
func (p *partition) leave(b *batch, o Outcome) {
	o = kept(o.Err)
	o.PartitionID = p.id
	p.phase.Store(int32(WaitingForNothing))
	p.journal.ledger.keptBack(p.lane, b.first)
	p.mu.Lock()
	p.freeLocked(b)
	p.unlock()
	b.settleDeliveries(o)
	p.queue.settle(b, o, p.options.FlushOmitsTold)
	if b.held == nil {
		b.recycle()
	}
}

// halt stops the feeding of a lane, in this life.
func (l *ledger) halt(n *lane, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.halted == nil {
		n.halted = why
	}
}

// keptBack notes the age of a batch that is not sent in this life.
func (l *ledger) keptBack(n *lane, first time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.since.IsZero() {
		n.since = first
	}
}

// halted returns why nothing more is sent to the partition; nil as long as something is.
func (p *partition) halted() error {
	if p.lane == nil {
		return nil
	}
	p.journal.ledger.mu.Lock()
	defer p.journal.ledger.mu.Unlock()
	return p.lane.halted
}

// lane returns the lane of a partition.
func (j *journaled) lane(id string) *lane {
	j.ledger.mu.Lock()
	defer j.ledger.mu.Unlock()
	return j.ledger.laneLocked(id)
}

// recovers reports whether a batch has events of a former life.
func (j *journaled) recovers(b *batch) bool {
	return j != nil && len(b.extras.positions) > 0 && b.extras.positions[0] < j.life
}
