package amqp

import (
	"context"
	"io"
	"time"
)

// faults are what makes a connection a bad peer, on purpose: for tests of whoever has to live with one. Guarded by Conn.mu.
type faults struct {
	paused      int  // PauseReading calls that have not been taken back
	ignoreClose bool // the peer's close is not answered
	ignoring    bool // and has come: the reader waits for the peer to give up
	abandoned   bool // Close was called
}

// PauseReading makes the connection handle no more frames until resume is called, so that the peer's bytes pile up, first here, then in the
// network, and in the end the peer's writes wait. Several pauses add up. Calling resume again does nothing.
func (c *Conn) PauseReading() (resume func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.paused++
	resumed := false
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !resumed {
			resumed = true
			c.faults.paused--
			c.readable.wakeLocked()
		}
	}
}

// awaitResumedLocked waits while reading is paused and the connection is not over.
func (c *Conn) awaitResumedLocked() {
	for c.err == nil && c.faults.paused > 0 {
		_ = c.waitLocked(context.Background(), &c.readable)
	}
}

// IgnoreClose makes the connection leave the peer's close unanswered and the net.Conn open until the peer closes that, or Close or Cut is called.
// Its links end nevertheless.
func (c *Conn) IgnoreClose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.ignoreClose = true
}

// ignoreRest waits until the peer gives up, if its close is to be ignored.
func (c *Conn) ignoreRest() {
	c.mu.Lock()
	ignore := c.faults.ignoreClose && c.closeBy.IsZero() && !c.faults.abandoned
	if ignore {
		c.faults.ignoring = true
		_ = c.nc.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	if ignore {
		_, _ = io.Copy(io.Discard, c.nc)
	}
}

// endIgnoringLocked ends ignoreRest.
func (c *Conn) endIgnoringLocked() {
	c.faults.abandoned = true
	if c.faults.ignoring {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// CloseWindow makes the session tell the peer that it takes no more transfer frames, and renew nothing until open is called. Frames that the
// peer sends before it hears of that are still taken. Several closures add up. Calling open again does nothing.
func (s *Session) CloseWindow() (open func()) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.windowClosed++
	if s.windowClosed == 1 && s.err == nil {
		s.sendFlowLocked(Flow{})
	}
	opened := false
	return func() {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		if opened {
			return
		}
		opened = true
		s.windowClosed--
		if s.windowClosed == 0 && s.err == nil {
			s.incomingWindow = s.c.cfg.SessionWindow
			s.sendFlowLocked(Flow{})
		}
	}
}

// IgnoreDetach makes the link leave the peer's detach unanswered. It ends nevertheless, but keeps its handles.
func (l *Link) IgnoreDetach() {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	l.ignoreDetach = true
}
