package eventhubs

import (
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A cause is the reason for the state of Health: a failure, or quiet work. The text about quiet
// work says for how long it is quiet when the text is made.
type cause struct {
	failure error
	work    *work
	state   HealthState // of work
}

// causeLocked returns the cause of the present state. Of several it is the one that has lasted
// longest.
func (h *health) causeLocked() (c cause) {
	if h.present <= HealthReady {
		return c
	}
	var longest time.Time
	for part, a := range h.known {
		if a.state() != h.present || longest != (time.Time{}) && !a.stateSince().Before(longest) {
			continue
		}
		longest = a.stateSince()
		c = h.causeOf(part, a)
	}
	return c
}

// causeOf returns the cause of the state of a partition, or of the list of partitions.
func (h *health) causeOf(part *partition, a *ailment) cause {
	if a.quiet > a.failure {
		return cause{work: &h.queue(part).work, state: a.quiet}
	}
	return cause{failure: a.err}
}

// err returns the cause as an error. The caller must hold no lock of the producer.
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

// blocked returns the error about a handler that does not return.
func (w *work) blocked() error {
	age, _, _ := w.busy()
	who := "a handler of events whose partition is not known"
	if w.partition != nil && w.partition.id == "" {
		who = "a handler"
	} else if w.partition != nil {
		who = fmt.Sprintf("a handler of partition %q", w.partition.id)
	}
	return fmt.Errorf("eventhubs: %s has not returned for %v, and later batches wait: see in its stack where it hangs, and do long work on another goroutine",
		who, age.Truncate(time.Second))
}

// silent returns the error about a try that the service does not answer.
func (w *work) silent() error {
	age, _, _ := w.busy()
	s := w.numbers(time.Now())
	what := "the service has not sent the list of partitions"
	if w.partition != nil {
		switch s.Waiting {
		case WaitingForLink:
			what = "the link has not opened"
		case WaitingForCredit:
			what = "the service has not allowed a message (no credit)"
		default:
			what = "the service has not acknowledged a batch"
		}
	}
	err := fmt.Errorf("%s for %v; the oldest of %d events has waited for %v", what, age.Truncate(time.Second), s.BufferedEvents, s.OldestEventAge.Truncate(time.Second))
	return failure(&connection.Error{Code: connection.CodeTimeout, Transient: true, Err: err}, s.ID, 1)
}
