package journal

import (
	"errors"
	"fmt"
	"slices"
)

// A Reader reads committed records in order, from memory or from the files. It has one user.
type Reader struct {
	j       *Journal
	next    Position // of the record that Next returns
	at      Position // of the first record in records
	records []byte   // of the present block
	err     error

	chunk *chunk // in memory: pinned, so that its bytes stay
	hot   []byte // its committed bytes
	read  int    // of these

	segment *segment // in a file
	window  window
	run     run
}

// Reader returns a reader from a position on, or from the oldest that is kept if that is later.
func (j *Journal) Reader(from Position) *Reader {
	j.mu.Lock()
	defer j.mu.Unlock()
	return &Reader{j: j, next: max(from, j.segments[0].first)}
}

// Next returns the next record. The bytes are valid until the next call. Ok is false if no more are
// committed: Committed says when. An error is a *DamagedError, ErrReleased, ErrClosed or the
// system's, and stays. Records that Repair found missing are skipped.
func (r *Reader) Next() (p Position, record []byte, ok bool, err error) {
	for r.err == nil {
		for len(r.records) > 0 {
			var rest []byte
			if record, rest, r.err = cut(r.records); r.err != nil {
				break
			}
			p, r.records = r.at, rest
			if r.at++; p >= r.next {
				r.next = r.at
				return p, record, true, nil
			}
		}
		if r.err == nil {
			var more bool
			if more, r.err = r.block(); r.err == nil && !more {
				return 0, nil, false, nil
			}
		}
	}
	return 0, nil, false, r.err
}

// block reads the next block.
func (r *Reader) block() (bool, error) {
	if r.chunk != nil && r.read < len(r.hot) {
		r.fromChunk()
		return true, nil
	}
	j := r.j
	j.mu.Lock()
	if r.chunk != nil && r.chunk.committed == len(r.hot) && r.next < j.committed {
		j.memory.unpin(r.chunk)
		r.chunk = nil
	}
	switch {
	case j.closed:
		j.mu.Unlock()
		return false, ErrClosed
	case r.next >= j.committed:
		j.mu.Unlock()
		return false, nil
	case r.chunk == nil:
		if r.chunk = j.memory.pin(r.next); r.chunk != nil {
			r.read = 0
		}
	}
	if r.chunk != nil {
		r.hot = r.chunk.bytes[:r.chunk.committed]
		j.mu.Unlock()
		r.closeFile()
		r.fromChunk()
		return true, nil
	}
	i, _ := slices.BinarySearchFunc(j.segments, r.next+1, func(s *segment, p Position) int {
		if s.first < p {
			return -1
		}
		return 1
	})
	if i == 0 {
		j.mu.Unlock()
		return false, ErrReleased
	}
	s, limit, after := j.segments[i-1], j.segments[i-1].size, j.committed
	if i == len(j.segments) {
		limit = s.end
	} else {
		after = j.segments[i].first
	}
	j.mu.Unlock()
	err := r.fromFile(s, limit, after)
	if err != nil && r.released() {
		return false, ErrReleased // the file has become another segment
	}
	return err == nil, err
}

// fromChunk reads the block of the chunk that has the next record. It is as it was added.
func (r *Reader) fromChunk() {
	for {
		b := header(r.hot[r.read:])
		from := r.read + headerBytes
		r.read = from + int(b.length)
		if b.after() > r.next {
			r.records, r.at = r.hot[from:r.read], b.first
			return
		}
	}
}

// fromFile reads the next block of a segment, whose records end before after.
func (r *Reader) fromFile(s *segment, limit int64, after Position) error {
	j := r.j
	if r.segment != s {
		r.closeFile()
		f, err := j.o.Files.Open(j.path(s.name()), false)
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		r.segment, r.window, r.run = s, window{file: f, salt: s.salt, held: r.window.held[:0]}, s.run()
	}
	for {
		b, records, err := r.window.block(r.run.at, limit)
		if err == nil {
			err = r.run.take(b)
		}
		switch {
		case errors.Is(err, errNoBlock):
			_, damage := r.run.damage(&r.window, limit, after)
			damage.File = j.path(s.name())
			return damage
		case err != nil:
			return fmt.Errorf("journal: read %s: %w", j.path(s.name()), err)
		case r.run.first <= r.next:
			continue
		case b.kind == kindMissing:
			r.records, r.next = nil, r.run.first
		default:
			r.records, r.at = records, b.first
		}
		return nil
	}
}

// damage describes the bytes before the next good block, or before the segment's end, and returns
// where reading goes on. After is the position after the segment's last record; 0: unknown.
func (r *run) damage(w *window, limit int64, after Position) (run, *DamagedError) {
	next := run{at: limit, sequence: r.sequence, first: after}
	for at := r.at; ; {
		b, found, err := w.find(at, limit)
		if err != nil {
			break
		}
		if b.sequence >= r.sequence && b.first >= r.first && (after == 0 || b.after() <= after) {
			next = run{at: found, sequence: b.sequence, first: b.first}
			break
		}
		at = found + headerBytes + int64(b.length)
	}
	return next, &DamagedError{Offset: r.at, First: r.first, Records: uint64(next.first - r.first), Err: errNoBlock}
}

// released reports whether the next record was released meanwhile.
func (r *Reader) released() bool {
	r.j.mu.Lock()
	defer r.j.mu.Unlock()
	return r.next < r.j.segments[0].first
}

func (r *Reader) closeFile() {
	if r.segment != nil {
		_ = r.window.file.Close() // it was only read
		r.segment = nil
	}
}

// Close gives back the reader's memory and file.
func (r *Reader) Close() {
	r.closeFile()
	if r.chunk != nil {
		r.j.mu.Lock()
		r.j.memory.unpin(r.chunk)
		r.j.mu.Unlock()
		r.chunk = nil
	}
	if r.err == nil {
		r.err = ErrClosed
	}
}
