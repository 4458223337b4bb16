// Package journal keeps opaque records in order on a disk, for one process.
//
// Records are added to an open block in memory. One caller writes the block for all, while the next
// block gathers. Blocks lie one after the other in segment files that are allocated whole, so that
// no commit meets a full disk. A segment begins with a snapshot of the state that all earlier
// records stand for.
//
// There is a spare segment. It takes the notes when the disk is full, and with SyncEach the block
// whose fsync failed. Opening writes the last segment again to a fresh file: after a failed fsync
// the system's cache shows bytes that the disk does not have.
//
// Without SyncEach a small block is first in a mapped file. It goes to its segment with the next
// fsync, with SyncOS within a second. SyncOS leaves up to three segments before the last one to the
// system. After a power cut Open cuts the journal where a block is missing that was not synced.
package journal

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// A Position is the number of a record. The first record ever has 1. Positions count without gaps,
// over restarts too.
type Position uint64

// A Policy says when a record counts as kept.
type Policy int

const (
	SyncEach     Policy = iota // after the fsync of its group
	SyncInterval               // after its write; an fsync follows within Options.Interval
	SyncOS                     // after its write; the system writes the newest four segments to the disk when it wants
)

// Options of Open. The zero value of each field is its default.
type Options struct {
	Files        Files         // the file system; nil: the operating system's
	Owner        string        // the user of the directory; a directory of another owner is refused
	Policy       Policy        // default: SyncEach
	Interval     time.Duration // of SyncInterval; default 1 s
	SegmentBytes int64         // of a whole segment file, 4 KiB to 1 GiB; default 64 MiB
	MaxBytes     int64         // bound of all files together, at least three segments; 0: no bound
	KeepFree     int64         // bytes of the disk that new files leave free; 0: none
	AllowRemote  bool          // accept NFS, SMB, FUSE and other file systems whose fsync is another's promise

	// Snapshot appends the state that the records before a position stand for. The journal calls it
	// when a segment begins, and keeps its bytes in the segment. No lock that a method needs is
	// held, but the group that begins the segment waits. Records from that position on may have
	// been added already. A snapshot has at most 1 MiB, or a quarter of a smaller SegmentBytes; a
	// larger one, or a panic, fails the journal. Nil: Open replays all records of the segments that
	// are left, also those that were released.
	Snapshot func(dst []byte, before Position) []byte
	Logger   *slog.Logger // nil: no log
}

const (
	defaultSegment = 64 << 20
	minSegment     = 4 << 10
	maxSegment     = 1 << 30
	maxSnapshot    = 1 << 20
	maxGroup       = 4 << 20   // bytes of an open block with SyncEach: then Add waits
	maxBlock       = 256 << 10 // the same for the others, which write without waiting for the disk
	retryAllocate  = time.Second
)

func (o *Options) fill() error {
	if o.Files == nil {
		o.Files = system{}
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = defaultSegment
	}
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.SegmentBytes < minSegment || o.SegmentBytes > maxSegment:
		return fmt.Errorf("journal: SegmentBytes is %d: use %d to %d", o.SegmentBytes, minSegment, maxSegment)
	case o.MaxBytes != 0 && o.MaxBytes < 3*o.SegmentBytes:
		return fmt.Errorf("journal: MaxBytes is %d: use at least %d, three segments", o.MaxBytes, 3*o.SegmentBytes)
	case o.KeepFree < 0:
		return fmt.Errorf("journal: KeepFree is %d: use 0 or more", o.KeepFree)
	case o.Policy < SyncEach || o.Policy > SyncOS:
		return fmt.Errorf("journal: Policy is %d: use SyncEach, SyncInterval or SyncOS", o.Policy)
	case o.Interval < 0:
		return fmt.Errorf("journal: Interval is %v: use a positive duration", o.Interval)
	}
	return nil
}

// group returns the bytes of an open block.
func (o *Options) group() int64 {
	if o.Policy == SyncEach {
		return maxGroup
	}
	return maxBlock
}

func (o *Options) snapshotBytes() int64 { return min(maxSnapshot, o.SegmentBytes/4) }

// capacity returns the bytes of blocks that fit in any segment: the largest head and a mark leave
// them.
func (o *Options) capacity() int64 {
	return o.SegmentBytes - o.snapshotBytes() - fixedBytes - 4 - headerBytes
}

