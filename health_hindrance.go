package eventhubs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A hindrance is why something makes no progress: quiet work, or a failure without a later success.
// It explains the end of an event or of a wait. It only adds to texts. Numbers, retries and Health
// depend on a batch's own tries.
type hindrance struct {
	err   error     // the latest failure, or the error about quiet work; nil for none
	since time.Time // when the first of the tries failed, or the work became quiet
	quiet bool
}

// hindrance returns why a partition makes no progress, or staging if the partition is nil. It looks
// at the partition first, then at the list of partitions. Then it looks at other partitions, for a
// failure to get a connection. The caller must hold no lock of the producer.
func (h *health) hindrance(part *partition) hindrance {
	if h.well.Load() {
		return hindrance{}
	}
	h.mu.Lock()
	var found *ailment
	for _, p := range [...]*partition{part, nil} {
		if a := h.known[p]; found == nil && a != nil && a.state() != 0 {
			found, part = a, p
		}
	}
	if found == nil {
		for p, a := range h.known {
			e, ok := errors.AsType[*connection.Error](a.err)
			if ok && e.Unreached && a.failure != 0 && (found == nil || a.since.Before(found.since)) {
				found, part = a, p
			}
		}
	}
	if found == nil {
		h.mu.Unlock()
		return hindrance{}
	}
	a := *found
	h.mu.Unlock()
	return h.hindranceBy(part, a)
}

// hindranceBy returns the hindrance that an ailment of a partition is: its failure or, without one,
// its quiet work. The caller must hold no lock of the producer.
func (h *health) hindranceBy(part *partition, a ailment) hindrance {
	if a.failure != 0 {
		return hindrance{err: a.err, since: a.since}
	}
	return hindrance{cause{work: &h.queue(part).work, state: a.quiet}.err(), a.quietSince, true}
}

// longest returns the hindrance of the concerned queues that has lasted longest. The caller must
// hold no lock of the producer.
func (h *health) longest(concerned func(*queue) bool) hindrance {
	if h.well.Load() {
		return hindrance{}
	}
	type ill struct {
		part    *partition
		ailment ailment
	}
	var all []ill
	h.mu.Lock()
	for part, a := range h.known {
		if a.state() != 0 {
			all = append(all, ill{part, *a})
		}
	}
	h.mu.Unlock()
	var longest *ill
	for i, a := range all { // with no lock held: concerned takes a queue's lock
		if (longest == nil || a.ailment.stateSince().Before(longest.ailment.stateSince())) && concerned(h.queue(a.part)) {
			longest = &all[i]
		}
	}
	if longest == nil {
		return hindrance{}
	}
	return h.hindranceBy(longest.part, longest.ailment)
}

// earlier returns the same hindrance, which began when the other did if that was earlier.
func (h hindrance) earlier(other hindrance) hindrance {
	if other.err != nil && other.since.Before(h.since) {
		h.since = other.since
	}
	return h
}

// failure returns the hindrance as an error. Of an *Error it returns a copy with Since. If the
// batch has ended, the copy is not transient.
func (h hindrance) failure(ended bool) error {
	e, ok := h.err.(*Error)
	if !ok {
		return h.err
	}
	e = new(*e)
	e.Since, e.Transient = h.since, e.Transient && !ended
	return e
}

// with returns err with the hindrance, if there is one.
func (h hindrance) with(err error) error {
	if h.err == nil {
		return err
	}
	return joined(err.Error()+h.text(), err, h.failure(final(err)))
}

// text returns what to append to another error's text. It is empty without a hindrance.
func (h hindrance) text() string {
	if h.err == nil {
		return ""
	}
	if h.quiet {
		return "; " + bare(h.err) // which says for how long
	}
	return fmt.Sprintf("; sending has failed for %v: %s", lasting(h.since), bare(h.err))
}

// final reports whether an error is an end that no later try changes.
func final(err error) bool {
	for _, end := range []error{ErrCleared, ErrExpired, ErrAbandoned, ErrClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// A joinedError is several errors with one text, which has the package's name once. An example is
// the end of a batch with the failure before it.
type joinedError struct {
	text string
	errs []error
}

func (e *joinedError) Error() string { return e.text }

func (e *joinedError) Unwrap() []error { return e.errs }

func joined(text string, errs ...error) error { return &joinedError{text, errs} }

// lasting returns the time since then, rounded for people.
func lasting(since time.Time) time.Duration {
	d := time.Since(since)
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// bare returns an error's text without the package's name, for the middle of another text.
func bare(err error) string { return strings.TrimPrefix(err.Error(), "eventhubs: ") }

// number returns a count and its noun.
func number(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// overdue returns the error of a batch that Options.DeliveryTimeout ends. Last is the failure
// before: one of the batch's own tries (own), or another hindrance. errors.As finds that failure's
// *Error.
func (o *Options) overdue(own bool, last hindrance) error {
	err := fmt.Errorf("%w, %v", ErrDeliveryTimeout, o.DeliveryTimeout)
	if last.err == nil {
		return &Error{Code: CodeTimeout, Transient: true, Err: err}
	}
	text := fmt.Sprintf("eventhubs: %v%s", err, last.text())
	if e, ok := last.err.(*Error); ok && own {
		once := new(*e)
		once.Tries = 0 // the text already says how many
		text = fmt.Sprintf("eventhubs: %v, after %s; the last error: %s", err, number(e.Tries, "try", "tries"), bare(once))
	}
	return joined(text, err, last.failure(false))
}

// partitionStopped returns ErrPartitionStopped with the failure that caused it.
func partitionStopped(where string, failure error) error {
	return joined("eventhubs: "+where+ErrPartitionStopped.Error()+": "+bare(failure), ErrPartitionStopped, failure)
}

// explained returns the outcome of a batch with the failures before it added.
func (p *partition) explained(b *batch, o Outcome) Outcome {
	if o.Err == nil || b.doom != nil { // the doom already says why
		return o
	}
	hindered, own := p.observer.health.hindrance(p), b.failures.last
	if own.err != nil {
		hindered = own.earlier(hindered)
	}
	e, itself := o.Err.(*Error)
	switch _, failed := errors.AsType[*Error](o.Err); {
	case errors.Is(o.Err, ErrDeliveryTimeout):
		o.Err = p.options.overdue(own.err != nil, hindered)
	case itself: // the failure of its last try
		o.Err = hindrance{err: e, since: e.Since}.earlier(hindered).failure(false)
	case !failed && final(o.Err): // not an event that is too large: earlier failures do not explain that
		o.Err = hindered.with(o.Err)
	}
	return o
}
