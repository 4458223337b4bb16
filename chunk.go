package eventhubs

import (
	"math/bits"
	"sync"
)

// A chunk is memory for encoded events, one behind the other. It has no pointer to any, so that the garbage collector does not look at what is buffered, and
// is used again, places included, when the outcome of its batch has been told.
type chunk struct {
	memory []byte
	ends   []int // where each event ends, and the next begins
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

// newChunk returns a chunk with room for an event of that size, for a batch that has so many bytes in others.
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
	c.ends = c.ends[:0]
	if n := len(c.memory); n <= largeChunk {
		chunkPools[poolOf(n)].Put(c)
	}
}

// used is how many bytes the events take.
func (c *chunk) used() int {
	if n := len(c.ends); n > 0 {
		return c.ends[n-1]
	}
	return 0
}

// put appends an event, for which there must be room.
func (c *chunk) put(head, body []byte) {
	at := c.used()
	copy(c.memory[at:], head)
	copy(c.memory[at+len(head):], body)
	c.ends = append(c.ends, at+len(head)+len(body))
}
