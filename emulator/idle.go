package emulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Idle sets how long clients may do nothing. Keep-alive frames do not count: they show that a
// connection lives, not that it is used. The defaults are the service's, so a client that fails
// after a quiet hour there fails here too. A negative time means forever.
type Idle struct {
	// Sender is how long a link to a hub or to $management may be without a message from the
	// client. After that it is detached with amqp:link:detach-forced. Receiving links may be idle
	// forever.
	// Default: 30 minutes.
	Sender time.Duration

	// Connection is how long a connection may be without an active link; a link to $cbs is not
	// active. After that its links are detached and it is closed, both with amqp:connection:forced.
	// Default: 5 minutes.
	Connection time.Duration

	// NewConnection is how long a connection may be open before the client attaches its first link,
	// to any node. After that it is closed with amqp:connection:forced.
	// Default: 60 seconds.
	NewConnection time.Duration
}

const (
	defaultIdleSender        = 30 * time.Minute
	defaultIdleConnection    = 5 * time.Minute
	defaultIdleNewConnection = time.Minute

	textIdleSender = "The link 'G0:%d:/%s_%s' is force detached by the broker due to errors occurred in publisher(link%d). " +
		"Detach origin: AmqpEventHubPublisher.IdleTimerExpired: Idle timeout: %s."
	textIdleRequests      = "Idle link tracker, link %s has been idle for %dms"
	textIdleConnection    = "The connection was closed by container '%s' because it did not have any active links in the past %d milliseconds."
	textIdleNewConnection = "The connection was inactive for more than the allowed %d milliseconds and is closed by container 'LinkTracker'."
)

// withDefaults is a copy with every field set.
func (i Idle) withDefaults() Idle {
	for _, field := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&i.Sender, defaultIdleSender}, {&i.Connection, defaultIdleConnection}, {&i.NewConnection, defaultIdleNewConnection}} {
		if *field.value == 0 {
			*field.value = field.def
		}
	}
	return i
}

// A linkTracker detects a connection that has been without an active link for too long. It has no
// goroutine; it has a timer only while there is no active link.
type linkTracker struct {
	// Immutable.
	limits    Idle
	container string
	opened    time.Time
	expire    func(*refusal) // called at most once, by the timer

	mu     sync.Mutex // guards the fields below
	used   bool       // the client has attached a link at least once
	active int        // links
	since  time.Time  // when the last active link ended; without one, when the connection opened
	timer  *time.Timer
}

func newLinkTracker(limits Idle, container string, expire func(*refusal)) *linkTracker {
	now := time.Now()
	t := &linkTracker{limits: limits, container: container, opened: now, since: now, expire: expire}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armLocked()
	return t
}

// attached notes that the client has attached a link, accepted or not.
func (t *linkTracker) attached() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.used {
		t.used = true
		t.armLocked()
	}
}

// enter notes that a link is active, until leave.
func (t *linkTracker) enter() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active++
	t.armLocked()
}

func (t *linkTracker) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active--
	t.since = time.Now()
	t.armLocked()
}

// stop ends the tracking.
func (t *linkTracker) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active++ // for a timer that has fired already
	t.armLocked()
}

// armLocked sets the timer to the time at which the connection will have been idle for too long.
func (t *linkTracker) armLocked() {
	due, _ := t.dueLocked()
	switch {
	case due.IsZero() && t.timer != nil:
		t.timer.Stop()
	case due.IsZero():
	case t.timer == nil:
		t.timer = time.AfterFunc(time.Until(due), t.look)
	default:
		t.timer.Reset(time.Until(due))
	}
}

// look runs when the timer fires. The connection may have got a link meanwhile.
func (t *linkTracker) look() {
	t.mu.Lock()
	due, why := t.dueLocked()
	over := !due.IsZero() && !time.Now().Before(due)
	t.mu.Unlock()
	if over {
		t.expire(why())
	}
}

// dueLocked is when the connection will have been idle for too long, and the error that its client
// then gets; zero if never.
func (t *linkTracker) dueLocked() (due time.Time, why func() *refusal) {
	if t.active > 0 {
		return due, nil
	}
	if limit := t.limits.Connection; limit > 0 {
		due, why = t.since.Add(limit), func() *refusal {
			return refuse(conditionForced, textIdleConnection, t.container, limit.Milliseconds())
		}
	}
	if limit := t.limits.NewConnection; limit > 0 && !t.used {
		if first := t.opened.Add(limit); due.IsZero() || first.Before(due) {
			due, why = first, func() *refusal { return refuse(conditionForced, textIdleNewConnection, limit.Milliseconds()) }
		}
	}
	return due, why
}

// An inbox receives a link's messages, and detaches the link if none comes for too long. It belongs
// to the link's goroutine.
type inbox struct {
	attach *attach
	limit  time.Duration // 0 or less: none
	link   context.Context
	wait   context.Context // ends with link, or after the limit
	cancel context.CancelFunc
	timer  *time.Timer // nil without a limit
}

// newInbox makes the inbox of a link whose context is ctx. The caller closes it.
func (a *attach) newInbox(ctx context.Context) *inbox {
	in := &inbox{attach: a, limit: a.connection.server.options.Idle.Sender, link: ctx, wait: ctx}
	if a.address.node == nodeCBS {
		in.limit = 0 // its links end with the connection
	}
	in.arm()
	return in
}

// arm restarts the wait.
func (in *inbox) arm() {
	if in.limit <= 0 {
		return
	}
	in.close()
	in.wait, in.cancel = context.WithCancel(in.link)
	in.timer = time.AfterFunc(in.limit, in.cancel)
}

func (in *inbox) close() {
	if in.timer != nil {
		in.timer.Stop()
		in.cancel()
	}
}

// receive waits for the next message. The error says that the link is over.
func (in *inbox) receive() (*amqp.Delivery, error) {
	if in.timer == nil {
		return in.attach.link.Receive(in.link)
	}
	in.timer.Reset(in.limit)
	d, err := in.attach.link.Receive(in.wait)
	stopped := in.timer.Stop()
	switch {
	case err == nil && !stopped: // the message came at the last moment
		in.arm()
	case err != nil && in.wait.Err() != nil && in.link.Err() == nil:
		refused := in.attach.idle(in.limit)
		_ = in.attach.link.Detach(refused.amqp())
		return nil, refused
	}
	return d, err
}

// idle is the error for a client that has sent nothing for too long.
func (a *attach) idle(limit time.Duration) *refusal {
	if a.address.node != "" {
		return refuse(conditionDetachForced, textIdleRequests, a.remote.Name, limit.Milliseconds())
	}
	seconds := int(limit.Seconds())
	clock := fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	return refuse(conditionDetachForced, textIdleSender, a.connection.number, a.address.text, a.remote.Name, a.connection.number, clock)
}
