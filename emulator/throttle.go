package emulator

import (
	"sync"
	"time"
)

const (
	// What a throughput unit lets in each second.
	unitBytes  = 1_000_000
	unitEvents = 1_000

	// managementCalls may be made each second in a namespace.
	managementCalls = 50

	textThrottled = "The request was terminated because the entity is being throttled. Error code : 50002. Sub error : 102. " +
		"Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
	textTooManyCalls = "The request was terminated because the namespace is being throttled. Error code : 50008. " +
		"Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions"
)

// A throttle bounds what a server takes in. All hubs share it, as they share a namespace's throughput units.
type throttle struct {
	mu     sync.Mutex // guards the fields below
	bytes  bucket
	events bucket
	calls  bucket
}

// newThrottle makes the throttle of a namespace with so many throughput units; nil, which lets everything in, for none.
func newThrottle(units int) *throttle {
	if units == 0 {
		return nil
	}
	return &throttle{
		bytes:  newBucket(float64(units) * unitBytes),
		events: newBucket(float64(units) * unitEvents),
		calls:  newBucket(managementCalls),
	}
}

// ingress asks whether a message may come in.
func (t *throttle) ingress(bytes, events int) *refusal {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
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

// call asks whether a management call may be made.
func (t *throttle) call() *refusal {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls.fill(time.Now())
	if !t.calls.has() {
		return refuse(conditionServerBusy, textTooManyCalls)
	}
	t.calls.take(1)
	return nil
}

// A bucket holds what may be taken: one second's worth when nobody has taken anything for a second. Whoever finds
// something in it may take more than there is, and those behind wait until that is filled up again. So a message that
// is larger than a second's worth passes too, and in the long run no more passes than the rate.
type bucket struct {
	rate  float64 // for each second, and what it holds at most
	level float64 // below zero after somebody took more than there was
	at    time.Time
}

func newBucket(rate float64) bucket {
	return bucket{rate: rate, level: rate, at: time.Now()}
}

func (b *bucket) fill(now time.Time) {
	b.level = min(b.level+b.rate*now.Sub(b.at).Seconds(), b.rate)
	b.at = now
}

// has tells whether at least a whole one is there, apart from what floating point loses.
func (b *bucket) has() bool { return b.level >= 1-1e-6 }

func (b *bucket) take(n float64) { b.level -= n }
