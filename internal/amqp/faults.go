package amqp

import (
	"context"
	"io"
	"time"
)

// faults make a connection a bad peer on purpose, to test the other side. Guarded by Conn.mu.
type faults struct {
	paused      int  // PauseReading calls that have not been resumed
	ignoreClose bool // the peer's close is not answered
	ignoring    bool // the ignored close has come: the reader waits for the peer to give up
	abandoned   bool // Close was called
}

// PauseReading stops the connection from handling frames until resume is called. The peer's bytes
// pile up first here, then in the network, until the peer's writes block. Several pauses add up.
// Calling resume again does nothing.
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

// IgnoreClose leaves the peer's close unanswered and the net.Conn open, until the peer closes that,
// or Close or Cut is called. The links end nevertheless.
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

// CloseWindow makes the session announce that it takes no more transfer frames, and renew nothing
// until open is called. Frames that the peer sends before it sees that are still accepted. Several
// closures add up. Calling open again does nothing.
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

// IgnoreDetach leaves the peer's detach unanswered. The link ends nevertheless, but keeps its
// handles.
func (l *Link) IgnoreDetach() {
	l.s.c.mu.Lock()
	defer l.s.c.mu.Unlock()
	l.ignoreDetach = true
}
