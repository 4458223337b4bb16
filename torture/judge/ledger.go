// Package judge decides about a run from two sources alone: the hub, read by the official consumer,
// and the producers' own records. It shares no code with the product, and keeps no memory for a
// single event but bits.
package judge

import (
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A Received event is one that a consumer got.
type Received struct {
	Partition int
	Sequence  int64
	Enqueued  time.Time
	Key       string
	Body      []byte
}

// A Ledger is what the hub holds, as far as it was read. Its methods may be called by any number of
// goroutines.
type Ledger struct {
	partitions int

	mu       sync.Mutex // guards the fields below
	lives    map[uint32]*life
	heads    []head
	homes    map[string]int // the partition of a key, as the service places it
	twice    []repeat
	returned []comeback
	findings *Findings
	bodies   record.BodyReader
	read     uint64
	again    uint64
}

// A head is how far a partition was read.
type head struct {
	next    int64                // sequence number
	present map[uint8]uint32     // the life of each idempotent producer that has stored here last
	over    map[uint32]time.Time // the lives that another life has replaced here, and when it stored first
	latest  map[uint8]uint32     // of each producer with a journal: the latest life that has an event here
}

// A life is what the hub holds of a life of a producer.
type life struct {
	id     record.ID
	stored bits
	last   []uint64 // of each partition: the number after the highest
	late   []late   // in the order of the log
	tail   []int    // of each partition: the index in Ledger.twice of the repeat that may go on; -1 for none
}

// A comeback is a run of events that a life has stored after another one had replaced it.
type comeback struct {
	life      *life
	successor uint32
	partition int
	replaced  time.Time
	at        time.Time // of the first event
	first     uint64
	sequence  int64
	events    uint64
}

// A repeat is a run of events that are stored again: a batch, or several.
type repeat struct {
	life      *life
	partition int
	at        time.Time
	first     uint64
	last      uint64
	sequence  int64
	events    uint64
}

// A late event is one that is stored for the first time, after later ones of its partition.
type late struct {
	number    uint64
	partition int
	sequence  int64
}

// maxLate bounds what is kept of the late events of a life; more are wrong at once.
const maxLate = 1_000_000

// NewLedger returns an empty ledger of a hub with so many partitions.
func NewLedger(partitions int) *Ledger {
	l := &Ledger{partitions: partitions, lives: make(map[uint32]*life), homes: make(map[string]int), findings: newFindings()}
	for range partitions {
		l.heads = append(l.heads, head{present: make(map[uint8]uint32), over: make(map[uint32]time.Time), latest: make(map[uint8]uint32)})
	}
	return l
}

// HomePrefix begins the body of the official client's events, which show the partition of each key.
const HomePrefix = "home of "

// Homes is how many keys have a known partition.
func (l *Ledger) Homes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.homes)
}

// Next is the sequence number of the next event of a partition that was not read.
func (l *Ledger) Next(partition int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heads[partition].next
}

// Read is the number of events read.
func (l *Ledger) Read() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read
}

// Add enters events of one partition in their order. Those that were entered before are passed
// over.
func (l *Ledger) Add(events []Received) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range events {
		l.addLocked(&events[i])
	}
}

