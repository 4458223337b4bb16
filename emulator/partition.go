package emulator

import (
	"slices"
	"sort"
	"strconv"
	"sync"
	"time"
)

// A partition is an append-only log of batches. Events are numbered from 0 without gaps.
type partition struct {
	// Immutable after newPartition.
	id string

	mu      sync.Mutex // guards the fields below
	batches []*batch
	next    int64         // sequence number of the next event
	bytes   int64         // sum of the sizes of all events; the offset of the next one
	changed chan struct{} // closed by the next append; nil while nobody waits
}

// A batch is what one transfer brought. It never changes once it is in the log, so readers use it
// without a lock.
type batch struct {
	events   []span
	first    int64 // sequence number of events[0]
	offset   int64 // offset of events[0]
	enqueued time.Time
	bytes    int64  // sum of the sizes of the events
	buffer   []byte // what the spans point into: the delivery's own memory
}

// A position is where a reader stands: the sequence number of the next event that it wants.
type position int64

// An end is what a partition tells about its last event.
type end struct {
	first    int64 // sequence number of the oldest event, -1 if there is none
	last     int64 // sequence number of the newest event, -1 if there is none
	offset   int64 // its offset, -1 if there is none
	enqueued time.Time
}

func newPartition(index int) *partition {
	return &partition{id: strconv.Itoa(index)}
}

// append stores a batch and wakes all readers. The batch belongs to the log from then on.
func (p *partition) append(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The clock is read under the lock so that enqueued times do not go backwards within a partition.
	b.enqueued = time.Now().UTC().Truncate(time.Millisecond)
	b.first = p.next
	b.offset = p.bytes
	p.next += int64(len(b.events))
	p.bytes += b.bytes
	p.batches = append(p.batches, b)
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// read returns the batch that holds the event at pos and the event's index in it. At the end of
// the log it returns no batch, and a channel that the next append closes.
func (p *partition) read(pos position) (b *batch, index int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if int64(pos) >= p.next {
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		return nil, 0, p.changed
	}
	i := sort.Search(len(p.batches), func(i int) bool {
		return p.batches[i].first+int64(len(p.batches[i].events)) > int64(pos)
	})
	b = p.batches[i]
	return b, int(int64(pos) - b.first), nil
}

// end describes the newest event.
func (p *partition) end() end {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.batches) == 0 {
		return end{first: -1, last: -1, offset: -1}
	}
	b := p.batches[len(p.batches)-1]
	return end{
		first:    p.batches[0].first,
		last:     p.next - 1,
		offset:   b.offsetOf(len(b.events) - 1),
		enqueued: b.enqueued,
	}
}

// counts tells what the log holds.
func (p *partition) counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Counts{Events: int(p.next), Batches: len(p.batches), Bytes: p.bytes}
}

// afterOffset is the position of the first event whose offset is larger than offset, or equal to
// it if inclusive.
func (p *partition) afterOffset(offset int64, inclusive bool) position {
	offset = max(offset, -1)
	if inclusive {
		offset = max(offset-1, -1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	// The last batch that starts at or before the offset is the one to look into.
	i := sort.Search(len(p.batches), func(i int) bool { return p.batches[i].offset > offset })
	if i == 0 {
		return 0
	}
	b := p.batches[i-1]
	n := sort.Search(len(b.events), func(n int) bool { return b.offsetOf(n) > offset })
	return position(b.first + int64(n))
}

// afterTime is the position of the first event enqueued after t, or at t if inclusive.
func (p *partition) afterTime(t time.Time, inclusive bool) position {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, _ := slices.BinarySearchFunc(p.batches, t, func(b *batch, t time.Time) int {
		if c := b.enqueued.Compare(t); c != 0 || inclusive {
			return c
		}
		return -1
	})
	if i == len(p.batches) {
		return position(p.next)
	}
	return position(p.batches[i].first)
}

// offsetOf is the offset of event i: how many bytes of events lie before it in the partition.
// Clients treat it as opaque, but some parse it as an integer.
func (b *batch) offsetOf(i int) int64 {
	return b.offset + int64(b.events[i].start-b.events[0].start)
}
