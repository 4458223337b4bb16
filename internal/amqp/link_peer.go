package amqp

import "fmt"

const (
	// maxAttach bounds the bytes of a peer's attach; a thousand are usual. Decoded, it may take
	// forty times the memory of its bytes.
	maxAttach = 16 << 10

	// maxUnanswered bounds the bytes of the peer's attaches that are not yet accepted or refused,
	// over all links.
	maxUnanswered = 4 << 20
)

// attachLocked handles an attach of size bytes: a link of the peer's, or the answer to ours. A
// refusal that is not nil is the reason to refuse it.
func (s *Session) attachLocked(p *Attach, size int, refusal *Error) {
	// "A peer that receives a handle outside the supported range MUST close the Connection with the
	// framing-error error-code" (2.7.2, handle-max).
	if p.Handle > s.c.cfg.HandleMax {
		s.c.closeLocked(errorf(ErrorFraming, "handle %d is beyond the handle-max of %d", p.Handle, s.c.cfg.HandleMax))
		return
	}
	if s.incoming[p.Handle] != nil {
		s.endLocked(errorf(ErrorHandleInUse, "attach of %q with handle %d, which is in use", p.Name, p.Handle))
		return
	}
	l := s.awaitingLocked(p)
	ours := l != nil
	// A refusal would take an attach. A confused peer may answer that with another attach, and so
	// on forever.
	if !ours && s.c.cfg.LinkBacklog < 0 {
		s.endLocked(errorf(ErrorNotAllowed, "attach of %q, which was not requested", p.Name))
		return
	}
	if !ours {
		l = s.newLink(p.Name, !p.Role)
	}
	l.remote, l.remoteHandle = p, p.Handle
	s.incoming[p.Handle] = l
	if p.InitialDeliveryCount != nil && l.role == RoleReceiver {
		l.receiver.deliveryCount = *p.InitialDeliveryCount
		l.receiver.grant = l.receiver.deliveryCount
		l.receiver.limit = l.receiver.deliveryCount
	}
	if ours {
		if refusal != nil {
			_ = l.endLocked(refusal)
		}
		s.changed.wakeLocked()
		return
	}
	l.unanswered = size
	s.c.unanswered += size
	switch {
	case refusal != nil:
	case len(s.c.backlog) >= s.c.cfg.LinkBacklog:
		refusal = errorf(ErrorResourceLimit, "%d links wait to be accepted", len(s.c.backlog))
	case s.c.unanswered > maxUnanswered:
		refusal = errorf(ErrorResourceLimit, "the attaches that are not answered yet have %d bytes, more than the maximum of %d", s.c.unanswered, maxUnanswered)
	}
	if refusal != nil {
		_ = l.refuseLocked(refusal)
		return
	}
	s.c.backlog = append(s.c.backlog, l)
	s.c.backlogged.wakeLocked()
}

// forgetLocked forgets the peer's attach, except the fields that the link may need: an attach may
// be large, and its link may stay for long.
func (l *Link) forgetLocked() {
	l.s.c.unanswered -= l.unanswered
	l.unanswered = 0
	r := l.remote
	if r == nil {
		return
	}
	l.remote = &Attach{
		Handle: r.Handle, Role: r.Role, SenderSettleMode: r.SenderSettleMode, ReceiverSettleMode: r.ReceiverSettleMode, MaxMessageSize: r.MaxMessageSize,
	}
	// The handle of a link that is over may stay taken forever.
	if l.err != nil && l.attachSent {
		l.name = ""
		return
	}
	l.remote.Name = r.Name
	if r.Source != nil {
		l.remote.Source = &Source{Address: r.Source.Address}
	}
	if r.Target != nil {
		l.remote.Target = &Target{Address: r.Target.Address}
	}
}

// awaitingLocked returns our link that p answers, if any: it has the same name and the opposite
// role.
func (s *Session) awaitingLocked(p *Attach) *Link {
	for _, l := range s.outgoing {
		if l.remote == nil && l.name == p.Name && l.role != p.Role {
			return l
		}
	}
	return nil
}

// detachLocked handles a detach: it answers unless this is itself the answer, and frees the
// handles.
func (s *Session) detachLocked(p *Detach) {
	l := s.incoming[p.Handle]
	if l == nil {
		s.endLocked(errorf(ErrorUnattachedHandle, "detach of handle %d, which is not attached", p.Handle))
		return
	}
	if !l.attachSent {
		// The peer gave up before the link was accepted. A detach needs an attach before it.
		if l.answerLocked(l.nothing()) != nil {
			return
		}
	}
	if !l.detachSent && l.ignoreDetach {
		// The peer waits for an answer, so the handles stay taken.
		l.failLocked(fmt.Errorf("%w: the peer's detach is ignored", ErrDetached))
		return
	}
	if !l.detachSent {
		l.detachSent = true
		_ = s.c.sendLocked(s.local, &Detach{Handle: l.handle, Closed: p.Closed})
	}
	delete(s.incoming, p.Handle)
	if s.outgoing[l.handle] == l {
		delete(s.outgoing, l.handle)
	}
	s.c.ended.wakeLocked()
	err := ErrDetached
	if p.Error != nil {
		err = fmt.Errorf("%w: %w", ErrDetached, &RemoteError{"detach", p.Error})
	}
	l.failLocked(err)
}
