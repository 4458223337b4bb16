package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"
)

// A RepairReport says what Repair changed.
type RepairReport struct {
	SetAside     []string  // copies of the files as they were found
	Missing      []Missing // records that are lost
	SnapshotLost bool      // a snapshot could not be read: an older one counts, or none
	EndUnknown   bool      // the newest records may be lost: their positions may be given again
}

// Missing are positions without a record. Both are 0 if the oldest segment is lost: then an unknown
// number of records before the first one that is left.
type Missing struct {
	First   Position
	Records uint64
}

const damagedName = "damaged"

// Repair sets aside what is damaged, into the folder damaged of the directory. The journal opens
// afterwards, and readers pass over the records that are missing. No other process may have it
// open.
func Repair(name string, files Files) (RepairReport, error) {
	if files == nil {
		files = system{}
	}
	names, err := files.List(name)
	if err != nil {
		return RepairReport{}, err
	}
	if !slices.ContainsFunc(names, isOfJournal) { // nothing is left behind in a directory of others
		return RepairReport{}, &fs.PathError{Op: "repair", Path: filepath.Join(name, identityName), Err: fs.ErrNotExist}
	}
	locked, err := files.Lock(filepath.Join(name, lockName))
	if err != nil {
		return RepairReport{}, err
	}
	defer func() { _ = locked.Close() }()
	r := repair{directory: directory{name: name, files: files}}
	if err := r.all(); err != nil {
		return r.report, fmt.Errorf("journal: repair %s: %w", name, err)
	}
	return r.report, nil
}

// isOfJournal reports whether a file shows that its directory has a journal, whole or damaged.
func isOfJournal(name string) bool {
	_, segment := numberOf(name, extensionSegment)
	return segment || name == identityName
}

type repair struct {
	directory
	report RepairReport
	copied map[string]bool
}

func (r *repair) all() error {
	if err := r.identity(); err != nil {
		return err
	}
	if err := r.read(func(uint64, error) error { return nil }); err != nil {
		return err
	}
	_, _ = r.remains() // Open cuts what is not damaged; what cannot be read is met again below
	if r.begun && len(r.segments)+len(r.headless) == 0 {
		r.report.EndUnknown = true
		return r.move(identityName) // a new journal begins
	}
	for _, number := range r.headless {
		if err := r.behead(number); err != nil {
			return err
		}
	}
	for i := 0; i < len(r.segments); i++ {
		if err := r.segment(i); err != nil {
			return err
		}
	}
	return r.files.SyncDirectory(r.name)
}

// identity makes journal.json again from the head of a segment. The next owner takes it over.
func (r *repair) identity() error {
	names, err := r.files.List(r.name)
	if err != nil {
		return err
	}
	err = r.readIdentity(names)
	if _, damaged := errors.AsType[*DamagedError](err); err == nil || !damaged {
		return err
	}
	if err := absent(r.move(identityName)); err != nil {
		return err
	}
	for _, name := range names {
		n, ok := numberOf(name, extensionSegment)
		if !ok {
			continue
		}
		if s, id, err := r.headOf(name); err == nil && s.number == n {
			r.id = id // the newest one's
		}
	}
	if r.begun = r.id != (journalID{}); !r.begun {
		return errors.New("no segment has a head from which " + identityName + " can be made again")
	}
	return r.writeIdentity()
}

