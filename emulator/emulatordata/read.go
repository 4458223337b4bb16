package emulatordata

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// Read implements [emulator.Store].
func (s *Store) Read(name string, before func(emulator.Entry) bool, visit func(emulator.Entry) bool) error {
	next := int64(-1) // sequence number of the next entry; -1: before finds it
	for {
		entries, end, err := s.readSome(name, before, next)
		if err != nil {
			return err
		}
		for i := range entries {
			e := &entries[i]
			if next >= 0 && after(e) <= next || next < 0 && before(withoutMessage(e)) {
				continue
			}
			if !visit(*e) {
				return nil
			}
		}
		if end < 0 {
			return nil
		}
		next = end
	}
}

// readSome returns some entries of a log: those of one granule, or some that are in memory. They
// are the ones from the sequence number next on, or those that before finds if next is -1. Earlier
// ones may come before them. End is the sequence number after the last one; -1: the log has no
// more.
func (s *Store) readSome(name string, before func(emulator.Entry) bool, next int64) (entries []emulator.Entry, end int64, err error) {
	const most = 256 // entries from memory
	var missing granule
	for {
		g, oldest := granule{}, int64(0)
		s.mu.Lock()
		l := s.logs[name]
		if l == nil || l.state.Entries == 0 {
			s.mu.Unlock()
			return nil, -1, nil
		}
		oldest = l.state.Oldest.First
		var found *granule
		var fresh []*emulator.Entry
		if next < 0 {
			found, fresh = l.find(func(e emulator.Entry) bool { return e.First < oldest || before(e) })
		} else {
			found, fresh = l.from(max(next, oldest))
		}
		if found == nil {
			entries = make([]emulator.Entry, 0, min(len(fresh), most))
			for _, e := range fresh[:cap(entries)] {
				entries = append(entries, *e)
			}
			s.mu.Unlock()
			if len(entries) == 0 {
				return nil, -1, nil
			}
			return entries, after(&entries[len(entries)-1]), nil
		}
		g = *found
		s.mu.Unlock()
		entries, err = s.readGranule(&g)
		if errors.Is(err, fs.ErrNotExist) && g != missing {
			missing = g // it has moved to another table meanwhile
			continue
		}
		if err != nil {
			return nil, -1, err
		}
		for len(entries) > 0 && entries[0].First < oldest {
			entries = entries[1:]
		}
		return entries, g.after, nil
	}
}

// readGranule reads a granule of a table.
func (s *Store) readGranule(g *granule) ([]emulator.Entry, error) {
	p, err := s.readBytes(g)
	if err != nil {
		return nil, err
	}
	entries, err := g.read(p)
	if err != nil {
		return nil, &damagedError{filepath.Join(s.directory, tableName(g.table)), fmt.Errorf("at byte %d: %w", g.place, err)}
	}
	return entries, nil
}

func (s *Store) readBytes(g *granule) ([]byte, error) {
	path := filepath.Join(s.directory, tableName(g.table))
	f, err := s.files.Open(path, false)
	if err != nil {
		return nil, fmt.Errorf("emulatordata: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	p := make([]byte, g.length)
	if err := readFull(f, p, int64(g.place)); err != nil {
		return nil, fmt.Errorf("emulatordata: read %s: %w", path, err)
	}
	return p, nil
}
