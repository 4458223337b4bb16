package eventhubs

import (
	"slices"
	"time"
)

// changesKept is how many changes of state a producer remembers. The log has at most reportLines
// within reportEvery, so these reach back five minutes at least.
const changesKept = 64

// A HealthChange is a change of a producer's state, as the log has it.
type HealthChange struct {
	At    time.Time
	State HealthState // from At on

	// Message is the line of the log. Its words may change.
	Message string

	// Err is the reason for the State, as in [Health]. It is nil without trouble.
	Err error

	// Partitions are the IDs of the partitions that were in trouble then.
	Partitions []string

	// Omitted is how many changes before this one were left out. The log has at most 10 in a minute.
	Omitted int
}

// HealthChanges returns the last changes of the producer's state, the oldest first. The producer
// keeps 64 of them, with or without [Options.Logger]. A reminder that trouble lasts is not a change,
// unless it follows changes that were left out. A failed journal is one more ([ErrJournal]).
// HealthChanges does not block, and may be called at any time, also from a handler.
func (p *BufferedProducer) HealthChanges() []HealthChange {
	changes := p.observer.health.changes()
	if p.journal == nil {
		return changes
	}
	failed := p.journal.log.Failed()
	if failed == nil {
		return changes
	}
	at := len(changes)
	for at > 0 && changes[at-1].At.After(failed.At) {
		at--
	}
	return slices.Insert(changes, at, HealthChange{At: failed.At, State: HealthFailing, Message: journalFailed, Err: journalError(failed)})
}

// A change is a HealthChange. Its error may need other locks, so say adds it before it logs the
// line.
type change struct {
	HealthChange
	cause     cause
	explained bool
}

// keepLocked remembers a line of the log as the latest change.
func (h *health) keepLocked(line *reportLine) *change {
	r := &h.report
	c := &change{cause: line.cause, HealthChange: HealthChange{At: h.since, State: line.state, Message: line.message, Partitions: h.troubledLocked(), Omitted: line.changes}}
	if line.late {
		c.Omitted--
	}
	if len(r.latest) == changesKept {
		r.latest = slices.Delete(r.latest, 0, 1)
	}
	r.latest = append(r.latest, c)
	return c
}

// explain adds the reason to a change.
func (h *health) explain(c *change, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.Err, c.explained = err, true
}

// changes returns the changes that are remembered.
func (h *health) changes() []HealthChange {
	h.mu.Lock()
	all := make([]change, len(h.report.latest))
	for i, c := range h.report.latest {
		all[i] = *c
	}
	h.mu.Unlock()
	changes := make([]HealthChange, len(all))
	for i, c := range all {
		if changes[i] = c.HealthChange; !c.explained { // its line waits for the Logger
			changes[i].Err = c.cause.err()
		}
		changes[i].Partitions = slices.Clone(c.Partitions)
	}
	return changes
}

// troubledLocked returns the IDs of the partitions in trouble, sorted.
func (h *health) troubledLocked() (ids []string) {
	for part, a := range h.known {
		if part != nil && a.state() != 0 {
			ids = append(ids, part.id)
		}
	}
	slices.Sort(ids)
	return ids
}
