package eventhubs

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Health is the state of publishing, as the producer's own tries have shown it.
type Health struct {
	// State is the present state, and Since is when it began. Since is zero for the first state.
	State HealthState
	Since time.Time

	// Err is the reason for the state. Of several reasons it is the one that has lasted longest.
	// Its text says what to check. Events without a reported outcome are still retried, unless the
	// state is HealthRefused. Err is nil when HealthReady, and while HealthConnecting.
	Err error

	// Partitions are the IDs of the partitions in trouble. A partition is in trouble when a try has
	// failed and none has succeeded since. It is also in trouble when a try or a handler runs, and
	// none has ended for 10 s. If Err is set and Partitions is empty, the trouble is with the list
	// of partitions, or with the journal (ErrJournal).
	Partitions []string

	// Full are the IDs of the partitions that hold the room that a caller lacks now. These are the
	// partitions whose limit holds a caller back and, while the buffer is full, the one that holds
	// most of it. The ID is empty for events whose partition the service chooses.
	Full []string

	LastSuccess time.Time // when a batch was last stored or the list of partitions last received; zero before
	LastFailure time.Time // when a try last failed; zero if none has
	LastErr     error     // that failure; it stays after a later success

	// TokenExpires is when the present authorization ends. The producer renews it before that time,
	// as long as it sends. TokenExpires is zero without an authorization, and when the time is not
	// known.
	TokenExpires time.Time
}

// A HealthState is what a producer can do at present.
type HealthState int

// The states, from best to worst. If partitions are in different states, the worst one counts.
const (
	HealthConnecting   HealthState = iota // nothing has succeeded or failed yet
	HealthReady                           // the latest tries have succeeded, in every partition
	HealthBlocked                         // a handler has not returned for 10 s, and its partition waits for it
	HealthThrottled                       // the service is too busy and has asked the producer to wait
	HealthSilent                          // no answer from the service for 10 s: link, credit or acknowledgement
	HealthFailing                         // tries fail for another reason; see Err
	HealthRefused                         // the service refuses a partition's events for good: no retries
	HealthUnauthorized                    // the service refuses the token or its rights, or there is no token
	HealthUnreachable                     // the service, the event hub or the network cannot be reached
	states
)

// A fate says what follows a failed try.
type fate int

const (
	triedAgain fate = iota // another try, as long as the options say
	givenUp                // no more tries: the batch fails
	askedFor               // it was Connect's one try, and Connect returns the error
)

// stateFor returns the state that a failure causes.
func stateFor(err error, f fate) HealthState {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return HealthFailing
	}
	switch e.Code {
	case CodeThrottled:
		return HealthThrottled
	case CodeUnauthorized, CodeNoToken:
		return HealthUnauthorized
	case CodeConnectionLost, CodeNotFound, CodeTimeout, CodeDisabled:
		return HealthUnreachable
	}
	if f == givenUp && !e.Transient {
		return HealthRefused
	}
	return HealthFailing
}

// Health returns the present state. It does not ask the service; [BufferedProducer.Connect] does.
// Health does not block, and may be called at any time, also from a handler. The producer also logs
// each change of the state: see [Options.Logger].
func (p *BufferedProducer) Health() Health {
	h := p.observer.health.state()
	h.TokenExpires = p.hub.TokenExpires()
	h.Full = p.admission.full()
	if p.journal != nil && h.State < HealthFailing {
		if failed := p.journal.log.Failed(); failed != nil {
			h.State, h.Err, h.Since = HealthFailing, journalError(failed), failed.At
		}
	}
	return h
}

// A health remembers failures without a later success, and quiet work. The nil partition stands for
// the list of partitions.
type health struct {
	// Immutable after newProducer.
	listed func() bool      // reports whether the partitions are known
	empty  func() bool      // reports whether nothing is buffered
	staged *queue           // the events that wait for the list of partitions
	log    func(reportLine) // logs a line, with no lock held

	well    atomic.Bool  // present == HealthReady: written under mu, read anywhere
	success atomic.Int64 // when something last succeeded, in Unix nanoseconds; zero before

	mu      sync.Mutex // guards the fields below
	known   map[*partition]*ailment
	in      [states]int // how many of known are in each state; at 0 (HealthConnecting), those without trouble
	present HealthState
	since   time.Time // when it began; zero for the first
	last    error
	lastAt  time.Time
	report  report
}

// An ailment is the trouble of one partition, or of the list of partitions. When the trouble is
// over, the ailment stays without its states.
type ailment struct {
	failure HealthState // by the tries that have failed since the last success; 0 for none
	since   time.Time   // when the first of them failed
	err     error       // of the latest try that failed; a success does not clear it
	errAt   time.Time   // when that try failed

	quiet      HealthState // HealthSilent or HealthBlocked while nothing has ended for 10 s; 0 otherwise
	quietSince time.Time
}

