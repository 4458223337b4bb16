package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// A group is a block on its way to the disk. It has the records of all callers that added them
// while the group before was written.
type group struct {
	block
	whole []byte // header and records, in the chunk
	chunk *chunk
	end   int // in the chunk
	ahead bool
	sync  bool
	flush bool // the recent blocks go to the segment
}

// lead writes the open block if write is set. Then it recycles and allocates files if that is due.
// The caller holds j.mu, which is free meanwhile, and found j.leading false.
func (j *Journal) lead(write bool) {
	j.leading = true
	for {
		if (write || j.due || j.flushes) && j.failed == nil {
			j.gather()
			g := j.take()
			j.mu.Unlock()
			err := j.keep(&g)
			j.mu.Lock()
			j.settle(&g, err)
			write = false
		} else if j.untidy {
			j.untidy, j.changing = false, true
			j.mu.Unlock()
			err := j.tidy()
			j.mu.Lock()
			if err != nil {
				j.fail(err)
			}
		} else {
			break
		}
	}
	j.follow()
}

// follow ends leading.
func (j *Journal) follow() {
	j.leading, j.changing = false, false
	j.turn.Broadcast()
	j.kept[j.sequence&1].Signal() // one of those whose records gathered meanwhile leads next
}

// gather lets callers that run add to the open block, if the group before was larger: they were
// just woken by it. An fsync takes far longer.
func (j *Journal) gather() {
	if j.o.Policy == SyncEach && j.open.count < j.grouped {
		j.mu.Unlock()
		runtime.Gosched()
		j.mu.Lock()
	}
	j.grouped = j.open.count
}

// take closes the open block.
func (j *Journal) take() group {
	g := group{sync: j.o.Policy == SyncEach || j.due, flush: j.flushes}
	j.due, j.flushes = false, false
	if j.open.count == 0 {
		return g
	}
	g.chunk = j.memory.chunks[len(j.memory.chunks)-1]
	g.whole, g.end = g.chunk.bytes[j.open.at:], len(g.chunk.bytes)
	g.block = block{sequence: j.sequence, first: j.open.first, count: j.open.count}
	g.ahead = j.open.ahead
	j.changing = g.ahead
	j.sequence++
	j.open = openBlock{}
	return g
}

// keep makes a group durable, as the policy says.
func (j *Journal) keep(g *group) error {
	if g.count == 0 {
		if g.sync && j.written > j.synced {
			return j.sync()
		}
		return j.flush()
	}
	if g.ahead {
		if err := j.roll(g); err != nil {
			return err
		}
	}
	err := j.write(g)
	if err == nil || j.o.Policy != SyncEach {
		return err
	}
	return j.rescue(g, err)
}

// write writes a group after the blocks before, and syncs it if the group says so.
func (j *Journal) write(g *group) error {
	g.salt = j.last().salt
	g.unsynced = uint32(g.sequence - j.synced)
	g.seal(g.whole)
	kept, err := j.recent.keep(j, g)
	if err == nil && !kept {
		_, err = j.file.WriteAt(g.whole, j.at)
	}
	if err != nil {
		return err
	}
	j.at += int64(len(g.whole))
	j.written = g.sequence
	if g.sync {
		return j.sync()
	}
	if g.flush {
		return j.flush()
	}
	return nil
}

