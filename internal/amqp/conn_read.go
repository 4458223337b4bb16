package amqp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// read is the reader goroutine. It dispatches frames until the connection is over, then waits for the writer and closes the net.Conn.
func (c *Conn) read() {
	defer close(c.done)
	err := c.readFrames()
	if err != nil {
		_ = c.nc.Close() // the writer may be blocked in Write
	}
	c.mu.Lock()
	if err != nil {
		c.failLocked(fmt.Errorf("amqp: read: %w", err))
	}
	c.finished = true
	if c.closeBy.IsZero() {
		c.closeBy = time.Now().Add(closeTimeout)
	}
	_ = c.nc.SetWriteDeadline(c.closeBy)
	c.wakeWriter()
	c.mu.Unlock()
	<-c.writerDone
	_ = c.nc.Close()
}

// readFrames dispatches frames. It returns nil when both peers' closes are exchanged or given up, and else the error of the net.Conn.
func (c *Conn) readFrames() error {
	for {
		f, err := c.frames.next()
		switch {
		case err == nil:
		case errors.Is(err, ErrMalformed):
			// What follows cannot be told apart any more. The peer gets a close, and time to read it.
			c.mu.Lock()
			c.closeLocked(errorf(ErrorFraming, "%v", err))
			c.mu.Unlock()
			_, _ = io.Copy(io.Discard, c.frames.r)
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if c.idleExpired() {
				return nil
			}
			continue
		default:
			if c.Err() != nil {
				return nil // we said or did why already
			}
			return err
		}
		closed, stop := c.handle(f)
		if closed {
			c.ignoreRest()
			return nil
		}
		if stop {
			c.awaitReadable()
		}
	}
}

// idleExpired closes a silent peer, and reports true if it has had its time to answer a close.
//
// "If the threshold is exceeded, then a peer should try to gracefully close the connection using a close frame with an error explaining why" (2.4.5).
func (c *Conn) idleExpired() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return true
	}
	c.closeLocked(errorf(ErrorResourceLimit, "nothing was received for twice the idle time-out of %v", c.cfg.IdleTimeout))
	return false
}

// awaitReadable waits until the reader may go on: until the writer has taken what is in out, so that a peer that sends but does not read cannot make us
// gather answers without end; and until deliveries are received, so that it cannot make us gather those.
func (c *Conn) awaitReadable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && len(c.out) > outStop {
		_ = c.waitLocked(context.Background(), &c.outFree)
	}
	for c.err == nil && c.buffered > c.cfg.MaxBuffered {
		_ = c.waitLocked(context.Background(), &c.readable)
	}
}

// handle dispatches one frame. It reports whether the peer has closed, and whether the reader should wait before it goes on.
func (c *Conn) handle(f frame) (closed, stop bool) {
	c.mu.Lock()
	c.awaitResumedLocked()
	// An empty frame; it has done its work by arriving.
	if len(f.body) == 0 {
		c.mu.Unlock()
		return false, false
	}
	closed, err := c.dispatchLocked(f)
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = errorf(ErrorDecode, "%v", err)
		}
		c.closeLocked(e)
	}
	stop = len(c.out) > outStop || c.buffered > c.cfg.MaxBuffered
	c.mu.Unlock()
	if err != nil {
		c.log.Debug("amqp: closing the connection for the peer's error", "error", err)
	}
	return closed, stop
}

// dispatchLocked decodes a frame's body and hands it to its session. An error ends the connection.
func (c *Conn) dispatchLocked(f frame) (closed bool, err error) {
	if f.kind != frameAMQP {
		return false, errorf(ErrorFraming, "frame of type %d", f.kind)
	}
	descriptor, fields, payload, err := readComposite(f.body)
	if err != nil {
		return false, err
	}
	if descriptor == descClose {
		return true, c.peerClosedLocked(fields)
	}
	// "any incoming frames on the connection MUST be silently discarded until the peer's close frame is received" (2.4.6, DISCARDING).
	if c.closeSent {
		return false, nil
	}
	switch descriptor {
	case descTransfer:
		return false, c.transferLocked(f.channel, fields, payload)
	case descDisposition:
		return false, c.dispositionLocked(f.channel, fields, len(f.body))
	case descFlow:
		return false, c.flowLocked(f.channel, fields)
	}
	// What these say is kept, so it must not alias the reader's buffer.
	p, _, err := readPerformative(bytes.Clone(f.body))
	if err != nil {
		return false, err
	}
	return false, c.controlLocked(f.channel, p)
}

// controlLocked handles the frames that begin and end things.
func (c *Conn) controlLocked(channel uint16, p reader) error {
	if begin, ok := p.(*Begin); ok {
		return c.beginLocked(channel, begin)
	}
	if _, ok := p.(*Open); ok {
		return errorf(ErrorIllegalState, "a second open")
	}
	s, err := c.sessionLocked(channel)
	if err != nil {
		return err
	}
	if end, ok := p.(*End); ok {
		s.peerEndedLocked(end)
		return nil
	}
	// "any incoming frames on the session MUST be silently discarded until the peer's end frame is received" (2.5.5, DISCARDING).
	if s.err != nil {
		return nil
	}
	switch p := p.(type) {
	case *Attach:
		s.attachLocked(p)
	case *Detach:
		s.detachLocked(p)
	}
	return nil
}

// sessionLocked returns the session that the peer has on channel.
func (c *Conn) sessionLocked(channel uint16) (*Session, error) {
	s := c.incoming[channel]
	if s == nil {
		return nil, errorf(ErrorNotAllowed, "no session on channel %d", channel)
	}
	return s, nil
}

// peerClosedLocked answers the peer's close, unless it is itself the answer to ours.
func (c *Conn) peerClosedLocked(f fields) error {
	f.b = bytes.Clone(f.b)
	var p Close
	p.readFields(&f)
	if c.err != nil {
		return nil
	}
	if !c.faults.ignoreClose {
		_ = c.sendLocked(0, &Close{})
	}
	err := ErrClosed
	if p.Error != nil {
		err = fmt.Errorf("%w: %w", ErrClosed, &RemoteError{"close", p.Error})
	}
	c.failLocked(err)
	return nil
}

// deadlineReader reads from the net.Conn with a deadline of twice our idle time-out.
//
// "To avoid spurious time-outs, the value in idle-time-out should be half the peer's actual timeout threshold" (2.4.5).
type deadlineReader struct{ c *Conn }

func (r deadlineReader) Read(b []byte) (int, error) {
	c := r.c
	c.mu.Lock()
	switch {
	case !c.closeBy.IsZero():
		_ = c.nc.SetReadDeadline(c.closeBy)
	case c.cfg.IdleTimeout > 0:
		_ = c.nc.SetReadDeadline(time.Now().Add(2 * c.cfg.IdleTimeout))
	}
	c.mu.Unlock()
	return c.nc.Read(b)
}
