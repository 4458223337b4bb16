package eventhubs

import (
	"math/bits"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A chunk is memory for encoded events, one after the other, each after the header of its data
// section. A chunk is also a frame: it begins with room for a frame's header, so the connection
// writes it from where it is. Its memory has no pointers, so the garbage collector does not scan
// buffered events. The chunk and its list of ends are used again after the outcome of its batch is
// reported.
type chunk struct {
	memory []byte   // the header's room, and the events
	ends   []uint32 // the end of each event that does not continue in the next chunk
}

// A batch's next chunk is as large as its chunks so far together, so that little of the last one is
// unused. That suits a sparse stream with a thousand open batches as well as a dense one with full
// batches. An event larger than the largest chunk takes several.
const (
	smallChunk = 4 << 10       // the connection copies smaller pieces (package amqp, leastDirect)
	largeChunk = amqp.MaxPiece // smallChunk, doubled some times
	chunkRoom  = amqp.FrameRoom
)

// Pools of plain memory, shared by all producers: nothing in them refers to anything. Each has
// chunks of twice the size of the previous one, from smallChunk to largeChunk.
var chunkPools = make([]sync.Pool, bits.Len(largeChunk/smallChunk))

// newChunk returns a chunk with room for size bytes, for a batch with others bytes in its other
// chunks.
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

// poolOf returns the pool of the smallest chunks with room for size bytes.
func poolOf(size int) int { return bits.Len(uint(max(size, smallChunk)-1) / smallChunk) }

// recycle takes the chunk back; no goroutine may read it any more.
func (c *chunk) recycle() {
	c.memory, c.ends = c.memory[:chunkRoom], c.ends[:0]
	if n := cap(c.memory); n <= largeChunk {
		chunkPools[poolOf(n)].Put(c)
	}
}

// free returns how many bytes the chunk still has room for.
func (c *chunk) free() int { return cap(c.memory) - len(c.memory) }

// put appends an event, which must fit.
func (c *chunk) put(head, body []byte) {
	c.memory = appendSection(c.memory, len(head)+len(body))
	c.memory = append(append(c.memory, head...), body...)
	c.end()
}

// end records that an event ends here.
func (c *chunk) end() { c.ends = append(c.ends, uint32(len(c.memory))) }

// fill appends as much of b as fits, and returns the rest.
func (c *chunk) fill(b []byte) (rest []byte) {
	n := min(len(b), c.free())
	c.memory = append(c.memory, b[:n]...)
	return b[n:]
}

// appendSection appends the header of the data section of an event with that encoded size.
func appendSection(dst []byte, encoded int) []byte {
	return amqp.AppendBinaryHeader(amqp.AppendSectionHeader(dst, amqp.SectionData), encoded)
}

// sectionSize returns how many bytes an event of that encoded size takes in a batch, as the content
// of a data section.
func sectionSize(encoded int) int {
	if encoded < 256 {
		return encoded + 5
	}
	return encoded + 8
}

// sectionHead returns how many bytes of a section of that size are its header.
func sectionHead(section int) int {
	if section < sectionSize(256) {
		return 5
	}
	return 8
}
