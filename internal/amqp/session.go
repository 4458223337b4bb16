package amqp

import (
	"context"
	"fmt"
)

// Session is a session of a connection. The connection itself accepts sessions that the peer
// begins; their links come from [Conn.AcceptLink].
type Session struct {
	// Immutable.
	c     *Conn
	local uint16        // our channel
	done  chan struct{} // closed when err is set

	// Guarded by c.mu.
	remote    uint16 // the peer's channel, valid if begun
	begun     bool   // both begins are exchanged; links may be attached earlier
	endSent   bool
	byUs      bool   // our end was the first
	retired   bool   // we have ended it or are about to
	peerEnded bool   // the channels are free again
	err       error  // why the session is over; nil while it is open
	changed   signal // begun or err changed, or a link of ours was answered or has ended
	outgoing  map[uint32]*Link
	incoming  map[uint32]*Link // by the peer's handle

	// Flow state (2.5.6), guarded by c.mu.
	nextOutgoingID       uint32 // transfer-id of the next transfer frame we send
	nextDeliveryID       uint32
	remoteIncomingWindow uint32 // transfer frames that the peer accepts
	nextIncomingID       uint32 // transfer-id of the peer's next transfer frame
	incomingWindow       uint32 // transfer frames that we still accept
	windowClosed         int    // CloseWindow calls not yet reopened: no window is renewed, and flows state a window of 0
	handleMax            uint32 // the peer's; until it has begun this session, the value that it stated for another
	unsettled            map[uint32]*Delivery
}

// NewSession begins a session, or returns the one that was begun with the open. It does not wait
// for the peer's begin, and callers may attach links before it. If all channels are in use, it
// waits for sessions that are about to end. If none is, the error is a [*LimitError].
func (c *Conn) NewSession(ctx context.Context) (*Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.err != nil {
			return nil, c.err
		}
		if s := c.first; s != nil {
			c.first = nil
			if s.err == nil {
				return s, nil
			}
		}
		s, err := c.newSessionLocked()
		if err == nil {
			if err := c.sendLocked(s.local, s.begin(nil)); err != nil {
				return nil, err
			}
			return s, nil
		}
		if c.ending == 0 {
			return nil, err
		}
		if ended := c.waitLocked(ctx, &c.ended); ended != nil {
			return nil, err
		}
	}
}

// appendFirstBegin appends the begin of a client's first session, which leaves with its open. It
// uses channel 0, which every peer has. The frame is smaller than 512 bytes, since the limit in the
// peer's open is not known yet.
func (c *Conn) appendFirstBegin(dst []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.newSessionLocked()
	if err != nil {
		return nil, err
	}
	c.first = s
	return appendFrame(dst, frameAMQP, s.local, s.begin(nil))
}

// Begun reports whether the peer has answered the session's begin.
func (s *Session) Begun() bool {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.begun
}

// End ends the session and tells the peer, with e as the reason unless it is nil. It does not wait
// for the peer's answer.
func (s *Session) End(e *Error) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.endLocked(e)
}

// Retire says that the session is about to end. When all channels are in use, NewSession waits for
// its channel.
func (s *Session) Retire() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.retireLocked()
}

func (s *Session) retireLocked() {
	if !s.retired && !s.peerEnded {
		s.retired = true
		s.c.ending++
	}
}

// Close is End followed by a wait for the peer's answer. It ends with ctx.
func (s *Session) Close(ctx context.Context, e *Error) error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.endLocked(e)
	for !s.peerEnded && s.c.err == nil {
		if err := s.c.waitLocked(ctx, &s.c.ended); err != nil {
			return err
		}
	}
	return nil
}

// Done returns a channel that is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session is over, or nil while it is open.
func (s *Session) Err() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	return s.err
}

// newSessionLocked makes a session on the lowest free channel.
func (c *Conn) newSessionLocked() (*Session, error) {
	for c.outgoing[c.lowest] != nil {
		if c.lowest == c.channelMax {
			return nil, &LimitError{"channel-max", uint32(c.channelMax), errorf(ErrorNotAllowed, "all %d channels of the connection are in use", int(c.channelMax)+1)}
		}
		c.lowest++
	}
	channel := c.lowest
	s := &Session{
		c: c, local: channel, done: make(chan struct{}),
		outgoing: make(map[uint32]*Link), incoming: make(map[uint32]*Link), unsettled: make(map[uint32]*Delivery),
		nextOutgoingID: 1, incomingWindow: c.cfg.SessionWindow, handleMax: c.handleMax,
	}
	c.outgoing[channel] = s
	return s, nil
}

