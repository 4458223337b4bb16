package amqp

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Link is one end of a link: the sender, or the receiver of its deliveries.
type Link struct {
	// Immutable.
	s    *Session
	role Role          // ours
	done chan struct{} // closed when err is set

	// Guarded by Conn.mu.
	name         string
	handle       uint32  // ours, valid if attachSent
	remoteHandle uint32  // valid if remote is set
	remote       *Attach // the peer's attach; nil until it comes
	unanswered   int     // bytes of the peer's attach until it is accepted or refused
	accepted     bool    // not in Conn.backlog, or no longer
	attachSent   bool
	detachSent   bool
	byUs         bool     // our detach was the first
	err          error    // why the link is over; nil while it is open
	lost         int      // deliveries that had begun to leave and had no outcome when the link ended
	changed      signal   // anything below changed
	ignoreDetach bool     // the peer's detach is not answered
	sender       outbound // if role is RoleSender
	receiver     inbound  // if role is RoleReceiver
}

func (s *Session) newLink(name string, role Role) *Link {
	return &Link{s: s, name: name, role: role, done: make(chan struct{})}
}

// Attach attaches a link and waits for the peer's attach. It uses a copy of a: the name, role,
// termini, settle modes, maximum message size, capabilities and properties. It fills in the rest.
// If the peer refuses, the error wraps its [*Error].
func (s *Session) Attach(ctx context.Context, a *Attach) (*Link, error) {
	links, err := s.AttachAll(ctx, a)
	if err != nil {
		return nil, err
	}
	return links[0], nil
}

// AttachAll is Attach for several links in one flight: all attaches leave before it waits for the
// first answer. If one fails, AttachAll returns its error and detaches the others. It waits for the
// peer's begin only if the session might otherwise have too few handles.
func (s *Session) AttachAll(ctx context.Context, attaches ...*Attach) ([]*Link, error) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for s.err == nil && uint64(len(s.outgoing)+len(attaches)) > uint64(s.handleMax)+1 {
		if s.begun {
			return nil, s.noHandle()
		}
		if err := c.waitLocked(ctx, &s.changed); err != nil {
			return nil, err
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	var links []*Link
	giveUp := func(err error) ([]*Link, error) {
		for _, l := range links {
			_ = l.endLocked(nil) // does nothing to the failed one
		}
		return nil, err
	}
	for _, a := range attaches {
		l := s.newLink(a.Name, a.Role)
		l.accepted = true
		if err := l.sendAttachLocked(*a); err != nil {
			return giveUp(err)
		}
		links = append(links, l)
	}
	for {
		attached := 0
		for _, l := range links {
			if l.err != nil {
				return giveUp(l.err)
			}
			if l.establishedLocked() {
				attached++
			}
		}
		if attached == len(links) {
			return links, nil
		}
		if err := c.waitLocked(ctx, &s.changed); err != nil {
			return giveUp(err)
		}
	}
}

// establishedLocked reports whether the peer has attached the link and has not refused it.
//
// "If there is no pre-existing Terminus, and the peer does not wish to create a new one, this is
// indicated by setting the local terminus (source or target as appropriate) to null" (2.6.3). A
// detach with the reason follows.
func (l *Link) establishedLocked() bool {
	if l.remote == nil {
		return false
	}
	if l.role == RoleSender {
		return l.remote.Target != nil
	}
	return l.remote.Source != nil
}

// Session returns the link's session.
func (l *Link) Session() *Session { return l.s }

// Conn returns the link's connection.
func (l *Link) Conn() *Conn { return l.s.c }

// Role returns our role.
func (l *Link) Role() Role { return l.role }

// Remote returns the peer's attach. It must not be modified. If the peer attached the link, then
// after the answer only these fields remain: name, addresses, handle, role, settle modes and
// maximum message size. After any link is over, name and addresses are gone too.
func (l *Link) Remote() *Attach {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.remote
}

// Done returns a channel that is closed when the link is over. Earlier deliveries can still be
// received.
func (l *Link) Done() <-chan struct{} { return l.done }

// Err returns why the link is over, or nil while it is open.
func (l *Link) Err() error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.err
}

// Lost returns how many deliveries had begun to leave and had no outcome when the link ended.
func (l *Link) Lost() int {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.lost
}

// Accept answers the peer's attach with a copy of reply. It fills in name, handle, role and initial
// delivery count. Settle modes, source and target that are nil are copied from the peer's attach. A
// nil reply accepts everything as asked. On a receiver the link enforces reply.MaxMessageSize
// (zero: Config.MaxMessageSize), unless LimitMessages was called. If the answer cannot be sent, the
// session ends.
func (l *Link) Accept(reply *Attach) error {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	var a Attach
	if reply != nil {
		a = *reply
	}
	// A client compares the answer with its request: the modes are echoed only if they were sent.
	if a.SenderSettleMode == nil {
		a.SenderSettleMode = l.remote.SenderSettleMode
	}
	if a.ReceiverSettleMode == nil {
		a.ReceiverSettleMode = l.remote.ReceiverSettleMode
	}
	if a.Source == nil {
		a.Source = l.remote.Source
	}
	if a.Target == nil {
		a.Target = l.remote.Target
	}
	return l.answerLocked(a)
}

