package journal

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// A Report says what a directory holds.
type Report struct {
	ID, Owner  string
	Segments   int
	Bytes      int64     // of all files
	Oldest     time.Time // when the oldest segment began
	First, End Position  // the oldest record and the one after the newest
	Records    uint64    // that were read
	Missing    uint64    // records that Repair found missing
	Torn       int64     // bytes of a torn tail, or of a block that is being written
	Damage     []*DamagedError
}

// Inspect reads a journal without its lock, also beside a running process. It changes nothing.
// Snapshot gets the newest snapshot, if there is one, and the position of the first record after
// it. Then record gets each record that can be read, in order, also those before the snapshot. The
// bytes are valid during the call only. Both functions may be nil; so may files.
func Inspect(name string, files Files, snapshot func(Position, []byte), record func(Position, []byte)) (Report, error) {
	if files == nil {
		files = system{}
	}
	d := directory{name: name, files: files}
	var r Report
	err := d.read(func(number uint64, err error) error {
		r.Damage = append(r.Damage, &DamagedError{File: filepath.Join(name, segmentName(number, extensionSegment)), Err: err})
		return nil
	})
	if err != nil {
		return r, err
	}
	if d.id == (journalID{}) {
		return r, &fs.PathError{Op: "inspect", Path: filepath.Join(name, identityName), Err: fs.ErrNotExist}
	}
	c, _ := d.remains() // damage, or what cannot be read, is met again below
	r.ID, r.Owner, r.Segments, r.Bytes = d.id.String(), d.owner, len(d.segments), d.bytes
	if len(d.segments) > 0 {
		r.Oldest, r.First = d.segments[0].created, d.segments[0].first
	}
	for i := len(d.segments) - 1; i >= 0 && snapshot != nil; i-- {
		if s := d.segments[i]; s.restores {
			if bytes, err := d.snapshot(s); err == nil { // otherwise it was recycled meanwhile
				snapshot(s.first, bytes)
			}
			break
		}
	}
	for i, s := range d.segments {
		end, torn, err := d.walk(s, d.after(i), func(b block, records []byte) {
			if b.kind == kindMissing {
				r.Missing += uint64(b.count)
				return
			}
			r.Records += uint64(b.count)
			for p := b.first; record != nil && len(records) > 0; p++ {
				one, rest, err := cut(records)
				if err != nil {
					return // the checksum was right: it was written like that
				}
				record(p, one)
				records = rest
			}
		}, func(_, _ run, damage *DamagedError) error {
			if again, err := d.head(s.name(), s.number); err == nil && again.salt == s.salt {
				r.Damage = append(r.Damage, damage)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // it was recycled meanwhile
			return r, err
		}
		if cut := s.truncated(); cut != nil && d.after(i) == 0 {
			r.Damage = append(r.Damage, &DamagedError{File: filepath.Join(name, s.name()), Offset: s.size, First: end.first, Err: cut})
		}
		r.End, r.Torn = max(r.End, end.first), torn
	}
	if len(c.off) > 0 {
		r.Torn = c.torn
	}
	return r, nil
}

// after returns the position after the last record of the i-th segment; 0: that is the last one.
func (d *directory) after(i int) Position {
	if i+1 < len(d.segments) {
		return d.segments[i+1].first
	}
	return 0
}

// walk visits the good blocks of a segment whose records end before after. It calls bad for each
// damaged part between them, with the runs before and after it. Bytes that cannot be read are
// damaged.
func (d *directory) walk(s *segment, after Position, visit func(block, []byte), bad func(before, after run, damage *DamagedError) error) (end run, torn int64, err error) {
	name := filepath.Join(d.name, s.name())
	w, err := d.window(s)
	if err != nil {
		return s.run(), 0, err
	}
	defer func() { _ = w.file.Close() }()
	w.skip = true
	r, again := s.run(), false // again: the bytes were read twice
	for after == 0 || r.first < after {
		b, records, err := w.block(r.at, s.size)
		if err == nil {
			err = r.take(b)
		}
		if err == nil {
			visit(b, records)
			again = false
			continue
		}
		if after == 0 {
			from := r.sequence
			later, err := r.recent(d.files, d.name, s.salt, func(b block, records []byte) error {
				visit(b, records)
				return nil
			})
			if err != nil {
				return r, 0, err
			}
			if r.sequence > from {
				continue
			}
			torn, damage := r.torn(w, s.size, name)
			proved := later != nil && later.synced() >= r.sequence
			if damage == nil && !proved {
				return r, torn, nil
			}
			if damage == nil && again { // the next good block is a recent one
				next := run{at: r.at + headerBytes, sequence: later.sequence, first: later.first}
				if err := bad(r, next, &DamagedError{File: name, Offset: r.at, First: r.first, Records: uint64(next.first - r.first), Err: errNoBlock}); err != nil {
					return r, 0, err
				}
				r, again = next, false
				continue
			}
		}
		if again = !again; again {
			// A running process may have been writing the block. It has written that before the
			// next one, which is there.
			w.held = w.held[:0]
			continue
		}
		next, damage := r.damage(w, s.size, after)
		damage.File, damage.Err = name, err
		if err := bad(r, next, damage); err != nil {
			return r, 0, err
		}
		r = next
	}
	return r, 0, nil
}
