package journal

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
)

// A rolled is a segment before the last one that is not synced. Only SyncOS leaves segments so: the
// system writes them meanwhile, and the callers do not wait for the disk.
type rolled struct {
	file File
	last uint64   // the sequence of its last block
	safe Position // what was released when the segment after it began
}

// rolledSegments is how many there are at most. Open reads them.
const rolledSegments = 3

// leave lets the system write the last segment. Another one is about to begin.
func (j *Journal) leave() error {
	j.file.Push()
	j.rolled = append(j.rolled, rolled{file: j.file, last: j.written})
	j.file = nil
	for len(j.rolled) > rolledSegments {
		if err := j.syncRolled(); err != nil {
			return err
		}
	}
	return nil
}

// syncRolled syncs the oldest segment that is not synced. With all before it synced, a power cut
// takes neither its records nor the snapshot after it. So the disk has the reason of the release.
func (j *Journal) syncRolled() error {
	r := j.rolled[0]
	if err := r.file.Sync(); err != nil {
		return err
	}
	j.rolled, j.synced = slices.Delete(j.rolled, 0, 1), r.last
	_ = r.file.Close() // it was synced
	j.mu.Lock()
	j.safe = max(j.safe, r.safe)
	j.mu.Unlock()
	return nil
}

// Remains say how far a power cut has left all blocks.
type remains struct {
	off      []*segment // the segments after that, cut off
	torn     int64      // bytes of blocks after that
	unsynced []*segment // the segments before the last one that are whole, and may not be synced
}

// remains finds out how far a power cut has left all blocks. Segments before the last one may lack
// blocks that were never synced. If a later block says that a missing one was synced, that is
// damage.
func (d *directory) remains() (c remains, err error) {
	n := len(d.segments)
	if n < 2 || d.segments[n-1].unsynced == 0 {
		return c, nil
	}
	_, synced, err := d.end(d.segments[n-1], math.MaxUint64)
	if err != nil {
		return c, err
	}
	for i, s := range d.segments[:n-1] {
		next := d.segments[i+1]
		if next.sequence-1 <= synced || next.previous != s.number {
			continue
		}
		end, _, err := d.end(s, next.first)
		if err != nil {
			return c, err
		}
		if end.first < next.first {
			c.torn, err = d.unproved(i, end)
			if err == nil {
				c.off, d.segments = slices.Clone(d.segments[i+1:]), d.segments[:i+1]
			}
			return c, err
		}
		c.unsynced = append(c.unsynced, s)
	}
	return c, nil
}

// end returns where the good blocks of a segment end, or its records before a position. Synced is
// the newest sequence that is known to be synced.
func (d *directory) end(s *segment, before Position) (r run, synced uint64, err error) {
	w, err := d.window(s)
	if err != nil {
		return r, 0, err
	}
	defer func() { _ = w.file.Close() }()
	r, synced = s.run(), s.synced()
	for r.first < before {
		b, _, err := w.block(r.at, s.size)
		if err == nil {
			err = r.take(b)
		}
		if errors.Is(err, errNoBlock) {
			break
		}
		if err != nil {
			return r, 0, fmt.Errorf("journal: read %s: %w", filepath.Join(d.name, s.name()), err)
		}
		synced = max(synced, b.synced())
	}
	return r, synced, nil
}

// unproved returns the bytes after the end of the i-th segment's blocks, which no later block says
// to be synced. If one does, the error is a *DamagedError.
func (d *directory) unproved(i int, end run) (torn int64, err error) {
	name := filepath.Join(d.name, d.segments[i].name())
	damage := func(later Position) error {
		return &DamagedError{File: name, Offset: end.at, First: end.first, Records: uint64(later - end.first), Err: errNoBlock}
	}
	for _, s := range d.segments[i:] {
		from := end
		if s != d.segments[i] {
			if from.at = s.head; s.synced() >= end.sequence {
				return 0, damage(s.first)
			}
		}
		w, err := d.window(s)
		if err != nil {
			return 0, err
		}
		bytes, err := from.torn(w, s.size, name)
		_ = w.file.Close() // it was only read
		if found, is := errors.AsType[*DamagedError](err); is {
			return 0, damage(found.First + Position(found.Records))
		}
		if err != nil {
			return 0, err
		}
		torn += bytes
	}
	later, err := end.recent(d.files, d.name, d.segments[len(d.segments)-1].salt, func(block, []byte) error { return nil })
	if err == nil && later != nil && later.synced() >= end.sequence {
		err = damage(later.first)
	}
	return torn, err
}

// window opens a segment to read its blocks.
func (d *directory) window(s *segment) (*window, error) {
	f, err := d.files.Open(filepath.Join(d.name, s.name()), false)
	return &window{file: f, salt: s.salt}, err
}
