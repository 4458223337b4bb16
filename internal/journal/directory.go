package journal

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
)

// A journalID is in every file of a journal.
type journalID [16]byte

func (id journalID) String() string { return hex.EncodeToString(id[:]) }

// identity is what journal.json holds.
type identity struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Begun  bool   `json:"begun"` // the first segment was made
}

const (
	identityName = "journal.json"
	lockName     = "lock"
	temporary    = ".new"
)

var errMissing = errors.New("the segment is missing")

// A directory is what Open, Inspect and Repair find.
type directory struct {
	name     string
	files    Files
	id       journalID
	owner    string
	begun    bool
	segments []*segment // from the oldest to the newest, without those in headless
	headless []uint64   // segments that are there, without a good head
	others   []leftover // free files, and segments that others replaced
	bytes    int64
	number   uint64 // higher than any
}

// A leftover is a file that may be recycled.
type leftover struct {
	name string
	size int64
}

// readIdentity reads journal.json, if the directory is not new.
func (d *directory) readIdentity(names []string) error {
	if !slices.Contains(names, identityName) {
		for _, name := range names {
			if _, ok := numberOf(name, extensionSegment); ok {
				return &DamagedError{File: filepath.Join(d.name, identityName), Err: errors.New("it is missing beside segments")}
			}
		}
		return nil
	}
	file := filepath.Join(d.name, identityName)
	text, err := readAll(d.files, file)
	if err != nil {
		return err
	}
	var found identity
	if err := json.Unmarshal(text, &found); err != nil {
		return &DamagedError{File: file, Err: err}
	}
	if found.Format > versionMajor {
		return &FormatError{File: file, Found: found.Format, Known: versionMajor}
	}
	id, err := hex.DecodeString(found.ID)
	if err != nil || len(id) != len(d.id) || found.Format < 1 {
		return &DamagedError{File: file, Err: fmt.Errorf("it holds format %d and id %q", found.Format, found.ID)}
	}
	d.id, d.owner, d.begun = journalID(id), found.Owner, found.Begun
	return nil
}

// writeIdentity makes journal.json.
func (d *directory) writeIdentity() error {
	text, err := json.Marshal(identity{Format: versionMajor, ID: d.id.String(), Owner: d.owner, Begun: d.begun})
	if err != nil {
		return err
	}
	return d.write(identityName, append(text, '\n'))
}

// write makes or replaces a small file, whole or not at all.
func (d *directory) write(name string, text []byte) error {
	name = filepath.Join(d.name, name)
	if err := absent(d.files.Remove(name + temporary)); err != nil {
		return err
	}
	if err := writeFile(d.files, name+temporary, text); err != nil {
		return err
	}
	if err := d.files.Rename(name+temporary, name); err != nil {
		return err
	}
	return d.files.SyncDirectory(d.name)
}

// read finds the files and reads the heads. Bad is called once for a segment whose head cannot be
// read, or that is missing. If it returns nil, the segment is left out. A newer format is an error.
func (d *directory) read(bad func(number uint64, err error) error) error {
	names, err := d.files.List(d.name)
	if err != nil {
		return err
	}
	if err := d.readIdentity(names); err != nil {
		return err
	}
	var all []*segment
	for _, name := range names {
		if n, ok := numberOf(name, extensionFree); ok {
			d.number = max(d.number, n+1)
			size, err := sizeOf(d.files, filepath.Join(d.name, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // it became a segment meanwhile, beside Inspect
			}
			if err != nil {
				return err
			}
			d.others = append(d.others, leftover{name, size})
			d.bytes += size
		}
		if name == recentName {
			if size, err := sizeOf(d.files, filepath.Join(d.name, name)); err == nil {
				d.bytes += size
			}
		}
		n, ok := numberOf(name, extensionSegment)
		if !ok {
			continue
		}
		d.number = max(d.number, n+1)
		s, err := d.head(name, n)
		if err != nil && d.gone(name) {
			continue // it was recycled meanwhile, beside Inspect
		}
		if _, newer := errors.AsType[*FormatError](err); newer {
			return err
		}
		if err != nil {
			if err = bad(n, err); err != nil {
				return err
			}
			d.headless = append(d.headless, n)
			continue
		}
		d.bytes += s.size
		s.snapshot = nil // memory does not grow with the number of segments
		all = append(all, s)
	}
	return d.chain(all, bad)
}

// head reads the head of a segment of this journal.
func (d *directory) head(name string, number uint64) (*segment, error) {
	s, id, err := d.headOf(name)
	switch format, newer := errors.AsType[*FormatError](err); {
	case newer:
		format.File = filepath.Join(d.name, name)
		return nil, err
	case err != nil:
		return nil, err
	case id != d.id:
		return nil, fmt.Errorf("the segment belongs to the journal %s, not to %s", id, d.id)
	case s.number != number:
		return nil, fmt.Errorf("the head is that of segment %d", s.number)
	}
	return s, nil
}

// headOf reads the head of a file.
func (d *directory) headOf(name string) (s *segment, id journalID, err error) {
	f, err := d.files.Open(filepath.Join(d.name, name), false)
	if err != nil {
		return nil, id, err
	}
	s, id, err = readHead(f)
	return s, id, errors.Join(err, f.Close())
}

// snapshot reads the snapshot of a segment.
func (d *directory) snapshot(s *segment) ([]byte, error) {
	again, err := d.head(s.name(), s.number)
	if err != nil {
		return nil, err
	}
	return again.snapshot, nil
}

// chain keeps the segments that follow one another, from the newest back to the oldest. The others
// were replaced, or are older than the oldest that was needed when the newest began.
func (d *directory) chain(all []*segment, bad func(uint64, error) error) error {
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		if len(d.segments) > 0 {
			after := d.segments[0]
			switch {
			case s.number > after.previous, s.number < d.segments[len(d.segments)-1].oldest:
				d.others = append(d.others, leftover{s.name(), s.size})
				continue
			case s.number < after.previous && !slices.Contains(d.headless, after.previous):
				if err := bad(after.previous, errMissing); err != nil {
					return err
				}
			}
		}
		d.segments = slices.Insert(d.segments, 0, s)
	}
	return nil
}

// readAll reads a small file.
func readAll(files Files, name string) ([]byte, error) {
	f, err := files.Open(name, false)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	text := make([]byte, min(size, 1<<20))
	if err == nil && len(text) > 0 {
		var n int
		if n, err = f.ReadAt(text, 0); n == len(text) {
			err = nil
		}
	}
	return text, errors.Join(err, f.Close())
}

// writeFile makes a small file and syncs it.
func writeFile(files Files, name string, text []byte) error {
	f, err := files.Create(name, int64(len(text)))
	if err != nil {
		return err
	}
	return writeAndClose(f, text, 0)
}

// writeAndClose writes to a file that is open, and syncs and closes it.
func writeAndClose(f File, text []byte, at int64) error {
	_, err := f.WriteAt(text, at)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func sizeOf(files Files, name string) (int64, error) {
	f, err := files.Open(name, false)
	if err != nil {
		return 0, err
	}
	size, err := f.Size()
	return size, errors.Join(err, f.Close())
}

func (d *directory) gone(name string) bool {
	_, err := sizeOf(d.files, filepath.Join(d.name, name))
	return errors.Is(err, fs.ErrNotExist)
}

// absent forgives that a file is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func newID() (id journalID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}
