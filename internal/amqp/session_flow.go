package amqp

// flowLocked handles a flow: the session's windows, and a link's credit if it names a link.
func (c *Conn) flowLocked(channel uint16, f fields) error {
	var p Flow
	p.readFields(&f)
	if f.err != nil {
		return f.err
	}
	s, err := c.sessionLocked(channel)
	if err != nil || s.err != nil {
		return err
	}
	s.updateWindowLocked(&p)
	if !p.Handle.Set {
		// echo: "request link state from other endpoint" (2.7.4), or the session's without a link.
		if p.Echo {
			s.sendFlowLocked(Flow{})
		}
		return nil
	}
	l := s.incoming[p.Handle.Value]
	if l == nil {
		s.endLocked(errorf(ErrorUnattachedHandle, "flow for handle %d, which is not attached", p.Handle.Value))
		return nil
	}
	l.flowLocked(&p)
	return nil
}

// updateWindowLocked computes how many transfer frames the peer accepts.
//
// "next-incoming-id[flow] + incoming-window[flow] - next-outgoing-id[endpoint]. If the
// next-incoming-id field of the flow frame is not set, then … initial-outgoing-id[endpoint] +
// incoming-window[flow] - next-outgoing-id[endpoint]" (2.5.6).
func (s *Session) updateWindowLocked(p *Flow) {
	window := p.NextIncomingID.Or(1) + p.IncomingWindow - s.nextOutgoingID
	// Serial arithmetic: more frames are under way than the peer now accepts.
	if int32(window) < 0 && p.IncomingWindow <= 1<<31-1 {
		window = 0
	}
	grown := window > s.remoteIncomingWindow
	s.remoteIncomingWindow = window
	if grown {
		for _, l := range s.outgoing {
			l.scheduleLocked()
		}
	}
}

// sendFlowLocked sends p, which contains a link's part of the state or nothing. It fills in the
// session's part.
func (s *Session) sendFlowLocked(p Flow) {
	p.IncomingWindow, p.OutgoingWindow = s.incomingWindow, s.c.cfg.SessionWindow
	if s.windowClosed > 0 {
		p.IncomingWindow = 0 // frames granted earlier may still come
	}
	p.NextOutgoingID = s.nextOutgoingID
	// "This value is not set if and only if the sender has not yet received the begin frame for the
	// session" (2.7.4, next-incoming-id).
	if s.begun {
		p.NextIncomingID = Some(s.nextIncomingID)
	}
	_ = s.c.sendLocked(s.local, &p)
}

// countIncomingLocked counts a transfer frame from the peer, and renews the window when half of it
// is used. It ends the session and reports false if the peer has exceeded the window.
func (s *Session) countIncomingLocked() bool {
	if s.incomingWindow == 0 {
		s.endLocked(errorf(ErrorWindowViolation, "more transfer frames than the window of %d", s.c.cfg.SessionWindow))
		return false
	}
	s.nextIncomingID++
	s.incomingWindow--
	if s.incomingWindow <= s.c.cfg.SessionWindow/2 && s.windowClosed == 0 {
		s.incomingWindow = s.c.cfg.SessionWindow
		s.sendFlowLocked(Flow{})
	}
	return true
}

// countOutgoingLocked counts a transfer frame to the peer.
func (s *Session) countOutgoingLocked() {
	s.nextOutgoingID++
	s.remoteIncomingWindow--
}
