package emulatordata

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// load reads the newest table's state and the indexes of all tables, and removes the tables that do
// not belong to the store any more. The directory is locked.
func (s *Store) load() error {
	names, err := s.files.List(s.directory)
	if err != nil {
		return err
	}
	for _, name := range names {
		if number, ok := tableNumber(name); ok {
			s.number = max(s.number, number)
		} else if strings.HasSuffix(name, tableExtension+temporaryExtension) {
			if err := s.files.Remove(filepath.Join(s.directory, name)); err != nil {
				return err
			}
		}
	}
	if s.number == 0 {
		return nil
	}
	numbers, err := s.loadState()
	if err != nil {
		return err
	}
	slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(b, a) }) // the newest first
	byID := make(map[uint64]*eventLog, len(s.logs))
	for _, l := range s.logs {
		byID[l.id] = l
	}
	for _, number := range numbers {
		if err := s.loadIndex(number, byID); err != nil {
			return err
		}
	}
	for name, l := range s.logs {
		if err := s.settle(l); err != nil {
			return &damagedError{s.directory, fmt.Errorf("the log %q: %w", name, err)}
		}
	}
	for _, name := range names {
		if number, ok := tableNumber(name); ok && s.tables[number] == nil {
			if err := s.files.Remove(filepath.Join(s.directory, name)); err != nil {
				s.log.Warn("a table that is not needed cannot be removed", "file", filepath.Join(s.directory, name), "error", err)
			}
		}
	}
	return nil
}

// loadState reads the state in the newest table. It returns the numbers of all tables.
func (s *Store) loadState() (numbers []uint64, err error) {
	path := filepath.Join(s.directory, tableName(s.number))
	t, err := s.openTable(s.number)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.file.Close() }() // it was only read
	p, err := t.read(t.state)
	if err == nil {
		numbers, err = s.readState(p)
	}
	if errors.Is(err, errChecksum) || errors.Is(err, errShort) {
		err = &damagedError{path, fmt.Errorf("the state in it: %w", err)}
	}
	return append(numbers, s.number), err
}

// readState reads what appendState has written.
func (s *Store) readState(p []byte) (tables []uint64, err error) {
	d := decoder{rest: p}
	s.position = journal.Position(d.uvarint())
	s.saved = s.position
	s.lastLog = d.uvarint()
	for range d.count() {
		tables = append(tables, d.uvarint())
	}
	for range d.count() {
		key := string(d.bytes())
		s.keys[key] = bytes.Clone(d.bytes())
	}
	for range d.count() {
		name := string(d.bytes())
		l := &eventLog{id: d.uvarint()}
		l.state.Entries = int(d.number())
		l.state.Oldest, l.state.Newest = d.entry(), d.entry()
		l.pieces = bytes.Clone(d.bytes())
		s.logs[name] = l
	}
	return tables, d.err
}

// loadIndex reads the index of a table.
func (s *Store) loadIndex(number uint64, byID map[uint64]*eventLog) error {
	path := filepath.Join(s.directory, tableName(number))
	t, err := s.openTable(number)
	if errors.Is(err, fs.ErrNotExist) {
		return &damagedError{path, errors.New("it is missing")}
	}
	if err != nil {
		return err
	}
	defer func() { _ = t.file.Close() }() // it was only read
	p, err := t.read(t.index)
	var x index
	if err == nil {
		x, err = readIndex(number, p)
	}
	if errors.Is(err, errChecksum) || errors.Is(err, errShort) {
		return &damagedError{path, fmt.Errorf("the index in it: %w", err)}
	}
	if err != nil {
		return err
	}
	s.tables[number] = &table{bytes: t.index.place}
	for id, granules := range x {
		if l := byID[id]; l != nil {
			l.granules = append(l.granules, granules...)
		}
	}
	return nil
}

// settle puts the granules of a log in order, and leaves out those that it does not need. Their
// entries were removed, or they have moved to a later table. Those of later tables come first.
func (s *Store) settle(l *eventLog) error {
	slices.SortStableFunc(l.granules, func(a, b granule) int { return cmp.Compare(a.first, b.first) })
	all := l.granules
	l.granules = nil
	next := l.state.Oldest.First
	for i := range all {
		g := all[i]
		if g.after <= next || l.state.Entries == 0 {
			continue
		}
		if g.first > next || len(l.granules) > 0 && g.first != next {
			break
		}
		l.granules = append(l.granules, g)
		s.tables[g.table].live += int64(g.length)
		next = g.after
	}
	if end := l.end(); l.state.Entries > 0 && next != end {
		return fmt.Errorf("its tables have no entry with the sequence number %d, and it ends before %d", next, end)
	}
	return nil
}

// replay makes the changes of a record in memory again, unless a table has them.
func (s *Store) replay(p journal.Position, record []byte) error {
	if p < s.saved {
		return nil
	}
	if p != s.position || len(record) == 0 {
		return &damagedError{s.directory, fmt.Errorf("the journal has record %d of %d bytes, where %d is the next", p, len(record), s.position)}
	}
	kind, rest := record[0], bytes.Clone(record[1:])
	switch kind {
	case recordFirstPiece, recordNextPiece:
		d := decoder{rest: rest}
		name := string(d.bytes())
		if d.err == nil && name == "" {
			d.fail()
		}
		if d.err != nil {
			return s.badRecord(p, d.err)
		}
		s.addPiece(kind, name, d.rest)
	case recordUpdate:
		changes, pieces, err := readUpdate(rest)
		if err != nil {
			return s.badRecord(p, err)
		}
		if err := s.complete(changes, pieces); err != nil {
			return s.badRecord(p, err)
		}
		s.apply(changes)
	default:
		return s.badRecord(p, fmt.Errorf("its kind is %d", kind))
	}
	s.applied(p, len(record))
	return nil
}

// complete puts the pieces before a message, and checks the changes.
func (s *Store) complete(changes []emulator.Change, pieces bool) error {
	entry, err := s.check(changes)
	if err != nil || entry == nil || !pieces {
		return err
	}
	l := s.eventLog(entry.Log)
	entry.Entry.Message = append(l.pieces[:len(l.pieces):len(l.pieces)], entry.Entry.Message...)
	return nil
}

func (s *Store) badRecord(p journal.Position, err error) error {
	return &damagedError{s.directory, fmt.Errorf("record %d of the journal: %w", p, err)}
}
