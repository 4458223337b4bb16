package emulator

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Idle says how long clients may do nothing. Keep-alive frames do not count: they keep a connection from looking dead, not from
// being idle. The defaults are the service's, so that a client that does not survive a quiet hour there does not survive it
// here either. A negative time means for ever.
type Idle struct {
	// Sender is how long a link to a hub or to $management may be without a message from the client; then it is detached
	// with amqp:link:detach-forced. Links that receive may be idle for ever.
	// Default: 30 minutes.
	Sender time.Duration

	// Connection is how long a connection may be without an active link, which is any but those to $cbs; then it is closed with
	// amqp:connection:forced, after what links it has are detached with the same.
	// Default: 5 minutes.
	Connection time.Duration

	// NewConnection is how long a connection may be open until the client attaches its first link, to whatever node; then it is closed
	// with amqp:connection:forced.
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

// withDefaults is a copy in which every field is set.
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

// A linkTracker tells when a connection has been without an active link for too long. It has no goroutine, only a timer
// while there is no active link.
type linkTracker struct {
	// Immutable.
	limits    Idle
	container string
	opened    time.Time
	expire    func(*refusal) // called at most once, by the timer

	mu     sync.Mutex // guards the fields below
	used   bool       // the client has attached a link at least once
	active int        // links
	since  time.Time  // when the last active link went; when the connection was opened, if there was none
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

// attached notes that the client has attached a link, whatever becomes of it.
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
	t.active++ // for whom the timer has woken already
	t.armLocked()
}

// armLocked sets the timer to when the connection will have been idle for too long.
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

// look is what the timer calls. The connection may have got a link meanwhile.
func (t *linkTracker) look() {
	t.mu.Lock()
	due, why := t.dueLocked()
	over := !due.IsZero() && !time.Now().Before(due)
	t.mu.Unlock()
	if over {
		t.expire(why())
	}
}

// dueLocked is when the connection will have been idle for too long, and what its client hears then; zero if never.
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

// An inbox receives a link's messages, and detaches the link if none comes for too long. It belongs to the link's goroutine.
type inbox struct {
	attach *attach
	limit  time.Duration // 0 or less: none
	link   context.Context
	wait   context.Context // ends with link, or when the limit has passed
	cancel context.CancelFunc
	timer  *time.Timer // nil without a limit
}

// newInbox makes the inbox of a link whose context is ctx. The caller closes it.
func (a *attach) newInbox(ctx context.Context) *inbox {
	in := &inbox{attach: a, limit: a.connection.server.options.Idle.Sender, link: ctx, wait: ctx}
	if a.address.node == nodeCBS {
		in.limit = 0 // its links go with the connection
	}
	in.arm()
	return in
}

// arm begins to wait anew.
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
	case err == nil && !stopped: // the message has come in the last moment
		in.arm()
	case err != nil && in.wait.Err() != nil && in.link.Err() == nil:
		refused := in.attach.idle(in.limit)
		_ = in.attach.link.Detach(refused.amqp())
		return nil, refused
	}
	return d, err
}

// idle is what the client hears when it has sent nothing for too long.
func (a *attach) idle(limit time.Duration) *refusal {
	if a.address.node != "" {
		return refuse(conditionDetachForced, textIdleRequests, a.remote.Name, limit.Milliseconds())
	}
	seconds := int(limit.Seconds())
	clock := fmt.Sprintf("%02d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	return refuse(conditionDetachForced, textIdleSender, a.connection.number, a.address.text, a.remote.Name, a.connection.number, clock)
}
