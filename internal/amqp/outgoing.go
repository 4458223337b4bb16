package amqp

import "fmt"

// errAborted is why a delivery has no outcome that was taken back.
var errAborted = fmt.Errorf("%w: delivery taken back", ErrDetached)

// outgoing is how far a delivery of ours has come, guarded by Conn.mu.
type outgoing struct {
	size  int    // bytes of the encoded message
	gone  int    // of them, how many are in frames
	part  int    // of Frames, the piece that is next
	cut   int    // and how many bytes of that are in frames
	begun bool   // the first frame is in the outgoing buffer, and the delivery has an id
	left  bool   // so is the last, or nothing more of it is to be sent
	at    uint64 // where the first byte is in the stream of all that the connection writes, if begun
	told  bool   // the peer has told its state
	sent  bool   // the network has taken the first byte; set when the outcome is told

	leaving signal // left, or the link is over

	lent     int           // pieces that are with the writer, or are to be
	returned chan struct{} // closed when there are none any more; nil unless somebody waits for that
}

// Sent reports whether the network has taken the first byte of d, as of the time when Wait told its outcome or why none will come. If not, the peer has
// seen nothing of it and never will. When it was us who ended the link, a byte that is with the writer counts as taken.
func (d *Delivery) Sent() bool {
	c := d.link.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return d.sent
}

// Progress is how far a queued delivery has come.
type Progress uint8

// The steps of a delivery.
const (
	Queued     Progress = iota // behind another of its link
	Uncredited                 // the first of its link, which has no credit
	Blocked                    // the first, and its session's window or the network is in the way
	Leaving                    // its first frame is with the writer, or has been written
	Settled                    // no more of it will leave, and Result has its outcome, which Wait may not tell before the writer is through with it
)

// Withdraw takes d back, so that nothing of it is ever sent, unless its first frame is with the writer. It returns how far d had come.
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

// WaitsForPeer reports whether d waits for the peer to allow it: for credit, or for the session's window, before its first frame.
func (d *Delivery) WaitsForPeer() bool {
	l := d.link
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	return l.err == nil && !d.begun && (l.sender.credit == 0 || l.s.remoteIncomingWindow == 0)
}

// encodedSize is how many bytes of the message there are.
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

// rest is what is left of the message in one piece.
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

// Held returns nil if the engine does not read d's memory any more. Otherwise the writer has some of it, and the channel is closed when it is through with that. It is to be asked when
// no more of d will leave: when Wait has told an outcome or why none will come, Withdraw has taken d back, or the link is over.
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

// settleLocked notes what became of d, and tells whoever waits: at once, or when it is known as well whether the network has taken anything of d.
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
		d.sent = true // or it may be: who ends a link does not wait for the network
	case err != nil && d.begun && d.at >= c.written && !c.writerOver:
		c.undecided = append(c.undecided, d)
		return
	}
	d.tellLocked()
}

// tellLocked tells whoever waits.
func (d *Delivery) tellLocked() {
	d.sent = d.sent || d.begun && (d.told || d.at < d.link.s.c.written)
	select {
	case d.outcome <- struct{}{}:
	default:
		panic("amqp: an outcome is told twice")
	}
}

// decideLocked tells of the deliveries of which it is known by now whether the network has taken anything. At last, nothing more is written.
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