func (a *ailment) state() HealthState { return max(a.failure, a.quiet) }

// stateSince returns since when an ailment has been in its state.
func (a *ailment) stateSince() time.Time {
	if a.quiet > a.failure {
		return a.quietSince
	}
	return a.since
}

// failed records a failed try. A failure to get the list of partitions does not count once the list
// is known: it says nothing about publishing.
func (h *health) failed(part *partition, err error, f fate) {
	now := time.Now()
	h.mu.Lock()
	if part == nil && h.listed() {
		h.mu.Unlock()
		return
	}
	a := h.ofLocked(part)
	h.in[a.state()]--
	if a.failure == 0 {
		a.since = now
	}
	a.failure, a.err, a.errAt = stateFor(err, f), err, now
	h.in[a.state()]++
	h.last, h.lastAt = err, now
	h.report.tries++
	h.unlock(now, f)
}

// recovered records a success. For the list it is called after the table was published; failed
// looks for the table under mu.
func (h *health) recovered(part *partition) {
	now := time.Now()
	h.success.Store(now.UnixNano())
	if part != nil && h.well.Load() { // no trouble to end; for the list, one may be recorded at this moment
		return
	}
	h.mu.Lock()
	if a := h.known[part]; a != nil {
		h.in[a.state()]--
		a.failure = 0
		if part == nil && a.quiet == HealthSilent {
			a.quiet = 0 // another request had the answer
		}
		h.in[a.state()]++
	}
	h.unlock(now, triedAgain)
}

// look records whether the work of a partition, or for the list of partitions, is quiet.
func (h *health) look(w *work) {
	now := time.Now()
	h.mu.Lock()
	age, handlers, _ := w.busy()
	a, state := h.known[w.partition], HealthState(0)
	switch {
	case w.quiet() < quietLong:
	case handlers:
		state = HealthBlocked
	case w.partition != nil || !h.listed():
		state = HealthSilent
	}
	if a == nil && state == 0 {
		h.mu.Unlock()
		return
	}
	a = h.ofLocked(w.partition)
	h.in[a.state()]--
	a.quiet, a.quietSince = state, now.Add(-age)
	h.in[a.state()]++
	h.unlock(now, triedAgain)
}

// forget drops the trouble of partitions that the hub no longer has.
func (h *health) forget(gone func(*partition) bool) {
	if h.well.Load() {
		return
	}
	h.mu.Lock()
	for part, a := range h.known {
		if part != nil && gone(part) {
			h.in[a.state()]--
			delete(h.known, part)
		}
	}
	h.unlock(time.Now(), triedAgain)
}

// ofLocked returns the ailment of a partition. A new one has no trouble.
func (h *health) ofLocked(part *partition) *ailment {
	a := h.known[part]
	if a == nil {
		if h.known == nil {
			h.known = map[*partition]*ailment{}
		}
		a = new(ailment)
		h.known[part] = a
		h.in[0]++
	}
	return a
}

// unlock computes the present state, logs a change, and gives the lock back.
func (h *health) unlock(now time.Time, f fate) {
	state := states - 1
	for state > HealthReady && h.in[state] == 0 {
		state--
	}
	if state == HealthReady && h.success.Load() == 0 {
		state = HealthConnecting
	}
	before := h.present
	if state != before {
		h.present, h.since = state, now
	}
	h.well.Store(state == HealthReady)
	h.noteLocked(before, now, f)
	h.mu.Unlock()
}

func (h *health) state() Health {
	h.mu.Lock()
	s := Health{State: h.present, Since: h.since, LastFailure: h.lastAt, LastErr: h.last}
	if at := h.success.Load(); at != 0 {
		s.LastSuccess = time.Unix(0, at)
	}
	s.Partitions = h.troubledLocked()
	why := h.causeLocked()
	h.mu.Unlock()
	s.Err = why.err()
	return s
}

// queue returns the queue of a partition; with nil, that of the events that wait for the list of
// partitions.
func (h *health) queue(part *partition) *queue {
	if part == nil {
		return h.staged
	}
	return &part.queue
}

// judge adds to the numbers of a partition, or of staging, its state and its failures. The caller
// must hold no lock of the producer.
func (h *health) judge(part *partition, s *PartitionStats) {
	var a ailment
	h.mu.Lock()
	if known := h.known[part]; known != nil {
		a = *known
	}
	h.mu.Unlock()
	s.LastErr, s.LastFailure = a.err, a.errAt
	if a.failure != 0 {
		s.FailingSince = a.since
	}
	switch {
	case a.state() != 0:
		s.State, s.Since, s.Err = a.state(), a.stateSince(), h.causeOf(part, &a).err()
	case s.MaxMessageSize > 0:
		s.State = HealthReady
	default:
		s.State = HealthConnecting
	}
}