// sync syncs all that was written. A file whose sync failed is never synced again: the next one
// would say that all is well, though the pages are lost.
func (j *Journal) sync() error {
	j.mu.Lock()
	released := j.released // its reason was written before
	j.mu.Unlock()
	begin := time.Now()
	if err := j.flush(); err != nil {
		return err
	}
	for len(j.rolled) > 0 {
		if err := j.syncRolled(); err != nil {
			return err
		}
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.synced = j.written
	now := time.Now()
	j.mu.Lock()
	j.safe = max(j.safe, released)
	j.lastSync, j.slowest = now, max(j.slowest, now.Sub(begin))
	j.mu.Unlock()
	return nil
}

// rescue writes a group again, to another file, after its write or its fsync failed.
func (j *Journal) rescue(g *group, cause error) error {
	j.mu.Lock()
	j.changing = true
	other := j.spare
	if j.spare = nil; other == nil && !j.open.ahead {
		other, j.ahead = j.ahead, nil
	}
	j.mu.Unlock()
	if other == nil {
		return fmt.Errorf("no spare segment is left: %w", cause)
	}
	j.o.Logger.Error("journal: a write failed, the spare segment takes it", "file", j.path(j.last().name()), "error", cause)
	err := j.begin(other, g.first, g.sequence)
	if err == nil {
		err = j.write(g)
	}
	if err != nil {
		return errors.Join(cause, err)
	}
	j.mu.Lock()
	j.untidy = true // the open block fits, since all segments take the same bytes
	j.mu.Unlock()
	return nil
}

// settle shows a group to the readers and wakes its callers, or fails the journal.
func (j *Journal) settle(g *group, err error) {
	if err != nil {
		j.fail(err)
		return
	}
	if g.count == 0 {
		return
	}
	g.chunk.committed = g.end
	j.committed = g.after()
	if g.chunk.unwritten = j.recent.chunk == g.chunk; j.recent.chunk == nil {
		j.last().end = j.at
	}
	j.tellMore()
	j.kept[g.sequence&1].Broadcast()
	switch {
	case j.timer != nil:
	case j.o.Policy == SyncInterval && j.written > j.synced:
		j.timer = time.AfterFunc(j.o.Interval, j.writeDue)
	case j.recent.chunk != nil:
		j.timer = time.AfterFunc(flushPause, j.writeDue)
	}
}

// writeDue runs some time after the first write that was not synced, or is only among the recent
// blocks.
func (j *Journal) writeDue() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.timer = nil
	if j.failed != nil || j.closing {
		return
	}
	if j.o.Policy == SyncInterval {
		j.due = true
	} else {
		j.flushes = true
	}
	if !j.leading {
		j.lead(true)
	}
}

// fail ends all adding. Readers go on.
func (j *Journal) fail(err error) {
	if j.failed == nil {
		j.failed = &FailedError{err, time.Now()}
		j.o.Logger.Error("journal: failed, nothing is accepted until it is opened again", "directory", j.directory, "error", err)
	}
	j.kept[0].Broadcast()
	j.kept[1].Broadcast()
	j.tellRoom()
}

// last returns the segment that is written to. Only the caller that leads changes it.
func (j *Journal) last() *segment { return j.segments[len(j.segments)-1] }

func (s *segment) name() string { return segmentName(s.number, extensionSegment) }

