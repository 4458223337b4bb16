package eventhubs

import (
	"sync"
	"sync/atomic"
	"time"
)

// A quiet says that something of a partition runs, a try or a handler, and for how long nothing of it has ended.
type quiet int32

const (
	notQuiet  quiet = iota
	quietSoon       // for 3 s: more than a slow acknowledgement or a slow handler takes
	quietLong       // for 10 s
)

// quietAfter is how long each takes to be noticed: to the nanosecond, not at the next look of a clock that ticks.
var quietAfter = [...]time.Duration{quietSoon: 3 * time.Second, quietLong: 10 * time.Second}

// A watch notices what runs and does not end. It has the one timer for that, which is set only while something runs of which that is not known yet, and
// reads no clock for an event: a work notes once for each try and each handler when it began.
type watch struct {
	// Immutable after newWatch.
	base    time.Time   // of the times in a work; monotonic, so that nobody who sets the clock makes anything look quiet
	changed func(*work) // called, with no lock held, when a work has become quiet, quieter, or is not any more; it asks work.quiet which

	mu     sync.Mutex // guards the fields below
	timer  *time.Timer
	listed []*work // those that the timer looks at: the timer is set if there are any
	closed bool
}

func newWatch(changed func(*work)) *watch {
	return &watch{base: time.Now(), changed: changed}
}

// A work is what runs for one partition, or for staging.
type work struct {
	// Immutable.
	watch     *watch
	partition *partition // nil: staging
	stats     func(now time.Time) PartitionStats

	running  runs
	since    atomic.Int64 // when it became busy, or last ended something, as watch.now tells it; zero: this moment
	level    atomic.Int32 // a quiet; written under watch.mu
	attended atomic.Bool  // in watch.listed; written under watch.mu
}

// A run is something of a partition that takes time: a try or a handler.
type run int64

const (
	tryRuns     run = 1
	handlerRuns run = 1 << 32
)

// runs counts the tries and the handlers that run, in one number, so that both are read at one instant.
type runs struct{ packed atomic.Int64 }

// begin adds a run, and reports whether it is the only one.
func (r *runs) begin(what run) (only bool) { return r.packed.Add(int64(what)) == int64(what) }

// end takes a run away, and reports whether it was the last.
func (r *runs) end(what run) (last bool) { return r.packed.Add(-int64(what)) == 0 }

// any reports whether something runs, and whether only handlers do.
func (r *runs) any() (running, handlers bool) {
	n := r.packed.Load()
	return n != 0, n != 0 && n%int64(handlerRuns) == 0
}

// begin notes that a try or a handler begins. It allocates nothing.
func (w *work) begin(what run) {
	if w.running.begin(what) {
		w.since.Store(w.watch.now())
	}
	if !w.attended.Load() {
		w.watch.attend(w)
	}
}

// end notes that it has ended. Whatever else runs for the partition, with several sends at a time, is not quiet either.
func (w *work) end(what run) {
	w.since.Store(0)
	if !w.running.end(what) {
		w.since.Store(w.watch.now())
	}
	w.stir()
}

// stir ends the quiet, if there was any.
func (w *work) stir() {
	if w.quiet() == notQuiet {
		return
	}
	w.watch.mu.Lock()
	ended := w.level.Swap(int32(notQuiet)) != int32(notQuiet)
	w.watch.mu.Unlock()
	if !ended {
		return
	}
	w.watch.changed(w)
	if running, _ := w.running.any(); running {
		w.watch.attend(w) // the timer has let go of it when it was as quiet as can be
	}
}

// quiet says whether something runs and for how long nothing has ended.
func (w *work) quiet() quiet { return quiet(w.level.Load()) }

// busy says for how long something has run without anything ending, and whether handlers are all that runs. It reports false if nothing runs.
func (w *work) busy() (age time.Duration, handlers, running bool) {
	running, handlers = w.running.any()
	if since := w.since.Load(); since != 0 {
		age = time.Duration(w.watch.now() - since)
	}
	return age, handlers, running
}

// now is the time as a work notes it: never zero.
func (w *watch) now() int64 { return 1 + int64(time.Since(w.base)) }

// attend has the timer look at a work from now on.
func (w *watch) attend(k *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || k.attended.Load() {
		return
	}
	k.attended.Store(true)
	w.listed = append(w.listed, k)
	switch {
	case w.timer == nil:
		// The call ends when it has looked at each work once.
		w.timer = time.AfterFunc(quietAfter[quietSoon], w.scan)
	case len(w.listed) == 1:
		w.timer.Reset(quietAfter[quietSoon])
	}
}

// scan is called by the timer: it finds who has become quiet, and sets the timer to when the next may. What begins meanwhile cannot become quiet before
// quietSoon, so that the timer is never set later than that.
func (w *watch) scan() {
	w.mu.Lock()
	now, next := w.now(), quietAfter[quietSoon]
	var told []*work
	still := w.listed[:0]
	for _, k := range w.listed {
		changed, wait := k.lookLocked(now)
		if changed {
			told = append(told, k)
		}
		switch {
		case wait > 0:
			next = min(next, wait)
		case k.dismissLocked():
			continue
		}
		still = append(still, k)
	}
	clear(w.listed[len(still):])
	w.listed = still
	if len(still) > 0 && !w.closed {
		w.timer.Reset(next)
	}
	w.mu.Unlock()
	for _, k := range told {
		w.changed(k)
	}
}

// lookLocked finds how quiet the work is, and when it may be quieter: zero for never, unless something begins or ends.
func (w *work) lookLocked(now int64) (changed bool, wait time.Duration) {
	since := w.since.Load()
	switch running, _ := w.running.any(); {
	case !running:
		return false, 0
	case since == 0:
		return false, quietAfter[quietSoon]
	}
	age, level, before := time.Duration(now-since), notQuiet, w.quiet()
	for level < quietLong && age >= quietAfter[level+1] {
		level++
	}
	if level > before {
		w.level.Store(int32(level))
		if w.since.Load() != since {
			w.level.Store(int32(before)) // it ended this moment: whoever ended it may have seen what was there before
			return false, quietAfter[quietSoon]
		}
		changed = true
	}
	if level == quietLong {
		return changed, 0
	}
	return changed, quietAfter[level+1] - age
}

// dismissLocked lets go of a work that does not run, or is as quiet as can be. It reports false if that is so no more.
func (w *work) dismissLocked() bool {
	w.attended.Store(false)
	if running, _ := w.running.any(); running && w.quiet() != quietLong { // it began again: begin has seen either that it is attended or that it is not
		w.attended.Store(true)
		return false
	}
	return true
}

// close stops the timer. What is quiet stays so, until it ends.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
	clear(w.listed)
	w.listed = nil
}
