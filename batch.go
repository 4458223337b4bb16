package eventhubs

import (
	"iter"
	"slices"
	"time"
)

// A batch is events that leave together, encoded, in append-only chunks. It belongs to the queue that holds it, under that queue's
// lock, until a sender takes it; then to that sender, but for coverage, which stays under the lock.
type batch struct {
	chunks []*chunk // with the events, in their order
	count  int      // events
	bytes  int      // on the wire, each event with its data section's header
	extras extras
	first  time.Time

	full  bool // closed to new events, though nobody took it yet
	flush bool // covered by a Flush or Close: its linger is over

	failures  retries // the tries that have failed, those included that did not come to sending
	tries     int
	numbers   numbers   // of an idempotent producer
	attach    uint64    // to which the numbers may be sent
	numbered  bool      // the numbers are final: the transport has seen them
	doubtful  bool      // a try with them was refused in a way that leaves open whether they are used up; see leavesOpen
	handed    bool      // a try went as far as the transport, of the batch or of one that it is a piece of: its events do not expire any more
	ambiguous bool      // a try, likewise, ended without telling whether the batch was stored
	unlearned int64     // the partition's learned limit before the first try that was refused for size, likewise; zero if none was
	sent      time.Time // when a sender took it; zero before
	doom      error     // why the batch is not to be sent: cleared, abandoned, stopped
	roomless  bool      // its room in the buffer was given back already

	kept    bool      // a handler was told, who may keep what it was given: its memory is not used again
	again   int       // how many of its first events Batch.EnqueueAgain has accepted; under its queue's lock
	counted []counted // where its events count as failed, once they do; likewise

	coverage []coverage
}

// append copies an event into the batch.
func (b *batch) append(head, body []byte, x *extra, accepted time.Time) {
	size := len(head) + len(body)
	b.chunkFor(size).put(head, body)
	if b.count == 0 {
		b.first = accepted
	}
	if !x.empty() {
		b.extras.set(b.count, x)
	}
	b.count++
	b.bytes += sectionSize(size)
}

func (b *batch) chunkFor(size int) *chunk {
	if n := len(b.chunks); n > 0 {
		if c := b.chunks[n-1]; len(c.memory)-c.used() >= size {
			return c
		}
	}
	c := newChunk(size, b.bytes)
	b.chunks = append(b.chunks, c)
	return c
}

// all yields the events as they are encoded, in their order, each with its number from zero on. They are the batch's own memory.
func (b *batch) all() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		i := 0
		for _, c := range b.chunks {
			at := 0
			for _, end := range c.ends {
				if i == b.count || !yield(i, c.memory[at:end:end]) { // what was cut off is still in the chunks
					return
				}
				i, at = i+1, end
			}
		}
	}
}

// appendViews appends a slice for each event, for the engine to read them by.
func (b *batch) appendViews(dst [][]byte) [][]byte {
	dst = slices.Grow(dst, b.count)
	for _, encoded := range b.all() {
		dst = append(dst, encoded)
	}
	return dst
}

// fits reports whether an event that takes size bytes on the wire may join a batch that may have limit.
// Any event may be alone in a batch.
func (b *batch) fits(size, limit int) bool {
	return !b.full && (b.count == 0 || b.bytes+size <= limit)
}

// fitting returns how many of the first events fit within limit bytes: one at the least.
func (b *batch) fitting(limit int) int {
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

// tellDeliveries gives the outcome to each event's Delivery and returns how many have one.
func (b *batch) tellDeliveries(o Outcome) (told int) {
	for _, d := range b.extras.deliveries {
		if d != nil {
			d.tell(o)
			told++
		}
	}
	return told
}

// reset makes the batch and its memory ready for other events.
func (b *batch) reset() {
	for _, c := range b.chunks {
		c.recycle()
	}
	b.extras.cut(0)
	clear(b.chunks)
	clear(b.coverage)
	*b = batch{extras: b.extras, chunks: b.chunks[:0], coverage: b.coverage[:0]}
}
