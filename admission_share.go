package eventhubs

import (
	"container/heap"
	"math"
	"sync/atomic"
)

// A share is one partition's part of the buffer: its contents, its limit, and the line of callers
// that wait for it. Limits keep one partition from stopping the others. No partition takes the last
// part of the buffer while the hub has others. A partition in trouble takes nothing more once it
// holds half.
type share struct {
	// Immutable.
	partition *partition // nil for the line of callers that wait for any partition
	unlimited bool

	pressed atomic.Bool // the limit holds a caller back; written under admission.mu, read anywhere

	// Guarded by admission.mu.
	events    int // the share's contents: an event counts from its admission to its outcome
	bytes     int
	maxEvents int // the limits
	maxBytes  int
	trouble   trouble
	line
	at int // its place in admission.ready, from 1 on; zero while it has none
}

// lastPart is the part of the buffer that no single partition takes while the hub has others: an
// eighth.
const lastPart = 8

// trouble says in which ways a partition makes no progress.
type trouble uint8

const (
	troubleFailing trouble = 1 << iota // a try of its batch has failed; no outcome yet
	troubleSilent                      // a try or handler runs for long without result (watch.go)
	troubleStopped                     // StopPartitionOnFailure has stopped it
)

// limitLocked computes the share's limits.
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

// opensLocked reports whether the partition may hold one more event of that size. An empty
// partition takes an event of any size; otherwise a large one would wait for ever.
func (s *share) opensLocked(bytes int) bool {
	return s.events == 0 || s.events < s.maxEvents && bytes <= s.maxBytes-s.bytes
}

// A line is waiting callers, first come first served.
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

// Shares whose first caller lacks only room in the buffer, as a heap. The earliest caller is
// admitted first, whatever its partition. A caller whose partition is at its limit is in none of
// these lines, and delays no caller of another partition.
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

// arrange moves the share to its place after its line, contents or limit has changed.
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