func (l *Ledger) addLocked(e *Received) {
	h := &l.heads[e.Partition]
	switch {
	case e.Sequence < h.next:
		return
	case e.Sequence > h.next:
		l.findings.add(WrongUnread, "partition %d, sequence numbers %d to %d", e.Partition, h.next, e.Sequence-1)
	}
	h.next = e.Sequence + 1
	if key, ok := strings.CutPrefix(string(e.Body), HomePrefix); ok {
		l.homes[key] = e.Partition
		return
	}
	l.read++
	id, err := l.bodies.Read(e.Body)
	if err != nil {
		l.findings.add(WrongBytes, "partition %d, sequence number %d: %v", e.Partition, e.Sequence, err)
		return
	}
	v := l.lifeLocked(id)
	route := id.Route(l.partitions)
	l.routeLocked(e, id, route)
	if id.Flags&(record.Idempotent|record.Journaled) == record.Idempotent && !h.admit(id, e.Enqueued) {
		l.returnedLocked(v, id, h, e)
	}
	if v.stored.add(id.Number) {
		l.again++
		l.repeatLocked(v, id.Number, e)
		return
	}
	v.tail[e.Partition] = -1
	if id.Flags&record.Ordered == 0 || route == record.Anywhere {
		return // it has no order
	}
	if id.Number >= v.last[e.Partition] && h.follows(id) {
		v.last[e.Partition] = id.Number + 1
		return
	}
	if len(v.late) == maxLate {
		l.findings.add(WrongOrder, "partition %d, sequence number %d, and more than can be kept before", e.Partition, e.Sequence)
		return
	}
	v.late = append(v.late, late{id.Number, e.Partition, e.Sequence})
}

// admit reports whether the life may store here. The life that attaches last has the partition,
// also if it began first. The life before it is fenced for good.
func (h *head) admit(id record.ID, at time.Time) bool {
	present := h.present[id.Producer]
	if present == id.Life {
		return true
	}
	if _, over := h.over[id.Life]; over {
		return false
	}
	h.present[id.Producer] = id.Life
	h.over[present] = at
	return true
}

// returnedLocked enters an event of a life that was replaced.
func (l *Ledger) returnedLocked(v *life, id record.ID, h *head, e *Received) {
	if n := len(l.returned); n > 0 {
		if c := &l.returned[n-1]; c.life == v && c.partition == e.Partition && e.Enqueued.Sub(c.at) < time.Second {
			c.events++
			return
		}
	}
	l.returned = append(l.returned, comeback{
		life: v, successor: h.present[id.Producer], partition: e.Partition, replaced: h.over[id.Life], at: e.Enqueued, first: id.Number, sequence: e.Sequence, events: 1,
	})
}

// follows reports whether no event of a later life of the same journal is in the partition.
func (h *head) follows(id record.ID) bool {
	if id.Flags&record.Journaled == 0 {
		return true
	}
	if id.Life < h.latest[id.Producer] {
		return false
	}
	h.latest[id.Producer] = id.Life
	return true
}

func (l *Ledger) lifeLocked(id record.ID) *life {
	v := l.lives[id.Life]
	if v == nil {
		id.Number = 0
		v = &life{id: id, last: make([]uint64, l.partitions), tail: make([]int, l.partitions)}
		for i := range v.tail {
			v.tail[i] = -1
		}
		l.lives[id.Life] = v
	}
	return v
}

// routeLocked compares where an event is with where it was to go.
func (l *Ledger) routeLocked(e *Received, id record.ID, route record.Route) {
	if e.Key != route.Key {
		l.findings.add(WrongKey, "event %d of life %d has the key %q, want %q", id.Number, id.Life, e.Key, route.Key)
	}
	want := route.Partition
	if route.Key != "" {
		home, ok := l.homes[route.Key]
		if !ok {
			home = e.Partition // the first one decides; the official client has not been asked
			l.homes[route.Key] = home
		}
		want = home
	}
	if want >= 0 && want != e.Partition {
		l.findings.add(WrongPartition, "event %d of life %d (key %q) is in partition %d, want %d", id.Number, id.Life, route.Key, e.Partition, want)
	}
}

// repeatLocked enters an event that was stored before.
func (l *Ledger) repeatLocked(v *life, number uint64, e *Received) {
	if i := v.tail[e.Partition]; i >= 0 {
		if r := &l.twice[i]; number > r.last && e.Enqueued.Equal(r.at) {
			r.last = number
			r.events++
			return
		}
	}
	v.tail[e.Partition] = len(l.twice)
	l.twice = append(l.twice, repeat{life: v, partition: e.Partition, at: e.Enqueued, first: number, last: number, sequence: e.Sequence, events: 1})
}
