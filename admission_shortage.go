package eventhubs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A shortage says why an event has no room: which partition holds how much of the buffer.
type shortage struct {
	holder   *partition // holds most, or with ofShare is the event's; nil if none holds any
	ofShare  bool       // the holder is at its limit; otherwise the buffer is full
	trouble  trouble    // the holder's
	assigned bool       // the holder has ServiceAssigned's events

	held, heldBytes     int // the holder's
	events, bytes       int // of all partitions
	maxEvents, maxBytes int // the buffer's limits
}

// shortageLocked finds what the wish lacks. The caller has found no room for it.
func (a *admission) shortageLocked(want *wish) shortage {
	short := shortage{events: a.events, bytes: a.bytes, maxEvents: a.maxEvents, maxBytes: a.maxBytes}
	most := a.lineLocked(want)
	short.ofShare = most.partition != nil && (most.first != nil && most.at == 0 || !most.opensLocked(want.bytes))
	if !short.ofShare {
		most = a.largestLocked()
	}
	if most != nil {
		short.holder, short.assigned, short.trouble = most.partition, most.unlimited, most.trouble
		short.held, short.heldBytes = most.events, most.bytes
	}
	return short
}

// largestLocked returns the share that holds most, nil if none holds anything.
func (a *admission) largestLocked() (most *share) {
	for _, s := range a.shares {
		if s.events > 0 && (most == nil || s.part(a) > most.part(a)) {
			most = s
		}
	}
	return most
}

// full names the partitions that hold the room that a caller lacks.
func (a *admission) full() (ids []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var largest *share
	if a.pressed.Load() {
		largest = a.largestLocked()
	}
	for _, s := range a.shares {
		if s == largest || s.pressed.Load() {
			ids = append(ids, s.partition.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// part returns how much of the buffer the share holds, by events or by bytes, whichever is more.
func (s *share) part(a *admission) float64 {
	return max(float64(s.events)/float64(a.maxEvents), float64(s.bytes)/float64(a.maxBytes))
}

func (s shortage) String() string {
	var text strings.Builder
	who := "the events whose partition the service chooses"
	if s.holder != nil && !s.assigned {
		who = "partition " + s.holder.id
	}
	if s.ofShare {
		fmt.Fprintf(&text, "%s holds %s, and may hold no more while ", who, amounts(s.held, s.heldBytes, s.maxEvents, s.maxBytes))
		if s.trouble != 0 {
			text.WriteString("it is in trouble")
		} else {
			text.WriteString("the event hub has others")
		}
		return text.String()
	}
	text.WriteString(amounts(s.events, s.bytes, s.maxEvents, s.maxBytes))
	if s.held > 0 {
		fmt.Fprintf(&text, ", %s of them for %s", strconv.Itoa(s.held), who)
		if s.trouble != 0 {
			text.WriteString(", which is in trouble")
		}
	}
	return text.String()
}

func amounts(events, bytes, maxEvents, maxBytes int) string {
	return fmt.Sprintf("%d of %d events, %d of %d bytes", events, maxEvents, bytes, maxBytes)
}

// A bufferFullError is ErrBufferFull, with the holders of the room. Its text is made only on
// request: a caller of TryEnqueue may get one for each event.
type bufferFullError struct {
	who   string // the beginning of the text
	short shortage
	why   hindrance // why the holder of the room makes no progress
}

func (e *bufferFullError) Error() string {
	return "eventhubs: " + e.who + ErrBufferFull.Error() + ": " + e.short.String() + e.why.text()
}

func (e *bufferFullError) Unwrap() error { return e.why.failure(false) }

func (e *bufferFullError) Is(target error) bool { return target == ErrBufferFull }
