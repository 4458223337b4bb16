package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// A segment is a file with a head and blocks after it. Its contents end where the next segment's
// first position begins. A block that was written again after a failed fsync is in both segments.
// The second one counts.
type segment struct {
	number   uint64 // grows with each segment; its name
	previous uint64 // the number of the segment before: those between were replaced by this one
	oldest   uint64 // the number of the oldest segment when this one began
	first    Position
	sequence uint64 // of its first block
	unsynced uint32 // blocks before that were not known to be synced when it began
	salt     uint32
	created  time.Time
	restores bool   // it has a snapshot
	snapshot []byte // while its head is read or written
	head     int64  // bytes of the head
	size     int64  // of the file
	whole    int64  // what the head says that to be; 0: nothing

	end int64 // of the last segment: where its committed blocks end. Guarded by Journal.mu
}

// A free file is allocated and waits to become a segment.
type free struct {
	name  string
	fresh bool // never written: its first commits cost the file system more
}

const (
	magic        = "EvHubJnl"
	versionMajor = 1 // another one cannot be read by this code
	versionMinor = 0
	usualHead    = 4 << 10
	fixedBytes   = 100 // of a head without its snapshot and checksum

	extensionSegment = ".seg"
	extensionFree    = ".free"
)

// encode appends the head. All integers are little-endian:
//
//	magic (8 bytes), major version, minor version, restores (1 bit) and size of the file (31),
//	length of the head (4 bytes each),
//	id of the journal (16 bytes), number, previous, oldest, first position, first sequence,
//	creation in nanoseconds (8 bytes each), salt, unsynced blocks, length of the snapshot (4 bytes
//	each), snapshot, crc32c of all before it (4 bytes)
func (s *segment) encode(dst []byte, id journalID) []byte {
	le := binary.LittleEndian
	from := len(dst)
	dst = append(dst, magic...)
	dst = le.AppendUint32(dst, versionMajor)
	dst = le.AppendUint32(dst, versionMinor)
	flags := uint32(s.size) << 1 // at most maxSegment
	if s.restores {
		flags |= 1
	}
	dst = le.AppendUint32(dst, flags)
	dst = le.AppendUint32(dst, uint32(fixedBytes+len(s.snapshot)+4))
	dst = append(dst, id[:]...)
	for _, v := range [...]uint64{s.number, s.previous, s.oldest, uint64(s.first), s.sequence, uint64(s.created.UnixNano())} {
		dst = le.AppendUint64(dst, v)
	}
	dst = le.AppendUint32(dst, s.salt)
	dst = le.AppendUint32(dst, s.unsynced)
	dst = le.AppendUint32(dst, uint32(len(s.snapshot)))
	dst = append(dst, s.snapshot...)
	dst = le.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli))
	s.head = int64(len(dst) - from)
	return dst
}

// synced returns the newest sequence that was known to be synced when the segment began.
func (s *segment) synced() uint64 { return s.sequence - 1 - uint64(s.unsynced) }

// truncated returns an error if the file has lost its end, and blocks with it, perhaps.
func (s *segment) truncated() error {
	if s.whole <= s.size {
		return nil
	}
	return fmt.Errorf("the file has %d bytes, and was made with %d", s.size, s.whole)
}

var errBadHead = errors.New("the head of the segment is not as it was written")

// decodeHead reads a head. It returns a *FormatError for a newer format.
func decodeHead(p []byte) (s segment, id journalID, err error) {
	le := binary.LittleEndian
	if len(p) < fixedBytes+4 || string(p[:8]) != magic {
		return s, id, errBadHead
	}
	if major := le.Uint32(p[8:]); major > versionMajor {
		return s, id, &FormatError{Found: int(major), Known: versionMajor}
	}
	flags, length, snapshot := le.Uint32(p[16:]), le.Uint32(p[20:]), le.Uint32(p[96:])
	if uint64(length) > uint64(len(p)) || uint64(length) != fixedBytes+uint64(snapshot)+4 ||
		le.Uint32(p[length-4:]) != crc32.Checksum(p[:length-4], castagnoli) {
		return s, id, errBadHead
	}
	copy(id[:], p[24:])
	s = segment{
		number: le.Uint64(p[40:]), previous: le.Uint64(p[48:]), oldest: le.Uint64(p[56:]), first: Position(le.Uint64(p[64:])),
		whole: int64(flags >> 1), sequence: le.Uint64(p[72:]), created: time.Unix(0, int64(le.Uint64(p[80:]))), salt: le.Uint32(p[88:]), unsynced: le.Uint32(p[92:]), head: int64(length),
	}
	if s.restores = flags&1 != 0; s.restores {
		s.snapshot = append([]byte{}, p[fixedBytes:length-4]...)
	}
	return s, id, nil
}

// readHead reads the head of a segment's file.
func readHead(f File) (*segment, journalID, error) {
	size, err := f.Size()
	if err != nil {
		return nil, journalID{}, err
	}
	p := make([]byte, min(size, usualHead))
	n, err := f.ReadAt(p, 0)
	if n == usualHead && string(p[:8]) == magic {
		if length := int64(binary.LittleEndian.Uint32(p[20:])); length > usualHead {
			p = make([]byte, min(size, length, fixedBytes+4+maxSnapshot))
			n, err = f.ReadAt(p, 0)
		}
	}
	if n < len(p) && !endOfFile(err) {
		return nil, journalID{}, err
	}
	s, id, err := decodeHead(p[:n])
	s.size = size
	return &s, id, err
}

// segmentName returns the name of a file by its number.
func segmentName(number uint64, extension string) string {
	return fmt.Sprintf("%016x%s", number, extension)
}

// numberOf returns the number in the name of a segment or a free file.
func numberOf(name, extension string) (uint64, bool) {
	text, ok := strings.CutSuffix(name, extension)
	if !ok || len(text) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 16, 64)
	return n, err == nil && segmentName(n, extension) == name
}
