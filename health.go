package eventhubs

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Health says whether publishing gets on.
type Health struct {
	// State is how things are, and Since when they have been so.
	State HealthState
	Since time.Time

	// Err is what is wrong: of all that make the state, what has lasted longest. Its text says what to check. Events are still being retried, unless the
	// state is HealthRefused or their handler says otherwise. Nil when HealthReady, and while HealthConnecting.
	Err error

	// Partitions are those in trouble: a try has failed and none has succeeded since, or a try or a handler has run for 10 s and nothing has ended. Empty with
	// an Err, it is the list of partitions that cannot be had.
	Partitions []string

	// Full are the partitions that hold the room which somebody lacks now: each that is at its limit, and, while the buffer is full, the one that holds most of it.
	// The id of what the service assigns is empty.
	Full []string

	LastSuccess time.Time // when a batch was last stored, or the list of partitions last had; zero before
	LastFailure time.Time // when a try last failed; zero if none has
	LastErr     error     // that failure, also when all is well again

	// TokenExpires is when the present authorization ends; it is renewed before, while anything is sent. Zero when there is none, or
	// when it is not known.
	TokenExpires time.Time
}

// A HealthState is what a producer can do at present.
type HealthState int

// The states, from better to worse. Of partitions in different states the worst counts.
const (
	HealthConnecting   HealthState = iota // nothing has succeeded or failed yet
	HealthReady                           // what was tried last has succeeded, in every partition
	HealthBlocked                         // a handler has not returned for 10 s, and its partition waits for it
	HealthThrottled                       // the service is too busy and has asked to wait
	HealthSilent                          // a try has waited for 10 s and the service has not answered: the link, credit or the acknowledgement
	HealthFailing                         // the service fails, or refuses what is tried again, for another reason; see Err
	HealthRefused                         // the service refuses all events of a partition for good: they fail and are not tried again
	HealthUnauthorized                    // the service refuses the token or its rights, or no token can be had
	HealthUnreachable                     // the service, the event hub or the network cannot be reached
	states
)

// A fate is what becomes of what has failed.
type fate int

const (
	triedAgain fate = iota // as long as the options say
	givenUp                // no more tries: the batch fails
	askedFor               // it was Connect's one try, whose caller is told
)

// stateFor is the state that a failure puts the producer in.
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

// Health returns the present state, as far as what was sent has shown it: it does not ask the service, see Connect for that. It may be called at any
// time, also from a handler, and does not block. Without being asked, each change is logged: see [Options.Logger].
func (p *BufferedProducer) Health() Health {
	h := p.observer.health.state()
	h.TokenExpires = p.hub.TokenExpires()
	h.Full = p.admission.full()
	return h
}

// A health remembers what has failed and has not succeeded since, and what is quiet. A partition of nil stands for the list of partitions.
type health struct {
	// Immutable after newProducer.
	listed func() bool      // the partitions are known
	empty  func() bool      // nothing is buffered
	staged *queue           // for the list of partitions
	log    func(reportLine) // logs a line, with no lock held

	well    atomic.Bool  // present == HealthReady: written under mu, read anywhere
	success atomic.Int64 // when something last succeeded, in Unix nanoseconds; zero before

	mu      sync.Mutex // guards the fields below
	known   map[*partition]*ailment
	in      [states]int // how many of known are in each state; of those without an ailment, at 0
	present HealthState
	since   time.Time // when it began; zero for the first
	last    error
	lastAt  time.Time
	report  report
}

// An ailment is what is wrong with one partition, or with the list of them. It stays when that is over, without the states.
type ailment struct {
	failure HealthState // of the tries that have failed since one succeeded; 0 for none
	since   time.Time   // when the first of them failed
	err     error       // of the one that failed last, ever

	quiet      HealthState // HealthSilent or HealthBlocked while nothing has ended for 10 s; 0 otherwise
	quietSince time.Time
}

func (a *ailment) state() HealthState { return max(a.failure, a.quiet) }

// worst is what to tell of an ailment: since when it is in its state.
func (a *ailment) worst() time.Time {
	if a.quiet > a.failure {
		return a.quietSince
	}
	return a.since
}

// failed notes a failed try. Whoever fails to get the list when somebody else has it says nothing about publishing.
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
	a.failure, a.err = stateFor(err, f), err
	h.in[a.state()]++
	h.last, h.lastAt = err, now
	h.report.tries++
	h.unlock(now, f)
}

// recovered notes a success. Of the list it is after the table was published; whoever fails to get it looks at that under mu.
func (h *health) recovered(part *partition) {
	now := time.Now()
	h.success.Store(now.UnixNano())
	if part != nil && h.well.Load() { // of one partition nobody else notes a failure meanwhile
		return
	}
	h.mu.Lock()
	if a := h.known[part]; a != nil {
		h.in[a.state()]--
		a.failure = 0
		if part == nil && a.quiet == HealthSilent {
			a.quiet = 0 // somebody else had the answer
		}
		h.in[a.state()]++
	}
	h.unlock(now, triedAgain)
}

// look sees whether what runs for a partition, or for the list of them, is quiet.
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

// forget drops what is wrong with some partitions: the hub does not have them any more.
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

// ofLocked is the ailment of a partition, which is none at first.
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

// unlock finds the present state, gives the lock back, and logs what has changed.
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
	for part, a := range h.known {
		if part != nil && a.state() != 0 {
			s.Partitions = append(s.Partitions, part.id)
		}
	}
	why := h.causeLocked()
	h.mu.Unlock()
	s.Err = why.err()
	slices.Sort(s.Partitions)
	return s
}

// queue is where the events of a partition are, or those that wait for the list of partitions.
func (h *health) queue(part *partition) *queue {
	if part == nil {
		return h.staged
	}
	return &part.queue
}

// ofPartition is since when the tries of a partition, or for the list of partitions, fail, and the last failure: the zero time if they do not.
func (h *health) ofPartition(part *partition) (since time.Time, last error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.known[part]
	switch {
	case a == nil:
		return time.Time{}, nil
	case a.failure == 0:
		return time.Time{}, a.err
	}
	return a.since, a.err
}
