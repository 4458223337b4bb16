package eventhubs

import (
	"sync"
	"sync/atomic"
	"time"
)

// Health says whether publishing gets on.
type Health struct {
	// Err is the failure that has lasted longest, nil when all is well: a try has failed and none of the same partition has succeeded since. Its text says
	// what to check. Events are still being retried, unless their handler says otherwise.
	Err error
	// Since is when it first failed.
	Since time.Time
	// Partitions are those that fail. Empty with an Err, it is the list of partitions that cannot be had.
	Partitions []string
}

// Health returns the present state. It does not ask the service, see Connect for that.
func (p *BufferedProducer) Health() Health { return p.health.state() }

// A health remembers what has failed and has not succeeded since. A partition of nil stands for the list of partitions.
type health struct {
	producer *BufferedProducer // immutable
	bad      atomic.Int32      // len(failing): written under mu, read anywhere

	mu      sync.Mutex // guards the fields below
	failing map[*partition]ailment
}

type ailment struct {
	err   error
	since time.Time
}

// failed notes a failed try. The first one while all is well is logged, in one line, with what to check.
func (h *health) failed(part *partition, err error) {
	h.mu.Lock()
	earlier, known := h.failing[part]
	since := earlier.since
	if !known {
		since = time.Now()
	}
	if h.failing == nil {
		h.failing = map[*partition]ailment{}
	}
	first := len(h.failing) == 0
	h.failing[part] = ailment{err, since}
	h.bad.Store(int32(len(h.failing)))
	h.mu.Unlock()
	if first {
		h.producer.log().Warn("eventhubs: publishing has begun to fail; it is tried again", "hub", h.producer.hubName, "error", err)
	}
}

// recovered notes a success.
func (h *health) recovered(part *partition) {
	if h.bad.Load() == 0 {
		return
	}
	h.mu.Lock()
	delete(h.failing, part)
	last := h.bad.Swap(int32(len(h.failing))) > 0 && len(h.failing) == 0
	h.mu.Unlock()
	if last {
		h.producer.log().Info("eventhubs: publishing succeeds again", "hub", h.producer.hubName)
	}
}

func (h *health) state() (s Health) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for part, a := range h.failing {
		if s.Err == nil || a.since.Before(s.Since) {
			s.Err, s.Since = a.err, a.since
		}
		if part != nil {
			s.Partitions = append(s.Partitions, part.id)
		}
	}
	return s
}
