package eventhubs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// An admission is the budget of the buffer, in events and in bytes. It decides which caller gets
// room next. An event takes room for its partition before it joins a batch. The room of a batch is
// given back once, when its outcome is known.
type admission struct {
	// Immutable after newAdmission.
	maxEvents int
	maxBytes  int
	// pick chooses the partition of an event without key and id. It returns nil while the
	// partitions are not known. It is called with mu held.
	pick func(bytes int) *partition
	// hindrance returns why a partition makes no progress; with nil, why staging makes none. It is
	// called with no lock held.
	hindrance func(*partition) hindrance
	// pressure is called, with no lock held, when a caller begins to lack room: in that partition's
	// share, or with nil in the buffer.
	pressure func(*partition)

	// A caller waits for room in the buffer, or was refused since room was last given back. Written
	// under mu, read anywhere.
	pressed atomic.Bool

	_       cacheLine
	mu      sync.Mutex // guards the fields below, and every share
	events  int
	bytes   int
	several bool     // the hub has more than one partition
	ready   shares   // those whose first waiter lacks only room in the buffer
	shares  []*share // every share
	any     share    // the line of callers without a partition: for any, or not known yet
	waiting int
	number  uint64 // of the latest waiter
	closed  error  // why no caller is admitted any more
	presses *share // its pressure has just begun; &any for the buffer, or for several shares

	waiters sync.Pool // *waiter, to be used again
}

// A waiter is one caller in a line.
type waiter struct {
	share   *share // the one in whose line it waits
	number  uint64 // callers are numbered as they come
	want    wish
	ended   bool // no longer in the line: admitted, or refused with err
	got     room
	err     error         // why it was refused
	done    chan struct{} // receives one token, with room for it, when ended is set
	next    *waiter
	earlier *waiter
}

// A wish says what an event needs room for.
type wish struct {
	partition *partition // nil if it is to be chosen, or not known yet
	anywhere  bool       // the event names neither key nor id: its partition is chosen when there is room
	bytes     int
}

// A room is a place in the buffer, for one event.
type room struct {
	bytes int
	share *share // that it counts for; nil while the partition is not known
	scope *scope // of the handler that was promised it; else nil
}

func newAdmission(maxEvents, maxBytes int, pick func(bytes int) *partition, pressure func(*partition)) *admission {
	return &admission{maxEvents: maxEvents, maxBytes: maxBytes, pick: pick, pressure: pressure, any: share{unlimited: true},
		hindrance: func(*partition) hindrance { return hindrance{} }}
}

// newShare returns a share for a partition.
func (a *admission) newShare(part *partition, unlimited bool) *share {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &share{partition: part, unlimited: unlimited}
	s.limitLocked(a)
	a.shares = append(a.shares, s)
	return s
}

// enter takes room for one event. While there is none, the caller waits its turn.
func (a *admission) enter(ctx context.Context, want wish) (room, error) {
	if err := a.possible(ctx, want.bytes); err != nil {
		return room{}, err
	}
	if r, ok := a.take(&want); ok {
		return r, nil
	}
	// The context may be the caller's own code, so it is asked with no lock and no place in a line.
	if s := handlerScope(ctx, a); s != nil {
		return a.enterFromHandler(s, want)
	}
	done := ctx.Done()
	if err := a.lock(); err != nil {
		return room{}, err
	}
	w := a.joinLocked(want) // it is admitted at once if there is room by now
	a.admitLocked()
	a.unlock()
	return a.wait(ctx, done, w)
}

// lock locks the admission, unless it is closed: then lock returns why.
func (a *admission) lock() error {
	a.mu.Lock()
	if err := a.closed; err != nil {
		a.mu.Unlock()
		return err
	}
	return nil
}

// take takes room if there is some that no caller ahead could use.
func (a *admission) take(want *wish) (r room, ok bool) {
	a.mu.Lock()
	if ok = a.closed == nil && a.admitsLocked(want); ok {
		r = a.takeLocked(want)
	}
	a.mu.Unlock()
	return r, ok
}

