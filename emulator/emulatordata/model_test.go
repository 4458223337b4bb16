package emulatordata

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
)

var lives = flag.Int("emulatordata.lives", 0, "random runs with kills, power cuts and faults, beyond the usual ones")

// A model is what a store must have. It makes random changes and compares every byte.
type model struct {
	disk    *forgetful.Disk
	options Options
	random  *rand.Rand
	store   *Store

	keys map[string]string
	logs map[string]*modelLog
	// The update that the power or a fault interrupted: the store may have it or not.
	doubt  []emulator.Change
	faulty bool // the disk fails in this life
}

type modelLog struct {
	entries []emulator.Entry
	newest  emulator.Entry
}

const there = "/data"

func newModel(seed uint64) *model {
	disk := forgetful.New()
	return &model{
		disk: disk, random: rand.New(rand.NewPCG(seed, 3)), keys: make(map[string]string), logs: make(map[string]*modelLog),
		options: Options{files: disk, checkpointBytes: 6 << 10, segmentBytes: 8 << 10},
	}
}

// open opens the store and compares it with what it must have.
func (m *model) open() (err error) {
	if m.store, err = open(there, &m.options); err != nil {
		return err
	}
	names, err := m.disk.List(there)
	if err != nil {
		return err
	}
	for _, name := range names {
		if number, ok := tableNumber(name); ok && m.store.tables[number] == nil || strings.HasSuffix(name, temporaryExtension) {
			return fmt.Errorf("%s is still there, and the store does not need it", name)
		}
	}
	first := m.compare()
	if first == nil || m.doubt == nil {
		return first
	}
	m.apply(m.doubt)
	m.doubt = nil
	if err := m.compare(); err != nil {
		return fmt.Errorf("without the last update: %w; with it: %w", first, err)
	}
	return nil
}

func (m *model) apply(changes []emulator.Change) {
	for _, c := range changes {
		switch {
		case c.Log != "" && c.Drop:
			delete(m.logs, c.Log)
		case c.Log != "":
			l := m.logs[c.Log]
			if l == nil {
				l = &modelLog{}
				m.logs[c.Log] = l
			}
			l.entries = l.entries[c.Removed:]
			if c.Entry != nil {
				l.entries, l.newest = append(slices.Clip(l.entries), *c.Entry), withoutMessage(c.Entry)
			}
		case c.Value == nil:
			delete(m.keys, string(c.Key))
		default:
			m.keys[string(c.Key)] = string(c.Value)
		}
	}
}

// compare reads everything.
func (m *model) compare() error {
	keys := make(map[string]string)
	var order []string
	if err := m.store.Scan(nil, func(key, value []byte) error {
		keys[string(key)] = string(value)
		order = append(order, string(key))
		return nil
	}); err != nil {
		return err
	}
	if !maps.Equal(keys, m.keys) || !slices.IsSorted(order) {
		return fmt.Errorf("the keys are %q in the order %q, want %q", keys, order, m.keys)
	}
	for _, name := range logNames {
		if err := m.compareLog(name); err != nil {
			return fmt.Errorf("log %s: %w", name, err)
		}
	}
	return m.store.audit()
}

// audit checks what a store counts, and that it holds nothing that it does not need.
func (s *Store) audit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, cost := make(map[uint64]int64), int64(0)
	for name, l := range s.logs {
		next := l.state.Oldest.First
		for i, g := range l.granules {
			live[g.table] += int64(g.length)
			if g.after <= next || i > 0 && g.first != next || g.first > next {
				return fmt.Errorf("log %s: granule %d has %d to %d, where %d is next", name, i, g.first, g.after, next)
			}
			next = g.after
		}
		for i, e := range l.fresh {
			cost += costOf(e)
			if e.First != next {
				return fmt.Errorf("log %s: entry %d in memory is %d, where %d is next", name, i, e.First, next)
			}
			next = after(e)
		}
		if l.state.Entries > 0 && next != l.end() {
			return fmt.Errorf("log %s: it ends with %d, and its entries with %d", name, l.end(), next)
		}
	}
	for number, t := range s.tables {
		if t.live != live[number] || t.live > t.bytes {
			return fmt.Errorf("table %d counts %d of %d bytes, the logs need %d", number, t.live, t.bytes, live[number])
		}
	}
	if cost != s.cost {
		return fmt.Errorf("the entries in memory count as %d, want %d", s.cost, cost)
	}
	return nil
}

