package eventhubs

import (
	"container/heap"
	"math"
	"sync/atomic"
)

// A share is one partition's part of the buffer: what it holds, what it may hold at the most, and the line of those who wait for it. So that one partition
// never stops the others, no partition takes the last part of the buffer while the hub has others, and one in trouble takes nothing more once it holds half.
type share struct {
	// Immutable.
	partition *partition // nil for the line of those who wait for no partition in particular
	unlimited bool

	pressed atomic.Bool // somebody is held back by the limit; written under admission.mu, read anywhere

	// Guarded by admission.mu.
	events    int // what it holds, from when an event is given its room until it has its outcome
	bytes     int
	maxEvents int // what it may hold
	maxBytes  int
	trouble   trouble
	line
	at int // its place in admission.ready, from 1 on; zero while it has none
}

// lastPart is the part of the buffer that no single partition takes while the hub has others: an eighth.
const lastPart = 8

// trouble says in which ways a partition does not get on.
type trouble uint8

const (
	troubleFailing trouble = 1 << iota // a try of its batch has failed, and the batch is not through
	troubleSilent                      // a try or a handler is at work, and nothing has come of it for a while (watch.go)
	troubleStopped                     // StopPartitionOnFailure has stopped it
)

// limitLocked finds what the partition may hold now.
func (s *share) limitLocked(a *admission) {
	switch {
	case s.unlimited || !a.several:
		s.maxEvents, s.maxBytes = math.MaxInt, math.MaxInt
	case s.trouble != 0:
		s.maxEvents, s.maxBytes = a.maxEvents/2, a.maxBytes/2
	default:
		s.maxEvents, s.maxBytes = a.maxEvents-max(1, a.maxEvents/lastPart), a.maxBytes-a.maxBytes/lastPart
	}
}

// opensLocked reports whether the partition may hold one more event of that size. One that holds nothing takes an event of any size, or it would wait for ever.
func (s *share) opensLocked(bytes int) bool {
	return s.events == 0 || s.events < s.maxEvents && bytes <= s.maxBytes-s.bytes
}

// A line is callers who wait, first come first served.
type line struct {
	first *waiter
	last  *waiter
}

func (l *line) join(w *waiter) {
	w.earlier = l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

func (l *line) leave(w *waiter) {
	if w.earlier == nil {
		l.first = w.next
	} else {
		w.earlier.next = w.next
	}
	if w.next == nil {
		l.last = w.earlier
	} else {
		w.next.earlier = w.earlier
	}
}

// Shares whose first waiter lacks nothing but room in the buffer, as a heap: who came first is admitted first, whatever its partition. Whoever waits for a
// partition that is at its limit is in none of these lines, and holds up nobody who waits for another.
type shares []*share

func (r shares) Len() int           { return len(r) }
func (r shares) Less(i, j int) bool { return r[i].first.number < r[j].first.number }
func (r shares) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].at, r[j].at = i+1, j+1
}

func (r *shares) Push(s any) {
	*r = append(*r, s.(*share))
	(*r)[len(*r)-1].at = len(*r)
}

func (r *shares) Pop() any {
	n := len(*r) - 1
	s := (*r)[n]
	(*r)[n] = nil
	*r = (*r)[:n]
	s.at = 0
	return s
}

// arrange puts the share where it belongs after a change of its line, of what it holds or of its limit.
func (r *shares) arrange(s *share) {
	belongs := s.first != nil && s.opensLocked(s.first.want.bytes)
	switch {
	case belongs && s.at == 0:
		heap.Push(r, s)
	case belongs:
		heap.Fix(r, s.at-1)
	case s.at != 0:
		heap.Remove(r, s.at-1)
	}
}
