package amqp

import (
	"context"
	"slices"
)

// outbound is the sender's part of a link, guarded by Conn.mu.
type outbound struct {
	deliveryCount uint32      // deliveries begun (2.6.7)
	credit        uint32      // deliveries that may still begin
	available     uint32      // deliveries that wait for credit, as SetAvailable has it
	drain         bool        // what the receiver said last: it wants its credit used or given up
	owesDrain     bool        // and has not been told yet that it was
	queue         []*Delivery // in the order in which they leave; of the first some frames may have left
	ready         bool        // the link is in Conn.ready
	owesAbort     bool        // the last delivery was given up after its first frame, and the receiver does not know yet
}

const (
	// transferOverhead is what a transfer frame needs besides tag and payload: frame header, descriptor, list header, and its fields at their longest.
	transferOverhead = 64

	// maxTransfer is how large a transfer frame is at the most, however large the peer's may be: a larger one gains nothing and holds up what comes behind it.
	maxTransfer = 64 << 10

	// ownTag is the size of a tag that the engine makes.
	ownTag = 4

	// FrameRoom is how many bytes each piece in [Delivery.Frames] begins with that are the engine's, for the header of its frame.
	FrameRoom = transferOverhead + ownTag

	// MaxPiece is how large such a piece may be, its room included, to leave from where it is, if the peer takes frames of that size, too.
	MaxPiece = maxTransfer

	// keptQueue is for how many deliveries a link keeps memory while it has none.
	keptQueue = 8

	// leastDirect is the size from which on a piece leaves from where it is: a smaller one is copied, which costs less than a write of its own.
	leastDirect = 4 << 10
)

// Queue has d sent, behind what was queued on the link before, as soon as the link has credit, the session's window is open, and the connection's
// writer has room. It does not wait. Of d, Tag, Format, Settled, and Payload or Frames count. They belong to the engine until Wait returns other than by its
// context's end, or Withdraw has taken d back, or the link is over. Even then the writer may still have some of Frames, which Held tells. When Wait has told an outcome and nothing is held,
// d may be queued again.
//
// The messages of a connection leave one after the other, in the order in which they could: a message of many frames does not wait for others between them.
func (l *Link) Queue(d *Delivery) error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.queueLocked(d)
}

// Send is Queue, and waits until the last frame of d is in the outgoing buffer: then the engine reads its memory no more. If ctx ends before, the delivery is
// taken back, or aborted if its first frame has left. Unless d.Settled, its outcome is up to [Delivery.Wait]. It is for a Payload, not for Frames.
func (l *Link) Send(ctx context.Context, d *Delivery) error {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := l.queueLocked(d); err != nil {
		return err
	}
	if d.Settled && c.gathered() < outLimit {
		c.fillLocked(outLimit) // nobody takes it back, so it need not wait for the writer
	}
	for !d.left && l.err == nil {
		if err := c.waitLocked(ctx, &d.leaving); err != nil {
			l.takeBackLocked(d)
			return err
		}
	}
	if !d.left {
		return l.err
	}
	return nil
}

func (l *Link) queueLocked(d *Delivery) error {
	if l.role != RoleSender {
		return errorf(ErrorNotAllowed, "a delivery is sent on a receiver link")
	}
	if len(d.Tag) > maxTag {
		return errorf(ErrorInvalidField, "delivery tag of %d bytes; at most %d", len(d.Tag), maxTag)
	}
	if l.err != nil {
		return l.err
	}
	for i, piece := range d.Frames {
		if len(piece) <= FrameRoom {
			return errorf(ErrorInvalidField, "piece %d of a delivery has %d bytes; its room alone takes %d", i, len(piece), FrameRoom)
		}
	}
	size := d.encodedSize()
	if limit := l.remote.MaxMessageSize; limit > 0 && uint64(size) > limit {
		return errorf(ErrorMessageSizeExceeded, "message of %d bytes; the link takes %d", size, limit)
	}
	d.link, d.outgoing, d.state, d.err = l, outgoing{size: size}, nil, nil
	switch {
	case d.Settled:
		d.outcome = nil
	case d.outcome == nil:
		d.outcome = make(chan struct{}, 1)
	default:
		select { // it has the former outcome
		case <-d.outcome:
		default:
		}
	}
	l.sender.queue = append(l.sender.queue, d)
	l.scheduleLocked()
	return nil
}

// scheduleLocked puts the link in line if it has something that may be sent.
func (l *Link) scheduleLocked() {
	out := &l.sender
	if out.ready || !l.canSendLocked() {
		return
	}
	out.ready = true
	l.s.c.ready.push(l)
	l.s.c.wakeWriter()
}

// canSendLocked reports whether there is a frame that the peer lets us send.
func (l *Link) canSendLocked() bool {
	out := &l.sender
	if l.err != nil || !l.attachSent || l.s.remoteIncomingWindow == 0 {
		return false
	}
	return out.owesAbort || len(out.queue) > 0 && (out.queue[0].begun || out.credit > 0)
}

