package eventhubs

import (
	"slices"
	"time"
)

// A JournalState says what the journal of a producer holds ([Options.Journal]).
type JournalState struct {
	Events    int   // accepted and without an outcome
	Recovered int   // of these, when the producer was made: accepted in former lives
	Bytes     int64 // of the files, most of them allocated ahead
	MaxBytes  int64 // the bound in JournalOptions
	DiskFree  int64 // bytes that the disk has left; zero if that is not known
	// Checkpoint is the last [Event.Checkpoint] that the journal keeps, of this life or a former
	// one. It is nil if there is none.
	Checkpoint []byte

	// Oldest is when the oldest event without an outcome was accepted. It counts the events in
	// memory and the next one to be read. Zero if there is none.
	Oldest time.Time

	LastSync    time.Time     // when the latest fsync ended; zero before the first
	SlowestSync time.Duration // how long the slowest fsync took, in this life

	// Err is why the journal takes nothing more; nil as long as it does. Accepted events stay.
	Err error
}

// Journal returns the state of the journal, nil without [Options.Journal]. Call it after the
// constructor to learn where a source goes on ([JournalState.Checkpoint]).
func (p *BufferedProducer) Journal() *JournalState {
	if p.journal == nil {
		return nil
	}
	return p.journal.state()
}

func (j *journaled) state() *JournalState {
	s := j.log.Stats()
	state := &JournalState{
		Events: j.ledger.unsettled(s.End), Recovered: j.recovered, Bytes: s.Bytes, MaxBytes: j.options.Journal.MaxBytes, DiskFree: s.Free,
		LastSync: s.LastSync, SlowestSync: s.SlowestSync,
	}
	state.Checkpoint = slices.Clone(j.ledger.checkpoint(s.End))
	state.Oldest = j.oldest()
	if s.Failed != nil {
		state.Err = journalError(s.Failed)
	}
	return state
}

// oldest returns when the oldest event without an outcome was accepted.
func (j *journaled) oldest() (oldest time.Time) {
	older := func(t time.Time) {
		if !t.IsZero() && (oldest.IsZero() || t.Before(oldest)) {
			oldest = t
		}
	}
	if ms := j.feeder.facing.Load(); ms != 0 {
		older(time.UnixMilli(ms))
	}
	j.ledger.mu.Lock()
	for _, n := range j.ledger.lanes {
		older(n.since)
	}
	j.ledger.mu.Unlock()
	for _, part := range j.directory.partitions() {
		older(part.queue.oldest())
	}
	return oldest
}
