package emulator

import (
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// A partition is an append-only log of batches. Retention drops batches from its beginning. Events
// are numbered from 0 without gaps.
type partition struct {
	// Immutable after newPartition.
	index     int
	id        string // the index in decimal
	settings  settings
	journal   *journal      // stores the log durably; nil: nothing does
	writing   chan struct{} // with a journal, holds a token while a goroutine writes to it: the log has the journal's order
	receivers *receivers    // its receivers

	mu        sync.Mutex // guards the fields below
	oldest    Entry      // the oldest batch that the log has, without message; with no batch, only First and Offset of the next one
	held      int        // batches that the log has
	batches   []*batch   // the newest ones, which are in memory; without a journal all of them
	cold      []Entry    // some that follow the oldest one and are not in memory, without messages
	next      int64      // sequence number of the next event
	bytes     int64      // sum of the sizes of all events ever stored; the offset of the next event
	offset    int64      // offset of the newest event, which may be gone
	enqueued  time.Time  // its enqueued time
	total     Counts     // of everything ever stored
	producers producers
	removed   int           // batches that were dropped, and that the journal still has
	unread    bool          // the logger has its line: retention cannot read the journal
	changed   chan struct{} // closed by the next append; nil while no reader waits
	closed    *refusal      // why nothing is stored any more: the hub was deleted; nil: it was not
}

// settings are shared by the partitions of a hub.
type settings struct {
	retention  Retention
	idempotent Idempotence
	discard    bool
	memory     *memory      // of all partitions of the server; nil: no bound
	log        *slog.Logger // nil: no log
}

// A batch is the content of one transfer. It never changes after it is in the log, so readers use
// it without a lock.
type batch struct {
	events   []span
	first    int64 // sequence number of events[0]
	offset   int64 // offset of events[0]
	enqueued time.Time
	bytes    int64    // sum of the sizes of the events
	format   uint32   // the message format of the buffer
	buffer   []byte   // the spans point into it: the delivery's own memory
	numbers  *numbers // of an idempotent producer; nil without one

	unordered bool // an event has its sections in another order than AMQP's

	partition    *partition // that holds it; set when the batch is in the log
	older, newer *batch     // in the memory's list, whose lock guards them
}

// A position is a reader's place: the sequence number of the next event that it wants.
type position int64

// An end describes the end of a partition's log.
type end struct {
	first    int64 // sequence number of the oldest event, or of the next one if the log is empty; -1 if there never was an event
	last     int64 // sequence number of the newest event ever; -1 if there never was one
	offset   int64 // its offset; -1 if there never was one
	enqueued time.Time
}

// empty reports whether the log holds nothing, perhaps nothing any more.
func (e end) empty() bool { return e.last < 0 || e.first > e.last }

func newPartition(index int, s settings) *partition {
	return &partition{index: index, id: strconv.Itoa(index), settings: s, receivers: &receivers{}, writing: make(chan struct{}, 1)}
}

// append stores a batch and wakes all readers. The batch then belongs to the log. A duplicate of a
// stored batch is neither stored nor refused: a producer sends a batch again if its answer may be
// lost.
func (p *partition) append(b *batch) (stored bool, refused *refusal) {
	if p.journal != nil {
		return p.appendDurably(b)
	}
	p.mu.Lock()
	stored, refused = p.prepareLocked(b)
	if stored {
		p.publishLocked(b)
	}
	p.mu.Unlock()
	p.settings.memory.trim()
	return stored, refused
}

// appendDurably is append with a journal: a batch becomes visible only after it is stored durably.
func (p *partition) appendDurably(b *batch) (stored bool, refused *refusal) {
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	p.mu.Lock()
	p.trimLocked()
	stored, refused = p.prepareLocked(b)
	removed, oldest := p.removed, p.oldest
	state := p.producers.after(b.numbers)
	p.mu.Unlock()
	if !stored {
		return stored, refused
	}
	if err := p.journal.append(p.index, b, state, removed, oldest); err != nil {
		return false, refuse(conditionInternal, "The event could not be stored: %v.", err)
	}
	p.mu.Lock()
	p.removed -= removed
	p.publishLocked(b)
	p.mu.Unlock()
	p.settings.memory.trim()
	return true, nil
}

// prepareLocked numbers a batch, unless it is a duplicate or must be refused.
func (p *partition) prepareLocked(b *batch) (store bool, refused *refusal) {
	if p.closed != nil {
		return false, p.closed
	}
	if b.numbers != nil {
		duplicate, refused := p.producers.check(b.numbers, p.settings.idempotent)
		if duplicate || refused != nil {
			return false, refused
		}
	}
	// The clock is read under the lock, so that enqueued times never go backwards within a
	// partition, even if the clock was set back. Seed has set its own time.
	if b.enqueued.IsZero() {
		b.enqueued = time.Now().UTC().Truncate(time.Millisecond)
	}
	if b.enqueued.Before(p.enqueued) {
		b.enqueued = p.enqueued
	}
	b.first = p.next
	b.offset = p.bytes
	return true, nil
}

// publishLocked adds a batch that prepareLocked has numbered to the end of the log.
func (p *partition) publishLocked(b *batch) {
	p.next += int64(len(b.events))
	p.offset = b.offsetOf(len(b.events) - 1)
	p.bytes += b.bytes
	p.enqueued = b.enqueued
	p.total.Events += len(b.events)
	p.total.Batches++
	p.total.Bytes += b.bytes
	if b.numbers != nil {
		p.producers.stored(b.numbers)
	}
	if p.settings.discard {
		p.oldest = Entry{First: p.next, Offset: p.bytes}
	} else {
		if p.held == 0 {
			p.oldest = b.entry()
		}
		p.held++
		b.partition = p
		p.batches = append(p.batches, b)
		p.settings.memory.add(b)
	}
	p.trimLocked()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// end describes the log.
func (p *partition) end() end {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked()
	if p.next == 0 {
		return end{first: -1, last: -1, offset: -1}
	}
	return end{first: p.oldest.First, last: p.next - 1, offset: p.offset, enqueued: p.enqueued}
}

// counts says how much was ever stored.
func (p *partition) counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// after is the sequence number after its last event.
func (b *batch) after() int64 { return b.first + int64(len(b.events)) }

// offsetOf is the offset of event i: how many bytes of events precede it in the partition. Clients
// treat it as opaque, but some parse it as an integer.
func (b *batch) offsetOf(i int) int64 {
	return b.offset + int64(b.events[i].before)
}
