package judge

import (
	"slices"
	"time"
)

// A Recovery is the time from a fault's end to the first batch that is stored after it. A fault in
// one partition counts that partition's batches. Any other fault counts all batches of the
// producer.
type Recovery struct {
	Acted      int // faults that an observer saw act
	Failed     int // of which a producer had a failed try, where that must follow
	Measured   int // one for each producer concerned
	Unmeasured int // after which nothing more was to be stored
	Median     time.Duration
	P99        time.Duration
	Worst      time.Duration
}

// seenWithin is how soon after a fault its try has failed: longer than a try may take.
const seenWithin = 15 * time.Second

// A sweep goes over the outcomes of one producer after the other, beside the faults.
type sweep struct {
	faults   []Fault
	waits    map[string][]time.Duration
	failures map[int]bool // the faults of which a try has failed

	producer int // -1 before the first
	next     int // of faults
	waiting  []*Fault
	unseen   []*Fault
	left     map[string]int
}

func newSweep(faults []Fault) *sweep {
	return &sweep{faults: faults, waits: make(map[string][]time.Duration), failures: make(map[int]bool), left: make(map[string]int), producer: -1}
}

// begin turns to a life; those of one producer come one after the other.
func (s *sweep) begin(producer int) {
	if producer != s.producer {
		s.end()
		s.producer, s.next, s.waiting, s.unseen = producer, 0, nil, nil
	}
}

// end notes what nothing was stored after.
func (s *sweep) end() {
	if s.producer < 0 {
		return
	}
	s.advance(time.Unix(1<<40, 0))
	for _, f := range s.waiting {
		s.left[f.Kind]++
	}
	s.waiting = nil
}

// advance takes up the faults that acted until now.
func (s *sweep) advance(now time.Time) {
	for ; s.next < len(s.faults) && !s.faults[s.next].Acted.After(now); s.next++ {
		if f := &s.faults[s.next]; f.concerns(s.producer, everybody) {
			s.waiting = append(s.waiting, f)
			if f.Fails {
				s.unseen = append(s.unseen, f)
			}
		}
	}
}

// stored notes that a batch was stored.
func (s *sweep) stored(at time.Time, partition int) {
	s.advance(at)
	s.waiting = slices.DeleteFunc(s.waiting, func(f *Fault) bool {
		if at.Before(f.Ended) || !f.concerns(s.producer, partition) {
			return false
		}
		s.waits[f.Kind] = append(s.waits[f.Kind], at.Sub(f.Ended))
		return true
	})
}

// failed notes that a try has failed.
func (s *sweep) failed(at time.Time, partition int) {
	s.advance(at)
	s.unseen = slices.DeleteFunc(s.unseen, func(f *Fault) bool {
		if at.Before(f.Acted) || !f.concerns(s.producer, partition) {
			return false
		}
		if at.Sub(f.Acted) < seenWithin {
			s.failures[f.ID] = true
		}
		return true
	})
}

// recoveries are the figures of each kind.
func (s *sweep) recoveries() map[string]Recovery {
	s.end()
	all := make(map[string]Recovery)
	for i := range s.faults {
		f := &s.faults[i]
		r := all[f.Kind]
		r.Acted++
		if s.failures[f.ID] {
			r.Failed++
		}
		all[f.Kind] = r
	}
	for kind, r := range all {
		waits := s.waits[kind]
		slices.Sort(waits)
		if r.Measured, r.Unmeasured = len(waits), s.left[kind]; len(waits) > 0 {
			r.Median, r.P99, r.Worst = waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1]
		}
		all[kind] = r
	}
	return all
}
