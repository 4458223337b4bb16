package eventhubs

import (
	"iter"
	"sync"
	"time"
)

// A batch is events that are sent together, encoded, in append-only chunks. Its queue owns it,
// under the queue's lock, until a sender takes it. Then the sender owns it, except coverage, which
// stays under the lock.
type batch struct {
	chunks []*chunk // with the events, in their order
	pieces [][]byte // the chunks as last given to the connection
	count  int      // events
	bytes  int      // on the wire, each event with its data section's header
	extras extras
	first  time.Time

	id    uint64 // for the Trace; zero until the Trace first gets the batch
	full  bool   // takes no more events
	flush bool   // covered by a Flush or Close: its linger is over

	failures retries // the failed tries, also those that sent nothing
	tries    int
	numbers  numbers // of an idempotent producer
	attach   uint64  // the only attach on which the numbers may be sent
	numbered bool    // the numbers are final: the transport has seen them
	// A try with the numbers was refused in a way that leaves open whether they are used up; see
	// leavesOpen.
	doubtful bool
	// The next five are also about the tries of the batch that this one is a piece of.
	handed    bool  // a try reached the transport: the events no longer expire
	ambiguous bool  // a try ended without showing whether the batch was stored
	untold    bool  // ambiguous, and the service has forgotten the producer: no number will show it
	unsure    bool  // a former life may have stored events, and no number will show it
	unlearned int64 // the partition's learned limit before the first refusal for size; zero without one

	sent     time.Time // when a sender took it; zero before
	doom     error     // why the batch is not to be sent: cleared, abandoned, stopped
	roomless bool      // its room in the buffer was already given back

	held  <-chan struct{} // closed when the connection no longer uses the batch's memory; nil: it does not
	heard bool            // a handler got it
	kept  bool            // a handler has it and may keep it: its memory is not used again

	// Guarded by the lock of its queue.
	again    int       // how many of its first events Batch.EnqueueAgain has accepted
	counted  []counted // where its events count as failed, once they do
	coverage []coverage
}

// Empty batches, whose memory is used again.
var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch() *batch { return batches.Get().(*batch) }

// recycle gives back the memory of a batch. Its outcome was reported, and no handler may keep it.
func (b *batch) recycle() {
	b.reset()
	batches.Put(b)
}

// append copies an event into the batch.
func (b *batch) append(head, body []byte, x *extra, accepted time.Time) {
	size := sectionSize(len(head) + len(body))
	if size <= largeChunk-chunkRoom {
		b.chunkFor(size).put(head, body)
	} else {
		b.putLarge(head, body)
	}
	if b.count == 0 {
		b.first = accepted
	}
	if !x.empty() {
		b.extras.set(b.count, x)
	}
	b.count++
	b.bytes += size
}

// chunkFor returns the last chunk, or a fresh one if the last has no room for size bytes.
func (b *batch) chunkFor(size int) *chunk {
	if n := len(b.chunks); n > 0 && b.chunks[n-1].free() >= size {
		return b.chunks[n-1]
	}
	return b.newChunk(size)
}

func (b *batch) newChunk(size int) *chunk {
	c := newChunk(size, b.bytes)
	b.chunks = append(b.chunks, c)
	return c
}

// putLarge appends an event that is too large for one chunk. It begins in a chunk that holds all of
// its head, and continues in as many chunks as it needs.
func (b *batch) putLarge(head, body []byte) {
	encoded := len(head) + len(body)
	c := b.newChunk(max(largeChunk-chunkRoom, sectionSize(encoded)-len(body)))
	c.memory = append(appendSection(c.memory, encoded), head...)
	for body = c.fill(body); len(body) > 0; body = c.fill(body) {
		c = b.newChunk(min(len(body), largeChunk-chunkRoom))
	}
	c.end()
}

// all yields the encoded events in their order, each with its index from zero on. The slices are
// the batch's own memory, except for an event that spans several chunks.
func (b *batch) all() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		i := 0
		var large []byte // the part of an event that earlier chunks hold
		for _, c := range b.chunks {
			at := chunkRoom
			for _, end := range c.ends {
				section := c.memory[at:end:end]
				if large != nil {
					section, large = append(large, section...), nil
				}
				if !yield(i, section[sectionHead(len(section)):len(section):len(section)]) {
					return
				}
				i, at = i+1, int(end)
			}
			large = append(large, c.memory[at:]...)
		}
	}
}

// frames returns the batch as the connection sends it: pieces with room for a frame's header before
// each.
func (b *batch) frames() [][]byte {
	b.pieces = b.pieces[:0]
	for _, c := range b.chunks {
		b.pieces = append(b.pieces, c.memory)
	}
	return b.pieces
}

// write sets the numbers of the batch's events, in place.
func (b *batch) write(n numbers) {
	i, within := 0, false
	for _, c := range b.chunks {
		at := chunkRoom
		for _, end := range c.ends {
			if section := c.memory[at:end]; !within {
				n.writeTo(section[sectionHead(len(section)):], i)
				i++
			}
			at, within = int(end), false
		}
		// The rest is the head of an event that continues in the next chunk.
		if rest := c.memory[at:]; len(rest) > 0 && !within {
			n.writeTo(rest[sectionHead(largeChunk):], i)
			i, within = i+1, true
		}
	}
}

// keepFirst drops the events from the n-th on.
func (b *batch) keepFirst(n int) {
	for at, c := range b.chunks {
		if n > len(c.ends) {
			n -= len(c.ends)
			continue
		}
		end := uint32(chunkRoom)
		if n > 0 {
			end = c.ends[n-1]
		}
		c.memory, c.ends = c.memory[:end], c.ends[:n]
		for _, dropped := range b.chunks[at+1:] {
			dropped.recycle()
		}
		clear(b.chunks[at+1:])
		b.chunks = b.chunks[:at+1]
		return
	}
}

// takes reports whether an event of size bytes on the wire may join a batch of limit bytes. Any
// event may be alone in a batch.
func (b *batch) takes(size, limit int) bool {
	return !b.full && (b.count == 0 || b.bytes+size <= limit)
}

// countWithin returns how many of the first events fit in limit bytes together: at least one.
func (b *batch) countWithin(limit int) int {
	bytes := 0
	for i, e := range b.all() {
		if bytes += sectionSize(len(e)); i > 0 && bytes > limit {
			return i
		}
	}
	return b.count
}

// expired returns how many of the events have expired by now, and the first of them.
func (b *batch) expired(now time.Time) (events, first int) {
	for i := range b.extras.expires {
		if !b.extras.expired(i, now) {
			continue
		}
		if events == 0 {
			first = i
		}
		events++
	}
	return events, first
}

// settleDeliveries gives the outcome to each event's Delivery, and returns how many events have
// one.
func (b *batch) settleDeliveries(o Outcome) (settled int) {
	for _, d := range b.extras.deliveries {
		if d != nil {
			d.settle(o)
			settled++
		}
	}
	return settled
}

// reset makes the batch and its memory ready for other events.
func (b *batch) reset() {
	for _, c := range b.chunks {
		c.recycle()
	}
	b.extras.truncate(0)
	clear(b.chunks)
	clear(b.pieces[:cap(b.pieces)])
	clear(b.coverage)
	*b = batch{extras: b.extras, chunks: b.chunks[:0], pieces: b.pieces[:0], coverage: b.coverage[:0]}
}