func (m *model) compareLog(name string) error {
	l := m.logs[name]
	if l == nil {
		l = &modelLog{}
	}
	want := emulator.LogState{Entries: len(l.entries), Newest: l.newest}
	if len(l.entries) > 0 {
		want.Oldest = withoutMessage(&l.entries[0])
	}
	got := m.store.Log(name)
	if len(l.entries) == 0 {
		got.Oldest = emulator.Entry{}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("its state is %+v, want %+v", got, want)
	}
	var all []emulator.Entry
	if err := m.store.Read(name, func(emulator.Entry) bool { return false }, func(e emulator.Entry) bool { all = append(all, e); return true }); err != nil {
		return err
	}
	if err := sameEntries(all, l.entries); err != nil {
		return err
	}
	if len(l.entries) == 0 {
		return nil
	}
	// A place in the middle is found by number, offset and time.
	e := l.entries[m.random.IntN(len(l.entries))]
	for what, before := range map[string]func(emulator.Entry) bool{
		"number": func(other emulator.Entry) bool { return after(&other) <= e.First },
		"offset": func(other emulator.Entry) bool { return other.LastOffset < e.Offset },
		"time":   func(other emulator.Entry) bool { return other.Enqueued.Before(e.Enqueued) },
	} {
		n := slices.IndexFunc(l.entries, func(other emulator.Entry) bool { return !before(other) })
		var some []emulator.Entry
		if err := m.store.Read(name, before, func(e emulator.Entry) bool { some = append(some, e); return len(some) < 5 }); err != nil {
			return fmt.Errorf("by %s: %w", what, err)
		}
		if err := sameEntries(some, l.entries[n:min(n+5, len(l.entries))]); err != nil {
			return fmt.Errorf("by %s: %w", what, err)
		}
	}
	return nil
}

func sameEntries(got, want []emulator.Entry) error {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("%d entries, want %d", len(got), len(want))
		case i >= len(want):
			return fmt.Errorf("%d entries, want %d; the next is %+v", len(got), len(want), withoutMessage(&got[i]))
		}
		g, w := got[i], want[i]
		if !bytes.Equal(g.Message, w.Message) || fmt.Sprint(withoutMessage(&g)) != fmt.Sprint(withoutMessage(&w)) {
			return fmt.Errorf("entry %d of %d is %+v with %.20q, want %+v with %.20q", i, len(want), withoutMessage(&g), g.Message, withoutMessage(&w), w.Message)
		}
	}
	return nil
}

var logNames = []string{"a", "b", "c", "d"}

var begin = time.UnixMilli(1_700_000_000_000).UTC()

// changes are a random update.
func (m *model) changes() (changes []emulator.Change) {
	name := logNames[m.random.IntN(len(logNames))]
	if m.random.IntN(3) == 0 {
		name = logNames[0]
	}
	c := emulator.Change{Log: name}
	l := m.logs[name]
	switch dice := m.random.IntN(100); {
	case dice < 2:
		c.Drop = true
	case dice < 15:
		key := fmt.Appendf(nil, "key %d", m.random.IntN(9))
		if m.random.IntN(3) == 0 {
			return []emulator.Change{{Key: key}}
		}
		return []emulator.Change{{Key: key, Value: fmt.Appendf(nil, "%d", m.random.Uint64())}}
	default:
		c.Entry = m.entry(l)
		if l != nil && len(l.entries) > 0 && m.random.IntN(4) == 0 {
			c.Removed = 1 + m.random.IntN(len(l.entries))
			if m.random.IntN(4) > 0 {
				c.Removed = min(c.Removed, 3)
			}
			c.Oldest = emulator.Entry{First: after(&l.newest), Offset: l.newest.Offset + l.newest.Bytes}
			if c.Removed < len(l.entries) {
				c.Oldest = withoutMessage(&l.entries[c.Removed])
			}
		}
		if m.random.IntN(5) == 0 {
			changes = append(changes, emulator.Change{Key: []byte("with " + name), Value: fmt.Appendf(nil, "%d", c.Entry.First)})
		}
	}
	return append(changes, c)
}

