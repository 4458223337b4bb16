package amqp

import (
	"context"
)

// inbound is the receiver's part of a link, guarded by Conn.mu.
type inbound struct {
	deliveryCount uint32      // deliveries begun, as the sender counts them (2.6.7)
	grant         uint32      // delivery count up to which the last flow granted credit
	limit         uint32      // the highest grant ever, which a sender may use before it sees a smaller one
	target        uint32      // the number passed to Credit
	maxSize       uint64      // largest message in bytes; zero until known
	stated        uint64      // the size in our attach, if LimitMessages has set both
	queue         []*Delivery // whole deliveries not yet received by the application; at most as many as the credit granted
	partial       *Delivery   // the delivery without its last frame
	sizeHint      int         // size of the last delivery that came in several frames
	spare         []byte      // memory of a recycled delivery; see Delivery.Recycle
	free          []*Delivery // recycled deliveries with their memory; see RecycleAll
	freeBytes     int         // memory of their payloads
}

// Credit allows the sender up to n deliveries under way to us: unused credit plus deliveries not
// yet received. The link renews the credit when half of it is used and received. Zero stops the
// sender; deliveries under way still come.
func (l *Link) Credit(n uint32) error {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.role != RoleReceiver || !l.attachSent || l.remote == nil {
		return errorf(ErrorNotAllowed, "Credit on a sender link, or before Accept")
	}
	l.receiver.target = n
	l.grantLocked()
	return nil
}

// grantLocked grants the target's credit, less the deliveries that wait to be received.
func (l *Link) grantLocked() {
	in := &l.receiver
	credit := uint32(0)
	if waiting := uint32(len(in.queue)); in.target > waiting {
		credit = in.target - waiting
	}
	in.grant = in.deliveryCount + credit
	// Serial arithmetic (2.8.10).
	if int32(in.grant-in.limit) > 0 {
		in.limit = in.grant
	}
	l.sendFlowLocked()
}

// topUpLocked renews the credit when half of it is used and received.
func (l *Link) topUpLocked() {
	in := &l.receiver
	outstanding := in.creditLocked() + uint32(len(in.queue))
	if in.target > 0 && outstanding <= in.target/2 {
		l.grantLocked()
	}
}

// creditLocked is the sender's remaining credit.
func (in *inbound) creditLocked() uint32 {
	if credit := in.grant - in.deliveryCount; int32(credit) > 0 {
		return credit
	}
	return 0
}

// Receive waits for the next whole delivery and returns it. Deliveries that came before the link's
// end can still be received after it.
func (l *Link) Receive(ctx context.Context) (*Delivery, error) {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if err := l.awaitLocked(ctx); err != nil {
		return nil, err
	}
	in := &l.receiver
	d := in.queue[0]
	in.queue[0] = nil
	in.queue = in.queue[1:]
	l.receivedLocked(d.memory())
	return d, nil
}

// ReceiveAll waits for whole deliveries, and appends all that have come to dst.
func (l *Link) ReceiveAll(ctx context.Context, dst []*Delivery) ([]*Delivery, error) {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	if err := l.awaitLocked(ctx); err != nil {
		return dst, err
	}
	in, memory := &l.receiver, 0
	for _, d := range in.queue {
		memory += d.memory()
	}
	dst = append(dst, in.queue...)
	clear(in.queue)
	in.queue = in.queue[:0]
	l.receivedLocked(memory)
	return dst, nil
}

// awaitLocked waits for a whole delivery.
func (l *Link) awaitLocked(ctx context.Context) error {
	for len(l.receiver.queue) == 0 {
		if l.err != nil {
			return l.err
		}
		if err := l.s.c.waitLocked(ctx, &l.changed); err != nil {
			return err
		}
	}
	return nil
}

// receivedLocked counts deliveries that the application has received.
func (l *Link) receivedLocked(memory int) {
	if l.err != nil {
		return // they are counted already, by dropLocked
	}
	c := l.s.c
	c.buffered -= memory
	c.readable.wakeLocked()
	l.topUpLocked()
}

// transferLocked handles a transfer frame. It copies the payload once, to its final place.
func (c *Conn) transferLocked(channel uint16, f fields, payload []byte) error {
	var p Transfer
	p.readFields(&f)
	if f.err != nil {
		return f.err
	}
	s, err := c.sessionLocked(channel)
	if err != nil || s.err != nil || !s.countIncomingLocked() {
		return err
	}
	l := s.incoming[p.Handle]
	if l == nil || l.role != RoleReceiver {
		s.endLocked(errorf(ErrorUnattachedHandle, "transfer on handle %d, where no sender is attached", p.Handle))
		return nil
	}
	// A link that has sent detach accepts only the peer's detach.
	if l.err != nil {
		return nil
	}
	if e := l.transferLocked(&p, payload); e != nil {
		if !l.attachSent {
			_ = l.refuseLocked(e)
			return nil
		}
		_ = l.endLocked(e)
	}
	return nil
}

