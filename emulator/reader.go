package emulator

import (
	"fmt"
	"sort"
	"time"
)

// readAhead is how many bytes of batches a reader of many takes from the journal at once.
const readAhead = 256 << 10

// A reader reads a partition's log, from memory or from the journal. It has one user.
type reader struct {
	partition *partition
	together  int      // bytes of batches that it takes from the journal at once; 0: one batch
	ahead     []*batch // read from the journal together with the last one
}

// read returns the batch with the event at pos and the event's index in it. If that event is gone,
// it returns the oldest batch. At the end of the log it returns no batch, and a channel that the
// next append closes.
func (r *reader) read(pos position) (b *batch, index int, changed <-chan struct{}, err error) {
	if b = r.take(pos); b == nil {
		b, changed, err = r.find(func(e Entry) bool { return e.after() <= int64(pos) })
	}
	if b == nil {
		return nil, 0, changed, err
	}
	if b.first > int64(pos) && b.first > r.partition.end().first {
		return nil, 0, nil, fmt.Errorf("%w: there is no batch with the sequence number %d, the next begins with %d", errDamaged, pos, b.first)
	}
	return b, int(max(int64(pos)-b.first, 0)), nil, nil
}

// take returns the batch with the event at pos if it was read ahead, and is not gone.
func (r *reader) take(pos position) *batch {
	if len(r.ahead) == 0 {
		return nil
	}
	b := r.ahead[0]
	if r.ahead = r.ahead[1:]; b.first > int64(pos) || b.after() <= int64(pos) || b.first < r.partition.end().first {
		r.ahead = nil
		return nil
	}
	return b
}

// find returns the first batch for which before returns false. If before returns false for a batch,
// it does so for all later ones. If there is none, find returns a channel that the next append
// closes.
func (r *reader) find(before func(Entry) bool) (b *batch, changed <-chan struct{}, err error) {
	p := r.partition
	for {
		p.mu.Lock()
		p.trimLocked()
		first, next := p.oldest.First, p.next
		if p.inMemoryLocked(before) {
			i := sort.Search(len(p.batches), func(i int) bool { return !before(p.batches[i].entry()) })
			if i < len(p.batches) {
				b = p.batches[i]
			} else {
				changed = p.changedLocked()
			}
			p.mu.Unlock()
			return b, changed, nil
		}
		p.mu.Unlock()
		found, err := p.journal.read(p.index, r.together, func(e Entry) bool { return e.First < first || before(e) })
		if err != nil {
			return nil, nil, err
		}
		// The journal may have a batch that the log does not show yet.
		n := sort.Search(len(found), func(i int) bool { return found[i].first >= next })
		if n > 0 {
			r.ahead = found[1:n]
			return found[0], nil, nil
		}
		if changed, ok := p.unchanged(next); ok {
			return nil, changed, nil
		}
	}
}

// inMemoryLocked reports whether the first batch for which before returns false is in memory, or
// does not exist.
func (p *partition) inMemoryLocked(before func(Entry) bool) bool {
	if p.held == len(p.batches) {
		return true
	}
	return len(p.batches) > 0 && before(p.batches[0].entry())
}

// changedLocked returns a channel that the next append closes.
func (p *partition) changedLocked() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// unchanged returns a channel that the next append closes, if the log still ends with next.
func (p *partition) unchanged(next int64) (changed <-chan struct{}, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next != next {
		return nil, false
	}
	return p.changedLocked(), true
}

// read is a reader's read, of one batch.
func (p *partition) read(pos position) (b *batch, index int, changed <-chan struct{}, err error) {
	return (&reader{partition: p}).read(pos)
}

// find is a reader's find, of one batch.
func (p *partition) find(before func(Entry) bool) (*batch, error) {
	b, _, err := (&reader{partition: p}).find(before)
	return b, err
}

// afterOffset is the position of the first event whose offset is larger than offset, or equal to it
// if inclusive.
func (p *partition) afterOffset(offset int64, inclusive bool) (position, error) {
	offset = max(offset, -1)
	if inclusive {
		offset = max(offset-1, -1)
	}
	b, err := p.find(func(e Entry) bool { return e.LastOffset <= offset })
	if b == nil {
		return p.after(), err
	}
	n := sort.Search(len(b.events), func(n int) bool { return b.offsetOf(n) > offset })
	return position(b.first + int64(n)), nil
}

// afterTime is the position of the first event enqueued after t, or at t if inclusive.
func (p *partition) afterTime(t time.Time, inclusive bool) (position, error) {
	b, err := p.find(func(e Entry) bool { return e.Enqueued.Before(t) || !inclusive && e.Enqueued.Equal(t) })
	if b == nil {
		return p.after(), err
	}
	return position(b.first), nil
}

// after is the position after the newest event.
func (p *partition) after() position { return position(p.end().last + 1) }