// A Journal is an open directory. Its methods may be called from several goroutines.
type Journal struct {
	o         Options
	directory string
	id        journalID
	capacity  int64 // bytes of blocks that fit in any segment, whatever its snapshot
	locked    io.Closer

	mu         sync.Mutex
	turn       sync.Cond    // for all that wait until no caller leads
	kept       [2]sync.Cond // for the callers of Await, by the lowest bit of their block's sequence
	leading    bool         // one caller writes, or changes files
	changing   bool         // it changes files, too: room may come
	next       Position     // of the next record
	committed  Position     // the first that readers do not see
	released   Position     // the first that is still needed
	safe       Position     // as released, as far as the disk has the reason: then files may go
	releasedIn *segment     // the last one at the latest Release
	open       openBlock
	sequence   uint64 // of the open block
	left       int64  // bytes that the segment of the open block still takes
	memory     memory
	segments   []*segment // the oldest first; the last one is written to
	allocated  int64      // bytes of all files
	ahead      *free      // the next segment
	spare      *free      // the reserve: events are refused while it is nil
	wanted     bool       // Add was refused: recycling or allocating makes room
	untidy     bool       // segments may go, or files are to be allocated
	tried      time.Time  // of the last allocation that failed
	room       chan struct{}
	more       chan struct{}
	due        bool // a sync is due: of SyncInterval, Release or Close
	flushes    bool // the recent blocks are due in the segment
	timer      *time.Timer
	closing    bool
	closed     bool
	failed     *FailedError
	lastSync   time.Time
	slowest    time.Duration
	grouped    uint32 // records of the newest group

	tail // owned by the caller that leads
}

// A tail is the file that is written to.
type tail struct {
	file     File
	at       int64    // where the next block goes
	recent   recent   // the newest blocks, which are not in the file yet
	written  uint64   // the newest sequence written
	synced   uint64   // the newest sequence before which all are synced
	rolled   []rolled // the segments before the last one that are not synced, the oldest first
	number   uint64   // of the next file
	snapshot []byte   // memory for heads
	head     []byte
}

// Add copies a record, whose bytes are the parts one after the other, into the open block, and
// returns its position. Await makes it durable.
//
// Add waits only while the open block is full and another one is being written. A block has up to 4
// MiB, without SyncEach 256 KiB, or the rest of a segment. If no caller writes, Add does. A record
// without room is refused with ErrFull, and nothing happened. A note may also use the spare
// segment.
//
// Placed, unless nil, is called with the position before any reader can see the record. A lock of
// the journal is held: placed must be short, and must not call the journal.
func (j *Journal) Add(note bool, a, b, c []byte, placed func(Position)) (Position, error) {
	n := len(a) + len(b) + len(c)
	size := int64(uvarintBytes(n) + n)
	if headerBytes+size > j.capacity {
		return 0, fmt.Errorf("journal: a record of %d bytes does not fit in a segment: use larger segments, of %d bytes now", n, j.o.SegmentBytes)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.place(note, size); err != nil {
		return 0, err
	}
	p := j.next
	if placed != nil {
		placed(p)
	}
	j.append(n, a, b, c)
	return p, nil
}

// place returns when the open block takes size bytes more.
func (j *Journal) place(note bool, size int64) error {
	for tried := false; ; {
		if err := j.refusal(); err != nil {
			return err
		}
		need := size
		if j.open.count == 0 {
			need += headerBytes
		}
		reserved := note || j.spare != nil
		switch fits := need <= j.left; {
		case fits && reserved && (j.open.count == 0 || j.open.bytes+size <= j.o.group()):
			j.left -= need
			return nil
		case j.changing:
			j.turn.Wait() // it brings a spare or a next segment, or does not
		case (!fits || !reserved) && !j.open.ahead && !j.hasNext(note):
			j.wanted = true
			renewable := !tried && j.spare != nil && j.released == j.next
			gains := !tried && j.syncFrees()
			if !renewable && !gains && time.Since(j.tried) < retryAllocate {
				return ErrFull
			}
			tried = !j.leading
			j.untidy = true // others may have made room on the disk
			j.due = j.due || gains
			j.advance(renewable)
			if !j.hasNext(note) {
				j.tried = time.Now()
			}
		case j.open.count > 0:
			j.advance(true)
		default: // the next segment begins with this record
			if j.ahead == nil {
				j.ahead, j.spare = j.spare, nil
			}
			j.open.ahead, j.left = true, j.capacity
		}
	}
}

// syncFrees reports whether a segment can go once the disk has the reason.
func (j *Journal) syncFrees() bool {
	return len(j.segments) > 1 && j.segments[1].first > j.safe && j.segments[1].first <= j.released
}

// hasNext reports whether there is another segment for a record. A note may take the spare.
func (j *Journal) hasNext(note bool) bool {
	if note {
		return j.spare != nil || j.ahead != nil
	}
	return j.spare != nil && j.ahead != nil
}

// advance leads, or waits until the caller that leads is done.
func (j *Journal) advance(write bool) {
	if j.leading {
		j.turn.Wait()
		return
	}
	j.lead(write)
}

// refusal returns why nothing can be added.
func (j *Journal) refusal() error {
	if j.failed != nil {
		return j.failed
	}
	if j.closing {
		return ErrClosed
	}
	return nil
}

// Await returns when the record is kept as the policy says. A caller that finds no write under way
// writes the open block, for all.
func (j *Journal) Await(p Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for p >= j.committed {
		switch {
		case p >= j.next:
			return fmt.Errorf("journal: no record has position %d, the next will have %d", p, j.next)
		case j.failed != nil:
			return j.failed
		case j.closed:
			return ErrClosed
		case !j.leading:
			j.lead(true)
		case j.open.count > 0 && p >= j.open.first:
			j.kept[j.sequence&1].Wait()
		default:
			j.kept[(j.sequence-1)&1].Wait()
		}
	}
	return nil
}

// Committed returns the position after the last record that readers see. The channel is closed when
// there are more, or the journal is closed.
func (j *Journal) Committed() (end Position, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return j.committed, closedChannel
	}
	if j.more == nil {
		j.more = make(chan struct{})
	}
	return j.committed, j.more
}