// transferLocked adds a frame to the link's delivery. An error detaches the link.
func (l *Link) transferLocked(p *Transfer, payload []byte) *Error {
	in := &l.receiver
	if len(p.DeliveryTag) > maxTagTaken {
		return errorf(ErrorInvalidField, "delivery tag of %d bytes; at most %d", len(p.DeliveryTag), maxTagTaken)
	}
	if in.partial == nil {
		if e := l.beginIncomingLocked(p); e != nil {
			return e
		}
	} else if p.DeliveryID.Set && p.DeliveryID.Value != in.partial.id {
		// "On continuation transfers the delivery-id MAY be omitted. It is an error if the
		// delivery-id on a continuation transfer differs from the delivery-id on the first transfer
		// of a delivery" (2.7.5).
		return errorf(ErrorNotAllowed, "delivery %d begins before the last frame of delivery %d", p.DeliveryID.Value, in.partial.id)
	}
	d := in.partial
	c := l.s.c
	c.partial -= d.taken()
	if p.Aborted {
		in.partial = nil
		l.topUpLocked()
		return nil
	}
	// "For subsequent transfers if the settled flag is left unset then it MUST be interpreted as
	// true if and only if the value of the settled flag on any of the preceding transfers was true"
	// (2.7.5).
	d.Settled = d.Settled || p.Settled.Or(false)
	in.appendLocked(d, payload, p.More)
	if p.More {
		c.partial += d.taken()
		if c.partial > c.cfg.MaxPartial {
			return errorf(ErrorResourceLimit, "the connection's unfinished deliveries have %d bytes, more than the maximum of %d", c.partial, c.cfg.MaxPartial)
		}
		return nil
	}
	in.partial = nil
	in.queue = append(in.queue, d)
	c.buffered += d.memory()
	l.changed.wakeLocked()
	return nil
}

// dropLocked forgets the delivery whose last frame will not come. Whole deliveries can still be
// received. They no longer hold up the reader, since the application may never receive them.
func (l *Link) dropLocked() {
	c, in := l.s.c, &l.receiver
	if in.partial != nil {
		c.partial -= in.partial.taken()
		in.partial = nil
	}
	for _, d := range in.queue {
		c.buffered -= d.memory()
	}
	c.readable.wakeLocked()
}

// memory is the size of a waiting whole delivery, including the overhead of its payload.
func (d *Delivery) memory() int { return len(d.Payload) + deliveryOverhead }

// taken is the size of a delivery without its last frame.
func (d *Delivery) taken() int { return cap(d.Payload) + deliveryOverhead }

const (
	// deliveryOverhead is the approximate size of a Delivery, its tag and its place in a queue.
	deliveryOverhead = 256

	// maxTag is the longest delivery tag: "up to 32 octets of binary data" (2.8.7).
	maxTag = 32
	// maxTagTaken is the longest one that is taken: the legacy Java client of Event Hubs sends 34
	// bytes, and more with each retry.
	maxTagTaken = 128
)

// beginIncomingLocked handles the first frame of a delivery.
func (l *Link) beginIncomingLocked(p *Transfer) *Error {
	in := &l.receiver
	// "the delivery-count is the same as or greater than the delivery-limit, it is illegal to send
	// more messages" (2.6.7).
	if in.deliveryCount == in.limit {
		return errorf(ErrorTransferLimit, "a delivery beyond the credit given")
	}
	// "The delivery-id MUST be supplied on the first transfer of a multi-transfer delivery", and
	// likewise the tag (2.7.5).
	if !p.DeliveryID.Set || p.DeliveryTag == nil {
		return errorf(ErrorInvalidField, "the first transfer of a delivery without delivery-id or delivery-tag")
	}
	in.deliveryCount++
	in.partial = in.newDelivery()
	*in.partial = Delivery{Tag: append(in.partial.Tag, p.DeliveryTag...), Payload: in.partial.Payload, Format: p.MessageFormat.Or(0), link: l, id: p.DeliveryID.Value}
	l.s.c.partial += in.partial.taken()
	return nil
}

// newDelivery returns a delivery whose tag and payload are empty, and may have memory.
func (in *inbound) newDelivery() *Delivery {
	n := len(in.free) - 1
	if n < 0 {
		return new(Delivery)
	}
	d := in.free[n]
	in.free[n] = nil
	in.free = in.free[:n]
	in.freeBytes -= cap(d.Payload)
	return d
}

const (
	// mostFree and mostFreeBytes bound the memory that a link keeps for deliveries to come.
	mostFree      = 1024
	mostFreeBytes = 1 << 20
)

// RecycleAll gives received deliveries, with the memory of their payloads and tags, back to the
// link for others. The caller must not use them any more.
func (l *Link) RecycleAll(deliveries []*Delivery) {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	in := &l.receiver
	for _, d := range deliveries {
		if len(in.free) >= mostFree || in.freeBytes+cap(d.Payload) > mostFreeBytes {
			return
		}
		d.Tag, d.Payload = d.Tag[:0], d.Payload[:0]
		in.freeBytes += cap(d.Payload)
		in.free = append(in.free, d)
	}
}

// appendLocked adds a frame's payload to a delivery. If the delivery exceeds the link's limit, it
// adds only the size.
func (in *inbound) appendLocked(d *Delivery, payload []byte, more bool) {
	d.Size += uint64(len(payload))
	if d.Size > in.maxSize {
		d.TooLarge, d.Payload = true, nil
		return
	}
	switch {
	case len(d.Payload) > 0 || !more:
	case in.sizeHint > len(payload) && cap(d.Payload) < in.sizeHint:
		// The link's last long delivery is a good guess at this one's size, and not the peer's
		// claim.
		if cap(in.spare) >= in.sizeHint {
			d.Payload, in.spare = in.spare[:0], nil
		} else {
			d.Payload = make([]byte, 0, in.sizeHint)
		}
	}
	d.Payload = append(d.Payload, payload...)
	if !more && len(d.Payload) > len(payload) {
		in.sizeHint = len(d.Payload)
	}
}
