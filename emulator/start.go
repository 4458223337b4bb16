package emulator

import (
	"iter"
	"time"
)

// A Start is the place in a partition where [Server.EventsFrom] begins. The zero value is the
// oldest event.
type Start struct {
	by    startBy // byNothing, byOffset, bySequence or byTime
	value int64   // an offset or a sequence number
	time  time.Time
}

// StartAtSequenceNumber is the event with a sequence number, or the next one that still exists.
func StartAtSequenceNumber(n int64) Start { return Start{by: bySequence, value: n} }

// StartAtOffset is the event with an offset, or the next one that still exists.
func StartAtOffset(offset int64) Start { return Start{by: byOffset, value: offset} }

// StartAtTime is the first event that was stored at a time or later.
func StartAtTime(t time.Time) Start { return Start{by: byTime, time: t} }

// in returns the start's position in a partition.
func (s Start) in(p *partition) (position, error) {
	switch s.by {
	case bySequence:
		return position(max(s.value, 0)), nil
	case byOffset:
		return p.afterOffset(s.value, true)
	case byTime:
		return p.afterTime(s.time, true)
	default:
		return 0, nil
	}
}

// EventsFrom yields the events of a partition from a start on, oldest first. With an empty
// partitionID it yields those of all partitions of the hub, by enqueued time, and the start applies
// to each partition. It yields the events that exist at the time of the call. It yields nothing if
// there is no such hub or partition, or no such event yet. It does not read the events before the
// start, and decodes each event only when it is yielded. It does not disturb clients and may run
// while they send.
func (s *Server) EventsFrom(hub, partitionID string, start Start) iter.Seq[Event] {
	h := s.hub(hub)
	if h == nil {
		return func(func(Event) bool) {}
	}
	partitions, together := h.partitions(), 0
	if partitionID != "" {
		p := h.partition(partitionID)
		if p == nil {
			return func(func(Event) bool) {}
		}
		partitions, together = []*partition{p}, readAhead
	}
	ends := make([]int64, len(partitions))
	for i, p := range partitions {
		ends[i] = p.end().last
	}
	return func(yield func(Event) bool) {
		walks := make([]walk, 0, len(partitions))
		for i, p := range partitions {
			next, err := start.in(p)
			if err != nil {
				p.complain(err)
				continue
			}
			walks = append(walks, walk{reader: reader{partition: p, together: together}, next: next, last: ends[i]})
		}
		for {
			w := oldest(walks)
			if w == nil || !yield(w.take()) {
				return
			}
		}
	}
}

// A walk moves through a partition from a position to its end.
type walk struct {
	reader reader
	next   position // of the next event
	last   int64    // sequence number of the last event to visit
	batch  *batch   // contains the next event; nil if it has not been looked up yet
}

// oldest is the walk whose next event is the oldest; nil if none has an event.
func oldest(walks []walk) *walk {
	var best *walk
	for i := range walks {
		w := &walks[i]
		if w.find() && (best == nil || w.batch.enqueued.Before(best.batch.enqueued)) {
			best = w
		}
	}
	return best
}

// find looks up the batch of the next event; false if there is none, or none any more.
func (w *walk) find() bool {
	if w.batch == nil && int64(w.next) <= w.last {
		b, index, _, err := w.reader.read(w.next)
		if err != nil {
			w.reader.partition.complain(err)
		}
		if b == nil {
			w.last = -1
			return false
		}
		w.batch, w.next = b, position(b.first+int64(index))
	}
	return w.batch != nil && int64(w.next) <= w.last
}

// take returns the next event.
func (w *walk) take() Event {
	e := w.batch.event(w.reader.partition.id, int(int64(w.next)-w.batch.first))
	if w.next++; int64(w.next) == w.batch.after() {
		w.batch = nil
	}
	return e
}
