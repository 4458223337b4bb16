package emulator

import (
	"fmt"
	"sync"
	"time"
)

const (
	// The limits of one throughput unit in each second.
	unitBytes  = 1_000_000
	unitEvents = 1_000

	// managementCalls is how many management calls a namespace allows in each second.
	managementCalls = 50

	textThrottled = "The request was terminated because the entity is being throttled. Error code : 50002. Sub error : 102. " +
		"Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
	textTooManyCalls = "The request was terminated because the namespace is being throttled. Error code : 50008. " +
		"Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
)

// A throttle bounds what a server accepts. All hubs share it, as they share a namespace's
// throughput units.
type throttle struct {
	mu     sync.Mutex // guards the fields below
	units  int        // 0: everything is allowed
	bytes  bucket
	events bucket
	calls  bucket
}

// newThrottle makes the throttle of a namespace with this many throughput units.
func newThrottle(units int) *throttle {
	t := &throttle{}
	t.set(units)
	return t
}

// SetThroughputUnits changes [Options.ThroughputUnits] from the next operation on, as when a
// namespace is scaled. It may be called at any time. Fewer units do not forgive what was taken
// before: a client that has overdrawn the old ones waits longer.
func (s *Server) SetThroughputUnits(units int) error {
	if units < 0 {
		return fmt.Errorf("emulator: SetThroughputUnits(%d): units cannot be negative, and 0 means no bounds", units)
	}
	s.namespace.throttle.set(units)
	return nil
}

// set changes the units. Events taken before still count.
func (t *throttle) set(units int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	bytes, events := newBucket(float64(units)*unitBytes), newBucket(float64(units)*unitEvents)
	if t.units == 0 {
		t.calls = newBucket(managementCalls)
	} else {
		t.bytes.fill(bytes.at)
		t.events.fill(events.at)
		bytes.level, events.level = min(t.bytes.level, bytes.rate), min(t.events.level, events.rate)
	}
	t.units, t.bytes, t.events = units, bytes, events
}

// size returns the units.
func (t *throttle) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.units
}

// ingress reports whether a message may come in; nil means yes.
func (t *throttle) ingress(bytes, events int) *refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.units == 0 {
		return nil
	}
	now := time.Now()
	t.bytes.fill(now)
	t.events.fill(now)
	if !t.bytes.has() || !t.events.has() {
		return refuse(conditionServerBusy, textThrottled)
	}
	t.bytes.take(float64(bytes))
	t.events.take(float64(events))
	return nil
}

// call reports whether a management call may be made; nil means yes.
func (t *throttle) call() *refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.units == 0 {
		return nil
	}
	t.calls.fill(time.Now())
	if !t.calls.has() {
		return refuse(conditionServerBusy, textTooManyCalls)
	}
	t.calls.take(1)
	return nil
}

// A bucket holds what may be taken: at most one second's worth. If it is not empty, a message may
// take more than it holds. Later messages wait until it is filled up again. So a message larger
// than one second's worth passes too, and in the long run no more passes than the rate.
type bucket struct {
	rate  float64 // per second, and the most that it holds
	level float64 // below zero after a message took more than it held
	at    time.Time
}

func newBucket(rate float64) bucket {
	return bucket{rate: rate, level: rate, at: time.Now()}
}

func (b *bucket) fill(now time.Time) {
	b.level = min(b.level+b.rate*now.Sub(b.at).Seconds(), b.rate)
	b.at = now
}

// has reports whether at least one whole unit is there, ignoring rounding errors.
func (b *bucket) has() bool { return b.level >= 1-1e-6 }

func (b *bucket) take(n float64) { b.level -= n }