// fillLocked appends frames of the deliveries in line to out until that has limit bytes or more.
func (c *Conn) fillLocked(limit int) {
	for c.gathered() < limit && !c.closeSent {
		l, ok := c.ready.first()
		if !ok {
			return
		}
		if !l.sendFirstLocked(limit) {
			return // the rest of its message is next
		}
		c.ready.pop()
		l.sender.ready = false
		l.scheduleLocked() // behind the others
	}
}

// sendFirstLocked appends frames of the link's first delivery, as many as may go. It reports false if no more than room was wanting.
func (l *Link) sendFirstLocked(limit int) (done bool) {
	c, out := l.s.c, &l.sender
	if !l.canSendLocked() {
		return true
	}
	if out.owesAbort {
		l.abortLocked()
		return true
	}
	d := out.queue[0]
	for first := true; !d.left; first = false {
		switch {
		case l.s.remoteIncomingWindow == 0:
			return true
		case !first && c.gathered() >= limit:
			return false
		case !d.begun:
			l.beginDeliveryLocked(d)
		}
		l.sendFrameLocked(d)
	}
	l.shiftLocked()
	d.leaving.wakeLocked()
	if d.told && d.lent == 0 {
		d.tellLocked() // which was put off until now
	}
	l.drainedLocked()
	return true
}

// shiftLocked takes the first delivery from the queue.
func (l *Link) shiftLocked() {
	out := &l.sender
	if out.queue = slices.Delete(out.queue, 0, 1); len(out.queue) == 0 && cap(out.queue) > keptQueue {
		out.queue = nil
	}
}

// beginDeliveryLocked takes one credit and the session's next delivery-id for d.
func (l *Link) beginDeliveryLocked(d *Delivery) {
	s, out := l.s, &l.sender
	if d.Tag == nil {
		d.Tag = be.AppendUint32(d.own[:0], out.deliveryCount)
	}
	d.id, d.begun, d.at = s.nextDeliveryID, true, s.c.taken+uint64(s.c.gathered())
	// Peers insist on ids without gaps in the session, whatever the link.
	s.nextDeliveryID++
	out.deliveryCount++
	out.credit--
	if !d.Settled {
		s.unsettled[d.id] = d
	}
}

// sendFrameLocked appends a frame with as much of d as fits.
func (l *Link) sendFrameLocked(d *Delivery) {
	c := l.s.c
	t := Transfer{Handle: l.handle}
	room := min(c.maxOut, maxTransfer) - transferOverhead
	if d.gone == 0 {
		// "On continuation transfers the delivery-id MAY be omitted", and so may the rest (2.7.5).
		t.DeliveryID, t.DeliveryTag = Some(d.id), d.Tag
		t.MessageFormat, t.Settled = Some(d.Format), Some(d.Settled)
		room -= len(d.Tag)
	}
	piece := d.rest()
	n := min(room, len(piece))
	direct := d.Frames != nil && d.cut == 0 && n == len(piece) && n >= leastDirect && len(t.DeliveryTag) <= ownTag
	t.More = n < d.size-d.gone
	mark := l.beginTransferLocked(&t)
	if direct {
		c.lendLocked(d, d.Frames[d.part], mark)
	} else {
		c.out = endFrame(append(c.out, piece[:n]...), mark)
	}
	d.advance(n)
	d.left = !t.More
}

// beginTransferLocked appends a transfer frame but for its payload, without going through an interface, which would allocate.
func (l *Link) beginTransferLocked(t *Transfer) (mark int) {
	c := l.s.c
	c.out, mark = beginFrame(c.out, frameAMQP, l.s.local)
	c.out, _ = t.appendTo(c.out) // fails only by State, which is not set
	l.s.countOutgoingLocked()
	return mark
}

// takeBackLocked gives up the sending of d, of which not all has left.
func (l *Link) takeBackLocked(d *Delivery) {
	out := &l.sender
	at := slices.Index(out.queue, d)
	if at < 0 {
		return // it has left, or the link is over
	}
	if at == 0 {
		l.shiftLocked()
	} else {
		out.queue = slices.Delete(out.queue, at, at+1)
	}
	if d.begun {
		delete(l.s.unsettled, d.id)
		out.owesAbort = true
	}
	if d.left = true; d.outcome != nil {
		d.settleLocked(nil, errAborted)
	}
	l.drainedLocked()
	l.scheduleLocked()
}

// abortLocked tells the receiver that the rest of a delivery will not come.
//
// "Aborted Messages should be discarded by the recipient (any payload within the frame carrying the performative MUST be ignored). An
// aborted Message is implicitly settled" (2.7.5).
func (l *Link) abortLocked() {
	l.sender.owesAbort = false
	mark := l.beginTransferLocked(&Transfer{Handle: l.handle, Aborted: true})
	l.s.c.out = endFrame(l.s.c.out, mark)
}
