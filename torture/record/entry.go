// Package record is shared by producers and judge. It has the events' bodies, and the append-only
// record of each life of a producer. It imports nothing of the product.
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// A Kind says what an entry is about.
type Kind uint8

// The kinds of entries, and the fields of Entry that they have.
const (
	// Begin: a life begins. ID (without its number), Time.
	Begin Kind = iota + 1
	// Intent: the calls of Enqueue for these events begin. First, Count.
	Intent
	// Accepted: Enqueue returned nil for these events. First, Count.
	Accepted
	// Refused: Enqueue returned an error for these events. First, Count, Code.
	Refused
	// Reported: a handler got the outcome of a batch. Time, Storage, Partition, Code, Numbers. With a
	// journal also Life and Recovered; a batch with events of several lives has an entry for each.
	Reported
	// Delivered: a Delivery had this outcome. First, Storage.
	Delivered
	// Tried: a try failed, and another one follows. Time, Partition, Code.
	Tried
	// Sample: what the process used. Time, Heap, Goroutines.
	Sample
	// End: Close returned, after all outcomes. Time, Code, and in Count the events left in the journal.
	End
	// Resumed: the journal's checkpoint says that it keeps every event before First.
	Resumed
	// Full: the journal has no room for an event, so Enqueue waits. Time.
	Full
	lastKind = Full
)

// Storage is an outcome.
type Storage uint8

// The outcomes.
const (
	Unreported Storage = iota
	Stored
	NotStored
	PossiblyStored
	lastStorage = PossiblyStored
)

var storageNames = [...]string{"nothing", "stored", "not stored", "possibly stored"}

func (s Storage) String() string { return storageNames[s] }

// An Entry is one line of a record. Its Kind says which fields have a meaning.
type Entry struct {
	Kind       Kind
	ID         ID
	Time       time.Time // to the microsecond
	First      uint64
	Count      uint64
	Life       uint32 // the life that enqueued the events; 0: the record's own
	Recovered  bool   // the producer marked the batch as one of former lives
	Storage    Storage
	Partition  int // -1 if it is not known
	Code       string
	Numbers    []uint64 // in the order of the batch
	Heap       uint64   // live bytes
	Goroutines uint64
}

// An entry on disk is: length(uvarint) payload CRC-32C(4) of the payload.
const (
	maxPayload = 1 << 24
	maxCode    = 1000
)

// ErrDamaged is the error of an entry that no writer has made.
var ErrDamaged = errors.New("record: the entry is damaged")

// Append appends the entry as it is on disk.
func (e *Entry) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, binary.MaxVarintLen32)...) // for the length
	dst = e.appendPayload(dst)
	payload := dst[start+binary.MaxVarintLen32:]
	n := binary.PutUvarint(dst[start:], uint64(len(payload)))
	sum := crc32.Checksum(payload, castagnoli)
	dst = append(dst[:start+n], payload...)
	return binary.LittleEndian.AppendUint32(dst, sum)
}

func (e *Entry) appendPayload(dst []byte) []byte {
	dst = append(dst, byte(e.Kind))
	switch e.Kind {
	case Begin:
		dst = append(dst, e.ID.Producer, byte(e.ID.Flags))
		dst = binary.AppendUvarint(dst, uint64(e.ID.Life))
		dst = e.appendTime(dst)
	case Intent, Accepted:
		dst = binary.AppendUvarint(dst, e.First)
		dst = binary.AppendUvarint(dst, e.Count)
	case Refused:
		dst = binary.AppendUvarint(dst, e.First)
		dst = binary.AppendUvarint(dst, e.Count)
		dst = appendText(dst, e.Code)
	case Reported:
		dst = e.appendTime(dst)
		dst = append(dst, byte(e.Storage))
		dst = appendFlag(dst, e.Recovered)
		dst = binary.AppendUvarint(dst, uint64(e.Life))
		dst = binary.AppendUvarint(dst, uint64(e.Partition+1))
		dst = appendText(dst, e.Code)
		dst = binary.AppendUvarint(dst, uint64(len(e.Numbers)))
		var before uint64
		for _, n := range e.Numbers {
			dst = binary.AppendVarint(dst, int64(n-before))
			before = n
		}
	case Delivered:
		dst = binary.AppendUvarint(dst, e.First)
		dst = append(dst, byte(e.Storage))
	case Tried:
		dst = e.appendTime(dst)
		dst = binary.AppendUvarint(dst, uint64(e.Partition+1))
		dst = appendText(dst, e.Code)
	case Sample:
		dst = e.appendTime(dst)
		dst = binary.AppendUvarint(dst, e.Heap)
		dst = binary.AppendUvarint(dst, e.Goroutines)
	case End:
		dst = e.appendTime(dst)
		dst = appendText(dst, e.Code)
		dst = binary.AppendUvarint(dst, e.Count)
	case Resumed:
		dst = binary.AppendUvarint(dst, e.First)
	case Full:
		dst = e.appendTime(dst)
	}
	return dst
}

