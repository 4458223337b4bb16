package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A journaled is what a producer with Options.Journal has besides the others. It keeps accepted
// events in files until they have their outcome. Enqueue adds an event to the journal, and a feeder
// reads it from there and puts it into its partition. So a restart is nothing special: the feeder
// begins further back.
type journaled struct {
	// Immutable after openJournal.
	*parts
	log       *journal.Journal
	life      journal.Position // the first of this life; earlier events were accepted in former lives
	recovered int              // events without an outcome at the beginning of this life
	ledger    *ledger
	feeder    *feeder

	room    roomLine
	beside  besides
	closing chan struct{} // closed when Close or Abandon begins
	gate    gate          // that calls of accept pass

	streamed   atomic.Uint64 // the last position that EnqueueAll has added
	committing atomic.Bool   // the goroutine of commit runs

	tidying chan struct{} // has room for the call of tidy that runs
	noting  chan struct{} // has room for the call of noteLane that runs
	tidied  atomic.Int64
	timer   struct {
		sync.Mutex
		*time.Timer
		set, closed bool
	}
}

// lookPause is how often the first caller in line looks at the disk while it is full. No system
// reports that there is room again.
const lookPause = time.Second

// tidyPause is how late an outcome is durable, at most, if no event brings it to the disk earlier.
const tidyPause = time.Second

// openJournal opens the journal that the options name; nil without one. Begin must follow.
func openJournal(p *parts) (*journaled, error) {
	o := p.options.Journal
	if o == nil {
		return nil, nil
	}
	j := &journaled{
		parts: p, ledger: newLedger(), room: newRoomLine(), gate: gate{empty: make(chan struct{})},
		closing: make(chan struct{}), tidying: make(chan struct{}, 1), noting: make(chan struct{}, 1),
	}
	j.beside.limit = make(chan struct{}, p.options.MaxBufferedEvents)
	owner := p.namespace + "/" + strings.ToLower(p.hubName)
	if p.options.Partitioning == ServiceAssigned {
		owner += ownerAssigned // its events have no partition, so no other producer may go on with them
	}
	var err error
	j.log, err = journal.Open(o.Directory, journal.Options{
		Files: o.files, Owner: owner, Policy: o.Sync.policy(), Interval: o.Interval, SegmentBytes: o.segment(),
		MaxBytes: o.MaxBytes, KeepFree: max(0, o.KeepFree), AllowRemote: o.AllowRemote,
		Snapshot: j.ledger.snapshot, Logger: p.options.unheard(),
	}, j.ledger.restore, j.ledger.replay)
	if err != nil {
		return nil, journalError(err)
	}
	if err := j.checkMapping(); err != nil {
		return nil, errors.Join(err, j.log.Close())
	}
	j.life = j.end()
	j.recovered = j.unsettled()
	j.feeder = newFeeder(j)
	return j, nil
}

// begin begins to feed what is in the journal, if there is one. From now on the producer connects
// by itself.
func (j *journaled) begin() {
	if j != nil {
		j.crew.run(j.feeder.run) // ends when no further try begins
	}
}

// accept adds an encoded event to the journal, and returns when it is kept there. It waits for room
// on the disk, unless a.how is never or a handler calls.
func (j *journaled) accept(ctx context.Context, w *wireEvent, a *acceptance) error {
	if !j.gate.enter() {
		return errClosed()
	}
	defer j.gate.leave()
	if d := a.x.delivery; d != nil {
		if err := d.take(); err != nil {
			return err
		}
	}
	p, err := j.add(ctx, w, a)
	if err != nil {
		if d := a.x.delivery; d != nil {
			d.giveBack()
		}
		return err
	}
	if a.how == streams {
		j.commitSoon(p) // EnqueueAll waits for it
	} else if err := j.await(p); err != nil {
		return err
	} else if w.checkpoint != nil {
		j.ledger.checkpoint(p + 1) // drops the older ones
	}
	j.observer.accepted(ctx, nil, a.to.key, sectionSize(w.size()))
	return nil
}

// await waits until the journal keeps an event.
func (j *journaled) await(p journal.Position) error {
	if err := j.log.Await(p); err != nil {
		return fmt.Errorf("eventhubs: the event may be in the journal: %w", journalError(err))
	}
	return nil
}

// commitSoon has a goroutine wait until the journal keeps an event, for a caller that does not.
func (j *journaled) commitSoon(p journal.Position) {
	for last := j.streamed.Load(); last < uint64(p) && !j.streamed.CompareAndSwap(last, uint64(p)); last = j.streamed.Load() {
	}
	if j.committing.CompareAndSwap(false, true) {
		j.crew.run(j.commit) // ends when everything streamed is kept
	}
}

