package amqp

import (
	"context"
	"slices"
)

// outbound is the sender's part of a link, guarded by Conn.mu.
type outbound struct {
	deliveryCount uint32      // deliveries begun (2.6.7)
	credit        uint32      // deliveries that may still begin
	available     uint32      // deliveries that wait for credit, as set by SetAvailable
	drain         bool        // the receiver's last flow wants its credit used or given up
	owesDrain     bool        // the receiver does not yet know that it was
	queue         []*Delivery // in sending order; some frames of the first may have left
	ready         bool        // the link is in Conn.ready
	owesAbort     bool        // the last delivery was given up after its first frame, and the receiver does not know yet
}

const (
	// transferOverhead is how many bytes a transfer frame needs besides tag and payload, at most:
	// frame header, descriptor, list header and fields.
	transferOverhead = 64

	// maxTransfer is the largest transfer frame, however large the peer's frames may be. A larger
	// frame gains nothing and delays the frames after it.
	maxTransfer = 64 << 10

	// ownTag is the size of a tag that the engine makes.
	ownTag = 4

	// FrameRoom is how many bytes at the start of each piece in [Delivery.Frames] belong to the
	// engine, for the header of its frame.
	FrameRoom = transferOverhead + ownTag

	// MaxPiece is the largest piece, including its room, that leaves uncopied, if the peer also
	// takes frames of that size.
	MaxPiece = maxTransfer

	// keptQueue is the number of deliveries for which an empty link keeps queue memory.
	keptQueue = 8

	// leastDirect is the smallest piece that leaves uncopied: copying a smaller one costs less than
	// a separate write.
	leastDirect = 4 << 10
)

// Queue appends d to the link's queue. d leaves when the link has credit, the session's window is
// open and the connection's writer has room. Queue does not wait. It uses d.Tag, Format, Settled,
// and Payload or Frames. These belong to the engine until Wait returns (unless its context has
// ended), Withdraw takes d back, or the link is over. Even then the writer may still use some of
// Frames: see Held. When Wait has returned an outcome and nothing is held, d may be queued again.
//
// The messages of a connection leave one after another, in the order in which they became ready. A
// message of many frames is not interleaved with others.
func (l *Link) Queue(d *Delivery) error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.queueLocked(d)
}

// Send is Queue followed by a wait until the last frame of d is in the outgoing buffer. After that
// the engine no longer reads d's memory. If ctx ends earlier, the delivery is taken back, or
// aborted if its first frame has left. Unless d.Settled, the outcome comes from [Delivery.Wait].
// Send is for a Payload, not for Frames.
func (l *Link) Send(ctx context.Context, d *Delivery) error {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := l.queueLocked(d); err != nil {
		return err
	}
	if d.Settled && c.gathered() < outLimit {
		c.fillLocked(outLimit) // a settled delivery is never taken back, so it need not wait for the writer
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
		select { // it holds the former outcome
		case <-d.outcome:
		default:
		}
	}
	l.sender.queue = append(l.sender.queue, d)
	l.scheduleLocked()
	return nil
}

// scheduleLocked puts the link in line if it may send something.
func (l *Link) scheduleLocked() {
	out := &l.sender
	if out.ready || !l.canSendLocked() {
		return
	}
	out.ready = true
	l.s.c.ready.push(l)
	l.s.c.wakeWriter()
}

// canSendLocked reports whether there is a frame that the peer allows us to send.
func (l *Link) canSendLocked() bool {
	out := &l.sender
	if l.err != nil || !l.attachSent || l.s.remoteIncomingWindow == 0 {
		return false
	}
	return out.owesAbort || len(out.queue) > 0 && (out.queue[0].begun || out.credit > 0)
}

// fillLocked appends frames of the deliveries in line to out until out has at least limit bytes.
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
		l.scheduleLocked() // at the end of the line
	}
}

// sendFirstLocked appends as many frames of the link's first delivery as may go. It reports false
// if only room was missing.
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
		d.tellLocked() // postponed until now
	}
	l.drainedLocked()
	return true
}

// shiftLocked removes the first delivery from the queue.
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
	// Peers require ids without gaps in the session, whatever the link.
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

// beginTransferLocked appends a transfer frame without its payload. It avoids an interface, which
// would allocate.
func (l *Link) beginTransferLocked(t *Transfer) (mark int) {
	c := l.s.c
	c.out, mark = beginFrame(c.out, frameAMQP, l.s.local)
	c.out, _ = t.appendTo(c.out) // fails only because of State, which is not set
	l.s.countOutgoingLocked()
	return mark
}

// takeBackLocked stops the sending of d, which has not left completely.
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
// "Aborted Messages should be discarded by the recipient (any payload within the frame carrying the
// performative MUST be ignored). An aborted Message is implicitly settled" (2.7.5).
func (l *Link) abortLocked() {
	l.sender.owesAbort = false
	mark := l.beginTransferLocked(&Transfer{Handle: l.handle, Aborted: true})
	l.s.c.out = endFrame(l.s.c.out, mark)
}
