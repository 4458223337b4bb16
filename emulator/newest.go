package emulator

import "iter"

// Newest yields the events of a partition, newest first. With an empty partitionID it yields those
// of all partitions of the hub, by enqueued time. It starts with the events that exist when the
// iteration begins, and yields nothing if there is no such hub or partition. Stopping early is
// cheap: each event is decoded only when it is yielded. It does not disturb clients and may run
// while they send.
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

// Event returns the event of a partition with a sequence number. ok is false if it does not exist
// or no longer exists.
func (s *Server) Event(hub, partitionID string, sequenceNumber int64) (_ Event, ok bool) {
	p := s.lookup(hub, partitionID)
	if p == nil || sequenceNumber < 0 {
		return Event{}, false
	}
	b := p.holding(sequenceNumber)
	if b == nil {
		return Event{}, false
	}
	return b.event(p.id, int(sequenceNumber-b.first)), true
}

// A cursor moves through a partition from its end to its beginning.
type cursor struct {
	partition *partition
	before    int64  // sequence number of the event after the next one to yield
	batch     *batch // contains the next event; nil if it has not been looked up yet
}

// newest is the cursor whose next event is the newest; nil if none has an event.
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

// take returns the next event.
func (c *cursor) take() Event {
	c.before--
	e := c.batch.event(c.partition.id, int(c.before-c.batch.first))
	if c.before == c.batch.first {
		c.batch = nil
	}
	return e
}

// holding is the batch that contains an event; nil if it is gone, or cannot be read.
func (p *partition) holding(sequence int64) *batch {
	b, err := p.find(func(e Entry) bool { return e.after() <= sequence })
	if err != nil {
		p.complain(err)
	}
	if b == nil || b.first > sequence {
		return nil
	}
	return b
}

// complain logs that events cannot be read, for callers that get no error.
func (p *partition) complain(err error) {
	if p.settings.log != nil {
		p.settings.log.Warn("events cannot be read", "partition", p.id, "error", err)
	}
}