// try is enter for callers that do not wait.
func (a *admission) try(ctx context.Context, want wish) (room, error) {
	if err := a.possible(ctx, want.bytes); err != nil {
		return room{}, err
	}
	if err := a.lock(); err != nil {
		return room{}, err
	}
	if !a.admitsLocked(&want) {
		return room{}, a.refuseUnlock(&want, "")
	}
	r := a.takeLocked(&want)
	a.mu.Unlock()
	return r, nil
}

// enterFromHandler is enter for a handler, which never waits. If there is no room, the handler gets
// as much as its own batch gave back, even if other callers took that.
func (a *admission) enterFromHandler(s *scope, want wish) (r room, err error) {
	if err := a.lock(); err != nil {
		return room{}, err
	}
	var promised *scope
	switch {
	case a.admitsLocked(&want):
	case s.events < 1 || s.bytes < want.bytes:
		return room{}, a.refuseUnlock(&want, "enqueued from a handler, which cannot wait: ")
	default:
		s.events--
		s.bytes -= want.bytes
		promised = s
	}
	r = a.takeLocked(&want)
	r.scope = promised
	a.mu.Unlock()
	return r, nil
}

// promised takes room for one event from what a handler was promised. Nil is no handler.
func (a *admission) promised(s *scope) bool {
	if s == nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.events < 1 {
		return false
	}
	s.events--
	return true
}

// possible returns an error if the event cannot be accepted, however long the caller waits.
func (a *admission) possible(ctx context.Context, bytes int) error {
	if bytes > a.maxBytes {
		return &EventTooLargeError{Size: bytes, Limit: a.maxBytes}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("eventhubs: the event was not accepted: %w", contextError(ctx))
	}
	return nil
}

// wait returns when w is admitted or refused, or when ctx ends first. Done is the context's Done.
func (a *admission) wait(ctx context.Context, done <-chan struct{}, w *waiter) (room, error) {
	defer func() {
		*w = waiter{done: w.done}
		a.waiters.Put(w)
	}()
	select {
	case <-w.done:
		return w.got, w.err
	case <-done:
	}
	a.mu.Lock()
	if w.ended {
		a.mu.Unlock()
		<-w.done // the wait ended at the same time: its result counts
		return w.got, w.err
	}
	short := a.shortageLocked(&w.want)
	a.leaveLineLocked(w)
	a.relaxLocked(w.share) // events after a large one may fit
	a.unlock()
	why, err := a.hindrance(short.holder), contextError(ctx)
	full := fmt.Errorf("eventhubs: the event was not accepted, the buffer is full (%v%s): %w", short, why.text(), err)
	if why.err == nil {
		return room{}, full
	}
	return room{}, joined(full.Error(), err, why.failure(false))
}

// refuseUnlock gives the lock back and returns the error of an event that has no room. It also
// reports the pressure, so that the partitions send what they hold.
func (a *admission) refuseUnlock(want *wish, who string) error {
	short := a.shortageLocked(want)
	if s := a.lineLocked(want); short.ofShare {
		a.pressLocked(s, &s.pressed)
	} else {
		a.pressLocked(&a.any, &a.pressed)
	}
	a.unlock()
	return &bufferFullError{who, short, a.hindrance(short.holder)}
}

// giveBack gives back the room of an event that joined no batch. If a handler was promised that
// room, the promise holds again.
func (a *admission) giveBack(r room) {
	if r.scope != nil {
		a.mu.Lock()
		r.scope.events++
		r.scope.bytes += r.bytes
		a.mu.Unlock()
	}
	a.leave(r.share, freed{events: 1, bytes: r.bytes})
}