func (j *journaled) commit() {
	for {
		p := j.streamed.Load()
		err := j.log.Await(journal.Position(p))
		j.ledger.checkpoint(journal.Position(p) + 1)
		j.committing.Store(false)
		if err != nil || j.streamed.Load() == p || !j.committing.CompareAndSwap(false, true) {
			return // a failure shows in the next call that waits
		}
	}
}

// add puts an event into the journal's open group.
func (j *journaled) add(ctx context.Context, w *wireEvent, a *acceptance) (journal.Position, error) {
	if err := j.admission.possible(ctx, sectionSize(w.size())); err != nil {
		return 0, err
	}
	if limit := j.options.Journal.largest(); w.size() > limit {
		return 0, &EventTooLargeError{Size: w.size(), Limit: limit}
	}
	waits := a.how != never && handlerScope(ctx, j.admission) == nil
	if w.journal == nil {
		w.journal = new(placement)
	}
	x := w.journal
	x.companion, x.checkpoint, x.of = companion{delivery: a.x.delivery, tag: a.x.tag, urgent: a.how == urgent}, w.checkpoint, j
	var placed func(journal.Position)
	if !x.empty() {
		placed = x.place
	}
	besides := !x.companion.empty()
	if besides {
		if err := j.beside.enter(ctx, &x.companion, j, waits); err != nil {
			return 0, err
		}
	}
	x.record = appendEventHead(x.record[:0], a, x.checkpoint, w.numbered, time.Now())
	p, err := j.room.add(ctx, j, w, placed, waits)
	if err != nil && besides {
		j.beside.leave(&x.companion)
	}
	return p, err
}

// note adds a record that is no event. It does not wait for the disk.
func (j *journaled) note(record []byte) (journal.Position, error) {
	return j.log.Add(true, record, nil, nil, j.ledger.noted)
}

// keep adds a record that is no event, and returns when it is kept.
func (j *journaled) keep(record []byte) error {
	p, err := j.note(record)
	if err == nil {
		err = j.log.Await(p)
	}
	if err != nil {
		return journalError(err)
	}
	return nil
}

// noteLane adds a note of a lane's present state. Two notes of a lane are in the order of the
// states.
func (j *journaled) noteLane(n *lane) (journal.Position, error) {
	j.noting <- struct{}{}
	defer func() { <-j.noting }()
	p, err := j.note(j.ledger.record(n))
	if err != nil {
		j.ledger.mu.Lock()
		n.unnoted = true
		j.ledger.mu.Unlock()
	}
	return p, err
}

// keepLane is noteLane, and returns when the note is kept.
func (j *journaled) keepLane(n *lane) error {
	p, err := j.noteLane(n)
	if err == nil {
		err = j.log.Await(p)
	}
	if err != nil {
		return journalError(err)
	}
	return nil
}

// record returns the record of a lane's present state, which is then no longer unnoted.
func (l *ledger) record(n *lane) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.unnoted = false
	return appendLane([]byte{recordLane}, n)
}

// settled records the outcome of a batch of a lane. An event that is given up is gone for good
// before the lane sends anything else: the numbers of later events count without it.
func (j *journaled) settled(n *lane, b *batch, o Outcome) {
	stored := 0
	if o.Storage == Stored {
		stored = b.count
	}
	j.ledger.settle(n, b.extras.positions, stored)
	if o.Storage == Stored {
		_, _ = j.noteLane(n) // a failed journal shows in the health
	} else if err := j.keepLane(n); err != nil && j.options.EnableIdempotentRetries {
		j.ledger.halt(n, fmt.Errorf("eventhubs: the journal does not keep that an event was given up, so the numbers of later ones are not certain: %w", err))
	}
	j.tidySoon()
}

// tidySoon makes sure that tidy runs within tidyPause, and at once if callers wait for room.
func (j *journaled) tidySoon() {
	if j.room.waits() && time.Now().UnixNano()-j.tidied.Load() > int64(tidyPause/10) {
		j.tidy()
		return
	}
	t := &j.timer
	t.Lock()
	defer t.Unlock()
	if t.set || t.closed {
		return
	}
	t.set = true
	if t.Timer == nil {
		t.Timer = time.AfterFunc(tidyPause, j.tidyNow)
	} else {
		t.Reset(tidyPause)
	}
}

func (j *journaled) tidyNow() {
	j.timer.Lock()
	j.timer.set = false
	j.timer.Unlock()
	j.tidy()
}

// tidy makes all outcomes durable, and gives back the files that no event needs.
func (j *journaled) tidy() {
	j.tidying <- struct{}{}
	defer func() { <-j.tidying }()
	j.tidied.Store(time.Now().UnixNano())
	needed := j.feeder.needed()
	for _, n := range j.ledger.unnotedLanes() { // what needed counts as settled must be durable first
		if _, err := j.noteLane(n); err != nil {
			return
		}
	}
	j.ledger.forgetTables(needed)
	if note := j.ledger.lastNote(); note > 0 && j.log.Await(note) != nil {
		return
	}
	j.log.Release(needed)
}

