package judge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A Fault is a line of the log of faults. Everybody is -1.
type Fault struct {
	ID         int
	Kind       string
	Producer   int // -1: all
	Partition  int // -1: all
	Asked      time.Time
	Began      time.Time // from when on it may have an effect, which its observer sees later
	Acted      time.Time // zero: no observer saw it act
	Ended      time.Time // from when on it no longer disturbs
	Fails      bool      // a try of the producer must fail of it
	Duplicates bool      // it may leave a batch stored whose acknowledgement is lost
	Wide       bool      // it disturbs all partitions of the connection; Partition is where it was made
	Forgets    bool      // the service forgets its idempotent producers
	Observed   string    // what the observer saw
}

// everybody is the producer, or the partition, of a fault that concerns all.
const everybody = -1

// ReadFaults reads a log of faults, in the order in which they acted. Those that did not act are
// left out.
func ReadFaults(in io.Reader) (faults []Fault, err error) {
	decoder := json.NewDecoder(in)
	for {
		var f Fault
		if err := decoder.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("the log of faults: %w", err)
		}
		if !f.Acted.IsZero() {
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return a.Acted.Compare(b.Acted) })
	return faults, nil
}

func (f *Fault) concerns(producer, partition int) bool {
	return (f.Producer == everybody || f.Producer == producer) &&
		(f.Partition == everybody || partition == everybody || f.Partition == partition)
}

// causeWindow is how long a batch may live on, so how long after a fault it may be stored again.
const causeWindow = 2 * time.Minute

// seenLate is how long after its beginning an observer may see a fault act.
const seenLate = 30 * time.Second

// causeOf is the latest fault before a moment that may have had a batch stored again; nil if there
// is none. Faults are in the order in which they acted.
func causeOf(faults []Fault, producer, partition int, at time.Time) (cause *Fault) {
	at = at.Add(time.Millisecond) // the service rounds times down to milliseconds
	end, _ := slices.BinarySearchFunc(faults, at.Add(seenLate), func(f Fault, at time.Time) int { return cmp.Or(f.Acted.Compare(at), -1) })
	for i := end - 1; i >= 0 && at.Sub(faults[i].Acted) < causeWindow; i-- {
		f := &faults[i]
		concerns := f.concerns(producer, partition) || f.Wide && f.concerns(producer, everybody)
		if f.Duplicates && concerns && !f.Began.After(at) && (cause == nil || f.Began.After(cause.Began)) {
			cause = f
		}
	}
	return cause
}

// Duplicates says how many events are stored again, by the kind of the fault that is the cause.
type Duplicates struct {
	ByFault   map[string]uint64
	Forgotten uint64 // of idempotent producers, each in the one batch in flight when the service forgot them
	Revived   uint64 // not again, but by a life that another had replaced, since the service had forgotten that
	Runs      int
}

// attribute finds the cause of each run of events that are stored again. The next life of a journal
// may cut a forgotten batch into several.
func (l *Ledger) attribute(faults []Fault, accounts map[*life]*account) Duplicates {
	d := Duplicates{ByFault: make(map[string]uint64), Runs: len(l.twice)}
	type lane struct {
		life      *life
		partition int
	}
	runs := make(map[lane]uint64)
	forgotten := make(map[int]map[lane]uint64) // the number after the last one
	for _, r := range l.twice {
		where := fmt.Sprintf("events %d to %d of life %d (%d of them) in partition %d, from sequence number %d on", r.first, r.last, r.life.id.Life, r.events, r.partition, r.sequence)
		producer := int(r.life.id.Producer)
		at := lane{r.life, r.partition}
		if r.life.id.Flags&idempotent != 0 {
			f := forgetter(faults, producer, r.partition, r.at)
			journaled := r.life.id.Flags&record.Journaled != 0
			if f == nil || forgotten[f.ID][at] > 0 && !(journaled && r.first >= forgotten[f.ID][at]) {
				l.findings.add(WrongDuplicate, "%s", where)
				continue
			}
			if forgotten[f.ID] == nil {
				forgotten[f.ID] = make(map[lane]uint64)
			}
			forgotten[f.ID][at] = r.last + 1
			d.Forgotten += r.events
			continue
		}
		cause := causeOf(faults, producer, r.partition, r.at)
		a := accounts[r.life]
		runs[at]++
		tries := uint64(0)
		if a != nil && a.group != nil {
			if wrong := a.group.doubled(runs[at], r.partition); cause == nil || wrong != "" {
				l.findings.add(WrongUncaused, "%s; %s", where, wrong)
				continue
			}
			d.ByFault[cause.Kind] += r.events
			continue
		}
		if a != nil {
			tries = a.tries[r.partition] + a.tries[everybody]
		}
		if cause == nil || runs[at] > tries {
			l.findings.add(WrongUncaused, "%s; %d tries have failed there", where, tries)
			continue
		}
		d.ByFault[cause.Kind] += r.events
	}
	for _, c := range l.returned {
		if f := forgetter(faults, int(c.life.id.Producer), c.partition, c.at.Add(time.Millisecond)); f != nil && f.Ended.After(c.replaced) {
			d.Revived += c.events
			continue
		}
		l.findings.add(WrongFenced, "partition %d, from sequence number %d on: %d events of life %d, from %d on, after life %d", c.partition, c.sequence, c.events, c.life.id.Life, c.first, c.successor)
	}
	return d
}

// forgetter is the latest fault by which the service forgot a producer.
func forgetter(faults []Fault, producer, partition int, at time.Time) *Fault {
	for i := len(faults) - 1; i >= 0; i-- {
		if f := &faults[i]; f.Forgets && f.concerns(producer, partition) && !f.Began.After(at) && at.Sub(f.Acted) < causeWindow {
			return f
		}
	}
	return nil
}
