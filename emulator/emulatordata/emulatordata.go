// Package emulatordata keeps an emulator's events in files. After a restart the events have the
// same sequence numbers and offsets, so checkpoints that refer to them stay valid.
//
//	store, err := emulatordata.Open("data", nil)
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//	server, err := emulator.New(&emulator.Options{Store: store})
//	if err != nil {
//		return err
//	}
//	defer server.Close() // before the store
//
// # Files
//
// A change is durable when it is in the journal: segments of 8 MiB. Each 16 MiB of events are then
// written again, to a table, and the journal gives its segments back. In a table the events of a
// partition lie together. So opening reads at most 32 MiB of the journal, and the indexes of the tables.
// Tables never change. When less than half of a table is still there, the rest moves to the next
// one. So the files take at most about twice the bytes of the events, and 64 MiB. [Options.NoSync]
// takes 32 MiB more: the journal gives segments back later.
//
// # Goroutines
//
// A table is written by a goroutine of its own, one at a time. [Store.Close] waits for it.
package emulatordata

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

const (
	// eventsName is the directory of the journal and the tables, in the caller's directory.
	eventsName = "events"

	// owner is in the journal, so that a producer's journal is not taken for a store.
	owner = "emulator"

	segmentBytes = 8 << 20

	// checkpointBytes is what the entries in memory take, and the bytes of the journal, when a
	// table is written. At twice as much updates wait for it.
	checkpointBytes = 16 << 20

	// retryCheckpoint is how long a table that could not be written is not tried again.
	retryCheckpoint = time.Second
)

// Options configure [Open]. Nil means the defaults.
type Options struct {
	// NoSync lets the operating system decide when to write to the disk, which is much faster.
	// Acknowledged events still survive the end of the process, but a crash of the machine may
	// damage the files.
	NoSync bool

	// Logger gets what the store finds and mends, and its failures, at level WARN.
	// Default: no logging.
	Logger *slog.Logger

	files           journal.Files // nil: the system's
	checkpointBytes int64
	segmentBytes    int64
}

// A Store is an [emulator.Store] in files. Its methods may be called by several goroutines at once.
type Store struct {
	// Immutable.
	directory string
	files     journal.Files
	limit     int64 // checkpointBytes
	piece     int   // bytes of a message in one record; a record must fit in a segment
	log       *slog.Logger
	journal   *journal.Journal // locks the directory

	wg sync.WaitGroup // the goroutine that writes a table

	// The journal's lock may be held when mu is taken. So the journal is not called with mu.
	mu       sync.Mutex // guards the fields below
	keys     map[string][]byte
	logs     map[string]*eventLog
	lastLog  uint64            // id of the newest log
	position journal.Position  // of the next record
	saved    journal.Position  // the first record that the newest table does not have
	cost     int64             // of the entries in memory
	recorded int64             // bytes of records since the newest table
	tables   map[uint64]*table // by number
	number   uint64            // of the newest table ever
	writing  chan struct{}     // closed when the table that is being written is done; nil: none is
	failure  error             // of the last table
	failedAt time.Time
	closed   bool
}

// A table is a file of granules.
type table struct {
	bytes int64 // of its granules
	live  int64 // of the granules that logs still have
}

// Open opens the store in a directory, and makes the directory if it does not exist. Only one
// process at a time can open a store. The caller must Close the store, after the server that uses
// it.
//
// A store of the former form, a file named emulator.db, is read once and written in this form. It
// is then named emulator.db.imported, and can be removed.
func Open(dir string, options *Options) (*Store, error) {
	if options == nil {
		options = &Options{}
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("emulatordata: %s is a file; give a directory", dir)
	}
	if err := options.importFormer(dir); err != nil {
		return nil, err
	}
	return open(filepath.Join(dir, eventsName), options)
}

