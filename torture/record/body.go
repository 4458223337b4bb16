package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Flags say what a producer promises. They travel in every event, so that the judge needs no list
// of producers.
type Flags uint8

const (
	// Idempotent producers store nothing twice, over all their lives.
	Idempotent Flags = 1 << iota
	// Ordered producers have one batch of a partition in flight.
	Ordered
	// Targeted producers give most events a key or a partition. Others give none.
	Targeted
	// Journaled producers keep accepted events in a directory, which their next life opens again.
	Journaled
	// Source producers read a numbered source. Their next life goes on in it after the last number
	// that the journal keeps. So all their lives enqueue events of the first one's ID.
	Source
)

// An ID names an event: the producer, its life, which is its process, and the number within that
// life.
type ID struct {
	Producer uint8
	Flags    Flags
	Life     uint32
	Number   uint64
}

// A body is: magic(2) producer(1) flags(1) life(4) number(8) filler CRC-32C(4), little endian.
const (
	headSize = 16
	sumSize  = 4

	// SmallBody and LargeBody are the two sizes of a body, in bytes.
	SmallBody = 100
	LargeBody = 20_000
	// Every largeEvery-th event is large, so that messages of several frames are always among the
	// others.
	largeEvery = 4099
)

var (
	magic      = [2]byte{'T', 'E'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// ErrBody is the error of a body that no producer here has made.
var ErrBody = errors.New("record: the body was changed")

// Size returns the size of an event's body in bytes.
func (id ID) Size() int {
	if id.Number%largeEvery == largeEvery-1 {
		return LargeBody
	}
	return SmallBody
}

// AppendBody appends the body of an event, which depends on nothing but its ID.
func AppendBody(dst []byte, id ID) []byte {
	start := len(dst)
	dst = append(dst, magic[0], magic[1], id.Producer, byte(id.Flags))
	dst = binary.LittleEndian.AppendUint32(dst, id.Life)
	dst = binary.LittleEndian.AppendUint64(dst, id.Number)
	for x := mix(id.seed()); len(dst)-start < id.Size()-sumSize; x = x*6364136223846793005 + 1442695040888963407 {
		dst = binary.LittleEndian.AppendUint64(dst, x)
	}
	dst = dst[:start+id.Size()-sumSize]
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// A BodyReader checks bodies. It keeps its memory between calls.
type BodyReader struct{ want []byte }

// Read returns whose body it is. The error wraps ErrBody if a single byte differs from what
// AppendBody makes.
func (r *BodyReader) Read(body []byte) (ID, error) {
	if len(body) < headSize+sumSize || [2]byte(body) != magic {
		return ID{}, fmt.Errorf("%w: %d bytes that do not begin as an event does", ErrBody, len(body))
	}
	id := ID{
		Producer: body[2],
		Flags:    Flags(body[3]),
		Life:     binary.LittleEndian.Uint32(body[4:]),
		Number:   binary.LittleEndian.Uint64(body[8:]),
	}
	if len(body) != id.Size() {
		return id, fmt.Errorf("%w: %d bytes instead of %d", ErrBody, len(body), id.Size())
	}
	r.want = AppendBody(r.want[:0], id)
	if !bytes.Equal(body, r.want) {
		return id, fmt.Errorf("%w: other bytes", ErrBody)
	}
	return id, nil
}

func (id ID) seed() uint64 { return uint64(id.Life)<<40 ^ id.Number }

// mix spreads the bits of x (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
