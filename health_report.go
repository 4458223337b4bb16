package eventhubs

import (
	"context"
	"log/slog"
	"time"
)

const (
	// reportEvery is how often lasting trouble is logged.
	reportEvery = time.Minute
	// reportLines is how many changes of state are logged within reportEvery. So a state that comes
	// and goes does not fill the log. The next line counts the changes that were left out.
	reportLines = 10
)

// A report is what is logged about a producer's health: each change of state and, during trouble, a
// line every minute. The health's lock guards it. Its timer is set only while there is something to
// report.
type report struct {
	lines  []reportLine  // to be logged, in their order
	latest []*change     // the changes of state that the log had last, the oldest first
	saying bool          // a goroutine logs them
	ended  chan struct{} // closed when that goroutine has ended; nil unless close waits for it
	closed bool

	timer   *time.Timer
	armed   bool
	trouble time.Time // since when the state has been worse than HealthReady
	tries   int       // failed tries since then
	told    int       // how many of these the latest line counted
	window  time.Time // when the counting of lines began
	counted int
	unsaid  int // changes that were not logged
}

// A reportLine is one line of the log. Facts that need other locks are read when the line is
// logged.
type reportLine struct {
	level   slog.Level
	message string
	cause   cause
	state   HealthState
	changes int  // changes of state before it that were not logged
	lasting bool // the line says since when, how many tries failed, and how much is buffered
	late    bool // changes counts the change to this state, too
	tries   int
	trouble time.Time
	ready   bool    // only for Options.Logger, not for the default logger
	change  *change // where HealthChanges has the line; nil if the trouble only lasts
	err     error   // of the cause, read before the line is logged
}

// noteLocked records what is to be logged after the state may have changed.
func (h *health) noteLocked(before HealthState, now time.Time, f fate) {
	r, bad := &h.report, h.present > HealthReady
	if bad && before <= HealthReady {
		r.trouble = now
	}
	if h.present != before {
		h.changedLocked(before, now, f)
	}
	switch {
	case bad:
		h.armLocked()
	case r.unsaid == 0 && r.armed:
		r.timer.Stop()
		r.armed = false
	}
	if !bad {
		r.tries, r.told = 0, 0
	}
}

func (h *health) changedLocked(before HealthState, now time.Time, f fate) {
	line := reportLine{level: slog.LevelWarn, state: h.present}
	switch {
	case h.present > before && h.present > HealthReady:
		line.message = begins(h.present, f)
	case h.present > HealthReady:
		line.message = "eventhubs: publishing still fails, less than before"
	case before == HealthConnecting:
		line.level, line.message, line.ready = slog.LevelInfo, "eventhubs: ready", true
	case before == HealthBlocked:
		line.level, line.message = slog.LevelInfo, "eventhubs: handlers return again"
	default:
		line.level, line.message = slog.LevelInfo, "eventhubs: publishing succeeds again"
	}
	r := &h.report
	if now.Sub(r.window) >= reportEvery {
		r.window, r.counted = now, 0
	}
	if r.counted++; r.counted > reportLines {
		r.unsaid++
		h.armLocked()
		return
	}
	h.addLocked(line)
}

func (h *health) addLocked(line reportLine) {
	r := &h.report
	if r.closed {
		return
	}
	line.cause, line.changes, line.tries, line.trouble = h.causeLocked(), r.unsaid, r.tries, r.trouble
	if !line.lasting || line.late {
		line.change = h.keepLocked(&line)
	}
	r.lines = append(r.lines, line)
	r.unsaid, r.told = 0, r.tries
	if r.armed {
		r.timer.Reset(reportEvery)
	}
	h.sayLocked()
}

// armLocked sets the timer, unless it is set.
func (h *health) armLocked() {
	r := &h.report
	if r.armed || r.closed {
		return
	}
	r.armed = true
	if r.timer == nil {
		// The call ends when it has logged a line, or has nothing to say.
		r.timer = time.AfterFunc(reportEvery, h.remind)
	} else {
		r.timer.Reset(reportEvery)
	}
}

// remind is called by the timer. It logs nothing if no event is buffered, nothing is quiet, and no
// try has failed since the latest line. The next failure sets the timer again.
func (h *health) remind() {
	empty := h.empty()
	h.mu.Lock()
	r := &h.report
	r.armed = false
	switch {
	case h.present <= HealthReady && r.unsaid > 0:
		h.addLocked(reportLine{level: slog.LevelInfo, message: "eventhubs: publishing succeeds again", state: h.present, late: true})
	case h.present <= HealthReady, empty && r.tries == r.told && h.in[HealthSilent]+h.in[HealthBlocked] == 0:
	default:
		h.armLocked()
		h.addLocked(reportLine{level: slog.LevelWarn, message: lasts(h.present), state: h.present, lasting: true, late: r.unsaid > 0})
	}
	h.mu.Unlock()
}

// sayLocked starts a goroutine that logs the lines. A Logger may block or end its goroutine, so
// that must not be a sender's.
func (h *health) sayLocked() {
	if r := &h.report; !r.saying && len(r.lines) > 0 {
		r.saying = true
		go h.say() // ends when there is nothing more to log; close waits for it
	}
}

// say logs the lines in their order.
func (h *health) say() {
	r := &h.report
	h.mu.Lock()
	defer func() { // the lock is held here, also if the Logger has ended the goroutine
		r.saying = false
		h.sayLocked()
		if r.ended != nil && !r.saying {
			close(r.ended)
			r.ended = nil
		}
		h.mu.Unlock()
	}()
	for len(r.lines) > 0 {
		line := r.lines[0]
		r.lines = r.lines[1:]
		func() {
			h.mu.Unlock()
			defer h.mu.Lock()
			line.err = line.cause.err()
			if line.change != nil {
				h.explain(line.change, line.err)
			}
			h.log(line)
		}()
	}
	r.lines = nil
}

// close ends the reports. It waits for a line that is being logged until ctx ends.
func (h *health) close(ctx context.Context) {
	h.mu.Lock()
	r := &h.report
	r.closed, r.armed = true, false
	if r.timer != nil {
		r.timer.Stop()
	}
	var ended chan struct{}
	if r.saying {
		if r.ended == nil {
			r.ended = make(chan struct{})
		}
		ended = r.ended
	}
	h.mu.Unlock()
	if ended == nil {
		return
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// begins returns the message for a state that has begun. It says what the producer does next.
func begins(s HealthState, f fate) string {
	switch {
	case s == HealthBlocked:
		return "eventhubs: a handler does not return; its partition waits for it"
	case s == HealthSilent:
		return "eventhubs: the service does not answer; the producer waits"
	case s == HealthRefused:
		return "eventhubs: the service refuses events; they are not retried"
	case f == askedFor:
		return "eventhubs: Connect has failed; the next event tries to connect again"
	case f == givenUp:
		return "eventhubs: publishing fails; the failed events are not retried"
	case s == HealthThrottled:
		return "eventhubs: the service is too busy; the producer retries"
	default:
		return "eventhubs: publishing has begun to fail; the producer retries"
	}
}

// lasts returns the message for a state that lasts.
func lasts(s HealthState) string {
	switch s {
	case HealthBlocked:
		return "eventhubs: a handler still does not return"
	case HealthSilent:
		return "eventhubs: the service still does not answer"
	case HealthRefused:
		return "eventhubs: the service still refuses events"
	case HealthThrottled:
		return "eventhubs: the service is still too busy"
	default:
		return "eventhubs: publishing still fails"
	}
}
