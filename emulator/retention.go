package emulator

import (
	"fmt"
	"time"
)

// A Retention limits how long a partition keeps its events. The limit that is reached first
// applies; zero limits nothing. Whole batches are dropped, oldest first. The limits are applied
// whenever a client sends to the partition or reads it, so no timer runs.
//
// A receiver that wants to start from a dropped event starts from the oldest one that is left.
type Retention struct {
	// Time after which an event is dropped. The service allows one hour to 90 days. Default: never.
	Time time.Duration
	// Bytes is the limit of encoded events in a partition. The newest batch always stays, however
	// large. Default: no limit.
	Bytes int64
	// Events is the limit of events in a partition. The newest batch always stays, however many
	// events it has. Default: no limit.
	Events int
}

// validate refuses negative limits.
func (r Retention) validate(field string) error {
	if r.Time < 0 || r.Bytes < 0 || r.Events < 0 {
		return fmt.Errorf("emulator: %s is %+v; limits cannot be negative, and zero means none", field, r)
	}
	return nil
}

// trimLocked drops batches beyond the retention.
func (p *partition) trimLocked() {
	r := p.settings.retention
	if r == (Retention{}) {
		return
	}
	var expired time.Time
	if r.Time > 0 && p.held > 0 {
		expired = time.Now().Add(-r.Time)
	}
	for p.held > 0 && (r.Time > 0 && p.oldest.Enqueued.Before(expired) || p.held > 1 && p.exceeds()) {
		if err := p.dropLocked(); err != nil {
			if !p.unread && p.settings.log != nil {
				p.settings.log.Warn("retention cannot read which events are next", "partition", p.id, "error", err)
			}
			p.unread = true
			return
		}
	}
}

// exceeds reports whether the log is too large.
func (p *partition) exceeds() bool {
	r := p.settings.retention
	return r.Bytes > 0 && p.bytes-p.oldest.Offset > r.Bytes || r.Events > 0 && p.next-p.oldest.First > int64(r.Events)
}

// dropLocked drops the oldest batch. It reads the journal if the next one is not in memory. The
// journal drops the batch with the next append.
func (p *partition) dropLocked() error {
	after := p.oldest.after()
	inMemory := len(p.batches) == p.held
	var following Entry
	switch n := len(p.batches); {
	case p.held == 1:
		following = Entry{First: p.next, Offset: p.bytes}
	case inMemory:
		following = p.batches[1].entry()
	case n == p.held-1:
		following = p.batches[0].entry()
	default:
		if err := p.warmLocked(after); err != nil {
			return err
		}
		following, p.cold = p.cold[0], p.cold[1:]
	}
	if inMemory {
		p.releaseLocked()
	}
	p.oldest = following
	p.held--
	p.removed++
	return nil
}

// warmLocked makes the entry that begins with a sequence number the first one of p.cold.
func (p *partition) warmLocked(first int64) error {
	if len(p.cold) > 0 && p.cold[0].First == first {
		return nil
	}
	const together, bytes = 1000, 4 << 20 // the store reads the messages too, while the partition waits
	p.cold = nil
	size := 0
	err := p.journal.store.Read(p.journal.log(p.index), func(e Entry) bool { return e.First < first }, func(e Entry) bool {
		size += len(e.Message)
		e.Message = nil
		p.cold = append(p.cold, e)
		return len(p.cold) < together && size < bytes
	})
	if len(p.cold) > 0 && p.cold[0].First == first {
		return nil
	}
	p.cold = nil
	if err == nil {
		err = fmt.Errorf("%w: there is no entry with the sequence number %d", errDamaged, first)
	}
	return err
}

// releaseLocked drops the oldest batch from memory.
func (p *partition) releaseLocked() {
	p.settings.memory.remove(p.batches[0])
	p.batches[0] = nil // the array stays in use; the batch need not
	p.batches = p.batches[1:]
}
