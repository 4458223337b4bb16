package judge

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// Totals are the events of a run.
type Totals struct {
	Read              uint64 // by the consumer
	Lives             int
	Enqueued          uint64 // the call of Enqueue began
	Accepted          uint64
	Refused           uint64
	Stored            uint64 // in the hub, each event once
	ReportedStored    uint64
	ReportedNotStored uint64
	ReportedPossibly  uint64
	PossiblyStored    uint64 // of the latter, in the hub
	Unreported        uint64 // of lives that were killed
	UnreportedStored  uint64 // of the latter, in the hub
	Again             uint64 // stored again
	Late              uint64 // possibly stored, or of a life that was killed, and after later events
	Kept              uint64 // of Accepted: by a producer with a journal
	Changed           uint64 // reported not stored by a life that was killed, then stored by the next one
	Full              uint64 // times that a journal had no room
	FencedLives       int
	FencedEvents      uint64
	Batches           uint64
	FailedTries       uint64
	Deliveries        uint64
}

// An account is what a life has recorded, compared with what the hub holds of it.
type account struct {
	ledger *Ledger
	life   *life
	totals *Totals
	sweep  *sweep
	codes  map[string]uint64

	intended uint64
	accepted uint64 // all below are accepted, or refused
	refused  bits
	reported pairs
	ended    bool
	fenced   map[int]bool // partitions
	tries    map[int]uint64
	samples  []sample

	// With a journal:
	group *group
	now   journaling
	left  uint64 // events in the journal when it closed
}

// settle reads the record of a life, and compares. With a journal the group compares later. The
// error is of reading; findings are in the ledger.
func (l *Ledger) settle(in io.Reader, v *Verdict, s *sweep, g *group) (*account, error) {
	r := record.NewReader(in)
	var e record.Entry
	err := r.Next(&e)
	if errors.Is(err, record.ErrTorn) || err == io.EOF {
		return nil, nil // killed before it began
	}
	if err == nil && e.Kind != record.Begin {
		err = record.ErrDamaged
	}
	if err != nil {
		return nil, err
	}
	a := l.accountLocked(e.ID, v, s, g)
	s.begin(int(e.ID.Producer))
	for {
		switch err := r.Next(&e); {
		case err == io.EOF || errors.Is(err, record.ErrTorn) && !a.ended:
			if a.group != nil {
				a.pass(&v.Kills)
				a.now = journaling{}
			} else {
				a.compare()
			}
			return a, nil
		case err != nil:
			return a, err
		}
		a.enter(&e)
	}
}

// accountLocked returns the account for a record. All records of a source have the same.
func (l *Ledger) accountLocked(id record.ID, v *Verdict, s *sweep, g *group) *account {
	a := g.accounts[id.Life]
	if a == nil {
		a = &account{ledger: l, life: l.lifeLocked(id), totals: &v.Totals, sweep: s, codes: v.Codes, tries: make(map[int]uint64)}
	}
	a.fenced, a.ended = make(map[int]bool), false
	if id.Flags&record.Journaled == 0 {
		return a
	}
	if a.group == nil {
		a.group, a.tries = g, g.tries
		g.accounts[id.Life] = a
		g.order = append(g.order, a)
	}
	a.now = journaling{heard: make(map[uint32]*bits)}
	return a
}

func (a *account) enter(e *record.Entry) {
	switch e.Kind {
	case record.Intent:
		if !a.now.enqueue {
			a.now.first, a.now.enqueue = e.First, true
		}
		a.intended = max(a.intended, e.First+e.Count)
	case record.Accepted:
		a.accepted = max(a.accepted, e.First+e.Count)
		a.totals.Accepted += e.Count
	case record.Refused:
		for n := range e.Count {
			a.refused.add(e.First + n)
		}
		a.accepted = max(a.accepted, e.First+e.Count)
		a.totals.Refused += e.Count
		a.codes["refused: "+e.Code] += e.Count
	case record.Reported:
		a.report(e)
	case record.Delivered:
		a.totals.Deliveries++
		if reported := record.Storage(a.reported.get(e.First)); reported != e.Storage {
			a.wrong(WrongDelivery, "event %d of life %d: %v and %v", e.First, a.life.id.Life, e.Storage, reported)
		}
	case record.Tried:
		a.totals.FailedTries++
		a.tries[e.Partition]++
		a.sweep.failed(e.Time, e.Partition)
	case record.Sample:
		a.samples = append(a.samples, sample{e.Time, e.Heap, e.Goroutines})
	case record.End:
		a.ended, a.left = true, e.Count
	case record.Resumed:
		a.resume(e.First)
	case record.Full:
		a.totals.Full++
	}
}

