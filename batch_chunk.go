package eventhubs

import (
	"math/bits"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A chunk is memory for events as they go over the wire, one behind the other, each behind the header of its data section. It is a frame, too: it begins with room
// for a frame's header, so that the connection writes it from where it is. It has no pointer to any, so that the garbage collector does not look at what is
// buffered, and is used again, places included, when the outcome of its batch has been told.
type chunk struct {
	memory []byte   // the room, and the events
	ends   []uint32 // where each event ends that does not go on in the next chunk
}

// A batch's chunks are as large as those before them together, so that little of the last is unused, whether a sparse stream has a thousand open batches or a
// dense one full ones. An event that does not fit in the largest takes several of these.
const (
	smallChunk = 4 << 10
	largeChunk = amqp.MaxPiece
	chunkSizes = 5 // from smallChunk on, each twice the last
	chunkRoom  = amqp.FrameRoom
)

// Pools of plain memory by size, shared by all producers: nothing in them refers to anything.
var chunkPools [chunkSizes]sync.Pool

// newChunk returns a chunk with room for so many bytes, for a batch that has so many in others.
func newChunk(size, others int) *chunk {
	size += chunkRoom
	if size > largeChunk {
		return &chunk{memory: make([]byte, chunkRoom, size)}
	}
	i := poolOf(min(max(size, others), largeChunk))
	if c, ok := chunkPools[i].Get().(*chunk); ok {
		return c
	}
	return &chunk{memory: make([]byte, chunkRoom, smallChunk<<i)}
}

// poolOf is the pool of the smallest chunks that have so many bytes.
func poolOf(size int) int { return bits.Len(uint(max(size, smallChunk)-1) / smallChunk) }

// recycle takes the chunk back; nobody may read it any more.
func (c *chunk) recycle() {
	c.memory, c.ends = c.memory[:chunkRoom], c.ends[:0]
	if n := cap(c.memory); n <= largeChunk {
		chunkPools[poolOf(n)].Put(c)
	}
}

// free is how many bytes the chunk still has room for.
func (c *chunk) free() int { return cap(c.memory) - len(c.memory) }

// put appends an event, for which there must be room.
func (c *chunk) put(head, body []byte) {
	c.memory = appendSection(c.memory, len(head)+len(body))
	c.memory = append(append(c.memory, head...), body...)
	c.end()
}

// end notes that an event ends here.
func (c *chunk) end() { c.ends = append(c.ends, uint32(len(c.memory))) }

// fill appends as much of b as there is room for, and returns the rest.
func (c *chunk) fill(b []byte) (rest []byte) {
	n := min(len(b), c.free())
	c.memory = append(c.memory, b[:n]...)
	return b[n:]
}

// appendSection appends the header of the data section that an event of that encoded size is in a batch.
func appendSection(dst []byte, encoded int) []byte {
	return amqp.AppendBinaryHeader(amqp.AppendSectionHeader(dst, amqp.SectionData), encoded)
}

// sectionSize is what an event of that encoded size takes in a batch, where it is the content of a data section.
func sectionSize(encoded int) int {
	if encoded < 256 {
		return encoded + 5
	}
	return encoded + 8
}

// sectionHead is how much of a section of that size is its header.
func sectionHead(section int) int {
	if section < sectionSize(256) {
		return 5
	}
	return 8
}
