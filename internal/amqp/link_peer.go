package amqp

import "fmt"

// attachLocked takes an attach: a link of the peer's, or the answer to ours.
func (s *Session) attachLocked(p *Attach) {
	// "A peer that receives a handle outside the supported range MUST close the Connection with the framing-error error-code" (2.7.2, handle-max).
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
		l.changed.wakeLocked()
		return
	}
	if len(s.c.backlog) >= s.c.cfg.LinkBacklog {
		_ = l.refuseLocked(errorf(ErrorResourceLimit, "%d links wait to be accepted", len(s.c.backlog)))
		return
	}
	s.c.backlog = append(s.c.backlog, l)
	s.c.backlogged.wakeLocked()
}

// awaitingLocked returns the link of ours that p answers, if any: the one with its name and the opposite role.
func (s *Session) awaitingLocked(p *Attach) *Link {
	for _, l := range s.outgoing {
		if l.remote == nil && l.name == p.Name && l.role != p.Role {
			return l
		}
	}
	return nil
}

// detachLocked takes a detach, answers it unless it is itself the answer, and frees the handles.
func (s *Session) detachLocked(p *Detach) {
	l := s.incoming[p.Handle]
	if l == nil {
		s.endLocked(errorf(ErrorUnattachedHandle, "detach of handle %d, which is not attached", p.Handle))
		return
	}
	if !l.attachSent {
		// The peer gave up before anybody accepted. A detach needs an attach before it.
		_ = l.sendAttachLocked(Attach{
			SenderSettleMode: l.remote.SenderSettleMode, ReceiverSettleMode: l.remote.ReceiverSettleMode,
		})
	}
	if !l.detachSent && l.attachSent && l.ignoreDetach {
		// The peer waits for an answer, so the handles stay taken.
		l.failLocked(fmt.Errorf("%w: the peer's detach is ignored", ErrDetached))
		return
	}
	if !l.detachSent && l.attachSent {
		l.detachSent = true
		_ = s.c.sendLocked(s.local, &Detach{Handle: l.handle, Closed: p.Closed})
	}
	delete(s.incoming, p.Handle)
	if s.outgoing[l.handle] == l {
		delete(s.outgoing, l.handle)
	}
	err := ErrDetached
	if p.Error != nil {
		err = fmt.Errorf("%w: %w", ErrDetached, &RemoteError{"detach", p.Error})
	}
	l.failLocked(err)
}