func (a *account) wrong(kind, format string, args ...any) {
	a.ledger.findings.add(kind, format, args...)
}

// report enters the outcome of a batch.
func (a *account) report(e *record.Entry) {
	a.totals.Batches++
	of := a
	if a.group != nil && e.Life != 0 {
		if of = a.group.accounts[e.Life]; of == nil {
			a.wrong(WrongStranger, "%d events of life %d, by life %d", len(e.Numbers), e.Life, a.life.id.Life)
			return
		}
	}
	if a.group != nil && e.Storage != record.Stored && !refusals[e.Code] {
		a.wrong(WrongFailed, "%d events of life %d, by life %d: %v, %s", len(e.Numbers), of.life.id.Life, a.life.id.Life, e.Storage, e.Code)
	}
	for _, n := range e.Numbers {
		switch {
		case a.group != nil:
			a.hear(of, n, e)
		case n >= a.intended:
			a.wrong(WrongStranger, "event %d of life %d", n, a.life.id.Life)
		case a.reported.get(n) != 0:
			a.wrong(WrongTwice, "event %d of life %d: %v, then %v", n, a.life.id.Life, record.Storage(a.reported.get(n)), e.Storage)
		default:
			a.reported.set(n, uint8(e.Storage))
		}
	}
	if e.Storage == record.Stored {
		if a.fenced[e.Partition] {
			a.wrong(WrongUnfenced, "life %d, partition %d", a.life.id.Life, e.Partition)
		}
		a.sweep.stored(e.Time, e.Partition)
		return
	}
	a.codes[e.Code] += uint64(len(e.Numbers))
	a.sweep.failed(e.Time, e.Partition)
	if e.Code == codeFenced {
		if len(a.fenced) == 0 {
			a.totals.FencedLives++
		}
		a.fenced[e.Partition] = true
		a.totals.FencedEvents += uint64(len(e.Numbers))
	}
}

// codeFenced is the producer's word for a partition that a successor has taken over.
const codeFenced = "fenced"

// compare compares each event's outcome with the hub.
func (a *account) compare() {
	t, life := a.totals, a.life.id.Life
	t.Enqueued += a.intended
	for n := range max(a.intended, a.life.stored.end()) {
		in, reported := a.life.stored.has(n), record.Storage(a.reported.get(n))
		if in {
			t.Stored++
		}
		switch {
		case n >= a.intended:
			if in {
				a.wrong(WrongInvented, "event %d of life %d", n, life)
			}
		case a.refused.has(n):
			if in {
				a.wrong(WrongRefused, "event %d of life %d", n, life)
			}
		case reported == record.Stored:
			t.ReportedStored++
			if !in {
				a.wrong(WrongLost, "event %d of life %d", n, life)
			}
		case reported == record.NotStored:
			t.ReportedNotStored++
			if in {
				a.wrong(WrongStored, "event %d of life %d", n, life)
			}
		case reported == record.PossiblyStored:
			t.ReportedPossibly++
			if in {
				t.PossiblyStored++
			}
		case a.ended:
			a.wrong(WrongUnreported, "event %d of life %d", n, life)
		default:
			t.Unreported++
			if in {
				t.UnreportedStored++
			}
		}
	}
	a.lateness()
}

// forget drops what nothing needs after the comparison.
func (a *account) forget() { a.reported, a.refused = pairs{}, bits{} }

// lateness decides about the events that are stored after later ones. Without idempotence this is
// allowed for an event that was reported possibly stored, or whose life was killed. Its bytes were
// still on their way.
func (a *account) lateness() {
	for _, e := range a.life.late {
		reported := record.Storage(a.reported.get(e.number))
		if a.life.id.Flags&record.Idempotent == 0 && (reported == record.PossiblyStored || reported == record.Unreported) {
			if a.totals.Late++; a.totals.Late <= maxExamples {
				a.ledger.findings.late = append(a.ledger.findings.late, fmt.Sprintf("event %d of life %d (producer %d, %v) in partition %d, sequence number %d", e.number, a.life.id.Life, a.life.id.Producer, reported, e.partition, e.sequence))
			}
			continue
		}
		a.wrong(WrongOrder, "event %d of life %d (%v) in partition %d, sequence number %d", e.number, a.life.id.Life, reported, e.partition, e.sequence)
	}
}

// A sample is what a process used at a moment.
type sample struct {
	at         time.Time
	heap       uint64
	goroutines uint64
}
