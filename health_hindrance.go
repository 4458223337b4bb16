package eventhubs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A hindrance is why something does not get on: a failure that came before what ended an event or a wait, and that nothing has followed which succeeded, or
// work that is quiet. It is said, and never acted on: numbers, retries and Health go by a batch's own tries.
type hindrance struct {
	err   error     // the last failure, or what is quiet; nil for none
	since time.Time // when the first of them failed, or the work became quiet
	quiet bool
}

// hindrance is why a partition does not get on: what has failed for it, or for the list of partitions, or for another partition if that is for want of a connection. For
// staging the partition is nil. No lock of the producer must be held.
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

// hindranceBy is what an ailment of a partition hinders by: a failure if there was one, and otherwise what is quiet. No lock of the producer must be held.
func (h *health) hindranceBy(part *partition, a ailment) hindrance {
	if a.failure != 0 {
		return hindrance{err: a.err, since: a.since}
	}
	return hindrance{cause{work: &h.queue(part).work, state: a.quiet}.err(), a.quietSince, true}
}

// longest is the hindrance that has lasted longest, of the queues that are concerned. No lock of the producer must be held.
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
	for i, a := range all { // with no lock held: who is asked takes a queue's
		if (longest == nil || a.ailment.worst().Before(longest.ailment.worst())) && concerned(h.queue(a.part)) {
			longest = &all[i]
		}
	}
	if longest == nil {
		return hindrance{}
	}
	return h.hindranceBy(longest.part, longest.ailment)
}

// earlier is the same, which began when the other did if that was before.
func (h hindrance) earlier(other hindrance) hindrance {
	if other.err != nil && other.since.Before(h.since) {
		h.since = other.since
	}
	return h
}

// failure is the hindrance as an error: a copy, if it is an *Error, that knows since when. After the end nothing is transient.
func (h hindrance) failure(ended bool) error {
	e, ok := h.err.(*Error)
	if !ok {
		return h.err
	}
	e = new(*e)
	e.Since, e.Transient = h.since, e.Transient && !ended
	return e
}

// with is err with the hindrance, if there is one.
func (h hindrance) with(err error) error {
	if h.err == nil {
		return err
	}
	return joined(err.Error()+h.text(), err, h.failure(final(err)))
}

// text is what is said of the hindrance behind another error's text: nothing if there is none.
func (h hindrance) text() string {
	if h.err == nil {
		return ""
	}
	if h.quiet {
		return "; " + bare(h.err) // which says since when
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

// A joinedError is several errors, such as what ended something and the failure before that, with one text, in which the package's name stands once.
type joinedError struct {
	text string
	errs []error
}

func (e *joinedError) Error() string { return e.text }

func (e *joinedError) Unwrap() []error { return e.errs }

func joined(text string, errs ...error) error { return &joinedError{text, errs} }

// lasting is the time since then, for people.
func lasting(since time.Time) time.Duration {
	d := time.Since(since)
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Second)
}

// bare is an error's text without the package's name, for the middle of another text.
func bare(err error) string { return strings.TrimPrefix(err.Error(), "eventhubs: ") }

// number is so many things.
func number(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// overdue is the end of a batch by Options.DeliveryTimeout: after a failure of its own, or behind another's. That is the *Error that is found in it.
func (o *Options) overdue(own bool, last hindrance) error {
	err := fmt.Errorf("%w, %v", ErrDeliveryTimeout, o.DeliveryTimeout)
	if last.err == nil {
		return &Error{Code: CodeTimeout, Transient: true, Err: err}
	}
	text := fmt.Sprintf("eventhubs: %v%s", err, last.text())
	if e, ok := last.err.(*Error); ok && own {
		once := new(*e)
		once.Tries = 0 // they are counted in front
		text = fmt.Sprintf("eventhubs: %v, after %s, the last: %s", err, number(e.Tries, "try", "tries"), bare(once))
	}
	return joined(text, err, last.failure(false))
}

// partitionStopped is ErrPartitionStopped after that failure.
func partitionStopped(where string, failure error) error {
	return joined("eventhubs: "+where+ErrPartitionStopped.Error()+": "+bare(failure), ErrPartitionStopped, failure)
}

// explained is the outcome of a batch whose end is decided, with what has failed before.
func (p *partition) explained(b *batch, o Outcome) Outcome {
	if o.Err == nil || b.doom != nil { // who has doomed it has said why
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
	case itself: // its last try has failed so
		o.Err = hindrance{err: e, since: e.Since}.earlier(hindered).failure(false)
	case !failed && final(o.Err): // what is too large is so whatever has failed before
		o.Err = hindered.with(o.Err)
	}
	return o
}
