package emulatordata

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A checkpoint is the next table on its way to the disk.
type checkpoint struct {
	store    *Store
	number   uint64
	position journal.Position // the first record that it does not have
	recorded int64            // bytes of records before that and after the last table
	parts    []logPart
	moved    []movedGranule
	state    []byte
	obsolete []uint64 // tables that do not belong to the store any more when this one does

	index index
	bytes int64
}

// A logPart is what a checkpoint writes of a log.
type logPart struct {
	log     *eventLog
	entries []*emulator.Entry
}

// A movedGranule comes from a table of which little is left.
type movedGranule struct {
	log     *eventLog
	granule granule
	bytes   []byte
}

// beginCheckpointLocked writes a table in a goroutine, unless one does. The channel is closed when
// it has ended.
func (s *Store) beginCheckpointLocked() <-chan struct{} {
	if s.writing != nil {
		return s.writing
	}
	done := make(chan struct{})
	if s.closed {
		close(done)
		s.failure, s.failedAt = journal.ErrClosed, time.Now()
		return done
	}
	s.writing = done
	// It ends when the table is written, or cannot be; Close waits for it.
	s.wg.Go(func() {
		err := s.checkpoint()
		if err != nil {
			s.log.Warn("a table cannot be written: the journal keeps its events", "directory", s.directory, "error", err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.writing = nil
		if s.failure = err; err != nil {
			s.failedAt = time.Now()
		}
		close(done)
	})
	return done
}

// checkpoint writes what only the journal has to a table, and lets the journal give it back.
func (s *Store) checkpoint() error {
	c := &checkpoint{store: s, index: make(index)}
	picked := c.pick()
	c.begin(picked)
	if c.position > 1 {
		// The table must not have records that the journal may lose: it would give their positions
		// to others.
		if err := s.journal.Await(c.position - 1); err != nil {
			return err
		}
	}
	if err := c.write(); err != nil {
		return err
	}
	c.install()
	for _, number := range c.obsolete {
		// A reader may have it open, which prevents this on some systems. Open removes it then.
		_ = s.files.Remove(filepath.Join(s.directory, tableName(number)))
	}
	s.journal.Release(c.position)
	return nil
}

// pick reads the granules that are left of the emptiest tables, at most as much as a checkpoint
// usually has. It returns these tables.
func (c *checkpoint) pick() (picked map[uint64]bool) {
	s := c.store
	picked = make(map[uint64]bool)
	s.mu.Lock()
	var numbers []uint64
	for number, t := range s.tables {
		if t.live > 0 && t.live < t.bytes/2 {
			numbers = append(numbers, number)
		}
	}
	slices.SortFunc(numbers, func(a, b uint64) int { return cmp.Compare(s.tables[a].live, s.tables[b].live) })
	room := s.limit
	for _, number := range numbers {
		if room -= s.tables[number].live; room < 0 {
			break
		}
		picked[number] = true
	}
	if len(picked) > 0 {
		for _, l := range s.logs {
			for _, g := range l.granules {
				if picked[g.table] {
					c.moved = append(c.moved, movedGranule{log: l, granule: g})
				}
			}
		}
	}
	s.mu.Unlock()
	for i := range c.moved {
		m := &c.moved[i]
		var err error
		if m.bytes, err = s.readBytes(&m.granule); err == nil && crc32.Checksum(m.bytes, castagnoli) != m.granule.sum {
			err = errChecksum
		}
		if err != nil && picked[m.granule.table] {
			s.log.Warn("a table is damaged and stays as it is", "file", filepath.Join(s.directory, tableName(m.granule.table)), "offset", m.granule.place, "error", err)
			delete(picked, m.granule.table)
		}
	}
	c.moved = slices.DeleteFunc(c.moved, func(m movedGranule) bool { return !picked[m.granule.table] })
	return picked
}

// begin takes what the table is to have.
func (c *checkpoint) begin(picked map[uint64]bool) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	c.number, c.position, c.recorded = s.number, s.position, s.recorded
	for _, name := range slices.Sorted(maps.Keys(s.logs)) {
		if l := s.logs[name]; len(l.fresh) > 0 {
			c.parts = append(c.parts, logPart{l, slices.Clone(l.fresh)})
		}
	}
	var kept []uint64
	for number, t := range s.tables {
		if t.live > 0 && !picked[number] {
			kept = append(kept, number)
		} else {
			c.obsolete = append(c.obsolete, number)
		}
	}
	c.state = s.appendState(nil, kept)
}

// appendState appends the state of the store with these tables, and the one that it is written to.
func (s *Store) appendState(dst []byte, tables []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.position))
	dst = binary.AppendUvarint(dst, s.lastLog)
	dst = binary.AppendUvarint(dst, uint64(len(tables)))
	for _, number := range tables {
		dst = binary.AppendUvarint(dst, number)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.keys)))
	for key, value := range s.keys {
		dst = appendBytes(appendString(dst, key), value)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.logs)))
	for name, l := range s.logs {
		dst = binary.AppendUvarint(appendString(dst, name), l.id)
		dst = binary.AppendUvarint(dst, uint64(l.state.Entries))
		dst = appendEntry(appendEntry(dst, &l.state.Oldest), &l.state.Newest)
		dst = appendBytes(dst, l.pieces)
	}
	return dst
}

