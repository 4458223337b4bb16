package eventhubs

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A feeder reads the journal from its first kept record on. It puts the events into their
// partitions in order, as the buffer has room. One goroutine, at the front, feeds all lanes. A lane
// whose partition takes no more falls behind: a goroutine of its own feeds it until it has caught
// up. So a partition in trouble does not stop the others.
type feeder struct {
	journal *journaled // immutable

	front mapping // for the goroutine at the front only

	fed     atomic.Uint64 // every event before it was given to its partition, unless its lane is behind
	awaited atomic.Bool   // a caller waits for that
	facing  atomic.Int64  // when the event that the front has was accepted, in Unix milliseconds; zero if it has none

	// Guarded by the ledger's mu.
	next   journal.Position // that the front looks at
	failed error            // why it reads no more
	moved  chan struct{}    // closed when something was fed; nil if no caller waits for that
}

// A mapping is a table together with the hub's present partitions: where the events of a run of
// positions go.
type mapping struct {
	from, until journal.Position
	table       *laneTable
	list        *table
	added       uint64  // ledger.tablesAdded: a later table may begin before until
	places      []place // in the order of the table
}

// A place is a lane and its partition.
type place struct {
	lane *lane
	part *partition
}

func newFeeder(j *journaled) *feeder {
	f := &feeder{journal: j, next: j.log.Stats().First}
	f.fed.Store(uint64(f.next))
	return f
}

// run is the goroutine at the front. It ends when no further try begins.
func (f *feeder) run() {
	err := f.read(f.next, f.pass)
	l := f.journal.ledger
	l.mu.Lock()
	f.failed = err
	f.stirLocked()
	l.mu.Unlock()
	if f.journal.lifetime.over() == nil {
		f.journal.observer.unread(err)
	}
}

// read passes on the records from a position on, also later ones. It ends with an error.
func (f *feeder) read(from journal.Position, pass func(journal.Position, []byte) error) error {
	j := f.journal
	reader := j.log.Reader(from)
	defer reader.Close()
	var more <-chan struct{} // asked for before the last look; nil if the reader is not at the end
	for {
		p, record, ok, err := reader.Next()
		switch {
		case ok:
			more = nil
			if err = pass(p, record); err == nil {
				err = j.lifetime.over()
			}
		case err != nil:
		case more == nil:
			_, more = j.log.Committed()
		default:
			select {
			case <-more:
				more = nil
			case <-j.lifetime.tries.Done():
				err = j.lifetime.over()
			}
		}
		if err != nil {
			return err
		}
	}
}

// pass takes the front past a record. It feeds an event, unless its outcome is known or its lane is
// behind.
func (f *feeder) pass(p journal.Position, record []byte) (err error) {
	l := f.journal.ledger
	var e journaledEvent
	var to place
	var refusal error
	event := isEvent(record)
	if event {
		if e, err = parseEvent(record); err != nil {
			return recordError(p, err)
		}
		f.facing.Store(e.accepted.UnixMilli())
		if to, refusal, err = f.place(p, &e); err != nil {
			return err
		}
	}
	l.mu.Lock()
	n := to.lane
	feeds := n != nil && !n.behind && n.halted == nil && n.takeLocked(p)
	f.next = p + 1 // with the decision: a lane that has caught up feeds what the front has not looked at
	l.mu.Unlock()
	switch {
	case !feeds:
	case refusal != nil:
		f.refuse(n, p, &e, refusal)
	default:
		err = f.feed(n, to.part, p, &e)
	}
	f.fed.Store(uint64(p) + 1)
	f.facing.Store(0)
	if f.awaited.Load() {
		l.mu.Lock()
		f.stirLocked()
		l.mu.Unlock()
	}
	return err
}

// feed puts an event of the front into its partition. If the partition takes no more, its lane
// falls behind.
func (f *feeder) feed(n *lane, part *partition, p journal.Position, e *journaledEvent) error {
	j := f.journal
	encoded, err := j.fit(e)
	if err != nil {
		f.refuse(n, p, e, err)
		return nil
	}
	admitted, err := j.admission.enterFor(j.lifetime.tries, part.share, sectionSize(len(encoded)))
	switch {
	case err != nil:
		return err
	case admitted:
		f.put(part, p, e, encoded)
		return nil
	}
	l := j.ledger
	l.mu.Lock()
	n.pending.undo()
	n.behind, n.at = true, p
	l.mu.Unlock()
	j.crew.run(func() { f.follow(n, part) }) // ends when it has caught up, or when no further try begins
	return nil
}