// open opens the directory of the journal and the tables.
func open(dir string, options *Options) (*Store, error) {
	s := &Store{
		directory: dir, files: options.files, log: options.Logger, limit: options.checkpointBytes,
		keys: make(map[string][]byte), logs: make(map[string]*eventLog), tables: make(map[uint64]*table), position: 1, saved: 1,
	}
	if s.files == nil {
		s.files = journal.System()
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.limit == 0 {
		s.limit = checkpointBytes
	}
	o := journal.Options{Files: s.files, Owner: owner, SegmentBytes: segmentBytes, AllowRemote: true, Logger: s.log}
	if options.segmentBytes > 0 {
		o.SegmentBytes = options.segmentBytes
	}
	s.piece = int(o.SegmentBytes / 2)
	if options.NoSync {
		o.Policy = journal.SyncOS
	}
	var err error
	s.journal, err = journal.Open(dir, o, func([]byte) error { return s.load() }, s.replay)
	if err == nil {
		if err = s.checkPosition(); err != nil {
			_ = s.journal.Close()
		}
	}
	if err != nil {
		return nil, explain(dir, err)
	}
	return s, nil
}

// explain says what to do about an error of Open.
func explain(dir string, err error) error {
	if _, inUse := errors.AsType[*journal.InUseError](err); inUse {
		return fmt.Errorf("emulatordata: %s is in use; is another emulator running with this directory? (%w)", dir, err)
	}
	if d, damaged := errors.AsType[*journal.DamagedError](err); damaged {
		return &damagedError{d.File, err}
	}
	if _, damaged := errors.AsType[*damagedError](err); damaged {
		return err
	}
	return fmt.Errorf("emulatordata: cannot open %s: %w", dir, err)
}

// checkPosition reports tables and journal that do not belong together: one was replaced, or
// removed.
func (s *Store) checkPosition() error {
	stats := s.journal.Stats()
	switch {
	case stats.First > s.saved:
		return &damagedError{s.directory, fmt.Errorf("its newest table is missing: it has the records up to %d, and the journal begins with %d", s.saved-1, stats.First)}
	case stats.End < s.saved:
		return &damagedError{s.directory, fmt.Errorf("its journal is missing: it ends with %d, and the newest table has the records up to %d", stats.End-1, s.saved-1)}
	}
	return nil
}

// Update implements [emulator.Store]. Simultaneous updates are written together.
func (s *Store) Update(changes ...emulator.Change) error {
	entry, err := s.check(changes)
	if err == nil {
		err = s.admit()
	}
	var position journal.Position
	if err == nil {
		position, err = s.add(changes, entry)
	}
	if err == nil {
		err = s.journal.Await(position)
	}
	if err != nil {
		return fmt.Errorf("emulatordata: %s: %w", s.directory, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if (s.cost >= s.limit || s.recorded >= s.limit) && time.Since(s.failedAt) >= retryCheckpoint {
		s.beginCheckpointLocked()
	}
	return nil
}

// check refuses changes that cannot be made, and returns their entry, or nil.
func (s *Store) check(changes []emulator.Change) (entry *emulator.Change, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		if c.Log == "" && len(c.Key) == 0 {
			return nil, errors.New("a change names neither a key nor a log")
		}
		if c.Log == "" || c.Drop {
			continue
		}
		state := emulator.LogState{}
		if l := s.logs[c.Log]; l != nil {
			state = l.state
		}
		if c.Removed < 0 || c.Removed > state.Entries {
			return nil, fmt.Errorf("%d entries cannot be removed from the %d of log %q", c.Removed, state.Entries, c.Log)
		}
		if c.Entry == nil {
			continue
		}
		if entry != nil {
			return nil, errors.New("two changes have an entry")
		}
		if err := follows(&state.Newest, c.Entry); err != nil {
			return nil, fmt.Errorf("log %q: %w", c.Log, err)
		}
		entry = c
	}
	return entry, nil
}

// follows refuses an entry that cannot come after another one.
func follows(newest, e *emulator.Entry) error {
	switch last := e.LastOffset - e.Offset; {
	case newest.Events > 0 && (e.First != after(newest) || e.Offset != newest.Offset+newest.Bytes || e.Enqueued.Before(newest.Enqueued)):
		return fmt.Errorf("an entry begins with %d at offset %d, enqueued at %v, after one that ends with %d at %d, enqueued at %v",
			e.First, e.Offset, e.Enqueued, after(newest), newest.Offset+newest.Bytes, newest.Enqueued)
	case e.First < 0 || e.Offset < 0 || e.Events < 1 || int64(e.Events) > math.MaxUint32 || e.First > math.MaxInt64-int64(e.Events),
		e.Bytes < 0 || e.Bytes > math.MaxUint32 || e.Offset > math.MaxInt64-e.Bytes, last < 0 || last > math.MaxUint32:
		return fmt.Errorf("an entry has %d events from %d on, and %d bytes from %d to %d", e.Events, e.First, e.Bytes, e.Offset, e.LastOffset)
	}
	return nil
}

// admit waits while too much is in memory, or in the journal. It fails if that cannot be written to
// a table.
func (s *Store) admit() error {
	for {
		s.mu.Lock()
		if s.cost < 2*s.limit && s.recorded < 2*s.limit {
			s.mu.Unlock()
			return nil
		}
		if s.failure != nil && time.Since(s.failedAt) < retryCheckpoint {
			err := s.failure
			s.mu.Unlock()
			return err
		}
		writing := s.beginCheckpointLocked()
		s.mu.Unlock()
		<-writing
	}
}

// add adds a record of changes to the journal and makes them in memory. A longer message comes in
// pieces before it.
func (s *Store) add(changes []emulator.Change, entry *emulator.Change) (journal.Position, error) {
	var message []byte
	if entry != nil {
		message = entry.Entry.Message
	}
	pieces := len(message) > s.piece
	for kind := byte(recordFirstPiece); len(message) > s.piece; kind = recordNextPiece {
		piece := message[:s.piece]
		message = message[s.piece:]
		head := appendString([]byte{kind}, entry.Log)
		_, err := s.journal.Add(false, head, piece, nil, func(p journal.Position) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.addPiece(kind, entry.Log, piece)
			s.applied(p, len(head)+len(piece))
		})
		if err != nil {
			return 0, err
		}
	}
	head := appendUpdate(nil, changes, pieces)
	return s.journal.Add(entry == nil, head, message, nil, func(p journal.Position) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.apply(changes)
		s.applied(p, len(head)+len(message))
	})
}

