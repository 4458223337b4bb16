package eventhubs

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A ledger says how far the events in the journal have come. It is rebuilt from the journal's notes
// when a journal is opened.
type ledger struct {
	mu          sync.Mutex // guards the fields below, and every lane
	lanes       map[string]*lane
	tables      []*laneTable  // oldest first
	tablesAdded atomic.Uint64 // how many addTable has added
	checkpoints []checkpoint  // the newest that is kept, and later ones
	notes       []journal.Position
	notesBefore uint64 // notes before the ones in notes
	settled     uint64 // events that have their outcome
	gaps        []gap
}

// A lane is the events of one partition, in the order of the journal. Which lane an event is in
// follows from its record, its position and the table for that position. So it is the same in every
// life of the application.
type lane struct {
	id string

	settled journal.Position   // every event of the lane up to here has its outcome
	holes   []journal.Position // later ones that have it too, ascending
	count   uint64             // events with an outcome
	pending fedEvents
	unnoted bool // it has changed since its last note was added to the journal

	// With EnableIdempotentRetries: who the producer is, and the number of its last stored event
	// that is settled. The k-th event after settled, holes left out, has the number that follows by
	// k.
	producer ProducerID
	number   int32
	unsure   journal.Position // events before this may be stored by a producer that the service has forgotten

	behind bool             // a goroutine of its own feeds it
	at     journal.Position // where that goroutine is
	halted error            // why nothing of the lane is sent any more, in this life
	since  time.Time        // when the first event that this has kept back was accepted
}

// A laneTable is the partitions to which events from a position on are mapped.
type laneTable struct {
	from    journal.Position
	sticky  bool   // how events with neither id nor key are spread
	mapping uint64 // identifies Options.KeyPartitioner by what it does
	ids     []string
}

type checkpoint struct {
	position journal.Position
	text     []byte
}

func newLedger() *ledger { return &ledger{lanes: make(map[string]*lane)} }

// laneLocked returns a lane, a new one if it is not known.
func (l *ledger) laneLocked(id string) *lane {
	n := l.lanes[id]
	if n == nil {
		n = &lane{id: id}
		l.lanes[id] = n
	}
	return n
}

// tableLocked returns the table for a position; nil if there is none yet.
func (l *ledger) tableLocked(p journal.Position) *laneTable {
	for _, t := range slices.Backward(l.tables) {
		if t.from <= p {
			return t
		}
	}
	return nil
}

// noted keeps the position of a note.
func (l *ledger) noted(p journal.Position) {
	l.mu.Lock()
	l.notes = append(l.notes, p)
	l.mu.Unlock()
}

// checkpointed keeps a copy of an event's checkpoint.
func (l *ledger) checkpointed(p journal.Position, text []byte) {
	l.mu.Lock()
	l.checkpoints = append(l.checkpoints, checkpoint{p, slices.Clone(text)})
	l.mu.Unlock()
}

// checkpoint returns the newest checkpoint before that position.
func (l *ledger) checkpoint(before journal.Position) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.checkpointLocked(before).text
}

// checkpointLocked is checkpoint, and drops the older ones.
func (l *ledger) checkpointLocked(before journal.Position) (c checkpoint) {
	n := 0
	for n < len(l.checkpoints) && l.checkpoints[n].position < before {
		n++
	}
	if n == 0 {
		return c
	}
	l.checkpoints = slices.Delete(l.checkpoints, 0, n-1)
	return l.checkpoints[0]
}

// A fedEvents is the positions of the events that were fed to a partition and have no outcome, in
// order. Its memory is used again.
type fedEvents struct {
	positions []journal.Position
	done      int // of the positions
}

func (f *fedEvents) add(p journal.Position) {
	if f.done > 0 && len(f.positions) == cap(f.positions) {
		f.positions = slices.Delete(f.positions, 0, f.done)
		f.done = 0
	}
	f.positions = append(f.positions, p)
}

// first returns the first position; zero if there is none.
func (f *fedEvents) first() journal.Position {
	if f.done == len(f.positions) {
		return 0
	}
	return f.positions[f.done]
}

// undo takes back the last add.
func (f *fedEvents) undo() { f.positions = f.positions[:len(f.positions)-1] }

func (f *fedEvents) drop() {
	if f.done++; f.done == len(f.positions) {
		f.positions, f.done = f.positions[:0], 0
	}
}

// takeLocked decides about an event of the lane that the feeder has reached. It reports false if
// the event has its outcome.
func (n *lane) takeLocked(p journal.Position) bool {
	if p <= n.settled {
		return false
	}
	n.pending.add(p)
	if _, settled := slices.BinarySearch(n.holes, p); settled {
		n.closeHolesLocked()
		return false
	}
	return true
}

// closeHolesLocked moves settled past the events that have their outcome.
func (n *lane) closeHolesLocked() {
	for len(n.holes) > 0 && n.pending.first() == n.holes[0] {
		n.settled = n.holes[0]
		n.pending.drop()
		n.holes = slices.Delete(n.holes, 0, 1)
	}
}

// settle records that events of a lane have their outcome. Stored says how many of them are in the
// hub.
func (l *ledger) settle(n *lane, positions []journal.Position, stored int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled += uint64(len(positions))
	n.count += uint64(len(positions))
	n.unnoted = true
	n.number = follow(n.number, stored)
	for _, p := range positions {
		if n.pending.first() == p {
			n.settled = p
			n.pending.drop()
			continue
		}
		at, _ := slices.BinarySearch(n.holes, p)
		n.holes = slices.Insert(n.holes, at, p)
	}
	n.closeHolesLocked()
}