// put gives an event to its partition. It has its room.
func (f *feeder) put(part *partition, p journal.Position, e *journaledEvent, encoded []byte) {
	c := f.journal.beside.take(p)
	x := extra{delivery: c.delivery, tag: c.tag, expires: e.expires, named: e.route.id != "", position: p}
	f.journal.observer.parentIn(encoded, &x.parent)
	part.feed(encoded, &x, e.accepted, c.urgent)
}

// errCaughtUp ends the goroutine of a lane that is no longer behind.
var errCaughtUp = errors.New("eventhubs: the lane has caught up")

// follow feeds a lane that is behind.
func (f *feeder) follow(n *lane, part *partition) {
	j, l := f.journal, f.journal.ledger
	l.mu.Lock()
	from := n.at
	l.mu.Unlock()
	// caughtUp reports whether everything before a position was fed, and the front goes on with it.
	caughtUp := func(p journal.Position) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if n.at = p; p < f.next && n.halted == nil {
			return false
		}
		n.behind = false
		f.stirLocked()
		return true
	}
	var m mapping
	err := f.read(from, func(p journal.Position, record []byte) error {
		if caughtUp(p) {
			return errCaughtUp
		}
		if isEvent(record) {
			if err := f.feedBehind(&m, n, part, p, record); err != nil {
				return err
			}
		}
		if caughtUp(p + 1) {
			return errCaughtUp
		}
		return nil
	})
	if !errors.Is(err, errCaughtUp) && j.lifetime.over() == nil {
		l.mu.Lock()
		n.behind, n.halted = false, err
		f.stirLocked()
		l.mu.Unlock()
		j.observer.unread(err)
	}
}

// feedBehind feeds an event if it is in the lane, as soon as the partition has room for it.
func (f *feeder) feedBehind(m *mapping, n *lane, part *partition, p journal.Position, record []byte) error {
	j := f.journal
	e, err := parseEvent(record)
	if err != nil {
		return recordError(p, err)
	}
	if to, refusal, err := m.place(f, p, &e); err != nil || refusal != nil || to.lane != n {
		return err // the front refuses an event without a lane
	}
	j.ledger.mu.Lock()
	feeds := n.takeLocked(p)
	j.ledger.mu.Unlock()
	if !feeds {
		return nil
	}
	encoded, err := j.fit(&e)
	if err != nil {
		f.refuse(n, p, &e, err)
		return nil
	}
	if _, err := j.admission.enter(j.lifetime.tries, wish{partition: part, bytes: sectionSize(len(encoded))}); err != nil {
		return err
	}
	f.put(part, p, &e, encoded)
	return nil
}

// refuse fails an event that has no partition, or cannot be sent as the options want it.
func (f *feeder) refuse(n *lane, p journal.Position, e *journaledEvent, why error) {
	b := newBatch()
	c := f.journal.beside.take(p)
	x := extra{delivery: c.delivery, tag: c.tag, expires: e.expires, named: e.route.id != "", route: e.route, position: p}
	f.journal.observer.parentIn(e.encoded, &x.parent)
	b.append(e.encoded, nil, &x, e.accepted)
	b.roomless = true // it has no room in the buffer
	s := f.journal.directory.staging
	s.mu.Lock()
	defer s.unlock()
	s.taken = append(s.taken, b)
	s.failLocked([]failedBatch{{batch: b, err: why, lane: n}})
}

// place returns the lane and the partition of an event at the front. A refusal is why it has no
// partition. A list of partitions or an option that differs from the last table makes a new one,
// for the events of this life. It is kept before anything is sent under it.
func (f *feeder) place(p journal.Position, e *journaledEvent) (to place, refusal, err error) {
	j, m := f.journal, &f.front
	if a := j.directory.assigned; a != nil && e.route.open() {
		return place{a.lane, a}, nil, nil
	}
	if !m.holds(f, p) && p >= j.life {
		if err := f.learn(); err != nil {
			return to, nil, err
		}
		list, t, sticky := j.directory.table.Load(), j.ledger.table(p), j.options.Partitioning == Sticky
		if t == nil || t.sticky != sticky || !slices.Equal(t.ids, list.ids()) {
			ids := list.ids()
			if err := j.addTable(&laneTable{from: p, sticky: sticky, mapping: j.directory.mapping(len(ids)), ids: ids}); err != nil {
				return to, nil, err
			}
		}
	}
	return m.place(f, p, e)
}

