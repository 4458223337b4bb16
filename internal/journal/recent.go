package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Recent holds the newest small blocks in a mapped file, until one write takes them to the segment
// together. A store into mapped memory costs no call of the system, and survives the process as a
// write does. Blocks name their segment by its salt, and follow one another by their sequence. So
// the file needs no head, and blocks of earlier use do not count. SyncEach has no file of that kind.
type recent struct {
	file  File  // nil: blocks go to the segment at once
	size  int64 // of the file
	bytes []byte
	chunk *chunk // that has these bytes; nil: there are none
	at    int64  // where they go in the segment
}

const (
	recentName  = "recent"
	recentBytes = 256 << 10
	flushPause  = time.Second // how long blocks stay there at most, with SyncOS
)

// keep takes a block unless it is too large.
func (r *recent) keep(j *Journal, g *group) (bool, error) {
	small := r.file != nil && int64(len(g.whole)) <= r.size/4
	if r.chunk != nil && (!small || r.chunk != g.chunk || int64(len(r.bytes)+len(g.whole)) > r.size) {
		if err := j.flush(); err != nil {
			return false, err
		}
	}
	if !small || g.sync || g.flush {
		return false, nil
	}
	if _, err := r.file.WriteAt(g.whole, int64(len(r.bytes))); err != nil {
		return false, err
	}
	if r.chunk == nil {
		r.bytes, r.chunk, r.at = g.whole, g.chunk, j.at
	} else {
		r.bytes = r.bytes[:len(r.bytes)+len(g.whole)] // the blocks of a chunk lie one after the other
	}
	return true, nil
}

// flush writes the recent blocks to the segment.
func (j *Journal) flush() error {
	r := &j.recent
	if r.chunk == nil {
		return nil
	}
	if _, err := j.file.WriteAt(r.bytes, r.at); err != nil {
		return err
	}
	j.mu.Lock()
	r.chunk.unwritten = false
	j.last().end = r.at + int64(len(r.bytes))
	j.mu.Unlock()
	r.bytes, r.chunk = nil, nil
	return nil
}

func (r *recent) close() {
	if r.file != nil {
		_ = r.file.Close() // its blocks were flushed, or wait for the next Open
	}
}

// openRecent maps the file. Without it all goes well, with more calls of the system.
func (j *Journal) openRecent() error {
	name := j.path(recentName)
	size, err := sizeOf(j.o.Files, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	there, want := err == nil, min(recentBytes, j.o.SegmentBytes/4)
	if j.o.Policy == SyncEach || j.o.Files.Remote(j.directory) != "" {
		want = 0
	}
	if there && size != want {
		// Its blocks are in the segment. They must not come back after later ones.
		if err := errors.Join(j.remove(recentName), j.o.Files.SyncDirectory(j.directory)); err != nil {
			return err
		}
		there = false
		j.allocated -= size
	}
	if want == 0 || !there && j.o.MaxBytes > 0 && j.allocated+want > j.o.MaxBytes {
		return nil
	}
	if there {
		err = j.empty(name, want)
	} else if err = j.reserve(recentName, want); err == nil {
		j.allocated += want
	}
	if err == nil {
		j.recent.file, err = j.o.Files.Map(name)
	}
	if err == nil {
		j.recent.size = want
	} else if !errors.Is(err, errors.ErrUnsupported) {
		j.o.Logger.Warn("journal: no mapped file, each small block costs a write of its own", "file", name, "error", err)
	}
	return nil
}

// empty writes zeros over the blocks of former lives. Open has those that count. A block after a
// gap must not follow the ones that are written now.
func (j *Journal) empty(name string, size int64) error {
	f, err := j.o.Files.Open(name, true)
	if err != nil {
		return err
	}
	return writeAndClose(f, make([]byte, size), 0)
}

// recent goes on with the recent blocks that follow a run in the last segment. Later is a block
// after a gap, if there is one.
func (r *run) recent(files Files, directory string, salt uint32, visit func(block, []byte) error) (later *block, err error) {
	name := filepath.Join(directory, recentName)
	text, err := readAll(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for {
		b, records, err := decode(text, salt)
		if err != nil {
			return nil, nil
		}
		text = text[headerBytes+len(records):]
		if b.sequence < r.sequence {
			continue // it is in the segment
		}
		if r.take(b) != nil {
			return &b, nil
		}
		if err := visit(b, records); err != nil {
			return nil, err
		}
	}
}
