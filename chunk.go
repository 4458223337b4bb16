package eventhubs

import (
	"encoding/binary"
	"math/bits"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A chunk is memory for events, each as the data section of a message that it becomes on the wire, one behind the other. It has no pointers, so
// that the garbage collector never looks at what is buffered, and is reused when the outcome of its batch has been told.
type chunk struct {
	memory []byte
	used   int
}

// A batch's chunks are as large as those before them together, so that little of the last is unused, whether a sparse stream has a thousand open batches or a
// dense one full ones. An event that does not fit in the largest has a chunk of its own.
const (
	smallChunk = 4 << 10
	largeChunk = 64 << 10
	chunkSizes = 5 // from smallChunk on, each twice the last
)

// Pools of plain memory by size, shared by all producers: nothing in them refers to anything.
var chunkPools [chunkSizes]sync.Pool

// newChunk returns a chunk with room for a section of that size, for a batch that has so many bytes in others.
func newChunk(size, others int) *chunk {
	if size > largeChunk {
		return &chunk{memory: make([]byte, size)}
	}
	i := poolOf(min(max(size, others), largeChunk))
	if c, ok := chunkPools[i].Get().(*chunk); ok {
		return c
	}
	return &chunk{memory: make([]byte, smallChunk<<i)}
}

// poolOf is the pool of the smallest chunks that have so many bytes.
func poolOf(size int) int { return bits.Len(uint(max(size, smallChunk)-1) / smallChunk) }

// recycle takes the chunk back; nobody may read it any more.
func (c *chunk) recycle() {
	c.used = 0
	if n := len(c.memory); n <= largeChunk {
		chunkPools[poolOf(n)].Put(c)
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