// write makes the file. It gets its name when all of it is on the disk.
func (c *checkpoint) write() error {
	s := c.store
	dataBytes := c.plan()
	// The checksums of the granules are not known yet, and are shorter or longer numbers. The
	// footer says where the index ends.
	most := int64(len(c.index.append(nil))) + c.bytesOfSums()
	size := dataBytes + most + int64(len(c.state)) + footerBytes
	path := filepath.Join(s.directory, tableName(c.number))
	temporary := path + temporaryExtension
	if err := absent(s.files.Remove(temporary)); err != nil {
		return err
	}
	f, err := s.files.Create(temporary, size)
	if err != nil {
		return err
	}
	err = c.fill(f, size)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.files.Rename(temporary, path)
	}
	if err == nil {
		err = s.files.SyncDirectory(s.directory)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), absent(s.files.Remove(temporary)))
	}
	return nil
}

// temporaryExtension is that of a table that is being written. Open removes it.
const temporaryExtension = ".new"

// plan makes the granules, without their checksums, and returns their bytes.
func (c *checkpoint) plan() (bytes int64) {
	for _, part := range c.parts {
		var before *emulator.Entry
		var scratch []byte
		var g *granule
		for _, e := range part.entries {
			if g != nil && int64(g.length)+int64(len(e.Message)) > granuleBytes {
				g = nil
			}
			if g == nil {
				granules := append(c.index[part.log.id], granule{table: c.number, place: uint32(bytes)})
				c.index[part.log.id] = granules
				g = &granules[len(granules)-1]
				g.setHead(e)
				before = e
			}
			scratch = appendStoredHead(scratch[:0], e, before)
			size := int64(len(scratch) + len(e.Message))
			g.length += uint32(size)
			g.entries++
			g.after = after(e)
			bytes += size
			before = e
		}
	}
	for i := range c.moved {
		m := &c.moved[i]
		g := m.granule
		g.table, g.place = c.number, uint32(bytes)
		c.index[m.log.id] = append(c.index[m.log.id], g)
		bytes += int64(g.length)
	}
	return bytes
}

// bytesOfSums is by how much the checksums may lengthen the index.
func (c *checkpoint) bytesOfSums() (bytes int64) {
	for _, granules := range c.index {
		bytes += int64(len(granules)) * (binary.MaxVarintLen32 - 1)
	}
	return bytes
}

// fill writes the parts of the file.
func (c *checkpoint) fill(f journal.File, size int64) error {
	w := tableWriter{file: f}
	for _, part := range c.parts {
		granules := c.index[part.log.id]
		entries := part.entries
		for n := 0; len(entries) > 0; n++ {
			g := &granules[n]
			w.sum = 0
			before := entries[0]
			for _, e := range entries[:g.entries] {
				w.head = appendStoredHead(w.head[:0], e, before)
				w.write(w.head)
				w.write(e.Message)
				before = e
			}
			g.sum = w.sum
			entries = entries[g.entries:]
		}
	}
	for i := range c.moved {
		w.write(c.moved[i].bytes)
	}
	c.bytes = w.at + int64(len(w.buffer))
	var foot footer
	for _, p := range []struct {
		to    *part
		bytes []byte
	}{{&foot.index, c.index.append(nil)}, {&foot.state, c.state}} {
		*p.to = part{w.at + int64(len(w.buffer)), int64(len(p.bytes)), crc32.Checksum(p.bytes, castagnoli)}
		w.write(p.bytes)
	}
	w.flush()
	if w.err == nil {
		_, w.err = f.WriteAt(foot.append(nil), size-footerBytes)
	}
	return w.err
}

// A tableWriter writes a file from its beginning.
type tableWriter struct {
	file   journal.File
	at     int64 // of the buffer in the file
	buffer []byte
	sum    uint32 // crc32c of what was written since it was reset
	head   []byte // memory
	err    error
}

func (w *tableWriter) write(p []byte) {
	const most = 1 << 20
	w.sum = crc32.Update(w.sum, castagnoli, p)
	if len(w.buffer)+len(p) > most {
		w.flush()
	}
	if len(p) > most {
		w.writeAt(p)
		return
	}
	w.buffer = append(w.buffer, p...)
}

func (w *tableWriter) flush() {
	w.writeAt(w.buffer)
	w.buffer = w.buffer[:0]
}

func (w *tableWriter) writeAt(p []byte) {
	if w.err == nil && len(p) > 0 {
		_, w.err = w.file.WriteAt(p, w.at)
	}
	w.at += int64(len(p))
}

// install makes the logs have the table in place of what is in memory.
func (c *checkpoint) install() {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &table{bytes: c.bytes}
	s.tables[c.number] = t
	s.saved = c.position
	s.recorded -= c.recorded
	alive := make(map[*eventLog]bool, len(s.logs))
	for _, l := range s.logs {
		alive[l] = true
	}
	for _, part := range c.parts {
		l := part.log
		if !alive[l] {
			continue // it was dropped meanwhile
		}
		end := after(part.entries[len(part.entries)-1])
		for _, g := range c.index[l.id] {
			if g.first >= part.entries[0].First && g.after > l.state.Oldest.First {
				l.granules = append(l.granules, g)
				t.live += int64(g.length)
			}
		}
		n := sort.Search(len(l.fresh), func(i int) bool { return l.fresh[i].First >= end })
		for _, e := range l.fresh[:n] {
			s.cost -= costOf(e)
		}
		l.fresh = slices.Clone(l.fresh[n:])
	}
	for i := range c.moved {
		m := &c.moved[i]
		n := sort.Search(len(m.log.granules), func(i int) bool { return m.log.granules[i].first >= m.granule.first })
		if !alive[m.log] || n == len(m.log.granules) || m.log.granules[n] != m.granule {
			continue // it was removed meanwhile
		}
		for _, g := range c.index[m.log.id] {
			if g.first == m.granule.first {
				m.log.granules[n] = g
				t.live += int64(g.length)
			}
		}
	}
	for _, number := range c.obsolete {
		delete(s.tables, number)
	}
}

// absent forgives that a file is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