// applied notes that a record was made in memory. The caller holds mu.
func (s *Store) applied(p journal.Position, bytes int) {
	s.position = p + 1
	s.recorded += int64(bytes)
}

// apply makes changes in memory. The caller holds mu.
func (s *Store) apply(changes []emulator.Change) {
	for i := range changes {
		switch c := &changes[i]; {
		case c.Log != "" && c.Drop:
			s.drop(c.Log)
		case c.Log != "":
			l := s.eventLog(c.Log)
			if c.Removed > 0 {
				granules, cost := l.trim(c.Removed, c.Oldest)
				s.forget(granules)
				s.cost -= cost
			}
			if c.Entry != nil {
				e := *c.Entry
				l.pieces = nil
				l.append(&e)
				s.cost += costOf(&e)
			}
		case c.Value == nil:
			delete(s.keys, string(c.Key))
		default:
			s.keys[string(c.Key)] = bytes.Clone(c.Value)
		}
	}
}

// eventLog returns a log, which it makes if it is not there. The caller holds mu.
func (s *Store) eventLog(name string) *eventLog {
	l := s.logs[name]
	if l == nil {
		s.lastLog++
		l = &eventLog{id: s.lastLog}
		s.logs[name] = l
	}
	return l
}

func (s *Store) drop(name string) {
	l := s.logs[name]
	if l == nil {
		return
	}
	s.forget(l.granules)
	for _, e := range l.fresh {
		s.cost -= costOf(e)
	}
	delete(s.logs, name)
}

// forget notes that granules are not needed any more.
func (s *Store) forget(granules []granule) {
	for i := range granules {
		s.tables[granules[i].table].live -= int64(granules[i].length)
	}
}

// addPiece keeps a piece of a message whose end comes with a later record.
func (s *Store) addPiece(kind byte, log string, piece []byte) {
	l := s.eventLog(log)
	if kind == recordFirstPiece {
		l.pieces = nil // of a message whose end never came
	}
	l.pieces = append(l.pieces, piece...)
}

// Scan implements [emulator.Store].
func (s *Store) Scan(prefix []byte, visit func(key, value []byte) error) error {
	s.mu.Lock()
	var found []string
	values := make(map[string][]byte)
	for key, value := range s.keys {
		if strings.HasPrefix(key, string(prefix)) {
			found = append(found, key)
			values[key] = value // never changes
		}
	}
	s.mu.Unlock()
	slices.Sort(found)
	for _, key := range found {
		if err := visit([]byte(key), values[key]); err != nil {
			return err
		}
	}
	return nil
}

// Log implements [emulator.Store].
func (s *Store) Log(name string) emulator.LogState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[name]; l != nil {
		return l.state
	}
	return emulator.LogState{}
}

// Close writes and syncs what is not on the disk yet, and unlocks the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wg.Wait()
	err := s.journal.Close()
	if errors.Is(err, journal.ErrClosed) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("emulatordata: %s: %w", s.directory, err)
	}
	return nil
}
