package amqp

import (
	"context"
	"fmt"
)

// outbound is the sender's part of a link, guarded by Conn.mu.
type outbound struct {
	deliveryCount uint32 // deliveries begun (2.6.7)
	credit        uint32 // deliveries that may still begin
	available     uint32 // deliveries that wait for credit, as SetAvailable has it
	drain         bool   // what the receiver said last: it wants its credit used or given up
	owesDrain     bool   // and has not been told yet that it was
	busy          bool   // a Send has the link; frames of two deliveries must not mix
	sends         int    // Sends at work, the waiting ones included
	owesAbort     bool   // the last delivery was given up after its first frame, and the receiver does not know yet
}

// transferOverhead is what a transfer frame needs besides tag and payload: frame header, descriptor, list header, and its fields at their longest.
const transferOverhead = 64

// Send sends d, waiting for earlier Sends on the link, for credit, for the session's window, and for the outgoing buffer. It returns when the last
// frame is in the outgoing buffer; the payload is copied by then. If ctx ends in between, the delivery is aborted. Unless d.Settled, its
// outcome is up to [Delivery.Wait]. Of d, Tag, Format, Settled and Payload count.
func (l *Link) Send(ctx context.Context, d *Delivery) error {
	if l.role != RoleSender {
		return errorf(ErrorNotAllowed, "Send on a receiver link")
	}
	if len(d.Tag) > maxTag {
		return errorf(ErrorInvalidField, "delivery tag of %d bytes; at most %d", len(d.Tag), maxTag)
	}
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l.sender.sends++
	err := l.sendInTurnLocked(ctx, d)
	l.sender.sends--
	if l.err == nil {
		l.drainedLocked()
	}
	return err
}

// sendInTurnLocked sends d when the Sends before it are done.
func (l *Link) sendInTurnLocked(ctx context.Context, d *Delivery) error {
	if err := l.awaitLocked(ctx, &l.changed, func() bool { return l.attachSent && !l.sender.busy }); err != nil {
		return err
	}
	if limit := l.remote.MaxMessageSize; limit > 0 && uint64(len(d.Payload)) > limit {
		return errorf(ErrorMessageSizeExceeded, "message of %d bytes; the link takes %d", len(d.Payload), limit)
	}
	l.sender.busy = true
	err := l.sendLocked(ctx, d)
	l.sender.busy = false
	l.changed.wakeLocked()
	return err
}

// awaitLocked waits until ok, the link's end, or ctx's; s must be woken by what makes ok true and by the link's end.
func (l *Link) awaitLocked(ctx context.Context, s *signal, ok func() bool) error {
	for l.err == nil && !ok() {
		if err := l.s.c.waitLocked(ctx, s); err != nil {
			return err
		}
	}
	return l.err
}

// awaitRoomLocked waits until a transfer frame may be sent.
func (l *Link) awaitRoomLocked(ctx context.Context) error {
	s := l.s
	for l.err == nil && !s.canSendLocked() {
		changed := &s.changed
		if s.remoteIncomingWindow > 0 {
			changed = &s.c.outFree
		}
		if err := s.c.waitLocked(ctx, changed); err != nil {
			return err
		}
	}
	return l.err
}

// sendLocked sends d's frames while the link is busy with them.
func (l *Link) sendLocked(ctx context.Context, d *Delivery) error {
	s, out := l.s, &l.sender
	if out.owesAbort {
		if err := l.awaitRoomLocked(ctx); err != nil {
			return err
		}
		l.abortLocked()
	}
	// The window may close while credit is awaited, and the other way round.
	for out.credit == 0 || !s.canSendLocked() {
		if err := l.awaitLocked(ctx, &l.changed, func() bool { return out.credit > 0 }); err != nil {
			return err
		}
		if err := l.awaitRoomLocked(ctx); err != nil {
			return err
		}
	}
	if l.err != nil {
		return l.err
	}
	l.beginDeliveryLocked(d)
	for rest, first := d.Payload, true; first || len(rest) > 0; first = false {
		if !first {
			if err := l.awaitRoomLocked(ctx); err != nil {
				l.giveUpLocked(d)
				return err
			}
		}
		rest = l.sendFrameLocked(d, rest, first)
	}
	return nil
}

// beginDeliveryLocked takes one credit and the session's next delivery-id for d.
func (l *Link) beginDeliveryLocked(d *Delivery) {
	s, out := l.s, &l.sender
	if d.Tag == nil {
		d.Tag = be.AppendUint32(nil, out.deliveryCount)
	}
	d.link, d.id = l, s.nextDeliveryID
	d.outcome, d.state, d.err = nil, nil, nil
	// Peers insist on ids without gaps in the session, whatever the link.
	s.nextDeliveryID++
	out.deliveryCount++
	out.credit--
	if !d.Settled {
		d.outcome = make(chan struct{})
		s.unsettled[d.id] = d
	}
}

// sendFrameLocked sends as much of rest as fits a frame, and returns what does not.
func (l *Link) sendFrameLocked(d *Delivery, rest []byte, first bool) []byte {
	c := l.s.c
	t := Transfer{Handle: l.handle}
	room := c.maxOut - transferOverhead
	if first {
		// "On continuation transfers the delivery-id MAY be omitted", and so may the rest (2.7.5).
		t.DeliveryID, t.DeliveryTag = Some(d.id), d.Tag
		t.MessageFormat, t.Settled = Some(d.Format), Some(d.Settled)
		room -= len(d.Tag)
	}
	n := min(room, len(rest))
	t.More = n < len(rest)
	l.appendTransferLocked(&t, rest[:n])
	return rest[n:]
}

// appendTransferLocked appends a transfer frame to the outgoing buffer, without going through an interface, which would allocate.
func (l *Link) appendTransferLocked(t *Transfer, payload []byte) {
	c := l.s.c
	if c.closeSent {
		return
	}
	out, mark := beginFrame(c.out, frameAMQP, l.s.local)
	out, _ = t.appendTo(out) // fails only by State, which is not set
	c.out = endFrame(append(out, payload...), mark)
	l.s.countOutgoingLocked()
	c.wakeWriter()
}

// giveUpLocked aborts d after its first frame.
func (l *Link) giveUpLocked(d *Delivery) {
	if l.s.unsettled[d.id] == d {
		delete(l.s.unsettled, d.id)
		d.settleLocked(nil, fmt.Errorf("%w: delivery aborted", ErrDetached))
	}
	if l.err != nil {
		return
	}
	if l.s.canSendLocked() {
		l.abortLocked()
		return
	}
	l.sender.owesAbort = true
}

// abortLocked tells the receiver that the rest of a delivery will not come.
//
// "Aborted Messages should be discarded by the recipient (any payload within the frame carrying the performative MUST be ignored). An
// aborted Message is implicitly settled" (2.7.5).
func (l *Link) abortLocked() {
	l.sender.owesAbort = false
	l.appendTransferLocked(&Transfer{Handle: l.handle, Aborted: true}, nil)
}