// roll begins the next segment with a group. All before it is synced first. SyncOS leaves that to
// the system for the newest segments.
func (j *Journal) roll(g *group) error {
	err := j.flush()
	if err == nil && j.written > j.synced {
		if j.o.Policy == SyncOS {
			err = j.leave()
		} else {
			err = j.sync()
		}
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	next := j.ahead
	j.ahead, j.untidy = nil, true
	j.mu.Unlock()
	err = j.begin(next, g.first, g.sequence)
	if _, names := errors.AsType[*namesError](err); err == nil || names || j.o.Policy != SyncEach {
		return err
	}
	j.mu.Lock()
	next, j.spare = j.spare, nil
	j.mu.Unlock()
	if next == nil {
		return err
	}
	return j.begin(next, g.first, g.sequence)
}

// begin makes a free file the last segment, with a snapshot.
func (j *Journal) begin(f *free, first Position, sequence uint64) error {
	s := &segment{
		previous: j.last().number, oldest: j.segments[0].number, first: first,
		sequence: sequence, unsynced: uint32(sequence - 1 - j.synced), size: j.o.SegmentBytes,
	}
	j.mu.Lock()
	safe := j.released // the reason is in a record before, or in the snapshot
	j.mu.Unlock()
	if j.o.Snapshot != nil {
		j.takeSnapshot(first)
		if limit := j.o.snapshotBytes(); int64(len(j.snapshot)) > limit {
			return fmt.Errorf("the snapshot has %d bytes, a segment takes %d: use larger segments, of %d bytes now", len(j.snapshot), limit, j.o.SegmentBytes)
		}
		s.restores, s.snapshot = true, j.snapshot
	}
	if err := j.start(f.name, s, nil); err != nil {
		return err
	}
	j.written = sequence - 1
	if n := len(j.rolled); n > 0 {
		j.rolled[n-1].safe, safe = safe, 0
	}
	j.mu.Lock()
	j.segments = append(j.segments, s)
	j.safe = max(j.safe, safe)
	j.mu.Unlock()
	return nil
}

// takeSnapshot calls Options.Snapshot. A panic there goes on to the caller that leads, which
// unlocks j.mu. The journal has failed then, so that no other caller waits.
func (j *Journal) takeSnapshot(before Position) {
	returned := false
	defer func() {
		if !returned {
			j.mu.Lock()
			j.fail(errors.New("Options.Snapshot panicked"))
			j.follow()
		}
	}()
	j.snapshot = j.o.Snapshot(j.snapshot[:0], before)
	returned = true
}

// start writes a segment's head, and the blocks if there are any, to a free file. All is synced
// before the file gets its name. Then it is the one that is written to.
func (j *Journal) start(from string, s *segment, blocks func(File, *segment) (end int64, err error)) error {
	s.number, s.salt, s.created = j.number, newSalt(), time.Now()
	j.number++
	if s.oldest == 0 {
		s.oldest = s.number
	}
	j.head = s.encode(j.head[:0], j.id)
	s.snapshot, s.end = nil, s.head
	file, err := j.o.Files.Open(j.path(from), true)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(j.head, 0)
	if err == nil && blocks != nil {
		s.end, err = blocks(file, s)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil { // an open file cannot be renamed everywhere
		err = j.name(from, s.name())
	}
	if err != nil {
		return err
	}
	if file, err = j.o.Files.Open(j.path(s.name()), true); err != nil {
		return &namesError{err}
	}
	if j.file != nil {
		_ = j.file.Close() // all of it was synced, or is written again
	}
	j.file, j.at = file, s.end
	return nil
}

// A namesError means that a segment has its name, or may have it. No other file is tried after it:
// once the segments around it are gone, it would look like one that is needed.
type namesError struct{ error }

func (e *namesError) Unwrap() error { return e.error }

// name renames a file, durably.
func (j *Journal) name(from, to string) error {
	err := j.o.Files.Rename(j.path(from), j.path(to))
	if err == nil {
		err = j.o.Files.SyncDirectory(j.directory)
	}
	if err != nil {
		return &namesError{err}
	}
	return nil
}

// mark writes a block without records. It says that all before it was synced: damage of the last
// block is not taken for a torn one.
func (j *Journal) mark() error {
	if j.at+headerBytes > j.last().size {
		return nil
	}
	_, err := j.file.WriteAt(marked(j.last().salt, j.written+1, j.next), j.at)
	return err
}

func marked(salt uint32, sequence uint64, first Position) []byte {
	whole := make([]byte, headerBytes)
	(&block{salt: salt, sequence: sequence, first: first, unsynced: 1}).seal(whole)
	return whole
}

// tidy recycles or removes the segments that were released, and allocates the files that are
// missing.
func (j *Journal) tidy() error {
	if j.failed != nil {
		return nil
	}
	for {
		j.mu.Lock()
		due := len(j.segments) > 1 && j.segments[1].first <= j.safe
		j.mu.Unlock()
		if !due {
			break
		}
		if gone, err := j.dropFirst(); err != nil || !gone {
			return err
		}
	}
	j.allocate()
	return j.renew()
}

// dropFirst recycles the oldest segment. If that cannot be removed it stays the oldest: the next
// ones must not go before it.
func (j *Journal) dropFirst() (gone bool, err error) {
	j.mu.Lock()
	s := j.segments[0]
	j.segments = slices.Delete(j.segments, 0, 1) // readers no longer find it
	j.mu.Unlock()
	if gone, err = j.recycle(s); !gone {
		j.mu.Lock()
		j.segments = slices.Insert(j.segments, 0, s)
		j.mu.Unlock()
	}
	return gone, err
}

// recycle makes a segment a free file, or removes it. A recycled file is worth more than a fresh
// one: its blocks are on the disk, so that an fsync writes no metadata.
func (j *Journal) recycle(s *segment) (gone bool, err error) {
	j.mu.Lock()
	reuse := s.size == j.o.SegmentBytes && (j.spare == nil || j.ahead == nil || j.ahead.fresh && !j.open.ahead)
	j.mu.Unlock()
	f := &free{name: segmentName(s.number, extensionFree)}
	if reuse {
		if err := j.o.Files.Rename(j.path(s.name()), j.path(f.name)); err != nil {
			j.o.Logger.Warn("journal: a segment cannot be recycled and is removed", "file", j.path(s.name()), "error", err)
			reuse = false
		} else if err := j.o.Files.SyncDirectory(j.directory); err != nil {
			return true, err // the old name may come back: nothing may be written to the file
		}
	}
	if !reuse {
		if err := j.remove(s.name()); err != nil {
			j.o.Logger.Warn("journal: a segment that is not needed cannot be removed", "file", j.path(s.name()), "error", err)
			return false, nil // the next Release tries again
		}
		j.mu.Lock()
		j.allocated -= s.size
		j.mu.Unlock()
		return true, nil
	}
	j.mu.Lock()
	var fresh *free
	switch {
	case j.spare == nil:
		j.spare = f
	case j.ahead == nil:
		j.ahead = f
	case j.ahead.fresh && !j.open.ahead:
		fresh, j.ahead = j.ahead, f
	default:
		fresh = f
	}
	j.tellRoom()
	j.mu.Unlock()
	if fresh != nil && j.remove(fresh.name) == nil {
		j.mu.Lock()
		j.allocated -= j.o.SegmentBytes
		j.mu.Unlock()
	}
	return true, nil
}

// allocate makes the spare and the next file if they are missing and the bounds permit it.
func (j *Journal) allocate() {
	for range 2 {
		j.mu.Lock()
		missing := j.spare == nil || j.ahead == nil
		fits := j.o.MaxBytes == 0 || j.allocated+j.o.SegmentBytes <= j.o.MaxBytes
		j.mu.Unlock()
		if !missing || !fits || j.failed != nil {
			return
		}
		f, err := j.create(j.o.SegmentBytes)
		if err != nil {
			j.o.Logger.Warn("journal: no segment can be allocated", "directory", j.directory, "error", err)
			return
		}
		j.mu.Lock()
		if j.allocated += j.o.SegmentBytes; j.spare == nil {
			j.spare = f
		} else {
			j.ahead = f
		}
		j.tellRoom()
		j.mu.Unlock()
	}
}

// create allocates a free file.
func (j *Journal) create(size int64) (*free, error) {
	f := &free{name: segmentName(j.number, extensionFree), fresh: true}
	j.number++
	return f, j.reserve(f.name, size)
}

// reserve allocates a file, unless that would leave less than KeepFree.
func (j *Journal) reserve(name string, size int64) error {
	if available := j.o.Files.Free(j.directory); j.o.KeepFree > 0 && available > 0 && available-size < j.o.KeepFree {
		return fmt.Errorf("the disk has %d bytes free: a file of %d would leave less than KeepFree, %d", available, size, j.o.KeepFree)
	}
	f, err := j.o.Files.Create(j.path(name), size)
	if err != nil {
		return err
	}
	return f.Close()
}

// renew makes the spare the last segment when all records were released and no file can be
// allocated. The former last segment becomes the spare.
func (j *Journal) renew() error {
	j.mu.Lock()
	due := j.wanted && j.ahead == nil && j.spare != nil && j.open.count == 0 && j.released == j.next && j.failed == nil
	f, first := j.spare, j.next
	if due {
		j.spare = nil
	}
	j.mu.Unlock()
	if !due {
		return nil
	}
	if j.written > j.synced {
		if err := j.sync(); err != nil {
			return err
		}
	}
	if err := j.begin(f, first, j.sequence); err != nil {
		return err
	}
	j.mu.Lock()
	j.left = j.capacity - j.open.bytes
	j.mu.Unlock()
	_, err := j.dropFirst()
	return err
}

// remove removes a file that may be gone already.
func (j *Journal) remove(name string) error { return absent(j.o.Files.Remove(j.path(name))) }

func newSalt() uint32 {
	var p [4]byte
	for {
		_, _ = rand.Read(p[:]) // never fails
		if salt := binary.LittleEndian.Uint32(p[:]); salt != 0 {
			return salt
		}
	}
}