// entry is a random entry that follows the others of a log.
func (m *model) entry(l *modelLog) *emulator.Entry {
	size := m.random.IntN(120)
	if m.random.IntN(10) == 0 {
		size = m.random.IntN(5000)
	}
	message := bytes.Repeat([]byte{byte(m.random.Uint32())}, size)
	e := &emulator.Entry{Events: 1 + m.random.IntN(3), Bytes: int64(size) + 3, LastOffset: int64(m.random.IntN(size + 1)), Enqueued: begin, Format: uint32(m.random.IntN(2)) * 0x80013700, Message: message}
	if l != nil && l.newest.Events > 0 {
		e.First, e.Offset = after(&l.newest), l.newest.Offset+l.newest.Bytes
		e.LastOffset += e.Offset
		e.Enqueued = l.newest.Enqueued.Add(time.Duration(m.random.IntN(2)) * time.Millisecond)
	}
	return e
}

// run makes random updates until the power goes or one fails.
func (m *model) run(steps int) error {
	for range steps {
		if m.random.IntN(40) == 0 {
			if err := m.compare(); err != nil {
				return err
			}
		}
		changes := m.changes()
		if err := m.store.Update(changes...); err != nil {
			m.doubt = changes
			return err
		}
		m.apply(changes)
	}
	return nil
}

// end ends a life by a close, a kill or a power cut.
func (m *model) end() error {
	// On this disk a dead process may still change names. So it has no goroutine any more. CutAt
	// ends a life in the middle of a table.
	m.store.wg.Wait()
	var err error
	switch dice := m.random.IntN(3); {
	case dice == 0 && !m.disk.Off():
		if err = m.store.Close(); m.faulty {
			err = nil
		}
	case dice == 1:
		m.disk.Kill()
	default:
		m.cut()
	}
	m.disk.Mend()
	return err
}

// cut cuts the power. With NoSync it only kills the process: a power cut may damage the files then.
func (m *model) cut() {
	if m.options.NoSync {
		m.disk.Kill()
		return
	}
	m.disk.Restart(forgetful.Pages(m.random.IntN(4)), forgetful.Names(m.random.IntN(3)), m.random)
}

