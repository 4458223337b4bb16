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

// read is the reader goroutine. It dispatches frames until the connection is over, waits for the
// writer, then closes the net.Conn.
func (c *Conn) read() {
	defer close(c.done)
	err := errGoroutineEnded
	defer func() { c.readerEnds(err) }()
	err = c.readFrames()
}

// errGoroutineEnded is why a connection is over whose net.Conn ended the goroutine that called it.
// An application's net.Conn may do that.
var errGoroutineEnded = errors.New("the net.Conn has ended its caller's goroutine")

// readerEnds ends the connection unless it has ended already; err is why nothing more is read.
func (c *Conn) readerEnds(err error) {
	c.mu.Lock()
	if err != nil {
		c.failLocked(fmt.Errorf("%w: read: %w", ErrClosed, err))
	}
	c.finished = true
	if c.closeBy.IsZero() {
		c.closeBy = time.Now().Add(closeTimeout)
	}
	by := c.closeBy
	_ = c.nc.SetWriteDeadline(by)
	c.wakeWriter()
	c.mu.Unlock()
	defer func() {
		<-c.writerDone
		c.closeNet(by)
	}()
	if err != nil {
		c.closeNet(by) // the writer may be blocked in Write
	}
}

// readFrames dispatches frames. It returns nil after both closes have been exchanged or given up,
// otherwise the error of the net.Conn.
func (c *Conn) readFrames() error {
	for {
		f, err := c.frames.next()
		switch {
		case err == nil:
		case errors.Is(err, ErrMalformed):
			// Frame boundaries are lost. The peer gets a close, and time to read it.
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
				return nil // the reason has been recorded already
			}
			return err
		}
		if c.handle(f) {
			c.ignoreRest()
			return nil
		}
	}
}

// idleExpired closes a silent peer. It reports true if the peer has already had its time to answer
// a close.
//
// "If the threshold is exceeded, then a peer should try to gracefully close the connection using a
// close frame with an error explaining why" (2.4.5).
func (c *Conn) idleExpired() (over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return true
	}
	c.closeLocked(errorf(ErrorResourceLimit, "nothing was received for twice the idle time-out of %v", c.cfg.IdleTimeout))
	return false
}

// awaitRoomLocked waits until a frame with this descriptor may be handled. Every frame waits until
// the writer has taken out: otherwise a peer that sends but does not read could make us gather
// answers without limit. A transfer also waits until deliveries are received, so that the peer
// cannot make us gather those. Other frames pass, since the credit that those deliveries wait for
// may be among them. So the socket is read up to the next transfer, and its end is noticed at once.
// While that transfer waits, only a failed write reveals the socket's end.
func (c *Conn) awaitRoomLocked(descriptor uint64) {
	for c.err == nil && c.gathered() > outStop {
		_ = c.waitLocked(context.Background(), &c.outFree)
	}
	if descriptor != descTransfer {
		return
	}
	for c.err == nil && c.buffered > c.cfg.MaxBuffered {
		beat, cancel := context.WithTimeout(context.Background(), heldBeat)
		if c.waitLocked(beat, &c.readable) != nil && c.gathered() == 0 {
			c.out = appendEmptyFrame(c.out)
			c.wakeWriter()
		}
		cancel()
	}
}

// heldBeat is how often a connection whose reader waits sends something, so that it notices its
// socket's end.
const heldBeat = 10 * time.Second

// handle dispatches one frame. It reports whether the peer has closed.
func (c *Conn) handle(f frame) (closed bool) {
	c.mu.Lock()
	c.awaitResumedLocked()
	// An empty frame has done its work by arriving.
	if len(f.body) == 0 {
		c.mu.Unlock()
		return false
	}
	closed, err := c.dispatchLocked(f)
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = errorf(ErrorDecode, "%v", err)
		}
		c.closeLocked(e)
	}
	c.mu.Unlock()
	if err != nil {
		c.log.Debug("amqp: closing the connection for the peer's error", "error", err)
	}
	return closed
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
	c.awaitRoomLocked(descriptor)
	if descriptor == descClose {
		return true, c.peerClosedLocked(fields)
	}
	// "any incoming frames on the connection MUST be silently discarded until the peer's close
	// frame is received" (2.4.6, DISCARDING).
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
	if descriptor == descAttach && len(f.body) > maxAttach {
		return false, c.longAttachLocked(f.channel, fields, len(f.body))
	}
	// These performatives are kept, so they must not alias the reader's buffer.
	p, _, err := readPerformative(bytes.Clone(f.body))
	if err != nil {
		return false, err
	}
	return false, c.controlLocked(f.channel, p, len(f.body))
}

// longAttachLocked refuses an attach that is longer than maxAttach. It reads only the fields that
// the refusal needs.
func (c *Conn) longAttachLocked(channel uint16, f fields, size int) error {
	s, err := c.sessionLocked(channel)
	if err != nil || s.err != nil {
		return err
	}
	var p Attach
	p.readHead(&f)
	if f.err != nil {
		return f.err
	}
	s.attachLocked(&p, 0, errorf(ErrorResourceLimit, "the attach has %d bytes, more than the maximum of %d", size, maxAttach))
	return nil
}

// controlLocked handles the frames that begin and end things; size is the size of the frame's body.
func (c *Conn) controlLocked(channel uint16, p reader, size int) error {
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
	// "any incoming frames on the session MUST be silently discarded until the peer's end frame is
	// received" (2.5.5, DISCARDING).
	if s.err != nil {
		return nil
	}
	switch p := p.(type) {
	case *Attach:
		s.attachLocked(p, size, nil)
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
// "To avoid spurious time-outs, the value in idle-time-out should be half the peer's actual timeout
// threshold" (2.4.5).
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
