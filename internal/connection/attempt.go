package connection

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"
)

// grace is how long a send whose context has ended may take to return by itself,
// as it does when it was waiting for credit. It only has to be longer than the
// scheduler needs.
const grace = 100 * time.Millisecond

// attempt is one message on its way and the context that go-amqp gets for it.
//
// go-amqp's send asks the context for its Done channel once for each frame, just
// before it waits for the link to take that frame; the first time this is the
// wait for credit, and giving up is clean. Any later time it would leave an
// unfinished delivery on the link, so the channel works at the first call only. The
// second time, when the first frame has left, the message waits for the lane. There is
// no deadline, which would become the socket's. And the connection's writer asks Err
// just before it writes each frame: until then, nothing of the message has left.
// TestSendAsksItsContextAsWeRelyOn pins this to the version of go-amqp.
type attempt struct {
	// Immutable once the attempt is under way.
	caller  context.Context
	message amqp.Message
	link    *link // set by transmit

	// Of the goroutine that is in transmit: go-amqp asks for Done there.
	frames  int         // for which it asked for Done
	lane    bool        // the connection's lane is ours
	unwatch func() bool // of context.AfterFunc; nil if the caller has one of Deadlines

	asked   atomic.Bool // go-amqp asked for the first Done
	written atomic.Bool // go-amqp is about to write, or has written, a first frame

	mu       sync.Mutex // guards the fields below
	returned bool
	watching chan struct{} // made by watch, which receives one from end; most attempts need none
}

func (a *attempt) Deadline() (time.Time, bool) { return time.Time{}, false }

func (a *attempt) Done() <-chan struct{} {
	switch a.frames++; a.frames {
	case 1:
		a.asked.Store(true)
		return a.caller.Done()
	case 2:
		a.lane = a.link.takeLane(a.caller)
	}
	return nil
}

func (a *attempt) Err() error {
	if !a.written.Swap(true) {
		a.link.unsettled.Add(1)
	}
	return nil
}

func (a *attempt) Value(any) any { return nil }

// stale reports whether go-amqp refused the message without so much as looking at
// it, since its link had ended before.
func (a *attempt) stale(err error) bool { return !a.asked.Load() && errorOfLink(err) }

// errNoTurn is the error of a message that never got to be the next on its link.
var errNoTurn = errors.New("another message was in the way")

// transmit hands the attempt's message to go-amqp and returns when go-amqp's call
// has, whatever happens to the caller's context: then the message's memory is
// free again. If it fails and written is false, nothing was sent.
//
// Messages take turns, as within go-amqp, where they would wait for a mutex and not
// hear that their context has ended.
func (l *link) transmit(a *attempt) (amqp.SendReceipt, error) {
	select {
	case l.turn <- struct{}{}:
	case <-a.caller.Done():
		return amqp.SendReceipt{}, errNoTurn
	}
	defer func() { <-l.turn }()
	a.link = l
	watch := a.caller.Done() != nil
	if watch {
		a.watched()
	}
	receipt, err := l.sender.SendWithReceipt(a, &a.message, nil)
	if a.lane {
		<-l.client.lane
	}
	if watch && !a.unwatched() {
		a.end()
	}
	return receipt, err
}

// watched has watch called, on a goroutine of its own, when the caller's context ends.
// That goroutine ends soon after go-amqp's call has returned, which end tells it.
func (a *attempt) watched() {
	if d, ok := a.caller.(*deadline); ok {
		d.watched(a)
	} else {
		a.unwatch = context.AfterFunc(a.caller, a.watch)
	}
}

// unwatched undoes watched. It reports false if watch was called already.
func (a *attempt) unwatched() bool {
	if d, ok := a.caller.(*deadline); ok {
		return d.unwatched()
	}
	return a.unwatch()
}

// lanePatience is how long a message waits for the one before it. It must not be for
// ever: that one may be held up by its session's window, or by a slow network.
const lanePatience = 100 * time.Millisecond

// takeLane waits until no other message is on its way out, but not for ever, and reports
// whether the lane is now ours. Messages that leave frame by frame in turns are all
// complete at the same late time, and so are all acknowledged late; one after the other
// the first is acknowledged while the last still leaves. A message asks with its first
// frame written, so it does not hold the lane while it waits for credit, and one of a
// single frame never asks.
func (l *link) takeLane(caller context.Context) bool {
	select {
	case l.client.lane <- struct{}{}:
		return true
	default:
	}
	if l.patience == nil {
		l.patience = time.NewTimer(lanePatience)
	} else {
		l.patience.Reset(lanePatience)
	}
	defer l.patience.Stop()
	select {
	case l.client.lane <- struct{}{}:
		return true
	case <-l.patience.C:
	case <-caller.Done():
	}
	return false
}

// watch runs once the caller's context has ended, until go-amqp's call has returned. A
// send that is beyond the wait for credit does not hear of that context, so its link is
// given up.
func (a *attempt) watch() {
	a.mu.Lock()
	if a.returned {
		a.mu.Unlock()
		return
	}
	watching := make(chan struct{})
	a.watching = watching
	a.mu.Unlock()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-watching:
	case <-timer.C:
		a.link.giveUp()
		<-watching
	}
}

// end tells watch that go-amqp's call has returned, and waits until it has heard that.
func (a *attempt) end() {
	a.mu.Lock()
	a.returned = true
	watching := a.watching
	a.mu.Unlock()
	if watching != nil {
		watching <- struct{}{}
	}
}

// creditDenied reports whether a send's error says that the caller's context
// ended the wait for credit, or for those before it, which go-amqp reports as an
// error of its own making: the peer's come wrapped.
func creditDenied(err error) bool {
	local, ok := err.(*amqp.Error)
	return err == errNoTurn || ok && local.Condition == amqp.ErrCondTransferLimitExceeded
}

// await returns the peer's outcome of a message that was sent. If ctx ends first
// the link is given up. Of a settled outcome and the end of the link go-amqp picks
// either at random when both are there, so a lost link is asked again: after 64
// times a settled outcome has been missed with a probability of 2^-64.
func (l *link) await(ctx context.Context, receipt *amqp.SendReceipt) (amqp.DeliveryState, error) {
	state, err := receipt.Wait(ctx)
	if err == nil {
		return state, nil
	}
	if ctx.Err() != nil && !errorOfLink(err) {
		l.giveUp()
	}
	for range 64 {
		// The link has ended, or is about to with its broken connection.
		if state, again := receipt.Wait(context.Background()); again == nil {
			return state, nil
		}
	}
	return nil, err
}

// errorOfLink reports whether an error means that the link, its session or its
// connection is gone.
func errorOfLink(err error) bool {
	_, link := errors.AsType[*amqp.LinkError](err)
	_, session := errors.AsType[*amqp.SessionError](err)
	_, conn := errors.AsType[*amqp.ConnError](err)
	return link || session || conn
}