// behead gives a segment another head, without a snapshot, if a good block is found in it.
func (r *repair) behead(number uint64) error {
	at := 0
	for at < len(r.segments) && r.segments[at].number < number {
		at++
	}
	low, high := Position(1), Position(0)
	s := &segment{number: number, created: time.Now()}
	if at > 0 {
		before := r.segments[at-1]
		end, _, err := r.walk(before, 0, func(block, []byte) {}, func(run, run, *DamagedError) error { return nil })
		if err != nil {
			return err
		}
		s.previous, s.oldest, low = before.number, r.segments[0].number, end.first
	}
	if at < len(r.segments) {
		high = r.segments[at].first
	}
	name := filepath.Join(r.name, s.name())
	f, err := r.files.Open(name, true)
	if err != nil {
		return err
	}
	s.size, err = f.Size()
	b, offset := block{}, int64(0)
	if err == nil {
		b, offset, err = firstBlock(f, s.size, low, high)
	}
	if err != nil {
		r.report.EndUnknown = r.report.EndUnknown || at == len(r.segments)
		if at == 0 {
			r.report.Missing = append(r.report.Missing, Missing{})
		}
		return errors.Join(f.Close(), r.move(s.name()))
	}
	if err := r.keep(s.name()); err != nil {
		return errors.Join(err, f.Close())
	}
	s.first, s.salt, s.sequence = b.first, b.salt, b.sequence
	gap := offset - fixedBytes - 4 // the former snapshot, and first blocks that are damaged
	lost := at > 0 && low < b.first && gap >= headerBytes
	if lost { // otherwise the segment before lacks the records, and is mended next
		s.first = low
	}
	var former [24]byte
	_, _ = f.ReadAt(former[:], 0) // zeros stand for what cannot be read
	if at == 0 && b.first > 1 && int64(binary.LittleEndian.Uint32(former[20:])) != offset {
		r.report.Missing = append(r.report.Missing, Missing{})
	}
	var head []byte
	if lost || gap > maxSnapshot {
		s.sequence--
		head = append(s.encode(nil, r.id), r.missing(s.salt, s.sequence, s.first, b.first, gap-headerBytes)...)
	} else {
		s.snapshot = make([]byte, gap) // padding: no snapshot
		head = s.encode(nil, r.id)
	}
	s.snapshot = nil
	r.report.SnapshotLost = true
	r.segments = slices.Insert(r.segments, at, s)
	return writeAndClose(f, head, 0)
}

// firstBlock finds the first block of a segment whose salt is unknown, by the positions that it
// must have.
func firstBlock(f File, size int64, low, high Position) (block, int64, error) {
	w := window{file: f}
	for at := int64(fixedBytes + 4); at+headerBytes <= size; at++ {
		p, err := w.fill(at, size, headerBytes)
		if err != nil {
			at = at/unreadable*unreadable + unreadable - 1
			continue
		}
		b := header(p)
		if b.first < low || b.count > uint32(size) || high > 0 && b.after() > high || int64(b.length) > size-at-headerBytes || b.salt == 0 {
			continue
		}
		if p, err = w.fill(at, size, headerBytes+int(b.length)); err != nil {
			continue
		}
		if b, _, err := decode(p, b.salt); err == nil {
			return b, at, nil
		}
	}
	return block{}, 0, errNoBlock
}

// segment mends the i-th segment, and the one that is missing after it.
func (r *repair) segment(i int) error {
	s := r.segments[i]
	broken := i+1 < len(r.segments) && r.segments[i+1].previous != s.number
	end, _, err := r.walk(s, r.after(i), func(block, []byte) {}, func(before, after run, _ *DamagedError) error {
		if broken && after.first == r.segments[i+1].first {
			return errMissing // the rest is of the segment that is not there
		}
		return r.fill(s, before, after)
	})
	if broken && (err == nil || errors.Is(err, errMissing)) {
		return r.insert(i, end)
	}
	if err == nil && r.after(i) == 0 {
		return r.tail(s, end.at)
	}
	return err
}

// tail writes zeros after the last block if the rest of the last segment cannot be read: Open reads
// all of it. A file that has lost its end gets a head that says so.
func (r *repair) tail(s *segment, at int64) error {
	f, err := r.files.Open(filepath.Join(r.name, s.name()), true)
	if err != nil {
		return err
	}
	text := make([]byte, s.size-at)
	if s.truncated() != nil {
		again, err := r.head(s.name(), s.number)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		text, at = again.encode(nil, r.id), 0
	} else if n, err := f.ReadAt(text, at); n == len(text) || endOfFile(err) {
		return f.Close()
	} else {
		clear(text)
	}
	r.report.EndUnknown = true
	if err := r.keep(s.name()); err != nil {
		return errors.Join(err, f.Close())
	}
	return writeAndClose(f, text, at)
}

