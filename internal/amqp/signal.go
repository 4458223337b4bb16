package amqp

import "context"

// A signal wakes all callers that wait for a change of the state under Conn.mu. The zero value is
// ready. Its channel exists only while a caller waits.
type signal struct {
	ch chan struct{}
}

// waitLocked returns a channel that the next wakeLocked closes.
func (s *signal) waitLocked() <-chan struct{} {
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wakeLocked() {
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}

// waitLocked releases c.mu, waits for s or for ctx to end, and locks c.mu again. If ctx ended it
// returns its error.
func (c *Conn) waitLocked(ctx context.Context, s *signal) error {
	ch := s.waitLocked()
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
