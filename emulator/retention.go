package emulator

import (
	"fmt"
	"time"
)

// A Retention says how long a partition keeps its events. Whatever limit is reached first counts; zero limits nothing.
// Events go in whole batches, oldest first, as they came in. The next time that somebody sends to the partition or
// looks at it the limits are applied, so no clock needs to run for them.
//
// A receiver that wants to start from an event that is gone starts from the oldest one that is there.
type Retention struct {
	// Time after which an event is gone. The service's is between one hour and 90 days. Default: never.
	Time time.Duration
	// Bytes of encoded events that a partition holds at most. The newest batch stays, however large. Default: no limit.
	Bytes int64
	// Events that a partition holds at most. The newest batch stays, however many it has. Default: no limit.
	Events int
}

// validate refuses limits that are none.
func (r Retention) validate(field string) error {
	if r.Time < 0 || r.Bytes < 0 || r.Events < 0 {
		return fmt.Errorf("emulator: %s is %+v; limits cannot be negative, and zero means none", field, r)
	}
	return nil
}

// trimLocked takes away what the retention does not keep.
func (p *partition) trimLocked() {
	r := p.settings.retention
	if len(p.batches) == 0 || r == (Retention{}) {
		return
	}
	n := 0
	if r.Time > 0 {
		oldest := time.Now().Add(-r.Time)
		for n < len(p.batches) && p.batches[n].enqueued.Before(oldest) {
			n++
		}
	}
	for n < len(p.batches)-1 && p.exceeds(p.batches[n]) {
		n++
	}
	if p.journal != nil {
		for _, b := range p.batches[:n] {
			p.gone = append(p.gone, b.first)
		}
	}
	clear(p.batches[:n]) // the array lives on; the batches need not
	p.batches = p.batches[n:]
}

// exceeds tells whether a log that begins with oldest is larger than it may be.
func (p *partition) exceeds(oldest *batch) bool {
	r := p.settings.retention
	return r.Bytes > 0 && p.bytes-oldest.offset > r.Bytes || r.Events > 0 && p.next-oldest.first > int64(r.Events)
}
