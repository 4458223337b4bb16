package eventhubs

import (
	"sync"
	"sync/atomic"
	"time"
)

// A quiet says that a try or a handler of a partition runs, and for how long none has ended.
type quiet int32

const (
	notQuiet  quiet = iota
	quietSoon       // for 3 s: longer than a slow acknowledgement or a slow handler takes
	quietLong       // for 10 s
)

// quietAfter is when each level begins: to the nanosecond, not at the next tick of some clock.
var quietAfter = [...]time.Duration{quietSoon: 3 * time.Second, quietLong: 10 * time.Second}

// A watch notices work that runs and does not end. It has one timer, which is set only while work
// runs that may become quieter. It reads no clock for an event: a work records the time only when a
// try or a handler begins or ends.
type watch struct {
	// Immutable after newWatch.
	base    time.Time   // of the times in a work; monotonic, so that setting the clock changes nothing
	changed func(*work) // called, with no lock held, after work.quiet has changed

	mu     sync.Mutex // guards the fields below
	timer  *time.Timer
	listed []*work // those that the timer looks at; it is set if there are any
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
	numbers   func(now time.Time) PartitionStats

	running  runs
	since    atomic.Int64 // when it became busy or last ended a run, by watch.now; zero: this moment
	level    atomic.Int32 // a quiet; written under watch.mu
	attended atomic.Bool  // in watch.listed; written under watch.mu
}

// A run is something of a partition that takes time: a try or a handler.
type run int64

const (
	tryRuns     run = 1
	handlerRuns run = 1 << 32
)

// runs counts the running tries and handlers in one number, so that both are read at one instant.
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

// begin records that a try or a handler begins. It allocates nothing.
func (w *work) begin(what run) {
	if w.running.begin(what) {
		w.since.Store(w.watch.now())
	}
	if !w.attended.Load() {
		w.watch.attend(w)
	}
}

// end records that a try or a handler has ended. After that the other runs of the partition are not
// quiet either. There are others with several sends at a time.
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
		w.watch.attend(w) // the timer dropped it at quietLong
	}
}

// quiet returns the level: whether something runs, and for how long nothing has ended.
func (w *work) quiet() quiet { return quiet(w.level.Load()) }

// busy returns for how long something has run without an end, and whether only handlers run.
// Running is false if nothing runs.
func (w *work) busy() (age time.Duration, handlers, running bool) {
	running, handlers = w.running.any()
	if since := w.since.Load(); since != 0 {
		age = time.Duration(w.watch.now() - since)
	}
	return age, handlers, running
}

// now returns the time as a work records it: never zero.
func (w *watch) now() int64 { return 1 + int64(time.Since(w.base)) }

// attend makes the timer look at a work from now on.
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

// scan is called by the timer. It finds the works that have become quieter, and sets the timer to
// when the next one may. The timer is never set later than after quietSoon: a run that begins
// meanwhile cannot become quiet before that.
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

// lookLocked updates how quiet the work is. Wait is until it may become quieter; zero for never,
// unless a run begins or ends.
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
			w.level.Store(int32(before)) // a run ended at this moment, and may have seen the level before
			return false, quietAfter[quietSoon]
		}
		changed = true
	}
	if level == quietLong {
		return changed, 0
	}
	return changed, quietAfter[level+1] - age
}

// dismissLocked drops a work that does not run, or is at quietLong. It reports false if that has
// changed.
func (w *work) dismissLocked() bool {
	w.attended.Store(false)
	// If a run began meanwhile, begin may have seen the work still attended: so keep it attended.
	if running, _ := w.running.any(); running && w.quiet() != quietLong {
		w.attended.Store(true)
		return false
	}
	return true
}

// close stops the timer. Quiet work stays quiet until it ends.
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
