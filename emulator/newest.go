package emulator

import (
	"iter"
	"sort"
)

// Newest yields what a partition holds, newest first; with an empty partitionID, what all partitions of the hub do, by the time at which it was
// stored. It begins with what is there when the iteration does, and yields nothing if there is no such hub or partition. Stopping early is cheap: each
// event is decoded when it is its turn. It does not disturb clients and may run while they send.
func (s *Server) Newest(hub, partitionID string) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		h := s.hub(hub)
		if h == nil {
			return
		}
		partitions := h.partitions()
		if partitionID != "" {
			p := h.partition(partitionID)
			if p == nil {
				return
			}
			partitions = []*partition{p}
		}
		var cursors []cursor
		for _, p := range partitions {
			cursors = append(cursors, cursor{partition: p, before: p.end().last + 1})
		}
		for {
			c := newest(cursors)
			if c == nil || !yield(c.take()) {
				return
			}
		}
	}
}

// Event is the event of a partition with a sequence number. It is not ok if there is no such event, or no more.
func (s *Server) Event(hub, partitionID string, sequenceNumber int64) (_ Event, ok bool) {
	p := s.lookup(hub, partitionID)
	if p == nil || sequenceNumber < 0 {
		return Event{}, false
	}
	b, index, _ := p.read(position(sequenceNumber))
	if b == nil || b.first+int64(index) != sequenceNumber {
		return Event{}, false
	}
	return b.event(p.id, index), true
}

// A cursor goes through a partition from its end to its beginning.
type cursor struct {
	partition *partition
	before    int64  // sequence number of the event behind the next one
	batch     *batch // in which the next one is; nil if that is still to be looked up
}

// newest is the cursor whose next event is the newest; nil if none has any.
func newest(cursors []cursor) *cursor {
	var best *cursor
	for i := range cursors {
		c := &cursors[i]
		if c.find() && (best == nil || c.batch.enqueued.After(best.batch.enqueued)) {
			best = c
		}
	}
	return best
}

// find looks up the batch of the next event; false if there is none, or none any more.
func (c *cursor) find() bool {
	if c.batch == nil && c.before > 0 {
		if c.batch = c.partition.holding(c.before - 1); c.batch == nil {
			c.before = 0
		}
	}
	return c.batch != nil
}

// take is the next event.
func (c *cursor) take() Event {
	c.before--
	e := c.batch.event(c.partition.id, int(c.before-c.batch.first))
	if c.before == c.batch.first {
		c.batch = nil
	}
	return e
}

// holding is the batch that holds an event; nil if it is gone.
func (p *partition) holding(sequence int64) *batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked()
	i := sort.Search(len(p.batches), func(i int) bool { return p.batches[i].first > sequence })
	if i == 0 || sequence >= p.next {
		return nil
	}
	return p.batches[i-1]
}