// leave gives back room that counted for the share, or for none. It removes the partition's
// troubles that have ceased, and admits the callers that now have room.
func (a *admission) leave(s *share, f freed) {
	a.mu.Lock()
	a.events -= f.events
	a.bytes -= f.bytes
	if s != nil && s.trouble&f.ceased != 0 {
		s.trouble &^= f.ceased
		s.limitLocked(a)
	}
	a.chargeLocked(s, -f.events, -f.bytes)
	a.relaxLocked(s)
	a.unlock()
}

// troubled records that troubles of a partition have begun or ceased.
func (a *admission) troubled(s *share, began, ceased trouble) {
	a.mu.Lock()
	a.troubledLocked(s, began, ceased)
	a.unlock()
}

// look records whether the work of a partition is quiet. It reads that under the lock, so of two
// calls the later one records the later state.
func (a *admission) look(w *work) {
	a.mu.Lock()
	began, ceased := troubleSilent, trouble(0)
	if w.quiet() == notQuiet {
		began, ceased = ceased, began
	}
	a.troubledLocked(w.partition.share, began, ceased)
	a.unlock()
}

func (a *admission) troubledLocked(s *share, began, ceased trouble) {
	if now := s.trouble&^ceased | began; now != s.trouble {
		s.trouble = now
		s.limitLocked(a)
		a.arrangeLocked(s)
		a.relaxLocked(s)
	}
}

// spread records whether the hub has more than one partition. Only then does each have a limit.
func (a *admission) spread(several bool) {
	a.mu.Lock()
	a.several = several
	for _, s := range a.shares {
		s.limitLocked(a)
		a.arrangeLocked(s)
	}
	a.admitLocked()
	a.unlock()
}

// charge counts for a partition the room that an event took while the partitions were not known.
func (a *admission) charge(s *share, events, bytes int) {
	a.mu.Lock()
	a.chargeLocked(s, events, bytes)
	a.admitLocked() // a share at its limit delays no other callers
	a.unlock()
}

// enterFor takes room for an event of a partition. It waits for room in the buffer. If the partition
// may not hold the event, it takes nothing and reports false.
func (a *admission) enterFor(ctx context.Context, s *share, bytes int) (admitted bool, err error) {
	a.mu.Lock()
	if a.closed == nil && len(a.ready) == 0 && a.any.first == nil && a.roomLocked(bytes) {
		if admitted = s.first == nil && s.opensLocked(bytes); admitted {
			a.takeLocked(&wish{partition: s.partition, bytes: bytes})
		}
		a.mu.Unlock()
		return admitted, nil
	}
	a.mu.Unlock()
	r, err := a.enter(ctx, wish{bytes: bytes})
	if err != nil {
		return false, err
	}
	if !a.assign(&r, s) {
		a.giveBack(r)
		return false, nil
	}
	return true, nil
}

// assign counts room that no share has for a share, if that partition may hold it.
func (a *admission) assign(r *room, s *share) (assigned bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.first != nil || !s.opensLocked(r.bytes) {
		return false
	}
	r.share = s
	a.chargeLocked(s, 1, r.bytes)
	return true
}

// move chooses another partition for an event that names none, counts its room there, and returns
// the partition.
func (a *admission) move(r *room) *partition {
	a.mu.Lock()
	a.chargeLocked(r.share, -1, -r.bytes)
	part := a.pick(r.bytes)
	r.share = part.share
	a.chargeLocked(r.share, 1, r.bytes)
	a.admitLocked()
	a.unlock()
	return part
}

// close refuses every caller from now on, also those that wait.
func (a *admission) close(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = err
	for _, s := range append(slices.Clip(a.shares), &a.any) {
		for s.first != nil {
			a.endLocked(s.first, room{}, err)
		}
		s.pressed.Store(false)
	}
	a.pressed.Store(false)
	a.presses = nil
}

// count returns how many events hold room, and how many bytes.
func (a *admission) count() (events, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events, a.bytes
}

// holds returns how many events of a partition hold room, and how many bytes.
func (a *admission) holds(s *share) (events, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.events, s.bytes
}

// callers returns how many callers wait for room.
func (a *admission) callers() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting
}

