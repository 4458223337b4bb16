package amqp

// SetAvailable sets how many deliveries a sender has ready. Flows carry the number. When a receiver
// drains the link, it gets the available deliveries first; the rest of its credit is then given up.
// With none available, the default, the credit is given up at once.
func (l *Link) SetAvailable(n uint32) {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	l.sender.available = n
	if l.err == nil {
		l.drainedLocked()
	}
}

// flowLocked handles the link's part of a flow.
func (l *Link) flowLocked(p *Flow) {
	// A link that has sent detach, or has not been accepted, has no flow state.
	if l.err != nil {
		return
	}
	if l.role == RoleSender {
		l.creditLocked(p)
		if !l.attachSent {
			return
		}
		if p.Echo && !l.sender.owesDrain {
			l.sendFlowLocked()
		}
		l.drainedLocked()
		return
	}
	// A sender that gives up credit advances its delivery-count, and the receiver adopts it
	// (2.6.7). A step beyond the credit would be the peer's error and is ignored.
	if in := &l.receiver; p.DeliveryCount.Set && in.partial == nil {
		if step := p.DeliveryCount.Value - in.deliveryCount; step <= in.limit-in.deliveryCount {
			in.deliveryCount = p.DeliveryCount.Value
		}
	}
	if p.Echo && l.attachSent {
		l.sendFlowLocked()
	}
}

// creditLocked computes a sender's credit.
//
// "link-credit[snd] := delivery-count[rcv] + link-credit[rcv] - delivery-count[snd]. In the event
// that the receiver does not yet know the delivery-count, i.e. delivery-count[rcv] is unspecified,
// the Sender MUST assume that the delivery-count[rcv] is the first delivery-count[snd] sent from
// Sender to Receiver" (2.6.7). Ours is zero.
func (l *Link) creditLocked(p *Flow) {
	out := &l.sender
	credit := p.DeliveryCount.Or(0) + p.LinkCredit.Or(0) - out.deliveryCount
	if int32(credit) < 0 && p.LinkCredit.Or(0) <= 1<<31-1 {
		credit = 0
	}
	out.credit = credit
	// "The Sender's value is always the last known value indicated by the Receiver" (2.6.7, drain).
	out.drain, out.owesDrain = p.Drain, p.Drain
	if credit > 0 {
		l.changed.wakeLocked()
		l.scheduleLocked()
	}
}

// drainedLocked gives up a sender's credit if the receiver drains the link and nothing is
// available.
//
// "If set, the Sender will (after sending all available messages) advance the delivery-count as
// much as possible, consuming all link-credit, and send the flow state to the Receiver" (2.6.7).
func (l *Link) drainedLocked() {
	out := &l.sender
	if !out.owesDrain || !l.attachSent || l.role != RoleSender {
		return
	}
	if out.credit > 0 && (out.available > 0 || len(out.queue) > 0) {
		return
	}
	out.deliveryCount += out.credit
	out.credit = 0
	out.owesDrain = false
	l.sendFlowLocked()
}

// sendFlowLocked sends the link's state and the session's.
func (l *Link) sendFlowLocked() {
	f := Flow{Handle: Some(l.handle)}
	if l.role == RoleSender {
		f.DeliveryCount, f.LinkCredit = Some(l.sender.deliveryCount), Some(l.sender.credit)
		f.Available, f.Drain = Some(l.sender.available), l.sender.drain
	} else {
		f.DeliveryCount, f.LinkCredit = Some(l.receiver.deliveryCount), Some(l.receiver.creditLocked())
	}
	l.s.sendFlowLocked(f)
}