func appendFlag(dst []byte, flag bool) []byte {
	if flag {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (e *Entry) appendTime(dst []byte) []byte {
	return binary.AppendUvarint(dst, uint64(e.Time.UnixMicro()))
}

func appendText(dst []byte, text string) []byte {
	text = text[:min(len(text), maxCode)]
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// A cursor reads a payload. After a failure it yields zeros.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) byte() byte {
	if len(c.rest) == 0 {
		c.failed = true
		return 0
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	return b
}

func (c *cursor) number() uint64 {
	n, size := binary.Uvarint(c.rest)
	if size <= 0 {
		c.failed = true
		return 0
	}
	c.rest = c.rest[size:]
	return n
}

func (c *cursor) signed() int64 {
	n, size := binary.Varint(c.rest)
	if size <= 0 {
		c.failed = true
		return 0
	}
	c.rest = c.rest[size:]
	return n
}

func (c *cursor) time() time.Time {
	n := c.number()
	if n > 1<<52 {
		c.failed = true
	}
	return time.UnixMicro(int64(n)).UTC()
}

func (c *cursor) text() string {
	n := c.number()
	if n > maxCode || n > uint64(len(c.rest)) {
		c.failed = true
		return ""
	}
	text := string(c.rest[:n])
	c.rest = c.rest[n:]
	return text
}

func (c *cursor) flag() bool {
	b := c.byte()
	c.failed = c.failed || b > 1
	return b == 1
}

func (c *cursor) life() uint32 {
	n := c.number()
	c.failed = c.failed || n > 1<<32-1
	return uint32(n)
}

func (c *cursor) storage() Storage {
	s := Storage(c.byte())
	if s > lastStorage {
		c.failed = true
		return 0
	}
	return s
}

func (c *cursor) partition() int {
	n := c.number()
	if n > 1<<16 {
		c.failed = true
		return -1
	}
	return int(n) - 1
}

// parse reads a payload into e, whose Numbers it uses again.
func (e *Entry) parse(payload []byte) error {
	numbers := e.Numbers[:0]
	*e = Entry{Partition: -1}
	c := &cursor{rest: payload}
	e.Kind = Kind(c.byte())
	switch e.Kind {
	case Begin:
		e.ID.Producer, e.ID.Flags = c.byte(), Flags(c.byte())
		e.ID.Life, e.Time = c.life(), c.time()
	case Intent, Accepted:
		e.First, e.Count = c.number(), c.number()
	case Refused:
		e.First, e.Count, e.Code = c.number(), c.number(), c.text()
	case Reported:
		e.Time, e.Storage, e.Recovered, e.Life = c.time(), c.storage(), c.flag(), c.life()
		e.Partition, e.Code = c.partition(), c.text()
		count := c.number()
		if count > uint64(len(c.rest)) { // each takes a byte at least
			return ErrDamaged
		}
		var before uint64
		for range count {
			before += uint64(c.signed())
			numbers = append(numbers, before)
		}
	case Delivered:
		e.First, e.Storage = c.number(), c.storage()
	case Tried:
		e.Time, e.Partition, e.Code = c.time(), c.partition(), c.text()
	case Sample:
		e.Time, e.Heap, e.Goroutines = c.time(), c.number(), c.number()
	case End:
		e.Time, e.Code, e.Count = c.time(), c.text(), c.number()
	case Resumed:
		e.First = c.number()
	case Full:
		e.Time = c.time()
	default:
		return fmt.Errorf("%w: kind %d", ErrDamaged, e.Kind)
	}
	if e.Numbers = numbers; c.failed || len(c.rest) > 0 {
		return ErrDamaged
	}
	return nil
}
