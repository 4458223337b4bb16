package amqp

import "context"

// Delivery is one message on its way over a link.
type Delivery struct {
	Tag     []byte // at most 32 bytes; nil for Send: a number, unique on the link
	Format  uint32 // message-format
	Settled bool   // sent settled: no outcome follows
	Payload []byte // the encoded message; of a received delivery it belongs to whoever received it

	// Frames, if set, is what Queue sends in place of Payload: the encoded message in pieces, each behind FrameRoom bytes. Of these the engine makes a frame's
	// header, so that a piece that the peer takes in one frame leaves from where it is, uncopied; a larger one is copied into several frames. Nothing else of a
	// piece is written to. See [Delivery.Held].
	Frames [][]byte

	// TooLarge says that a received delivery is larger than the link's maximum message size. Payload is nil then; whoever receives
	// it settles it as Rejected or detaches the link, as the specification has it (2.7.3, max-message-size).
	TooLarge bool
	Size     uint64 // bytes of a received delivery

	link *Link
	id   uint32

	outgoing // if sent

	own [ownTag]byte // memory of a tag that the engine makes

	// Guarded by Conn.mu; state and err do not change while there is a token in outcome.
	outcome chan struct{} // of a sent, unsettled delivery: holds a token once it is told
	state   DeliveryState
	err     error
	settled bool // by us, if received
}

// ID returns the delivery-id, by which the peer's session numbers a received delivery.
func (d *Delivery) ID() uint32 { return d.id }

// Wait waits for the outcome of a delivery that Queue or Send has taken, unsettled. The error says why none will come: the link, session or
// connection is over, or the delivery was taken back; [Delivery.Sent] then tells whether any of it has left. It may be called again, and by several
// goroutines. A delivery sent settled has no outcome: (nil, nil).
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
	d.outcome <- struct{}{} // for whoever waits next
	return state, err
}

// Told returns a channel from which one receives, instead of Wait, when Wait would not wait any more; then Result has what Wait would return. It is nil for a delivery that is sent settled.
func (d *Delivery) Told() <-chan struct{} { return d.outcome }

// Result is the outcome, or why there is none, once it was told, or Withdraw has returned Settled.
func (d *Delivery) Result() (DeliveryState, error) { return d.state, d.err }

// Settle tells the sender what became of a received delivery. It does nothing if the delivery came settled or is settled already. The error says that the
// link is over, or that the state cannot be told, because it does not fit the peer's frames: the delivery is not settled then. Of the error in Rejected what
// fits is told.
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
	// Also on a link whose receiver "will only settle after sending the disposition to the Sender and receiving a disposition indicating
	// settlement" (2.8.3, second): nothing is kept here meanwhile, and Azure's Python client asks for that mode but waits for this settlement.
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

// Recycle gives the memory of a received delivery's Payload back to its link, for another delivery: nobody may look at it any more.
func (d *Delivery) Recycle() {
	c := d.link.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if in := &d.link.receiver; cap(d.Payload) > cap(in.spare) {
		in.spare = d.Payload[:0]
	}
	d.Payload = nil
}

// dispositionLocked takes a disposition. Ids that are unknown are ignored: such a delivery was settled, or its link is gone.
func (c *Conn) dispositionLocked(channel uint16, f fields, size int) error {
	// The state of a rejected delivery keeps what it points to, which must not be the reader's buffer.
	if size > 32 {
		f.b = append([]byte(nil), f.b...)
	}
	var p Disposition
	p.readFields(&f)
	if f.err != nil {
		return f.err
	}
	s, err := c.sessionLocked(channel)
	// What a sender says about its own deliveries needs no answer, as nothing of a received delivery is kept here.
	if err != nil || s.err != nil || p.Role == RoleSender {
		return err
	}
	last := p.Last.Or(p.First)
	n := last - p.First
	if int32(n) < 0 { // serial arithmetic (2.8.10)
		s.endLocked(errorf(ErrorInvalidField, "a disposition of deliveries %d to %d, which is before", p.First, last))
		return nil
	}
	if uint64(n) >= uint64(len(s.unsettled)) {
		// The range is a claim of the peer's; what we have is not.
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
			// The receiver takes smaller frames than it sends. It knows the state: it has said it.
			settlement.State = nil
			_ = s.c.sendLocked(s.local, &settlement)
		}
	}
}
