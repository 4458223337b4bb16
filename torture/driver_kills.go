package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/torture/judge"
)

const (
	// hitsOf10 is how many of ten kills must fall between an Enqueue and its acknowledgement.
	hitsOf10 = 8
	// Every serviceEvery-th kill, on average, is one of the emulator too.
	serviceEvery = 8
	// heardPatience is how long a kill waits for an acknowledgement, which may not come for a while.
	heardPatience = time.Second
	// A kill comes within one of these.
	soonAfter  = 5 * time.Millisecond
	laterAfter = 200 * time.Millisecond
)

// kill kills the publisher again and again, each time after it has accepted something, and the
// emulator now and then. The last life lives on. When ctx ends it stops early, and the run fails.
func (d *driver) kill(ctx context.Context) error {
	s := d.slots[0]
	accepted := func() bool { return s.accepted || ctx.Err() != nil }
	for range d.options.kills {
		if err := d.until("the publisher accepts an event", startTimeout, accepted); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.moment(s); err != nil {
			return err
		}
		d.disturbProcess(kindOf(killJournal), s, 0)
		if err := d.until("the publisher starts again", startTimeout, func() bool { return !s.busy }); err != nil {
			return err
		}
	}
	return d.until("the publisher accepts an event", startTimeout, accepted)
}

// moment waits for the moment of a kill: right after something was accepted, right after the first
// acknowledgement, or any time. Now and then it kills the emulator before.
func (d *driver) moment(s *slot) error {
	random := d.plan.random
	pause := time.Duration(random.Int64N(int64(soonAfter)))
	switch random.IntN(4) {
	case 0:
		pause = time.Duration(random.Int64N(int64(laterAfter)))
	case 1:
		if err := d.wait(heardPatience, func() bool { return s.heard }); err != nil {
			return err
		}
	}
	if d.serving && random.IntN(serviceEvery) == 0 {
		if err := d.wait(heardPatience, func() bool { return s.heard }); err != nil {
			return err
		}
		k := kindOf(killService)
		d.disturbProcess(k, nil, d.plan.lasts(k))
		pause = time.Duration(random.Int64N(int64(laterAfter)))
	}
	return d.wait(pause, func() bool { return false })
}

// wait runs the loop until a condition holds, or for that long.
func (d *driver) wait(long time.Duration, condition func() bool) error {
	over := false
	d.later(long, func() { over = true })
	return d.until("a pause", long+startTimeout, func() bool { return over || condition() })
}

// checkKills says what a run of kills has not shown.
func checkKills(kills int, k judge.Kills) error {
	switch {
	case k.Lives < kills:
		return fmt.Errorf("by the records %d of %d kills ended a life", k.Lives, kills)
	case k.Between*10 < kills*hitsOf10:
		return fmt.Errorf("by the records %d of %d kills fell between an Enqueue and its acknowledgement, want %d of 10", k.Between, kills, hitsOf10)
	}
	return nil
}