// fill writes a block that stands for the records between two runs over the bytes between them.
func (r *repair) fill(s *segment, before, after run) error {
	if err := r.keep(s.name()); err != nil {
		return err
	}
	f, err := r.files.Open(filepath.Join(r.name, s.name()), true)
	if err != nil {
		return err
	}
	return writeAndClose(f, r.missing(s.salt, before.sequence, before.first, after.first, max(0, after.at-before.at-headerBytes)), before.at)
}

// insert makes a segment for the records between the i-th segment and the next.
func (r *repair) insert(i int, end run) error {
	after := r.segments[i+1]
	s := &segment{
		number: after.previous, previous: r.segments[i].number, oldest: r.segments[0].number, first: end.first, sequence: end.sequence,
		salt: newSalt(), created: time.Now(),
	}
	text := s.encode(nil, r.id)
	text = append(text, r.missing(s.salt, s.sequence, s.first, after.first, 0)...)
	s.size = int64(len(text))
	if err := r.write(s.name(), text); err != nil {
		return err
	}
	r.segments = slices.Insert(r.segments, i+1, s)
	return nil
}

// missing returns a block of so many bytes after its header that stands for missing records, and
// reports them.
func (r *repair) missing(salt uint32, sequence uint64, first, next Position, length int64) []byte {
	if next > first {
		r.report.Missing = append(r.report.Missing, Missing{first, uint64(next - first)})
	}
	whole := make([]byte, headerBytes+length)
	(&block{salt: salt, unsynced: 1, sequence: sequence, first: first, count: uint32(next - first), kind: kindMissing}).seal(whole)
	return whole
}

// keep copies a file into the folder of damaged ones, once.
func (r *repair) keep(name string) error {
	if r.copied[name] {
		return nil
	}
	to, err := r.aside(name)
	if err != nil {
		return err
	}
	f, err := r.files.Open(filepath.Join(r.name, name), false)
	if err != nil {
		return err
	}
	size, err := f.Size()
	text := make([]byte, size)
	for at := int64(0); err == nil && at < size; at += unreadable {
		_, _ = f.ReadAt(text[at:min(size, at+unreadable)], at) // zeros stand for what cannot be read
	}
	if err := errors.Join(err, f.Close(), writeFile(r.files, to, text)); err != nil {
		return err
	}
	if r.copied == nil {
		r.copied = map[string]bool{}
	}
	r.copied[name] = true
	r.report.SetAside = append(r.report.SetAside, to)
	return r.files.SyncDirectory(filepath.Join(r.name, damagedName))
}

// move moves a file into the folder of damaged ones.
func (r *repair) move(name string) error {
	to, err := r.aside(name)
	if err != nil {
		return err
	}
	if err := r.files.Rename(filepath.Join(r.name, name), to); err != nil {
		return err
	}
	r.report.SetAside = append(r.report.SetAside, to)
	return errors.Join(r.files.SyncDirectory(filepath.Join(r.name, damagedName)), r.files.SyncDirectory(r.name))
}

// aside returns a new name in the folder of damaged files, which it makes.
func (r *repair) aside(name string) (string, error) {
	folder := filepath.Join(r.name, damagedName)
	if err := r.files.MakeDirectory(folder); err != nil {
		return "", err
	}
	for k := 1; ; k++ {
		to := filepath.Join(folder, fmt.Sprintf("%s.%d", name, k))
		if _, err := sizeOf(r.files, to); errors.Is(err, fs.ErrNotExist) {
			return to, nil
		} else if err != nil {
			return "", err
		}
	}
}