// holds reports whether the mapping is for that position, and up to date.
func (m *mapping) holds(f *feeder, p journal.Position) bool {
	return m.from <= p && p < m.until && m.list == f.journal.directory.table.Load() && m.added == f.journal.ledger.tablesAdded.Load()
}

// place returns the lane and the partition of an event, neither if it has its outcome. A refusal is
// why it has no partition.
func (m *mapping) place(f *feeder, p journal.Position, e *journaledEvent) (to place, refusal, err error) {
	j := f.journal
	if a := j.directory.assigned; a != nil && e.route.open() {
		return place{a.lane, a}, nil, nil
	}
	if !m.holds(f, p) {
		if err := f.learn(); err != nil {
			return to, nil, err
		}
		if err := m.make(j, p); err != nil {
			return to, nil, err
		}
	}
	if m.table == nil {
		return to, nil, nil
	}
	if e.route.id != "" {
		part, refusal := m.list.find(e.route.id)
		if refusal != nil {
			return place{lane: j.lane(nowhere)}, refusal, nil
		}
		return place{part.lane, part}, nil, nil
	}
	i := 0
	if e.route.key == "" {
		i = m.table.turn(p, len(m.places))
	} else if i, refusal = j.directory.forKeyGuarded(e.route.key, len(m.places)); refusal != nil {
		return place{lane: j.lane(nowhere)}, refusal, nil
	}
	return m.places[i], nil, nil
}

// make makes the mapping for a position. If the hub has lost partitions of the table, its events
// are mapped to the present ones. An event of a former life without a table was never sent, so the
// present partitions are its table.
func (m *mapping) make(j *journaled, p journal.Position) error {
	list, added := j.directory.table.Load(), j.ledger.tablesAdded.Load() // before the tables are looked at
	t, until := j.ledger.tableAndEnd(p)
	switch {
	case t == nil && until != math.MaxUint64: // the table was forgotten: all its events have their outcome
		*m = mapping{until: until, list: list, added: added}
		return nil
	case t == nil:
		ids := list.ids()
		t = &laneTable{from: p, sticky: j.options.Partitioning == Sticky, mapping: j.directory.mapping(len(ids)), ids: ids}
		if err := j.addTable(t); err != nil {
			return err
		}
	}
	ids := t.ids
	if slices.ContainsFunc(ids, func(id string) bool { return list.byID[id] == nil }) {
		ids = list.ids()
	}
	if p < j.life {
		until = min(until, j.life) // from there on, the front may add a table
	}
	*m = mapping{from: t.from, until: until, table: t, list: list, added: added}
	for _, id := range ids {
		m.places = append(m.places, place{list.byID[id].lane, list.byID[id]})
	}
	return nil
}

// learn asks for the hub's partitions until they are known. The error is why it no longer asks.
func (f *feeder) learn() error {
	if f.journal.directory.known() {
		return nil
	}
	return f.ask()
}

func (f *feeder) ask() error {
	j := f.journal
	for failed := (retries{}); !j.directory.known(); {
		opened := j.hub.Opened()
		list, failure := j.directory.staging.ask(&failed)
		if failure == nil {
			j.directory.adopt(list)
			return nil
		}
		if over := j.lifetime.over(); over != nil {
			return over
		}
		j.lifetime.sleep(max(failure.pause, leastPause), wakes(failure.err, opened))
	}
	return nil
}

// await returns when every event before a position was fed to its partition. The error is why that
// is not to be expected.
func (f *feeder) await(ctx context.Context, end journal.Position) error {
	l := f.journal.ledger
	for {
		l.mu.Lock()
		moved, fed, failed := f.awaitedLocked(end)
		l.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case fed:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
}

func (f *feeder) awaitedLocked(end journal.Position) (moved <-chan struct{}, fed bool, failed error) {
	if f.moved == nil {
		f.moved = make(chan struct{})
	}
	f.awaited.Store(true) // before the look at fed
	fed = f.fed.Load() >= uint64(end)
	for _, n := range f.journal.ledger.lanes {
		if n.behind && n.at < end {
			fed = false
		}
	}
	return f.moved, fed, f.failed
}

func (f *feeder) stirLocked() {
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
		f.awaited.Store(false)
	}
}

// needed returns the first position that is still needed.
func (f *feeder) needed() journal.Position {
	l := f.journal.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.neededLocked(f.next)
}

func isEvent(record []byte) bool { return len(record) > 0 && record[0]&recordKinds == recordEvent }