// unnotedLanes returns the lanes whose latest change has no note in the journal yet.
func (l *ledger) unnotedLanes() (lanes []*lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.lanes {
		if n.unnoted {
			lanes = append(lanes, n)
		}
	}
	return lanes
}

// neededLocked returns the first position that some lane still needs. The front is the next
// position that the feeder looks at.
func (l *ledger) neededLocked(front journal.Position) journal.Position {
	needed := front
	for _, n := range l.lanes {
		switch {
		case n.pending.first() > 0:
			needed = min(needed, n.pending.first())
		case n.behind, n.halted != nil:
			needed = min(needed, n.at)
		}
	}
	return needed
}

// snapshot appends all that the records before a position stand for.
func (l *ledger) snapshot(dst []byte, before journal.Position) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.notes) && l.notes[n] < before {
		n++
	}
	l.notesBefore += uint64(n)
	l.notes = slices.Delete(l.notes, 0, n)
	dst = append(dst, snapshotVersion)
	dst = binary.AppendUvarint(dst, l.notesBefore)
	dst = binary.AppendUvarint(dst, uint64(len(l.lanes)))
	for _, n := range l.lanes {
		dst = appendLane(dst, n)
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.tables)))
	for _, t := range l.tables {
		dst = appendTable(dst, t)
	}
	dst = binary.AppendUvarint(dst, uint64(len(l.gaps)))
	for _, g := range l.gaps {
		dst = appendGap(dst, g)
	}
	c := l.checkpointLocked(before)
	dst = binary.AppendUvarint(dst, uint64(c.position))
	return appendText(dst, string(c.text))
}

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 1

// restore sets the ledger to a snapshot. Nil is the empty one.
func (l *ledger) restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		return nil
	}
	r := recordReader{rest: snapshot[1:], bad: snapshot[0] != snapshotVersion}
	l.notesBefore = r.uvarint()
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		lane := r.lane()
		l.lanes[lane.id] = lane
		l.settled += lane.count
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		l.tables = append(l.tables, r.table())
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		l.gaps = append(l.gaps, r.gap())
	}
	c := checkpoint{position: journal.Position(r.uvarint()), text: slices.Clone(r.text())}
	if c.position > 0 {
		l.checkpoints = append(l.checkpoints, c)
	}
	if r.bad || len(r.rest) > 0 {
		return errRecord
	}
	return nil
}

// replay applies a record after the snapshot.
func (l *ledger) replay(p journal.Position, record []byte) error {
	if len(record) == 0 {
		return recordError(p, errRecord)
	}
	switch record[0] & recordKinds {
	case recordEvent:
		if record[0]&eventCheckpoint == 0 {
			return nil
		}
		e, err := parseEvent(record)
		if err != nil {
			return recordError(p, err)
		}
		l.checkpoints = append(l.checkpoints[:0], checkpoint{p, slices.Clone(e.checkpoint)})
		return nil
	case recordLane:
		r := recordReader{rest: record[1:]}
		n := r.lane()
		if r.bad {
			return recordError(p, errRecord)
		}
		if old := l.lanes[n.id]; old != nil {
			l.settled -= old.count
		}
		l.settled += n.count
		l.lanes[n.id] = n
	case recordTable:
		r := recordReader{rest: record[1:]}
		t := r.table()
		if r.bad || len(t.ids) == 0 {
			return recordError(p, errRecord)
		}
		l.addTable(t)
	case recordGap:
		r := recordReader{rest: record[1:]}
		g := r.gap()
		if r.bad {
			return recordError(p, errRecord)
		}
		l.addGap(g)
	default:
		return recordError(p, errRecord)
	}
	l.notes = append(l.notes, p)
	return nil
}

// addTable adds a table. One from the same position on is replaced: nothing was sent under it.
func (l *ledger) addTable(t *laneTable) {
	l.tables = slices.DeleteFunc(l.tables, func(old *laneTable) bool { return old.from >= t.from })
	l.tables = append(l.tables, t)
	l.tablesAdded.Add(1)
}

// forgetTables drops the tables that no kept event needs.
func (l *ledger) forgetTables(needed journal.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.tables) > 1 && l.tables[1].from <= needed {
		l.tables = slices.Delete(l.tables, 0, 1)
	}
}

// unsettled returns how many events before a position have no outcome.
func (l *ledger) unsettled(end journal.Position) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	notes, _ := slices.BinarySearch(l.notes, end)
	events := uint64(end) - 1 - l.notesBefore - uint64(notes)
	for _, g := range l.gaps {
		events -= g.Records
	}
	return max(0, int(events-l.settled)) // a gap may have had notes
}

// lastNote returns the position of the newest note since the last snapshot; zero if there is none.
func (l *ledger) lastNote() journal.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.notes) == 0 {
		return 0
	}
	return l.notes[len(l.notes)-1]
}

// ahead returns how far a number of the service is ahead of one of the journal. It is negative if
// it is behind. Numbers come round after 2^31.
func ahead(service, journal int32) int32 {
	d := int32((int64(service) - int64(journal)) & math.MaxInt32)
	if d > math.MaxInt32/2 {
		return d - math.MaxInt32 - 1
	}
	return d
}
