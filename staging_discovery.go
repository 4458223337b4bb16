package eventhubs

import (
	"math"
	"time"
)

// discover asks for the hub's partitions until it has them, with pauses between the tries. A failed
// try is a failed try of every staged batch, and uses up a retry of each if it counts: see
// RetryOptions.MaxRetries. A batch without retries or time left fails.
func (s *staging) discover() {
	for failed := (retries{}); ; {
		opened := s.hub.Opened()
		list, failure := s.ask(&failed)
		if failure == nil {
			s.directory.adopt(list)
			return
		}
		if s.failExhausted(failure); s.emptied() {
			return
		}
		s.reportRetrying(failure)
		s.lifetime.sleep(min(failure.pause, s.timeLeft()), wakes(failure.err, opened))
		// A batch whose time ended with the pause would have none for another try.
		if s.failExhausted(&verdict{last: failure.last}); s.emptied() {
			return
		}
	}
}

// A verdict is what a failed try to learn the partitions means for the events that wait for them.
type verdict struct {
	err       error         // as the try returned it
	reason    error         // the failure of the try, which ends a batch that has no tries left
	last      hindrance     // the same failure, for a batch that has no time left
	hopeless  bool          // for every batch
	tried     bool          // it is a try of every batch: the service was not too busy, and there was a token
	counts    bool          // it uses up a retry of every batch
	throttled bool          // the service was too busy
	pause     time.Duration // before the next try
}

// ask tries once to learn the partitions. The verdict is nil if the try succeeded.
func (s *staging) ask(failed *retries) (partitionList, *verdict) {
	s.work.begin(tryRuns)
	defer s.work.end(tryRuns)
	list, err := s.directory.ask(s.timeLeft())
	if err == nil {
		return list, nil
	}
	return list, s.judge(err, failed)
}

func (s *staging) judge(err error, failed *retries) *verdict {
	if over := s.lifetime.over(); over != nil {
		return &verdict{err: err, reason: s.observer.health.hindrance(nil).with(over), hopeless: true}
	}
	before, last := *failed, failed.failed(err, "")
	pause, again := failed.after(err, "", false, s.options)
	v := &verdict{err: err, reason: failed.reason(last), last: failed.last,
		tried: failed.paced() > before.paced(), counts: failed.counted > before.counted, throttled: failed.throttled > before.throttled, pause: pause}
	// A batch that came later has more tries left than this count says: failExhausted looks at
	// each.
	v.hopeless = !again && (!v.counts || s.options.Retry.Policy != nil)
	f := triedAgain
	if v.hopeless {
		f = givenUp
	}
	s.observer.health.failed(nil, v.reason, f)
	return v
}

// timeLeft returns how long the first staged batch may still wait: at least a millisecond, for one
// try.
func (s *staging) timeLeft() time.Duration {
	limit := s.options.DeliveryTimeout
	if limit < 0 {
		return math.MaxInt64
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.headLocked(); b != nil {
		return max(time.Until(b.first.Add(limit)), time.Millisecond)
	}
	return limit
}

// failExhausted counts a failed try for every staged batch, and fails those that have no tries or
// no time left.
func (s *staging) failExhausted(v *verdict) {
	o := s.options
	var failed []failedBatch
	s.mu.Lock()
	defer s.unlock()
	for range len(s.waiting) {
		b := s.takeLocked()
		if v.tried {
			b.full = true // later events have all their retries and all their time left
			b.tries++
		}
		if v.counts {
			b.failures.counted++
		}
		switch {
		case v.hopeless || o.Retry.Policy == nil && b.failures.counted > max(0, o.Retry.MaxRetries):
			failed = append(failed, failedBatch{batch: b, err: v.reason})
		case o.DeliveryTimeout >= 0 && time.Since(b.first) >= o.DeliveryTimeout:
			failed = append(failed, failedBatch{batch: b, err: o.overdue(true, v.last)})
		default:
			s.taken = s.taken[:len(s.taken)-1]
			s.waiting = append(s.waiting, b)
		}
	}
	if o.StopPartitionOnFailure && len(failed) > 0 {
		for range len(s.waiting) { // they may be for the same partition
			failed = append(failed, failedBatch{batch: s.takeLocked(), err: partitionStopped("", failed[0].err)})
		}
	}
	s.failLocked(failed)
}

// reportRetrying reports a failed try for every batch that is still staged.
func (s *staging) reportRetrying(v *verdict) {
	var staged []TracedBatch
	s.mu.Lock()
	for _, b := range s.waiting {
		t := s.observer.traced("", b)
		t.batch = nil // Connect may move its events to their partitions at any moment
		staged = append(staged, t)
	}
	s.mu.Unlock()
	report := s.observer.retrying
	if v.throttled {
		report = s.observer.throttled
	}
	for _, t := range staged {
		report(t, v.reason, v.pause)
	}
}

// emptied reports whether nothing is staged. Then discovery has ended, and the next event starts it
// again.
func (s *staging) emptied() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discovering = len(s.waiting) > 0
	return !s.discovering
}
