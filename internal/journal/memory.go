package journal

import "encoding/binary"

// Memory holds the open block and the newest blocks before it, so that readers that keep up read no
// file. Journal.mu guards it.
type memory struct {
	chunks []*chunk // the oldest first; the last one has the open block at its end
	idle   []*chunk
	bound  int // bytes of chunks without the open block
}

// A chunk holds blocks one after the other, as they are in a file.
type chunk struct {
	bytes     []byte
	first     Position // of its first record
	committed int      // bytes of the blocks that readers see
	unwritten bool     // some of them are in no segment yet
	readers   int
	dropped   bool
}

const (
	chunkBytes  = 1 << 20
	memoryBytes = 8 << 20
	idleChunks  = 2
	chunkLimit  = maxGroup + chunkBytes/4 // of one that grows, or is kept
)

// An openBlock gathers records.
type openBlock struct {
	at    int // where its header goes in the last chunk
	bytes int64
	first Position
	count uint32
	ahead bool // it begins the next segment
}

// append adds a record to the open block.
func (j *Journal) append(n int, a, b, c []byte) {
	need := uvarintBytes(n) + n
	if j.open.count == 0 {
		need += headerBytes
	}
	last := j.lastChunk(need)
	if j.open.count == 0 {
		j.open.at, j.open.first, j.open.bytes = len(last.bytes), j.next, 0
		if j.open.at == 0 {
			last.first = j.next
		}
		last.bytes = last.bytes[:len(last.bytes)+headerBytes]
	}
	last.bytes = binary.AppendUvarint(last.bytes, uint64(n))
	last.bytes = append(append(append(last.bytes, a...), b...), c...)
	j.open.bytes += int64(need)
	j.open.count++
	j.next++
}

// lastChunk returns the last chunk, with room for so many bytes. If it has none, the open block
// moves to another one.
func (j *Journal) lastChunk(need int) *chunk {
	m := &j.memory
	var last *chunk
	var open []byte
	if len(m.chunks) > 0 {
		last = m.chunks[len(m.chunks)-1]
		if cap(last.bytes)-len(last.bytes) >= need {
			return last
		}
		if j.open.count > 0 {
			open = last.bytes[j.open.at:]
		}
	}
	size := max(need, min(chunkBytes, m.bound/4))
	if len(open) > 0 {
		size = max(size, len(open)+need, min(2*(len(open)+need), chunkLimit))
	}
	fresh := m.take(size)
	fresh.bytes = append(fresh.bytes, open...)
	if len(open) > 0 {
		fresh.first = j.open.first
		last.bytes = last.bytes[:j.open.at]
		j.open.at = 0
		if len(last.bytes) == 0 {
			m.chunks = m.chunks[:len(m.chunks)-1]
			m.drop(last)
		}
	}
	m.chunks = append(m.chunks, fresh)
	m.trim()
	return fresh
}

// take returns an empty chunk.
func (m *memory) take(size int) *chunk {
	for i, c := range m.idle {
		if cap(c.bytes) >= size {
			m.idle[i] = m.idle[len(m.idle)-1]
			m.idle = m.idle[:len(m.idle)-1]
			*c = chunk{bytes: c.bytes[:0]}
			return c
		}
	}
	return &chunk{bytes: make([]byte, 0, size)}
}

// trim drops the oldest chunks over the bound. All their blocks are in a segment.
func (m *memory) trim() {
	total := 0
	for _, c := range m.chunks {
		total += cap(c.bytes)
	}
	n := 0
	for ; n < len(m.chunks)-1 && total > m.bound && m.chunks[n].committed == len(m.chunks[n].bytes) && !m.chunks[n].unwritten; n++ {
		total -= cap(m.chunks[n].bytes)
		m.drop(m.chunks[n])
	}
	m.chunks = m.chunks[:copy(m.chunks, m.chunks[n:])]
}

// drop keeps a chunk for later use, once no reader has it.
func (m *memory) drop(c *chunk) {
	if c.dropped = true; c.readers == 0 && len(m.idle) < idleChunks && cap(c.bytes) <= chunkLimit {
		m.idle = append(m.idle, c)
	}
}

// pin returns the chunk that has a committed record, or nil.
func (m *memory) pin(p Position) *chunk {
	for i := len(m.chunks) - 1; i >= 0; i-- {
		if c := m.chunks[i]; c.committed > 0 && c.first <= p {
			c.readers++
			return c
		}
	}
	return nil
}

func (m *memory) unpin(c *chunk) {
	if c.readers--; c.dropped {
		m.drop(c)
	}
}
