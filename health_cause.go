package eventhubs

import (
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A cause is why Health is as it is: a failure, or work that is quiet, of which is told how long it is so at the moment of telling.
type cause struct {
	failure error
	work    *work
	state   HealthState // of work
}

// causeLocked is, of all that make the present state, what has lasted longest.
func (h *health) causeLocked() (c cause) {
	if h.present <= HealthReady {
		return c
	}
	var longest time.Time
	for part, a := range h.known {
		if a.state() != h.present || longest != (time.Time{}) && !a.worst().Before(longest) {
			continue
		}
		longest = a.worst()
		if c = (cause{failure: a.err}); a.quiet > a.failure {
			c = cause{work: &h.queue(part).work, state: a.quiet}
		}
	}
	return c
}

// err says it. No lock of the producer must be held.
func (c cause) err() error {
	switch {
	case c.work == nil:
		return c.failure
	case c.state == HealthBlocked:
		return c.work.blocked()
	default:
		return c.work.silent()
	}
}

// blocked says of what runs that it is a handler that does not return.
func (w *work) blocked() error {
	age, _, _ := w.busy()
	who := "a handler of events whose partition is not known"
	if w.partition != nil && w.partition.id == "" {
		who = "a handler"
	} else if w.partition != nil {
		who = fmt.Sprintf("a handler of partition %q", w.partition.id)
	}
	return fmt.Errorf("eventhubs: %s has not returned for %v, and what is behind it waits: see where it hangs (its stack), and do long work on a goroutine of its own",
		who, age.Truncate(time.Second))
}

// silent says of what runs that the service does not answer it.
func (w *work) silent() error {
	age, _, _ := w.busy()
	s := w.stats(time.Now())
	what := "the service has not said which partitions there are"
	if w.partition != nil {
		switch s.Waiting {
		case WaitingForLink:
			what = "the link is not open: no answer"
		case WaitingForCredit:
			what = "the service has not allowed a message (no credit)"
		default:
			what = "the service has not acknowledged a batch"
		}
	}
	err := fmt.Errorf("%s for %v; the oldest of %d events has waited for %v", what, age.Truncate(time.Second), s.BufferedEvents, s.OldestEventAge.Truncate(time.Second))
	return failure(&connection.Error{Code: connection.CodeTimeout, Transient: true, Err: err}, s.ID, 1)
}