// unsettled returns how many accepted events have no outcome.
func (j *journaled) unsettled() int { return j.ledger.unsettled(j.end()) }

// end returns the position after the last event that is accepted.
func (j *journaled) end() journal.Position {
	end, _ := j.log.Committed()
	return end
}

// close ends the journal. Nothing is fed or settled any more.
func (j *journaled) close() error {
	j.timer.Lock()
	j.timer.closed = true
	if j.timer.Timer != nil {
		j.timer.Stop()
	}
	j.timer.Unlock()
	j.tidy()
	j.beside.endAll()
	return j.log.Close()
}

// shut refuses every event from now on, and returns the position after the last one.
func (j *journaled) shut() journal.Position {
	close(j.closing) // ends the waits for room
	<-j.gate.shut()
	if p := j.streamed.Load(); p > 0 {
		_ = j.log.Await(journal.Position(p)) // EnqueueAll returns the error
	}
	return j.end()
}

// finish closes the journal. The error is Close's: it counts the events that stay in the journal,
// and the failures that were reported late.
func (j *journaled) finish(err, late error) error {
	left := j.unsettled()
	if closed := j.close(); closed != nil {
		j.observer.unread(closed)
	}
	u, ok := errors.AsType[*UndeliveredError](err)
	if later, more := errors.AsType[*UndeliveredError](late); more && later.Failed() > 0 {
		if !ok {
			err, u, ok = late, later, true
		} else {
			u.NotStored, u.PossiblyStored = u.NotStored+later.NotStored, u.PossiblyStored+later.PossiblyStored
		}
	}
	switch {
	case left == 0:
		return err
	case !ok:
		u = &UndeliveredError{Err: fmt.Errorf("eventhubs: %w", ErrKept)}
	}
	u.Pending, u.Kept = 0, left
	return u
}

// journalError returns the public form of an error of package journal.
func journalError(err error) error {
	if _, ok := errors.AsType[*journal.FailedError](err); ok {
		return fmt.Errorf("eventhubs: %w: %w", ErrJournal, err)
	}
	if errors.Is(err, journal.ErrClosed) {
		return errClosed()
	}
	if _, ok := errors.AsType[*journal.DamagedError](err); ok {
		return fmt.Errorf("eventhubs: Options.Journal: %w; \"eventhubs journal repair\" with that directory sets the damaged part aside", err)
	}
	return fmt.Errorf("eventhubs: Options.Journal: %w", err)
}

// A roomLine is the callers that wait for room on the disk, first come first served.
type roomLine struct {
	waiting atomic.Int32
	first   chan struct{} // has room for the caller that is first in line
}

func newRoomLine() roomLine { return roomLine{first: make(chan struct{}, 1)} }

func (l *roomLine) waits() bool { return l.waiting.Load() > 0 }

// add adds an event's record to the journal, as soon as there is room.
func (l *roomLine) add(ctx context.Context, j *journaled, w *wireEvent, placed func(journal.Position), waits bool) (journal.Position, error) {
	if !l.waits() {
		if p, err := j.log.Add(false, w.journal.record, w.head, w.body, placed); !errors.Is(err, journal.ErrFull) {
			return p, publicly(err)
		}
	}
	if !waits {
		return 0, fmt.Errorf("eventhubs: %w: %s", ErrBufferFull, j.fullText())
	}
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	j.tidySoon()
	select {
	case l.first <- struct{}{}:
	case <-ctx.Done():
		return 0, j.noRoom(ctx)
	case <-j.closing:
		return 0, errClosed()
	}
	defer func() { <-l.first }()
	look := time.NewTicker(lookPause) // others may have made room on the disk
	defer look.Stop()
	for {
		room := j.log.Room()
		if p, err := j.log.Add(false, w.journal.record, w.head, w.body, placed); !errors.Is(err, journal.ErrFull) {
			return p, publicly(err)
		}
		select {
		case <-room:
		case <-look.C:
		case <-ctx.Done():
			return 0, j.noRoom(ctx)
		case <-j.closing:
			return 0, errClosed()
		}
	}
}

func publicly(err error) error {
	if err == nil {
		return nil
	}
	return journalError(err)
}

// noRoom is the error of an event whose context ended while the disk was full.
func (j *journaled) noRoom(ctx context.Context) error {
	return fmt.Errorf("eventhubs: the event was not accepted, %s: %w", j.fullText(), contextError(ctx))
}

// fullText says why there is no room on the disk.
func (j *journaled) fullText() string {
	s := j.log.Stats()
	return fmt.Sprintf("the journal in %s is full: it has %d bytes of Options.Journal.MaxBytes %d, and the disk has %d free (KeepFree %d)",
		j.options.Journal.Directory, s.Bytes, j.options.Journal.MaxBytes, s.Free, j.options.Journal.KeepFree)
}
