package eventhubs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/producerview"
)

func init() {
	producerview.Moments = func(producer any) []producerview.Moment {
		return producer.(*BufferedProducer).observer.moments()
	}
}

// A history keeps the totals of the last minutes for package producerhttp. It has no timer: a
// batch's outcome or a failed try adds to it. A producer has none until one is asked for.
type history struct {
	base time.Time
	next atomic.Int64 // when the next moment is due, in nanoseconds after base

	mu     sync.Mutex // guards the field below
	latest []producerview.Moment
}

// note keeps the totals before they change, if a moment is due.
func (v *observer) note() {
	if h := v.history.Load(); h != nil && int64(time.Since(h.base)) >= h.next.Load() {
		h.add(v, false)
	}
}

// moments returns the history with this moment as its last. It begins the history if there is none.
func (v *observer) moments() []producerview.Moment {
	h := v.history.Load()
	if h == nil {
		h = &history{base: time.Now()}
		if !v.history.CompareAndSwap(nil, h) {
			h = v.history.Load()
		}
	}
	return h.add(v, true)
}

// add keeps this moment if it is due. If all is true, it returns every moment that is kept, and
// this one as the last.
func (h *history) add(v *observer, all bool) (moments []producerview.Moment) {
	now := v.moment() // before the lock: the buffer has its own
	h.mu.Lock()
	defer h.mu.Unlock()
	at := int64(now.At.Sub(h.base))
	due := at >= h.next.Load()
	if due {
		h.next.Store(at + int64(producerview.Interval))
		old := 0
		for old+1 < len(h.latest) && now.At.Sub(h.latest[old+1].At) >= producerview.Kept {
			old++ // the last one before Kept stays, so that there is a total at its beginning
		}
		h.latest = append(h.latest[:0], h.latest[old:]...)
		h.latest = append(h.latest, now)
	}
	if !all {
		return nil
	}
	moments = append(moments, h.latest...)
	if !due && !now.At.Before(moments[len(moments)-1].At) {
		moments = append(moments, now)
	}
	return moments
}

// moment returns the present totals.
func (v *observer) moment() producerview.Moment {
	c := &v.counts
	return producerview.Moment{
		At: time.Now(), Buffered: v.producer.BufferedEvents(),
		StoredEvents: c.storedEvents.Load(), StoredBytes: c.storedBytes.Load(), StoredBatches: c.storedBatches.Load(),
		NotStoredEvents: c.failedEvents.Load(), PossiblyStoredEvents: c.possiblyEvents.Load(),
		Retries: c.retries.Load(), ThrottledTries: c.throttled.Load(),
	}
}
