package judge

import (
	"fmt"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// Kills are how the lives of producers with a journal ended that did not close.
type Kills struct {
	Lives   int // killed
	Between int // of these, with events that the life had enqueued and whose outcome it had not heard
	Within  int // of these, in a call of Enqueue that had not returned
}

// A group is the lives of a producer with a journal. Each life goes on with the events of the
// former ones, so the group is compared with the hub when all its records are read.
type group struct {
	accounts map[uint32]*account // by the life that enqueued the events
	order    []*account
	tries    map[int]uint64 // failed tries of all lives, by partition
	broken   bool           // a life was killed, or closed with events left
	ended    bool           // the latest life whose record was read closed
	left     uint64         // the events in the journal then
}

func newGroup() *group {
	return &group{accounts: make(map[uint32]*account), tries: make(map[int]uint64)}
}

// A journaling is what a life of a group has said so far.
type journaling struct {
	resumed uint64           // all earlier events are of former lives; of a source
	heard   map[uint32]*bits // the events whose outcome this life has reported, by the life of the event
	first   uint64           // that this life enqueued
	enqueue bool             // it enqueued any
}

// resume enters that a life goes on in its source after the events that the journal keeps.
func (a *account) resume(first uint64) {
	end := a.accepted
	for ; end > first && a.refused.has(end-1); end-- {
		a.refused.remove(end - 1) // it is enqueued again
	}
	if first < end || first > a.intended {
		a.wrong(WrongCheckpoint, "life %d goes on with event %d, after %d were accepted and %d begun", a.life.id.Life, first, end, a.intended)
	}
	a.accepted, a.now.resumed = max(end, first), first
}

// hear enters the outcome of one event, of this life or of a former one.
func (a *account) hear(of *account, n uint64, e *record.Entry) {
	heard := a.now.heard[of.life.id.Life]
	if heard == nil {
		heard = new(bits)
		a.now.heard[of.life.id.Life] = heard
	}
	before := record.Storage(of.reported.get(n))
	former := of != a || n < a.now.resumed
	switch {
	case n >= of.intended:
		a.wrong(WrongStranger, "event %d of life %d", n, of.life.id.Life)
		return
	case heard.add(n), before != record.Unreported && !e.Recovered:
		a.wrong(WrongTwice, "event %d of life %d: %v, then %v", n, of.life.id.Life, before, e.Storage)
	case former && !e.Recovered:
		a.wrong(WrongUnmarked, "event %d of life %d, by life %d", n, of.life.id.Life, a.life.id.Life)
	case before == record.NotStored && e.Storage == record.Stored && !a.group.ended:
		a.totals.Changed++ // the former life was killed before the journal knew of the refusal
	case before == record.Stored && e.Storage == record.NotStored, before == record.NotStored && e.Storage == record.Stored:
		a.wrong(WrongChanged, "event %d of life %d: %v, then %v", n, of.life.id.Life, before, e.Storage)
	}
	if before == record.Unreported || e.Storage == record.Stored {
		of.reported.set(n, uint8(e.Storage))
	}
}

// refusals are the producer's words for an event that the service refuses for what it is. With a
// journal nothing else may fail.
var refusals = map[string]bool{"rejected": true, "too-large": true}

// pass notes what is left of a life when its record ends.
func (a *account) pass(kills *Kills) {
	g := a.group
	if g.ended, g.left = a.ended, a.left; a.ended && a.left == 0 {
		return
	}
	g.broken = true
	if a.ended {
		return
	}
	kills.Lives++
	if a.now.enqueue && a.accepted < a.intended {
		kills.Within++
	}
	if own := a.now.heard[a.life.id.Life]; a.now.enqueue {
		for n := a.now.first; n < a.intended; n++ {
			if own == nil || !own.has(n) {
				kills.Between++
				return
			}
		}
	}
}

// close compares all lives with the hub, after their last record.
func (g *group) close() {
	if len(g.order) == 0 {
		return
	}
	last := g.order[len(g.order)-1]
	if !g.ended || g.left > 0 {
		last.wrong(WrongKept, "producer %d: %d events; its last life closed: %v", last.life.id.Producer, g.left, g.ended)
	}
	for _, a := range g.order {
		a.compareKept(g.ended && g.left == 0)
		a.lateness()
		a.forget()
	}
}

// compareKept compares the events of a life with the hub. Drained says that no event is left in the
// journal.
func (a *account) compareKept(drained bool) {
	t, life := a.totals, a.life.id.Life
	t.Enqueued += a.intended
	for n := range max(a.intended, a.life.stored.end()) {
		in, reported := a.life.stored.has(n), record.Storage(a.reported.get(n))
		accepted := n < a.accepted && !a.refused.has(n)
		if in {
			t.Stored++
		}
		if accepted {
			t.Kept++
		}
		switch {
		case n >= a.intended:
			if in {
				a.wrong(WrongInvented, "event %d of life %d", n, life)
			}
			continue
		case a.refused.has(n):
			if in {
				a.wrong(WrongRefused, "event %d of life %d", n, life)
			}
			continue
		case reported == record.NotStored:
			t.ReportedNotStored++
			if in {
				a.wrong(WrongStored, "event %d of life %d", n, life)
			}
			continue
		case reported == record.PossiblyStored:
			t.ReportedPossibly++
			if in {
				t.PossiblyStored++
			}
			continue
		case reported == record.Stored:
			t.ReportedStored++
			if !in {
				a.wrong(WrongLost, "event %d of life %d", n, life)
			}
			continue
		case !accepted:
			t.Unreported++
			if in {
				t.UnreportedStored++
			}
		}
		switch {
		case !drained:
		case accepted && !in:
			a.wrong(WrongDropped, "event %d of life %d", n, life)
		case in:
			a.wrong(WrongUnreported, "event %d of life %d", n, life)
		}
	}
}

// doubled decides about a run of events of a producer with a journal that are stored again, without
// idempotence. A failed try, and a life that ended before its events had their outcome, may be the
// cause.
func (g *group) doubled(runs uint64, partition int) (wrong string) {
	if tries := g.tries[partition] + g.tries[everybody]; !g.broken && runs > tries {
		return fmt.Sprintf("%d tries have failed there, and no life was killed", tries)
	}
	return ""
}
