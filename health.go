package eventhubs

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Health says whether publishing gets on.
type Health struct {
	// State is how things are, and Since when they have been so.
	State HealthState
	Since time.Time

	// Err is what is wrong: of the failures that make the state, the one that has lasted longest. Its text says what to check. Events
	// are still being retried, unless their handler says otherwise. Nil when HealthReady, and while HealthConnecting.
	Err error

	// Partitions are those in which a try has failed and none has succeeded since. Empty with an Err, it is the list of partitions that
	// cannot be had.
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
	HealthThrottled                       // the service is too busy and has asked to wait
	HealthFailing                         // the service refuses, or fails, for another reason; see Err
	HealthUnauthorized                    // the service refuses the token or its rights, or no token can be had
	HealthUnreachable                     // the service, the event hub or the network cannot be reached
	states
)

func (s HealthState) String() string {
	names := [...]string{"connecting", "ready", "throttled", "failing", "unauthorized", "unreachable"}
	if s < 0 || int(s) >= len(names) {
		return "HealthState(" + strconv.Itoa(int(s)) + ")"
	}
	return names[s]
}

// stateFor is the state that a failure puts the producer in.
func stateFor(err error) HealthState {
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
	default:
		return HealthFailing
	}
}

// Health returns the present state, as far as what was sent has shown it: it does not ask the service, see Connect for that. It may be called at any
// time, also from a handler, and does not block.
func (p *BufferedProducer) Health() Health {
	h := p.health.state()
	h.TokenExpires = p.hub.TokenExpires()
	h.Full = p.admission.full()
	return h
}

// A health remembers what has failed and has not succeeded since. A partition of nil stands for the list of partitions.
type health struct {
	producer *BufferedProducer // immutable
	well     atomic.Bool       // present == HealthReady: written under mu, read anywhere
	success  atomic.Int64      // when something last succeeded, in Unix nanoseconds; zero before

	mu      sync.Mutex // guards the fields below
	failing map[*partition]ailment
	in      [states]int // how many of failing are in each state
	present HealthState
	since   time.Time // when it began; zero for the first
	last    error
	lastAt  time.Time
}

type ailment struct {
	err   error
	since time.Time
	state HealthState
}

// failed notes a failed try. Whoever fails to get the list when somebody else has it says nothing about publishing.
func (h *health) failed(part *partition, err error) {
	now := time.Now()
	h.mu.Lock()
	if part == nil && h.producer.table.Load() != nil {
		h.mu.Unlock()
		return
	}
	if h.failing == nil {
		h.failing = map[*partition]ailment{}
	}
	a, known := h.failing[part]
	if known {
		h.in[a.state]--
	} else {
		a.since = now
	}
	a.err, a.state = err, stateFor(err)
	h.failing[part] = a
	h.in[a.state]++
	h.last, h.lastAt = err, now
	changed, state := h.changedLocked(now), h.present
	h.mu.Unlock()
	if changed {
		h.producer.logger.Warn("eventhubs: publishing has begun to fail; it is tried again", "hub", h.producer.hubName, "state", state.String(), "error", err)
	}
}

// recovered notes a success. Of the list it is after the table was published; whoever fails to get it looks at that under mu.
func (h *health) recovered(part *partition) {
	now := time.Now()
	h.success.Store(now.UnixNano())
	if part != nil && h.well.Load() { // of one partition nobody else notes a failure meanwhile
		return
	}
	h.mu.Lock()
	if a, known := h.failing[part]; known {
		h.in[a.state]--
		delete(h.failing, part)
	}
	h.unlockBetter(now)
}

// unlockBetter finds the present state when something failing is no more, gives the lock back, and logs what has changed.
func (h *health) unlockBetter(now time.Time) {
	earlier := h.present
	changed, state := h.changedLocked(now), h.present
	h.mu.Unlock()
	switch {
	case !changed:
	case state != HealthReady:
		h.producer.logger.Warn("eventhubs: publishing still fails, less than before", "hub", h.producer.hubName, "state", state.String())
	case earlier == HealthConnecting:
		h.producer.logger.Info("eventhubs: ready", "hub", h.producer.hubName)
	default:
		h.producer.logger.Info("eventhubs: publishing succeeds again", "hub", h.producer.hubName)
	}
}

// forget drops what is wrong with some partitions: the hub does not have them any more.
func (h *health) forget(gone func(*partition) bool) {
	if h.well.Load() {
		return
	}
	h.mu.Lock()
	for part, a := range h.failing {
		if part != nil && gone(part) {
			h.in[a.state]--
			delete(h.failing, part)
		}
	}
	h.unlockBetter(time.Now())
}

// changedLocked finds the present state and reports whether it is another than before.
func (h *health) changedLocked(now time.Time) bool {
	state := h.present
	switch {
	case len(h.failing) > 0:
		for state = states - 1; h.in[state] == 0; state-- {
		}
	case h.success.Load() != 0:
		state = HealthReady
	}
	h.well.Store(state == HealthReady)
	if state == h.present {
		return false
	}
	h.present, h.since = state, now
	return true
}

func (h *health) state() Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Health{State: h.present, Since: h.since, LastFailure: h.lastAt, LastErr: h.last}
	if at := h.success.Load(); at != 0 {
		s.LastSuccess = time.Unix(0, at)
	}
	var longest time.Time
	for part, a := range h.failing {
		if a.state == h.present && (s.Err == nil || a.since.Before(longest)) {
			s.Err, longest = a.err, a.since
		}
		if part != nil {
			s.Partitions = append(s.Partitions, part.id)
		}
	}
	slices.Sort(s.Partitions)
	return s
}