// Room returns a channel that is closed when an Add that was refused with ErrFull may succeed, or
// the journal is closed. Room that others make on the disk is found only by another Add, once a
// second.
func (j *Journal) Room() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.wanted || j.closed {
		return closedChannel
	}
	if j.room == nil {
		j.room = make(chan struct{})
	}
	return j.room
}

var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// tellRoom wakes those that wait for room.
func (j *Journal) tellRoom() {
	j.wanted = false
	if j.room != nil {
		close(j.room)
		j.room = nil
	}
}

func (j *Journal) tellMore() {
	if j.more != nil {
		close(j.more)
		j.more = nil
	}
}

// Release says that no record before that position is needed any more. A record that is kept, or
// the next snapshot, says why: Await that record before. Segments without a needed record are
// recycled or removed, as soon as the disk has the reason. With SyncInterval that may be at the next
// call, with SyncOS also when the fourth segment after this one begins. Release needs no room on the
// disk.
func (j *Journal) Release(before Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	former := j.released
	j.released = max(former, min(before, j.next))
	if j.o.Policy == SyncEach {
		j.safe = j.released
	}
	switch {
	case len(j.segments) > 1 && j.segments[1].first <= j.safe, j.wanted && j.released == j.next:
	case j.wanted && j.syncFrees(), len(j.segments) > 1 && j.segments[1].first <= former && j.releasedIn == j.last():
		j.due = true // no segment has begun since the call before: the disk would get the reason late
	default:
		j.releasedIn = j.last()
		return
	}
	j.releasedIn, j.untidy = j.last(), true
	if !j.leading && !j.closing {
		j.lead(false)
	}
}

// Stats are figures of a journal.
type Stats struct {
	First, End  Position // the oldest record that can be read, and the one after the newest
	Bytes       int64    // of all files
	Free        int64    // bytes of the disk; 0: unknown
	LastSync    time.Time
	SlowestSync time.Duration
	Failed      error // a *FailedError, or nil
}

// Stats returns the present figures.
func (j *Journal) Stats() Stats {
	free := j.o.Files.Free(j.directory)
	j.mu.Lock()
	defer j.mu.Unlock()
	s := Stats{
		First: j.segments[0].first, End: j.committed, Bytes: j.allocated, Free: free, LastSync: j.lastSync, SlowestSync: j.slowest,
	}
	if j.failed != nil {
		s.Failed = j.failed
	}
	return s
}

// Failed returns why nothing is added any more; nil as long as it is. Unlike Stats, it does not ask
// the disk.
func (j *Journal) Failed() *FailedError {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// Close writes and syncs all that was added, and unlocks the directory. Later calls return
// ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closing {
		return ErrClosed
	}
	j.closing = true
	for j.leading || j.failed == nil && (j.open.count > 0 || j.written > j.synced) {
		j.due = true
		j.advance(true)
	}
	j.leading = true
	var err error
	if j.failed != nil {
		err = j.failed
	} else {
		j.mu.Unlock()
		if err = j.mark(); err == nil {
			err = j.file.Sync()
		}
		j.mu.Lock()
	}
	j.shut()
	return err
}

// shut closes the files and ends all waiting.
func (j *Journal) shut() {
	j.closing, j.closed, j.leading = true, true, false
	if j.timer != nil {
		j.timer.Stop()
	}
	if j.file != nil {
		_ = j.file.Close() // synced before
	}
	for _, r := range j.rolled {
		_ = r.file.Close()
	}
	j.recent.close()
	_ = j.locked.Close()
	j.memory = memory{}
	j.tellMore()
	j.tellRoom()
	j.turn.Broadcast()
	j.kept[0].Broadcast()
	j.kept[1].Broadcast()
}

func (j *Journal) path(name string) string { return filepath.Join(j.directory, name) }
