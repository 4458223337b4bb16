package eventhubs

import (
	"encoding/binary"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A chunk is memory for events, each as the data section of a message that it becomes on the wire, one behind the other. It has no pointers, so
// that the garbage collector never looks at what is buffered, and is reused when the outcome of its batch has been told.
type chunk struct {
	memory []byte
	used   int
}

// Chunks of a batch: a small one first, since a sparse stream over a thousand partitions has a thousand open batches; then large ones. An event
// that fits in neither has a chunk of its own.
const (
	smallChunk = 4 << 10
	largeChunk = 64 << 10
)

// Pools of plain memory, shared by all producers: nothing in them refers to anything.
var (
	smallChunks = sync.Pool{New: func() any { return &chunk{memory: make([]byte, smallChunk)} }}
	largeChunks = sync.Pool{New: func() any { return &chunk{memory: make([]byte, largeChunk)} }}
)

// newChunk returns a chunk with room for a section of that size, a small one if it can be.
func newChunk(size int, small bool) *chunk {
	switch {
	case size > largeChunk:
		return &chunk{memory: make([]byte, size)}
	case size > smallChunk || !small:
		return largeChunks.Get().(*chunk)
	default:
		return smallChunks.Get().(*chunk)
	}
}

// recycle takes the chunk back; nobody may read it any more.
func (c *chunk) recycle() {
	c.used = 0
	switch len(c.memory) {
	case smallChunk:
		smallChunks.Put(c)
	case largeChunk:
		largeChunks.Put(c)
	}
}

// A data section is a descriptor of three bytes, the format code of a binary, its length in one byte or in four, and the event.
const (
	shortBinary   = 0xa0
	longBinary    = 0xb0
	shortSection  = 5 // what comes before an event of less than 256 bytes
	longSection   = 8 // and before any other
	longestBinary = 255
)

// sectionSize is how many bytes an event takes in a batch: those that it is encoded in, and its data section's header.
func sectionSize(encoded int) int {
	if encoded <= longestBinary {
		return shortSection + encoded
	}
	return longSection + encoded
}

// put appends an event, for which there must be room.
func (c *chunk) put(head, body []byte) {
	n := len(head) + len(body)
	section := c.memory[c.used : c.used+sectionSize(n)]
	c.used += len(section)
	section[0], section[1], section[2] = 0x00, 0x53, amqp.SectionData
	at := shortSection
	if n <= longestBinary {
		section[3], section[4] = shortBinary, byte(n)
	} else {
		at = longSection
		section[3] = longBinary
		binary.BigEndian.PutUint32(section[4:], uint32(n))
	}
	copy(section[at:], head)
	copy(section[at+len(head):], body)
}

// event returns the event whose section begins at that place, and where that section ends.
func (c *chunk) event(at int) (encoded []byte, end int) {
	section := c.memory[at:c.used]
	if section[3] == shortBinary {
		end = shortSection + int(section[4])
		return section[shortSection:end:end], at + end
	}
	end = longSection + int(binary.BigEndian.Uint32(section[4:]))
	return section[longSection:end:end], at + end
}