// A random store lives several times on a disk that fails and forgets. Each life ends by Close, a
// kill or a power cut; opening may be cut, too.
func TestRandomLivesLoseNothingThatWasStored(t *testing.T) {
	for seed := range uint64(max(60, *lives)) {
		m := newModel(seed)
		m.options.NoSync = seed%3 == 2
		if err := m.lives(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func (m *model) lives() error {
	for life := range 6 {
		if m.random.IntN(3) == 0 {
			m.disk.CutAt(m.random.IntN(80))
		}
		err := m.open()
		for err != nil && m.disk.Off() {
			m.cut()
			err = m.open()
		}
		if err != nil {
			return fmt.Errorf("open %d: %w", life, err)
		}
		m.faulty = m.random.IntN(3) == 0
		if m.faulty {
			m.disk.Fail(forgetful.Fault{
				Op: forgetful.Op(m.random.IntN(int(forgetful.SyncDirectory) + 1)), After: m.random.IntN(60), Times: m.random.IntN(3), Short: m.random.IntN(2) == 0,
			})
		}
		err = m.run(50 + m.random.IntN(300))
		if err != nil && !m.disk.Off() && !m.faulty {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if err := m.end(); err != nil {
			return fmt.Errorf("the end of life %d: %w", life, err)
		}
	}
	return m.open()
}

// A table is written when the journal has two segments more, as with the usual sizes. Updates wait
// when four segments of records are in no table. Here blocks are small, so their heads take half as
// much again. With NoSync a segment is given up about four segments later.
func TestTheJournalIsBounded(t *testing.T) {
	for noSync, segments := range map[bool]int64{false: 15, true: 20} {
		m := newModel(1)
		m.options.NoSync, m.options.checkpointBytes = noSync, 2*m.options.segmentBytes
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		bound := segments * m.options.segmentBytes
		for range 60 {
			if err := m.run(50); err != nil {
				t.Fatal(err)
			}
			if got := m.store.journal.Stats().Bytes; got > bound {
				t.Fatalf("NoSync: %v: the journal has %d bytes, want at most %d", noSync, got, bound)
			}
		}
		m.store.wg.Wait()
		if m.store.number < 10 {
			t.Errorf("NoSync: %v: %d tables were written, want 10 or more", noSync, m.store.number)
		}
		if err := errors.Join(m.compare(), m.store.Close()); err != nil {
			t.Error(err)
		}
	}
}

// While no table can be written, updates are refused: the journal would grow.
func TestWithoutTablesTheJournalIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(1)
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		m.disk.Fail(forgetful.Fault{Op: forgetful.Create, Name: "*" + tableExtension + temporaryExtension})
		change := emulator.Change{Key: []byte("key"), Value: make([]byte, 100)} // it takes no memory
		n, err := 0, error(nil)
		for ; n < 1000 && err == nil; n++ {
			err = m.store.Update(change)
			time.Sleep(time.Millisecond)
		}
		if most := int(2*m.store.limit/100) + 1; err == nil || n > most {
			t.Errorf("%d updates ended with %v, want a refusal after at most %d", n, err, most)
		}
		m.disk.Mend()
		time.Sleep(retryCheckpoint)
		if err := errors.Join(m.store.Update(change), m.store.Close()); err != nil {
			t.Errorf("with tables again: %v", err)
		}
	})
}

// The power goes at every operation of a program that writes tables, moves granules between them
// and removes some. The disk then has none, all, some or torn pages, and none, all or some names.
func TestAPowerCutAtAnyOperationLosesNothingThatWasStored(t *testing.T) {
	cut := func(at, way int) (cutNow bool) {
		m := newModel(uint64(way))
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		m.disk.CutAt(at)
		err := m.run(220)
		m.store.wg.Wait()
		if err == nil && !m.disk.Off() {
			return false
		}
		if err != nil && !m.disk.Off() {
			t.Fatalf("operation %d, way %d: %v", at, way, err)
		}
		m.disk.Restart(forgetful.Pages(way%4), forgetful.Names(way%3), m.random)
		m.disk.CutAt(way * 5) // and again while it opens
		if err := m.open(); err != nil && !m.disk.Off() {
			t.Fatalf("operation %d, way %d: opening: %v", at, way, err)
		}
		m.disk.Restart(forgetful.Pages((way+at)%4), forgetful.Names((way+at)%3), m.random)
		if err := m.open(); err != nil {
			t.Fatalf("operation %d, way %d: opening again: %v", at, way, err)
		}
		if err := m.run(30); err != nil {
			t.Fatalf("operation %d, way %d: going on: %v", at, way, err)
		}
		if err := m.store.Close(); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cuts := 0
	for way := range 12 {
		for at := way % 3; cut(at, way); at += 3 { // the ways together meet every operation
			cuts++
		}
	}
	if cuts < 500 {
		t.Errorf("the power was cut %d times, want more: does the program write anything?", cuts)
	}
}

// A disk without room refuses updates, and loses nothing. When there is room again, it goes on.
func TestAFullDiskRefusesUpdatesUntilThereIsRoom(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(seed)
			if err := m.open(); err != nil {
				t.Fatal(err)
			}
			m.disk.SetSize(m.disk.Used() + int64(seed)*4<<10)
			refused := m.run(100_000)
			if refused == nil {
				t.Fatal("a full disk takes everything")
			}
			if err := m.compare(); err != nil {
				t.Fatalf("seed %d: after %v: %v", seed, refused, err)
			}
			m.disk.SetSize(0)
			time.Sleep(2 * time.Second) // the journal and the tables try again after one
			if err := errors.Join(m.run(300), m.compare(), m.store.Close()); err != nil {
				t.Errorf("seed %d: with room again after %v: %v", seed, refused, err)
			}
			m.doubt = nil
			if err := errors.Join(m.open(), m.store.Close()); err != nil {
				t.Errorf("seed %d: opened again: %v", seed, err)
			}
		})
	}
}
