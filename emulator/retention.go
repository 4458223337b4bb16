package emulator

import (
	"fmt"
	"time"
)

// A Retention limits how long a partition keeps its events. The limit that is reached first
// applies; zero limits nothing. Whole batches are dropped, oldest first. The limits are applied
// whenever a client sends to the partition or reads it, so no timer runs.
//
// A receiver that wants to start from a dropped event starts from the oldest one that is left.
type Retention struct {
	// Time after which an event is dropped. The service allows one hour to 90 days. Default: never.
	Time time.Duration
	// Bytes is the limit of encoded events in a partition. The newest batch always stays, however
	// large. Default: no limit.
	Bytes int64
	// Events is the limit of events in a partition. The newest batch always stays, however many
	// events it has. Default: no limit.
	Events int
}

// validate refuses negative limits.
func (r Retention) validate(field string) error {
	if r.Time < 0 || r.Bytes < 0 || r.Events < 0 {
		return fmt.Errorf("emulator: %s is %+v; limits cannot be negative, and zero means none", field, r)
	}
	return nil
}

// trimLocked drops batches beyond the retention.
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
	p.dropLocked(n)
}

// dropLocked drops the oldest n batches.
func (p *partition) dropLocked(n int) {
	dropped := p.batches[:n]
	if p.journal != nil {
		for _, b := range dropped {
			p.gone = append(p.gone, b.first)
		}
	}
	p.settings.memory.remove(dropped)
	clear(dropped) // the array stays in use; the batches need not
	p.batches = p.batches[n:]
}

// exceeds reports whether a log that begins with oldest is too large.
func (p *partition) exceeds(oldest *batch) bool {
	r := p.settings.retention
	return r.Bytes > 0 && p.bytes-oldest.offset > r.Bytes || r.Events > 0 && p.next-oldest.first > int64(r.Events)
}
