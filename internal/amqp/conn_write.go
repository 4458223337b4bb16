package amqp

import (
	"fmt"
	"io"
	"net"
	"time"
)

// sendLocked appends a frame to out. After the connection is over it does nothing.
func (c *Conn) sendLocked(channel uint16, p appender) error {
	if c.closeSent {
		return nil
	}
	before := len(c.out)
	out, err := appendFrame(c.out, frameAMQP, channel, p)
	if err != nil {
		return err
	}
	if len(out)-before > c.maxOut {
		return errorf(ErrorFrameSizeTooSmall, "%s of %d bytes does not fit the peer's frames of %d", frameName(p), len(out)-before, c.maxOut)
	}
	c.out = out
	c.wakeWriter()
	return nil
}

// sendErrorLocked appends the frame that carries e; frame makes it. It may be impossible to send,
// because it exceeds the peer's frame size or e has an Info that cannot be encoded. Then the frame
// carries as much of e as fits: without any frame the peer would wait forever.
func (c *Conn) sendErrorLocked(channel uint16, e *Error, frame func(*Error) appender) error {
	err := c.sendLocked(channel, frame(e))
	if err == nil || e == nil {
		return err
	}
	return c.sendLocked(channel, frame(e.brief(c.maxOut)))
}

// A loan is a frame that is written from a delivery's own memory.
type loan struct {
	delivery *Delivery
	frame    []byte
	at       int // how many bytes of out precede it
}

// gathered is how many bytes wait to be written.
func (c *Conn) gathered() int { return len(c.out) + c.lentBytes }

// lendLocked makes a frame of a delivery's piece. The frame's header stands in out from mark on.
func (c *Conn) lendLocked(d *Delivery, piece []byte, mark int) {
	header := c.out[mark:]
	frame := piece[FrameRoom-len(header):]
	copy(frame, header)
	endFrame(frame, 0)
	c.out = c.out[:mark]
	c.lent = append(c.lent, loan{d, frame, mark})
	c.lentBytes += len(frame)
	d.lent++
}

// giveBackLocked returns loans: the writer no longer reads their frames.
func (c *Conn) giveBackLocked(lent []loan) {
	for _, loan := range lent {
		d := loan.delivery
		if d.lent--; d.lent > 0 {
			continue
		}
		if d.returned != nil {
			close(d.returned)
			d.returned = nil
		}
		if d.told && d.left {
			d.tellLocked() // postponed until now
		}
	}
	clear(lent)
}

// A writing is what the writer has taken to write: out, and between its bytes the lent frames. It
// belongs to the writer.
type writing struct {
	out    []byte
	lent   []loan
	pieces [][]byte    // out and lent, in order
	rest   net.Buffers // of pieces, while they are being written
	other  counted     // wraps the net.Conn, unless it is a socket
}

// write is the writer goroutine. It writes everything that has gathered with one Write, or with one
// for each piece if the net.Conn does not take several at once. After half of the peer's idle
// time-out it writes an empty frame.
func (c *Conn) write() {
	var w writing
	defer c.writerEnds(&w)
	var tick <-chan time.Time
	var timer *time.Timer
	if c.keepAlive > 0 {
		timer = time.NewTimer(c.keepAlive)
		defer timer.Stop()
		tick = timer.C
	}
	for {
		idle := false
		select {
		case <-c.wake:
		case <-tick:
			idle = true
		}
		last := c.take(&w, idle)
		if len(w.pieces) > 0 {
			if !c.writeOut(&w) {
				return
			}
			if timer != nil {
				timer.Reset(c.keepAlive)
			}
		}
		if last {
			return
		}
	}
}

// writeOut writes w and notes how much of it the network has taken. Unless that is all, the
// connection is over.
func (c *Conn) writeOut(w *writing) (all bool) {
	size := int64(0)
	for _, piece := range w.pieces {
		size += int64(len(piece))
	}
	n, err := size, errGoroutineEnded // all of it may have been written
	defer func() {
		switch {
		case err == nil:
			c.wrote(w, n)
			return
		case c.cfg.WholeWrites:
			n = size
		}
		c.writeFailed(n, err)
	}()
	w.rest = w.pieces
	n, err = w.rest.WriteTo(c.sink(w))
	return err == nil
}

// sink is the writer's target: a socket itself, which takes several pieces at once, or any other
// net.Conn with corrected counts. A type that embeds a socket is never written to as a socket:
// net.Buffers would bypass that type's own Write.
func (c *Conn) sink(w *writing) io.Writer {
	switch c.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		return c.nc
	}
	w.other.nc = c.nc
	return &w.other
}

// A counted is an application's net.Conn, which may break the contract of io.Writer. Some return -1
// with an error, as the system's own call does, or write less than all without an error.
type counted struct{ nc net.Conn }

func (w *counted) Write(b []byte) (int, error) {
	n, err := w.nc.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	return min(max(n, 0), len(b)), err
}

// take moves everything that is to be written into w, and reports whether it is the last.
func (c *Conn) take(w *writing, idle bool) (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if idle && c.gathered() == 0 && !c.closeSent {
		c.out = appendEmptyFrame(c.out)
	}
	c.fillLocked(writeSize)
	// The buffer of one oversized message must not be kept forever.
	if cap(w.out) > 2*outLimit {
		w.out = nil
	}
	c.taken += uint64(c.gathered())
	w.out, c.out = c.out, w.out[:0]
	w.lent, c.lent, c.lentBytes = c.lent, w.lent[:0], 0
	w.arrange()
	if _, more := c.ready.first(); more {
		c.wakeWriter()
	}
	c.outFree.wakeLocked()
	switch {
	case !c.closeBy.IsZero():
		_ = c.nc.SetWriteDeadline(c.closeBy)
	case c.cfg.WriteTimeout > 0 && len(w.pieces) > 0:
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
	}
	return c.finished
}

// arrange sets the pieces.
func (w *writing) arrange() {
	w.pieces = w.pieces[:0]
	at := 0
	for _, loan := range w.lent {
		if loan.at > at {
			w.pieces = append(w.pieces, w.out[at:loan.at])
		}
		w.pieces = append(w.pieces, loan.frame)
		at = loan.at
	}
	if len(w.out) > at {
		w.pieces = append(w.pieces, w.out[at:])
	}
}

// wrote notes that the network has taken w, which has n bytes.
func (c *Conn) wrote(w *writing, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += uint64(n)
	c.giveBackLocked(w.lent)
	w.lent = w.lent[:0]
	c.decideLocked(false)
}

// writeFailed ends the connection after a failed Write, of which the network has taken n bytes.
// Closing the net.Conn ends the reader.
func (c *Conn) writeFailed(n int64, err error) {
	c.mu.Lock()
	c.written += uint64(n)
	c.failLocked(fmt.Errorf("%w: write: %w", ErrClosed, err))
	c.mu.Unlock()
	c.dropNet()
}

// writerEnds returns the writer's loans and concludes the deliveries that waited for the writer.
func (c *Conn) writerEnds(w *writing) {
	c.mu.Lock()
	c.writerOver = true
	c.giveBackLocked(w.lent)
	c.giveBackLocked(c.lent)
	w.lent, c.lent = nil, nil
	c.decideLocked(true)
	c.mu.Unlock()
	close(c.writerDone)
}
