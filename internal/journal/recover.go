package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Open locks a directory, which it makes if it is not there, and recovers the journal in it. A torn
// tail is cut. If records that were kept cannot be read, the error is a *DamagedError; Repair sets
// the damage aside.
//
// Restore gets the newest snapshot, or nil if there is none. Then replay gets each record after it,
// in order. The bytes are valid during the call only. An error of theirs ends Open.
//
// Open reads the heads of all segments and the blocks of the last one, whatever the journal holds.
// It also reads up to three segments before that, and writes them again, if SyncOS left them
// without a sync.
func Open(name string, o Options, restore func(snapshot []byte) error, replay func(Position, []byte) error) (*Journal, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	if err := o.Files.MakeDirectory(name); err != nil {
		return nil, fmt.Errorf("journal: make the directory: %w", err)
	}
	if kind := o.Files.Remote(name); kind != "" && !o.AllowRemote {
		return nil, fmt.Errorf("journal: directory %s is on %s, whose locks and fsyncs others promise: use a local disk, or allow it", name, kind)
	}
	locked, err := o.Files.Lock(filepath.Join(name, lockName))
	if _, inUse := errors.AsType[*InUseError](err); err != nil && !inUse {
		return nil, fmt.Errorf("journal: %w", err)
	} else if err != nil {
		return nil, err
	}
	j := &Journal{o: o, directory: name, locked: locked, capacity: o.capacity(), memory: memory{bound: int(min(memoryBytes, o.SegmentBytes/2))}}
	j.turn.L, j.kept[0].L, j.kept[1].L = &j.mu, &j.mu, &j.mu
	if err := j.recover(restore, replay); err != nil {
		j.shut()
		return nil, err
	}
	return j, nil
}

