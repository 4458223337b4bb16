package amqp

import "fmt"

// errAborted is why a delivery that was taken back has no outcome.
var errAborted = fmt.Errorf("%w: delivery taken back", ErrDetached)

// outgoing is the progress of a sent delivery, guarded by Conn.mu.
type outgoing struct {
	size  int    // bytes of the encoded message
	gone  int    // how many of them are in frames
	part  int    // index of the next piece of Frames
	cut   int    // how many bytes of that piece are in frames
	begun bool   // the first frame is in the outgoing buffer, and the delivery has an id
	left  bool   // the last frame is too, or nothing more will be sent
	at    uint64 // position of the first byte in the connection's outgoing stream, if begun
	told  bool   // the peer has sent its state
	sent  bool   // the network has taken the first byte; set when the outcome is reported

	leaving signal // left, or the link is over

	lent     int           // pieces that the writer has or will get
	returned chan struct{} // closed when there are none any more; nil unless a caller waits for that
}

// Sent reports whether the network had taken the first byte of d when Wait reported its outcome or
// its error. If not, the peer has seen nothing of d and never will. If we ended the link ourselves,
// a byte that the writer has counts as taken.
func (d *Delivery) Sent() bool {
	c := d.link.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.sent
}

// Progress is how far a queued delivery has come.
type Progress uint8

// The steps of a delivery, in order.
const (
	Queued     Progress = iota // waits for another delivery of its link
	Uncredited                 // first on its link, which has no credit
	Blocked                    // first on its link, but its session's window or the network is full
	Leaving                    // the writer has its first frame, or has written it
	Settled                    // no more of it will leave, and Result has its outcome; Wait may block until the writer is done with it
)

// Withdraw takes d back, so that nothing of it is ever sent, unless the writer has its first frame.
// It returns how far d had come.
func (d *Delivery) Withdraw() Progress {
	l := d.link
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	p := d.progressLocked()
	if p < Leaving {
		l.takeBackLocked(d)
	}
	return p
}

func (d *Delivery) progressLocked() Progress {
	out := &d.link.sender
	switch {
	case d.told && (d.left || d.link.err != nil):
		return Settled
	case d.begun:
		return Leaving
	case len(out.queue) == 0 || out.queue[0] != d:
		return Queued
	case out.credit == 0:
		return Uncredited
	}
	return Blocked
}

// WaitsForPeer reports whether d waits for the peer's permission to send its first frame: for
// credit or for the session's window.
func (d *Delivery) WaitsForPeer() bool {
	l := d.link
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.err == nil && !d.begun && (l.sender.credit == 0 || l.s.remoteIncomingWindow == 0)
}

// encodedSize is the message's size in bytes.
func (d *Delivery) encodedSize() int {
	if d.Frames == nil {
		return len(d.Payload)
	}
	size := 0
	for _, piece := range d.Frames {
		size += len(piece) - FrameRoom
	}
	return size
}

// rest is the unsent part of the current piece.
func (d *Delivery) rest() []byte {
	if d.Frames == nil {
		return d.Payload[d.gone:]
	}
	return d.Frames[d.part][FrameRoom+d.cut:]
}

// advance notes that the next n bytes of that piece are in frames.
func (d *Delivery) advance(n int) {
	d.gone += n
	if d.Frames == nil {
		return
	}
	if d.cut += n; FrameRoom+d.cut == len(d.Frames[d.part]) {
		d.part, d.cut = d.part+1, 0
	}
}

// Held returns nil if the engine no longer reads d's memory. Otherwise the writer has some of it,
// and the channel is closed when the writer is done. Call Held only when nothing more of d will
// leave. That is after Wait has returned for another reason than its context, after Withdraw has
// taken d back, or after the link's end.
func (d *Delivery) Held() <-chan struct{} {
	c := d.link.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.lent == 0 {
		return nil
	}
	if d.returned == nil {
		d.returned = make(chan struct{})
	}
	return d.returned
}

// settleLocked records the outcome of d and reports it: at once, or when it is also known whether
// the network has taken anything of d.
func (d *Delivery) settleLocked(state DeliveryState, err error) {
	if d.told {
		err = nil // the outcome came before the last frame had left, and stands
	} else {
		d.state, d.err, d.told = state, err, err == nil
	}
	c := d.link.s.c
	switch {
	case err == nil && (!d.left || d.lent > 0) && d.link.err == nil:
		return // its memory is still to be read
	case err != nil && d.begun && d.at >= c.written && !c.writerOver && c.err == nil && (d.link.byUs || d.link.s.byUs):
		d.sent = true // or may have: the side that ends a link does not wait for the network
	case err != nil && d.begun && d.at >= c.written && !c.writerOver:
		c.undecided = append(c.undecided, d)
		return
	}
	d.tellLocked()
}

// tellLocked reports the outcome to the waiting calls.
func (d *Delivery) tellLocked() {
	d.sent = d.sent || d.begun && (d.told || d.at < d.link.s.c.written)
	select {
	case d.outcome <- struct{}{}:
	default:
		panic("amqp: an outcome is reported twice")
	}
}

// decideLocked reports the deliveries for which it is now known whether the network has taken
// anything. last says that nothing more is written.
func (c *Conn) decideLocked(last bool) {
	if len(c.undecided) == 0 {
		return
	}
	open := c.undecided[:0]
	for _, d := range c.undecided {
		if last || d.at < c.written {
			d.tellLocked()
		} else {
			open = append(open, d)
		}
	}
	clear(c.undecided[len(open):])
	c.undecided = open
}
