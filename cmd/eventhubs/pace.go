package main

import (
	"context"
	"time"
)

const (
	// finestPause is the shortest that is worth a timer: fast rates come in small groups.
	finestPause = time.Millisecond

	// maxCatchUp is how much of a delay, such as that of a full buffer, is made up for by going faster afterwards.
	maxCatchUp = time.Second

	// longestPause is what no run outlives; those of the tiniest rates would not fit a Duration.
	longestPause = 100 * 365 * 24 * time.Hour
)

// A pace spaces events out in time, to a number for each second.
type pace struct {
	interval time.Duration // 0: as fast as can be
	next     time.Time     // when the next event is due; zero before the first
}

func newPace(rate float64) *pace {
	if rate == 0 {
		return &pace{}
	}
	return &pace{interval: time.Duration(min(float64(time.Second)/rate, float64(longestPause)))}
}

// wait returns when the next event is due, or with an error when ctx ends first.
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