// lineLocked returns the share in whose line a caller with that wish waits.
func (a *admission) lineLocked(want *wish) *share {
	if want.partition == nil {
		return &a.any
	}
	return want.partition.share
}

// admitsLocked reports whether there is room for the wish that no earlier caller could use.
func (a *admission) admitsLocked(want *wish) bool {
	if len(a.ready) > 0 || !a.roomLocked(want.bytes) {
		return false
	}
	s := a.lineLocked(want)
	return s.first == nil && s.opensLocked(want.bytes)
}

func (a *admission) roomLocked(bytes int) bool {
	return a.events < a.maxEvents && bytes <= a.maxBytes-a.bytes
}

// takeLocked takes room, even if there is none. It chooses the partition if the wish leaves that
// open.
func (a *admission) takeLocked(want *wish) room {
	part := want.partition
	if part == nil && want.anywhere {
		part = a.pick(want.bytes)
	}
	r := room{bytes: want.bytes}
	if part != nil {
		r.share = part.share
	}
	a.events++
	a.bytes += want.bytes
	a.chargeLocked(r.share, 1, want.bytes)
	return r
}

// chargeLocked changes what a share holds, if there is a share.
func (a *admission) chargeLocked(s *share, events, bytes int) {
	if s == nil {
		return
	}
	s.events += events
	s.bytes += bytes
	if s.first != nil {
		a.arrangeLocked(s)
	}
}

// admitLocked admits the callers that lack only room in the buffer, while there is some. No caller
// is overtaken: otherwise a large event at the front would never get in.
func (a *admission) admitLocked() {
	for len(a.ready) > 0 {
		w := a.ready[0].first
		if !a.roomLocked(w.want.bytes) {
			a.pressLocked(&a.any, &a.pressed)
			return
		}
		a.endLocked(w, a.takeLocked(&w.want), nil)
	}
}

// relaxLocked is admitLocked after a change for the better. Pressure ends, in the share or in the
// buffer, if no caller is held back there any more.
func (a *admission) relaxLocked(s *share) {
	a.admitLocked()
	if len(a.ready) == 0 {
		a.pressed.Store(false)
	}
	if s != nil && (s.first == nil || s.at != 0) {
		s.pressed.Store(false)
	}
}

// arrangeLocked moves the share to its place in ready after a change of its line, contents or
// limit.
func (a *admission) arrangeLocked(s *share) {
	a.ready.arrange(s)
	if s.first != nil && s.at == 0 {
		a.pressLocked(s, &s.pressed)
	}
}

// pressLocked records that a caller lacks room: in that share or, with any, in the buffer. If that
// is new, unlock informs the partitions.
func (a *admission) pressLocked(s *share, pressed *atomic.Bool) {
	switch {
	case pressed.Swap(true):
	case a.presses == nil:
		a.presses = s
	case a.presses != s:
		a.presses = &a.any
	}
}

// unlock gives the lock back. If callers have begun to lack room, it then lets the partitions
// concerned look for ready batches.
func (a *admission) unlock() {
	s := a.presses
	a.presses = nil
	a.mu.Unlock()
	if s != nil {
		a.pressure(s.partition)
	}
}

func (a *admission) joinLocked(want wish) *waiter {
	w, ok := a.waiters.Get().(*waiter)
	if !ok {
		w = &waiter{done: make(chan struct{}, 1)}
	}
	a.number++
	a.waiting++
	w.share, w.number, w.want = a.lineLocked(&want), a.number, want
	w.share.join(w)
	a.arrangeLocked(w.share)
	return w
}

func (a *admission) leaveLineLocked(w *waiter) {
	w.share.leave(w)
	a.waiting--
	a.arrangeLocked(w.share)
}

func (a *admission) endLocked(w *waiter, got room, err error) {
	a.leaveLineLocked(w)
	w.ended, w.got, w.err = true, got, err
	w.done <- struct{}{} // never blocks: there is room for the one token that a waiter gets
}
