package amqp

import "context"

// Delivery is one message on its way over a link.
type Delivery struct {
	Tag     []byte // at most 32 bytes; with nil, Send makes one: a number, unique on the link
	Format  uint32 // message-format
	Settled bool   // sent settled: no outcome follows
	Payload []byte // the encoded message; that of a received delivery belongs to its receiver

	// Frames, if set, is sent by Queue instead of Payload: the encoded message in pieces, each
	// after FrameRoom bytes. The engine writes a frame's header into that room. So a piece that
	// fits into one frame leaves uncopied; a larger one is copied into several frames. The engine
	// changes nothing else in a piece. See [Delivery.Held].
	Frames [][]byte

	// TooLarge says that a received delivery is larger than the link's maximum message size.
	// Payload is nil then. The receiver must settle it as Rejected or detach the link, as the
	// specification requires (2.7.3, max-message-size).
	TooLarge bool
	Size     uint64 // bytes of a received delivery

	link *Link
	id   uint32

	outgoing // of a sent delivery

	own [ownTag]byte // memory for a tag that the engine makes

	// Guarded by Conn.mu; state and err do not change while there is a token in outcome.
	outcome chan struct{} // of a sent, unsettled delivery: holds a token after the outcome was reported
	state   DeliveryState
	err     error
	settled bool // by us, if received
}

// ID returns the delivery-id that the peer's session gave a received delivery.
func (d *Delivery) ID() uint32 { return d.id }

// Wait waits for the outcome of an unsettled delivery that Queue or Send has taken. The error says
// why no outcome will come: the link, session or connection is over, or the delivery was taken
// back. [Delivery.Sent] then reports whether any of it has left. Wait may be called again, and by
// several goroutines. A delivery that was sent settled has no outcome: Wait returns (nil, nil).
func (d *Delivery) Wait(ctx context.Context) (DeliveryState, error) {
	if d.outcome == nil {
		return nil, nil
	}
	select {
	case <-d.outcome:
	default:
		select {
		case <-d.outcome:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	state, err := d.state, d.err
	d.outcome <- struct{}{} // for the next Wait
	return state, err
}

// Told returns a channel that can be received from, instead of calling Wait, when Wait would no
// longer block. Result then returns what Wait would. The channel is nil for a delivery that is sent
// settled.
func (d *Delivery) Told() <-chan struct{} { return d.outcome }

// Result is the outcome, or why there is none. It is valid after Told's channel has delivered, or
// after Withdraw has returned Settled.
func (d *Delivery) Result() (DeliveryState, error) { return d.state, d.err }

// Settle sends the outcome of a received delivery to its sender. It does nothing if the delivery
// came settled or is settled already. It returns an error if the link is over, or if the state
// exceeds the peer's frame size; the delivery is then not settled. Of the error in Rejected, Settle
// sends as much as fits.
func (d *Delivery) Settle(state DeliveryState) error {
	l := d.link
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.Settled || d.settled {
		return nil
	}
	if l.err != nil {
		return l.err
	}
	// This applies also to a link whose receiver "will only settle after sending the disposition to
	// the Sender and receiving a disposition indicating settlement" (2.8.3, second). Nothing is
	// kept here meanwhile, and Azure's Python client asks for that mode but waits for this
	// settlement.
	told, refusal := state, (*Error)(nil)
	if rejected, ok := state.(Rejected); ok {
		refusal = rejected.Error
	}
	err := c.sendErrorLocked(l.s.local, refusal, func(e *Error) appender {
		if e != nil {
			told = Rejected{e}
		}
		return &Disposition{Role: RoleReceiver, First: d.id, Settled: true, State: told}
	})
	d.settled = err == nil
	return err
}

// Recycle gives the memory of a received delivery's Payload back to its link for another delivery.
// The caller must not use it any more.
func (d *Delivery) Recycle() {
	c := d.link.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if in := &d.link.receiver; cap(d.Payload) > cap(in.spare) {
		in.spare = d.Payload[:0]
	}
	d.Payload = nil
}

// dispositionLocked handles a disposition. It ignores unknown ids: those deliveries were settled,
// or their link is gone.
func (c *Conn) dispositionLocked(channel uint16, f fields, size int) error {
	// A rejected delivery's state keeps the bytes that it points to, which must not be the reader's
	// buffer.
	if size > 32 {
		f.b = append([]byte(nil), f.b...)
	}
	var p Disposition
	p.readFields(&f)
	if f.err != nil {
		return f.err
	}
	s, err := c.sessionLocked(channel)
	// A sender's statement about its own deliveries needs no answer, since nothing of a received
	// delivery is kept here.
	if err != nil || s.err != nil || p.Role == RoleSender {
		return err
	}
	last := p.Last.Or(p.First)
	n := last - p.First
	if int32(n) < 0 { // serial arithmetic (2.8.10)
		s.endLocked(errorf(ErrorInvalidField, "a disposition of deliveries %d to %d; the last precedes the first", p.First, last))
		return nil
	}
	if uint64(n) >= uint64(len(s.unsettled)) {
		// The range is the peer's claim; our own map is finite.
		for id, d := range s.unsettled {
			if id-p.First <= n {
				s.updateLocked(id, d, &p)
			}
		}
		return nil
	}
	for id := p.First; id != last+1; id++ {
		if d := s.unsettled[id]; d != nil {
			s.updateLocked(id, d, &p)
		}
	}
	return nil
}

// updateLocked applies a disposition to a sent delivery.
func (s *Session) updateLocked(id uint32, d *Delivery, p *Disposition) {
	if !p.Settled && !terminal(p.State) {
		return
	}
	delete(s.unsettled, id)
	d.settleLocked(p.State, nil)
	if !p.Settled {
		// The receiver waits for our settlement before its own (2.8.3, second).
		settlement := Disposition{Role: RoleSender, First: id, Settled: true, State: p.State}
		if s.c.sendLocked(s.local, &settlement) != nil {
			// The receiver takes smaller frames than it sends. It knows the state, since it sent
			// it.
			settlement.State = nil
			_ = s.c.sendLocked(s.local, &settlement)
		}
	}
}