// LimitMessages sets the size in bytes up to which a receiver takes messages, and the size that its
// answer states, whether it accepts or refuses: another size, no limit (2^64-1), or nothing (0). It
// must be called before Accept or Refuse.
func (l *Link) LimitMessages(enforced, stated uint64) {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	l.receiver.maxSize, l.receiver.stated = enforced, stated
}

// answerLocked answers the peer's attach. If the answer exceeds the peer's frame size, or the
// peer's handles are all in use, the session ends: the peer would otherwise wait forever.
func (l *Link) answerLocked(a Attach) error {
	err := l.sendAttachLocked(a)
	l.forgetLocked()
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = errorf(ErrorInternal, "%v", err)
		}
		l.s.endLocked(e)
	}
	return err
}

// Refuse refuses the peer's attach with the reason e. If that cannot be sent, the session ends.
func (l *Link) Refuse(e *Error) error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	return l.refuseLocked(e)
}

// refuseLocked sends an attach with neither source nor target, and then a detach.
func (l *Link) refuseLocked(e *Error) error {
	if err := l.answerLocked(l.nothing()); err != nil {
		return err
	}
	return l.endLocked(e)
}

// nothing is the answer to a refused attach: it has neither source nor target.
func (l *Link) nothing() Attach {
	return Attach{SenderSettleMode: l.remote.SenderSettleMode, ReceiverSettleMode: l.remote.ReceiverSettleMode}
}

// Detach closes the link and tells the peer, with e as the reason unless it is nil. It does not
// wait for the peer's answer. Detaching a link that is over does nothing.
func (l *Link) Detach(e *Error) error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if l.err == nil && !l.attachSent {
		return l.refuseLocked(e)
	}
	return l.endLocked(e)
}

// Close is Detach followed by a wait for the peer's answer. It ends with ctx.
func (l *Link) Close(ctx context.Context, e *Error) error {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	err := l.endLocked(e)
	for err == nil && l.s.outgoing[l.handle] == l && !l.s.peerEnded && c.err == nil {
		err = c.waitLocked(ctx, &c.ended)
	}
	return err
}

// sendAttachLocked sends our attach on the lowest free handle.
func (l *Link) sendAttachLocked(a Attach) error {
	s := l.s
	handle := uint32(0)
	for s.outgoing[handle] != nil {
		if handle == s.handleMax {
			return s.noHandle()
		}
		handle++
	}
	a.Name, a.Handle, a.Role = l.name, handle, l.role
	if l.role == RoleSender {
		// "This MUST NOT be null if role is sender, and it is ignored if the role is receiver"
		// (2.7.3, initial-delivery-count).
		a.InitialDeliveryCount = new(uint32)
	} else if l.receiver.maxSize != 0 {
		a.MaxMessageSize = l.receiver.stated
	} else {
		if a.MaxMessageSize == 0 {
			a.MaxMessageSize = s.c.cfg.MaxMessageSize
		}
		l.receiver.maxSize = a.MaxMessageSize
	}
	if err := s.c.sendLocked(s.local, &a); err != nil {
		return fmt.Errorf("attach %q: %w", l.name, err)
	}
	l.handle, l.attachSent = handle, true
	s.outgoing[handle] = l
	l.scheduleLocked()
	return nil
}

// endLocked sends detach and ends the link locally. Its handles stay taken until the peer's detach.
func (l *Link) endLocked(e *Error) error {
	if l.err != nil {
		return nil
	}
	l.detachSent, l.byUs = true, true
	sendErr := l.s.c.sendErrorLocked(l.s.local, e, func(e *Error) appender { return &Detach{Handle: l.handle, Closed: true, Error: e} })
	err := ErrDetached
	if e != nil {
		err = fmt.Errorf("%w: %w", ErrDetached, e)
	}
	l.failLocked(err)
	return sendErr
}

// failLocked ends the link locally and wakes all waiting calls.
func (l *Link) failLocked(err error) {
	if l.err != nil {
		return
	}
	l.err = err
	close(l.done)
	for id, d := range l.s.unsettled {
		if d.link == l {
			delete(l.s.unsettled, id)
			l.lost++
			d.settleLocked(nil, err)
		}
	}
	for _, d := range l.sender.queue {
		if d.outcome != nil && !d.begun || d.told {
			d.settleLocked(nil, err)
		}
		d.leaving.wakeLocked()
	}
	l.sender.queue = nil
	l.dropLocked()
	l.forgetLocked()
	// A link that is over before it was accepted leaves the backlog.
	if !l.accepted {
		l.s.c.backlog = slices.DeleteFunc(l.s.c.backlog, func(other *Link) bool { return other == l })
	}
	l.changed.wakeLocked()
	l.s.changed.wakeLocked()
}
