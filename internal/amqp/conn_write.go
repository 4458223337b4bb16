package amqp

import (
	"fmt"
	"time"
)

// sendLocked appends a frame to out. Once the connection is over it does nothing.
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
		return errorf(ErrorFrameSizeTooSmall, "%T of %d bytes does not fit the peer's frames of %d", p, len(out)-before, c.maxOut)
	}
	c.out = out
	c.wakeWriter()
	return nil
}

// sendErrorLocked appends the frame that tells e, as frame makes it. If that cannot be sent, because it does not fit the peer's frames or e has an Info
// that cannot be encoded, the frame tells what of e fits: a peer that hears nothing would wait for ever.
func (c *Conn) sendErrorLocked(channel uint16, e *Error, frame func(*Error) appender) error {
	err := c.sendLocked(channel, frame(e))
	if err == nil || e == nil {
		return err
	}
	return c.sendLocked(channel, frame(e.brief(c.maxOut)))
}

// write is the writer goroutine: it writes whatever has gathered in out with one Write, and an empty frame after half of the peer's idle time-out.
func (c *Conn) write() {
	defer c.writerEnds()
	var tick <-chan time.Time
	var timer *time.Timer
	if c.keepAlive > 0 {
		timer = time.NewTimer(c.keepAlive)
		defer timer.Stop()
		tick = timer.C
	}
	var spare []byte
	for {
		idle := false
		select {
		case <-c.wake:
		case <-tick:
			idle = true
		}
		b, last := c.takeOut(spare, idle)
		if len(b) > 0 {
			if !c.writeOut(b) {
				return
			}
			if timer != nil {
				timer.Reset(c.keepAlive)
			}
		}
		if last {
			return
		}
		spare = b
	}
}

// writeOut writes b and notes how much of it the network has taken. If that is not all, the connection is over.
func (c *Conn) writeOut(b []byte) (all bool) {
	n, err := len(b), errGoroutineEnded // it may have written all
	defer func() {
		switch {
		case err == nil:
			c.wrote(n)
			return
		case c.cfg.WholeWrites:
			n = len(b)
		}
		c.writeFailed(n, err)
	}()
	n, err = c.nc.Write(b)
	return err == nil
}

// takeOut returns what is to be written, leaving spare in its place, and whether it is the last.
func (c *Conn) takeOut(spare []byte, idle bool) (b []byte, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if idle && len(c.out) == 0 && !c.closeSent {
		c.out = appendEmptyFrame(c.out)
	}
	c.fillLocked(writeSize)
	// One message larger than the limit must not be remembered for ever by the size of its buffer.
	if cap(spare) > 2*outLimit {
		spare = nil
	}
	b, c.out = c.out, spare[:0]
	c.taken += uint64(len(b))
	if _, more := c.ready.first(); more {
		c.wakeWriter()
	}
	c.outFree.wakeLocked()
	switch {
	case !c.closeBy.IsZero():
		_ = c.nc.SetWriteDeadline(c.closeBy)
	case c.cfg.WriteTimeout > 0 && len(b) > 0:
		_ = c.nc.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
	}
	return b, c.finished
}

// wrote notes that the network has taken n bytes more.
func (c *Conn) wrote(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written += uint64(n)
	c.decideLocked(false)
}

// writeFailed ends the connection after a Write has failed, of which the network has taken n bytes; closing the net.Conn ends the reader.
func (c *Conn) writeFailed(n int, err error) {
	c.mu.Lock()
	c.written += uint64(n)
	c.failLocked(fmt.Errorf("%w: write: %w", ErrClosed, err))
	c.mu.Unlock()
	c.dropNet()
}

// writerEnds tells of the deliveries that waited for what the writer does with them.
func (c *Conn) writerEnds() {
	c.mu.Lock()
	c.writerOver = true
	c.decideLocked(true)
	c.mu.Unlock()
	close(c.writerDone)
}