// begin is our begin.
func (s *Session) begin(remote *uint16) *Begin {
	return &Begin{
		RemoteChannel: remote, NextOutgoingID: s.nextOutgoingID,
		IncomingWindow: s.incomingWindow, OutgoingWindow: s.c.cfg.SessionWindow, HandleMax: &s.c.cfg.HandleMax,
	}
}

// beginLocked handles a begin: the start of a session of the peer's, or the answer to ours.
func (c *Conn) beginLocked(channel uint16, p *Begin) error {
	// "A peer that receives a channel number outside the supported range MUST close the Connection
	// with the framing-error error-code" (2.7.1, channel-max).
	if channel > c.cfg.ChannelMax {
		return errorf(ErrorFraming, "channel %d is beyond the channel-max of %d", channel, c.cfg.ChannelMax)
	}
	if c.incoming[channel] != nil {
		return errorf(ErrorIllegalState, "begin on channel %d, which has a session", channel)
	}
	var s *Session
	if p.RemoteChannel != nil {
		// "The remote-channel field of a begin frame MUST be empty for a locally initiated Session,
		// and MUST be set when announcing the endpoint created as a result of a remotely initiated
		// Session" (2.5.1).
		if s = c.outgoing[*p.RemoteChannel]; s == nil || s.begun {
			return errorf(ErrorInvalidField, "begin answers channel %d, where nothing was begun", *p.RemoteChannel)
		}
	} else {
		var err error
		if s, err = c.newSessionLocked(); err != nil {
			return err
		}
	}
	c.incoming[channel] = s
	s.remote, s.begun = channel, true
	s.nextIncomingID, s.remoteIncomingWindow = p.NextOutgoingID, p.IncomingWindow
	s.handleMax = 1<<32 - 1
	if p.HandleMax != nil {
		s.handleMax = *p.HandleMax
	}
	c.handleMax = s.handleMax
	s.failBeyondLocked()
	s.changed.wakeLocked()
	if p.RemoteChannel == nil {
		return c.sendLocked(s.local, s.begin(&channel))
	}
	return nil
}

// failBeyondLocked fails the links that were attached before the peer stated that this session has
// no handle for them. For the previous session it had stated more handles.
func (s *Session) failBeyondLocked() {
	for handle, l := range s.outgoing {
		if handle > s.handleMax {
			l.failLocked(s.noHandle())
		}
	}
}

// noHandle says that all of the session's handles are in use.
func (s *Session) noHandle() error {
	return &LimitError{"handle-max", s.handleMax, errorf(ErrorNotAllowed, "all %d handles of the session are in use", uint64(s.handleMax)+1)}
}

// endLocked sends end and ends the session's links locally. The channel stays taken until the
// peer's end.
func (s *Session) endLocked(e *Error) {
	if s.err != nil {
		return
	}
	_ = s.c.sendErrorLocked(s.local, e, func(e *Error) appender { return &End{e} })
	s.endSent, s.byUs = true, true
	s.retireLocked()
	err := ErrEnded
	if e != nil {
		err = fmt.Errorf("%w: %w", ErrEnded, e)
	}
	s.failLocked(err)
}

// peerEndedLocked handles the peer's end: it answers unless this is itself the answer, and frees
// the channels.
func (s *Session) peerEndedLocked(p *End) {
	if s.retired {
		s.c.ending--
	}
	if !s.endSent {
		_ = s.c.sendLocked(s.local, &End{})
		s.endSent = true
	}
	delete(s.c.incoming, s.remote)
	delete(s.c.outgoing, s.local)
	s.c.lowest = min(s.c.lowest, s.local)
	s.peerEnded = true
	s.c.ended.wakeLocked()
	err := ErrEnded
	if p.Error != nil {
		err = fmt.Errorf("%w: %w", ErrEnded, &RemoteError{"end", p.Error})
	}
	s.failLocked(err)
}

// failLocked ends the session's links and deliveries and wakes all waiting calls.
func (s *Session) failLocked(err error) {
	if s.err != nil {
		return
	}
	s.err = err
	close(s.done)
	for _, l := range s.outgoing {
		l.failLocked(err)
	}
	for _, l := range s.incoming {
		l.failLocked(err)
	}
	for _, d := range s.unsettled {
		d.settleLocked(nil, err)
	}
	clear(s.unsettled)
	s.changed.wakeLocked()
}