func (j *Journal) recover(restore func([]byte) error, replay func(Position, []byte) error) error {
	d := directory{name: j.directory, files: j.o.Files}
	// The names that are found must last before a file is written under one of them.
	if err := d.files.SyncDirectory(d.name); err != nil {
		return fmt.Errorf("journal: sync the directory: %w", err)
	}
	err := d.read(func(number uint64, err error) error {
		return &DamagedError{File: j.path(segmentName(number, extensionSegment)), Err: err}
	})
	if err != nil {
		return err
	}
	if d.owner != "" && d.owner != j.o.Owner {
		return &OwnerError{j.directory, d.owner, j.o.Owner}
	}
	if d.begun && len(d.segments) == 0 {
		return &DamagedError{File: j.directory, Err: errors.New("all segments are missing")}
	}
	if d.id == (journalID{}) || d.owner != j.o.Owner {
		if d.owner = j.o.Owner; d.id == (journalID{}) {
			d.id = newID()
		}
		if err := d.writeIdentity(); err != nil {
			return fmt.Errorf("journal: write %s: %w", j.path(identityName), err)
		}
	}
	if err := j.cutUnsynced(&d); err != nil {
		return err
	}
	j.id, j.segments, j.allocated, j.number = d.id, d.segments, d.bytes, max(d.number, 1)
	if err := j.reopen(&d); err != nil {
		return err
	}
	if err := j.openRecent(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if !d.begun {
		d.begun = true
		if err := d.writeIdentity(); err != nil {
			return fmt.Errorf("journal: write %s: %w", j.path(identityName), err)
		}
	}
	j.committed, j.released, j.safe = j.next, j.segments[0].first, j.segments[0].first
	return j.replay(&d, restore, replay)
}

// cutUnsynced makes free files of the segments that a power cut has left without the blocks before
// them, and writes the other unsynced ones again.
func (j *Journal) cutUnsynced(d *directory) error {
	c, err := d.remains()
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(c.off) { // so that those that are left follow one another at any time
		j.o.Logger.Warn("journal: a segment after a torn one is cut off", "file", j.path(s.name()), "position", uint64(s.first))
		name := segmentName(s.number, extensionFree)
		if err := j.o.Files.Rename(j.path(s.name()), j.path(name)); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		d.others = append(d.others, leftover{name, s.size})
	}
	if len(c.off) > 0 {
		if err := j.o.Files.SyncDirectory(j.directory); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	for _, s := range c.unsynced {
		if err := j.rewrite(s.name(), s.size, s.size, nil); err != nil {
			return fmt.Errorf("journal: write %s again: %w", j.path(s.name()), err)
		}
	}
	return nil
}

// rewrite writes a file's bytes up to end again, then others and zeros, and syncs all.
func (j *Journal) rewrite(name string, size, end int64, then []byte) error {
	f, err := j.o.Files.Open(j.path(name), true)
	if err != nil {
		return err
	}
	buffer := make([]byte, copyBytes)
	for at := int64(0); err == nil && at < size; {
		p := buffer[:min(copyBytes, size-at)]
		if at < end {
			p = p[:min(int64(len(p)), end-at)]
			_, err = f.ReadAt(p, at)
		} else {
			clear(p)
			copy(p, then)
			then = then[min(len(p), len(then)):]
		}
		if err == nil {
			_, err = f.WriteAt(p, at)
		}
		at += int64(len(p))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// reopen makes a fresh last segment with the blocks of the former one, and gathers the free files.
func (j *Journal) reopen(d *directory) error {
	fresh, others, err := j.freeFiles(d)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	var former *segment
	s := &segment{first: 1, sequence: 1, size: j.o.SegmentBytes}
	if n := len(j.segments); n > 0 {
		former = j.segments[n-1]
		if now := time.Now(); now.Before(former.created) {
			j.o.Logger.Warn("journal: the clock is behind the newest segment's creation", "file", j.path(former.name()), "behind", former.created.Sub(now))
		}
		s.previous, s.first, s.sequence, s.restores = former.previous, former.first, former.sequence, former.restores
		if n > 1 {
			s.oldest = j.segments[0].number
		}
		if s.snapshot, err = d.snapshot(former); err != nil {
			return err
		}
	}
	name := ""
	if len(fresh) > 0 && (former == nil || former.size <= j.o.SegmentBytes) {
		name, fresh = fresh[0], fresh[1:]
	} else if s.size, name, err = j.createFor(former); err != nil && former == nil {
		return fmt.Errorf("journal: %w", err)
	} else if err != nil {
		j.o.Logger.Warn("journal: no room to write the last segment again to another file: it is written in place", "error", err)
	}
	c := copying{journal: j, from: former, sequence: 1, first: 1}
	if name == "" {
		err = c.inPlace()
	} else if err = j.start(name, s, c.blocks); err == nil {
		j.segments = append(j.segments[:max(0, len(j.segments)-1)], s)
		j.keepFree(fresh, others)
		if former != nil {
			_, err = j.recycle(former)
		}
	}
	if err != nil {
		if _, damaged := errors.AsType[*DamagedError](err); damaged {
			return err
		}
		return fmt.Errorf("journal: open: %w", err)
	}
	j.next, j.sequence = c.first, c.sequence
	j.written, j.synced = c.sequence-1, c.sequence-1
	j.left = j.capacity - c.bytes
	j.allocate()
	return nil
}

// freeFiles gives all free files the name of one, and returns those that are as large as a segment.
func (j *Journal) freeFiles(d *directory) (fresh []string, others []leftover, err error) {
	renamed := false
	for _, o := range d.others {
		if base, ok := strings.CutSuffix(o.name, extensionSegment); ok {
			if err := j.o.Files.Rename(j.path(o.name), j.path(base+extensionFree)); err != nil {
				return nil, nil, err
			}
			o.name, renamed = base+extensionFree, true
		}
		if o.size == j.o.SegmentBytes {
			fresh = append(fresh, o.name)
		} else {
			others = append(others, o)
		}
	}
	if renamed {
		err = j.o.Files.SyncDirectory(j.directory)
	}
	return fresh, others, err
}

// keepFree keeps a spare and a next file, within the bound, and removes the rest.
func (j *Journal) keepFree(fresh []string, others []leftover) {
	for _, name := range fresh {
		switch over := j.o.MaxBytes > 0 && j.allocated > j.o.MaxBytes; {
		case j.spare == nil:
			j.spare = &free{name: name}
		case j.ahead == nil && !over:
			j.ahead = &free{name: name}
		default:
			others = append(others, leftover{name, j.o.SegmentBytes})
		}
	}
	for _, o := range others {
		if err := j.remove(o.name); err != nil {
			j.o.Logger.Warn("journal: a file that is not needed cannot be removed", "file", j.path(o.name), "error", err)
			continue
		}
		j.allocated -= o.size
	}
}

// createFor allocates the file that takes the blocks of a segment, within the bounds.
func (j *Journal) createFor(former *segment) (size int64, name string, err error) {
	size = j.o.SegmentBytes
	if former != nil {
		size = max(size, former.size)
		if j.o.MaxBytes > 0 && j.allocated+size > j.o.MaxBytes {
			return 0, "", fmt.Errorf("%d bytes are allocated, MaxBytes is %d", j.allocated, j.o.MaxBytes)
		}
	}
	f, err := j.create(size)
	if err != nil {
		return 0, "", err
	}
	j.allocated += size
	return size, f.name, nil
}

// copying writes the good blocks of a segment again.
type copying struct {
	journal  *Journal
	from     *segment // nil: there is none
	sequence uint64   // after the last block
	first    Position // after the last record
	bytes    int64
	end      int64  // of the good blocks in from
	recent   []byte // the blocks that follow there, from the file recent
}

const copyBytes = 1 << 20

// blocks copies to a file. Marks are left out, a new one ends the copy.
func (c *copying) blocks(to File, s *segment) (int64, error) {
	out, at := make([]byte, 0, min(copyBytes, s.size)), s.head
	flush := func() error {
		_, err := to.WriteAt(out, at)
		at, out = at+int64(len(out)), out[:0]
		return err
	}
	if c.from != nil {
		c.sequence, c.first = s.sequence, s.first
		err := c.scan(func(b block, records []byte) error {
			if b.count == 0 && b.kind == kindRecords {
				return nil
			}
			if len(out) > 0 && len(out)+headerBytes+len(records) > copyBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			from := len(out)
			out = append(append(out, make([]byte, headerBytes)...), records...)
			b.salt, b.sequence, b.unsynced = s.salt, c.sequence, 1
			b.seal(out[from:])
			c.sequence++
			c.first, c.bytes = b.after(), c.bytes+int64(headerBytes+len(records))
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if s.head+c.bytes+headerBytes <= s.size {
		out = append(out, marked(s.salt, c.sequence, c.first)...)
		c.sequence++
	}
	err := flush()
	return at, err
}

// scan visits the good blocks, and decides whether what follows them is torn or damaged. It is torn
// unless a good block after it says that it was synced.
func (c *copying) scan(visit func(block, []byte) error) error {
	j, s := c.journal, c.from
	f, err := j.o.Files.Open(j.path(s.name()), false)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w := window{file: f, salt: s.salt}
	run := s.run()
	for {
		b, records, err := w.block(run.at, s.size)
		if err == nil {
			err = run.take(b)
		}
		if err != nil && !errors.Is(err, errNoBlock) {
			return fmt.Errorf("read %s: %w", j.path(s.name()), err)
		}
		if err != nil {
			break
		}
		if err := visit(b, records); err != nil {
			return err
		}
	}
	c.end = run.at
	later, err := run.recent(j.o.Files, j.directory, s.salt, func(b block, records []byte) error {
		whole := append(make([]byte, headerBytes, headerBytes+len(records)), records...)
		b.seal(whole)
		c.recent = append(c.recent, whole...)
		return visit(b, records)
	})
	if err != nil {
		return err
	}
	if later != nil && later.synced() >= run.sequence {
		return &DamagedError{File: j.path(s.name()), Offset: run.at, First: run.first, Records: uint64(later.first - run.first), Err: errNoBlock}
	}
	if err := s.truncated(); err != nil {
		return &DamagedError{File: j.path(s.name()), Offset: s.size, First: run.first, Err: err}
	}
	torn, err := run.torn(&w, s.size, j.path(s.name()))
	if torn > 0 {
		j.o.Logger.Warn("journal: a torn tail is cut", "file", j.path(s.name()), "offset", run.at, "bytes", torn, "position", uint64(run.first))
	}
	return err
}

// inPlace writes the same bytes again to the same file, and zeros after them.
func (c *copying) inPlace() error {
	j, s := c.journal, c.from
	c.sequence, c.first = s.sequence, s.first
	if err := c.scan(func(b block, _ []byte) error {
		c.sequence, c.first = b.sequence+1, b.after()
		return nil
	}); err != nil {
		return err
	}
	if err := j.rewrite(s.name(), s.size, c.end, c.recent); err != nil {
		return err
	}
	f, err := j.o.Files.Open(j.path(s.name()), true)
	if err != nil {
		return err
	}
	c.end += int64(len(c.recent))
	c.bytes = c.end - s.head
	j.file, j.at, s.end = f, c.end, c.end
	return nil
}

// A run is where the blocks of a segment have been read to.
type run struct {
	at       int64
	sequence uint64
	first    Position
	missing  bool // the block before stands for missing ones: sequences go on later
}

func (s *segment) run() run { return run{at: s.head, sequence: s.sequence, first: s.first} }

// take goes on after a block, or returns errNoBlock if that is not the next one.
func (r *run) take(b block) error {
	if b.first != r.first || b.sequence != r.sequence && !(r.missing && b.sequence > r.sequence) {
		return errNoBlock
	}
	r.at += headerBytes + int64(b.length)
	r.sequence, r.first, r.missing = b.sequence+1, b.after(), b.kind == kindMissing
	return nil
}

// torn returns the bytes of a torn tail, or a *DamagedError.
func (r *run) torn(w *window, limit int64, file string) (torn int64, err error) {
	if p, err := w.fill(r.at, limit, headerBytes); err == nil && len(p) >= headerBytes {
		if b := header(p); b.salt == w.salt {
			torn = min(headerBytes+int64(b.length), limit-r.at)
		}
	}
	for at := r.at; ; {
		b, found, err := w.find(at, limit)
		if err == errNoBlock {
			return torn, nil
		}
		if err != nil {
			return torn, fmt.Errorf("read %s: %w", file, err)
		}
		if b.synced() >= r.sequence && b.first >= r.first {
			return 0, &DamagedError{File: file, Offset: r.at, First: r.first, Records: uint64(b.first - r.first), Err: errNoBlock}
		}
		at = found + headerBytes + int64(b.length)
		torn = at - r.at
	}
}

// replay gives the newest snapshot and all records after it.
func (j *Journal) replay(d *directory, restore func([]byte) error, replay func(Position, []byte) error) error {
	var snapshot []byte
	from := j.segments[0].first
	for i := len(j.segments) - 1; i >= 0; i-- {
		s := j.segments[i]
		if !s.restores {
			continue
		}
		var err error
		if snapshot, err = d.snapshot(s); err != nil {
			return fmt.Errorf("journal: read %s: %w", j.path(s.name()), err)
		}
		from = s.first
		break
	}
	if restore != nil {
		if err := restore(snapshot); err != nil {
			return err
		}
	}
	if replay == nil {
		return nil
	}
	r := j.Reader(from)
	defer r.Close()
	for {
		p, record, ok, err := r.Next()
		if err != nil || !ok {
			return err
		}
		if err := replay(p, record); err != nil {
			return err
		}
	}
}
