package main

import (
	"context"
	"time"
)

const (
	// finestPause is the shortest pause that gets a timer. At fast rates, events go in small
	// groups.
	finestPause = time.Millisecond

	// maxCatchUp bounds how much of a delay, such as that of a full buffer, is made up by going
	// faster later.
	maxCatchUp = time.Second

	// longestPause is longer than any run. The pauses of the tiniest rates would not fit a
	// Duration.
	longestPause = 100 * 365 * 24 * time.Hour
)

// A pace spaces events in time, for a rate in events a second.
type pace struct {
	interval time.Duration // 0: no limit
	next     time.Time     // when the next event is due; zero before the first
}

func newPace(rate float64) *pace {
	if rate == 0 {
		return &pace{}
	}
	return &pace{interval: time.Duration(min(float64(time.Second)/rate, float64(longestPause)))}
}

// wait returns when the next event is due, or with an error if ctx ends first.
func (p *pace) wait(ctx context.Context) error {
	if p.interval == 0 {
		return nil
	}
	now := time.Now()
	if earliest := now.Add(-maxCatchUp); p.next.IsZero() {
		p.next = now
	} else if p.next.Before(earliest) {
		p.next = earliest
	}
	due := p.next
	p.next = due.Add(p.interval)
	if due.Sub(now) < finestPause {
		return nil
	}
	timer := time.NewTimer(due.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
