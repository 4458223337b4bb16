package amqp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Errors of calls on a connection, session or link that ended without an AMQP error. One that ended
// with an AMQP error wraps an [*Error]; if the peer sent that, a [*RemoteError] too.
var (
	ErrClosed   = errors.New("amqp: connection closed")
	ErrEnded    = errors.New("amqp: session ended")
	ErrDetached = errors.New("amqp: link detached")
)

// RemoteError is an error that the peer sent in a close, end or detach. The type distinguishes it
// from our own errors.
type RemoteError struct {
	Frame string // "close", "end" or "detach"
	Err   *Error
}

// Error names the frame and its error.
func (e *RemoteError) Error() string { return "amqp: peer sent " + e.Frame + ": " + e.Err.Error() }

// Unwrap returns the *Error.
func (e *RemoteError) Unwrap() error { return e.Err }

// LimitError says that a limit of the connection or a session is reached: the peer's or ours,
// whichever is smaller. It wraps an [*Error].
type LimitError struct {
	Name  string // "channel-max" or "handle-max"
	Limit uint32 // one less than the number of channels or handles
	Err   *Error
}

// Error says what is in use, and which limit applies.
func (e *LimitError) Error() string {
	return fmt.Sprintf("amqp: %s (%s is %d)", e.Err.Description, e.Name, e.Limit)
}

// Unwrap returns the *Error.
func (e *LimitError) Unwrap() error { return e.Err }

const (
	// closeTimeout bounds the wait for the peer's close, and for the connection's own last frames
	// to be written.
	closeTimeout = 5 * time.Second

	// outLimit is how many bytes may wait to be written before Send waits.
	outLimit = 256 << 10

	// writeSize is how many bytes the writer gathers for one Write. That is enough to amortize the
	// cost of a Write, and little enough for a slow network to meet the write deadline.
	writeSize = 96 << 10

	// outStop is how many bytes may wait before the reader stops reading, since its answers wait
	// there too.
	outStop = 1 << 20
)

// Conn is an AMQP connection. Its methods may be called by several goroutines at once.
type Conn struct {
	// Immutable after the handshake.
	nc         net.Conn
	cfg        Config
	log        *slog.Logger
	peer       *Open
	sasl       *SASLInit
	maxOut     int           // largest frame we send
	channelMax uint16        // highest channel we use: the smaller of both limits
	keepAlive  time.Duration // silence after which we send an empty frame; zero: none

	wake       chan struct{} // holds a token while the writer has something to do
	writerDone chan struct{}
	done       chan struct{} // closed by read after both goroutines have ended

	frames *frameReader // owned by the handshake, then by read

	mu         sync.Mutex  // guards the fields below, and the state of all sessions, links and deliveries
	out        []byte      // frames waiting to be written, except lent ones
	lent       []loan      // frames that the writer reads from a delivery's memory
	lentBytes  int         // of lent
	taken      uint64      // bytes that the writer has taken from out and lent
	written    uint64      // bytes of those that the network has taken
	writerOver bool        // the writer has ended: nothing more is written
	ready      fifo[*Link] // the links that may send, each at most once
	undecided  []*Delivery // ended deliveries that are with the writer: whether the network takes any of them is not known yet
	outFree    signal      // out became shorter
	err        error       // why the connection is over; nil while it is open
	closeSent  bool        // nothing may follow a close in out
	closeBy    time.Time   // when the wait for the peer's close ends
	finished   bool        // the writer must write out and then end
	incoming   map[uint16]*Session
	outgoing   map[uint16]*Session // by our channel
	lowest     uint16              // no channel below it is free
	first      *Session            // a client's session, begun with its open, until NewSession returns it
	handleMax  uint32              // of the peer's latest begin; before the first, the lowest allowed
	ending     int                 // retired sessions whose channels are not free yet
	ended      signal              // the peer has ended a session or link of ours, or err was set
	backlog    []*Link             // attached by the peer and not yet accepted
	unanswered int                 // bytes of the peer's attaches that are not yet accepted or refused
	backlogged signal              // backlog or err changed
	buffered   int                 // bytes of whole deliveries not yet received by the application
	partial    int                 // bytes of deliveries without their last frame
	readable   signal              // buffered became less, reading may resume, or err was set
	faults     faults
}

func newConn(nc net.Conn, cfg *Config) *Conn {
	c := &Conn{
		nc: nc, cfg: cfg.withDefaults(),
		wake: make(chan struct{}, 1), writerDone: make(chan struct{}), done: make(chan struct{}),
		incoming: make(map[uint16]*Session), outgoing: make(map[uint16]*Session),
	}
	c.log, c.channelMax = c.cfg.Logger, c.cfg.ChannelMax
	c.frames = newFrameReader(nc, c.cfg.MaxFrameSize)
	return c
}

// start starts the two goroutines. From here on, reads have the idle deadline.
func (c *Conn) start() {
	c.frames.r = deadlineReader{c}
	go c.write() // ends when the connection does; read waits for it
	go c.read()  // ends when the connection does; Close waits for it
}

// Peer returns the peer's open. It must not be modified.
func (c *Conn) Peer() *Open { return c.peer }

// SASL returns the client's SASL init, or nil if the client left SASL out. It must not be modified.
// With mechanism PLAIN it contains secrets.
func (c *Conn) SASL() *SASLInit { return c.sasl }

// Done returns a channel that is closed when the connection is over: its net.Conn is closed and its
// goroutines have ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection is over or about to be, or nil while it is open.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close tells the peer that the connection is over, with e as the reason unless it is nil. It waits
// at most 5 s for the peer's answer. It returns after both goroutines have ended. Closing a
// connection that is over does nothing.
func (c *Conn) Close(e *Error) error {
	c.mu.Lock()
	c.closeLocked(e)
	c.endIgnoringLocked()
	c.mu.Unlock()
	<-c.done
	return nil
}

// Leave is Close without the wait for the peer's answer. It closes the net.Conn after the waiting
// frames, including the close, have been written, or after 5 s.
func (c *Conn) Leave(e *Error) {
	c.mu.Lock()
	c.closeLocked(e)
	c.endIgnoringLocked()
	c.finished = true
	c.wakeWriter()
	by := c.closeBy
	c.mu.Unlock()
	<-c.writerDone
	c.closeNet(by)
	<-c.done
}

// Cut closes the net.Conn without a close frame, and does not wait. A net.Conn that is a protocol
// itself may have a method for this: CloseNow() error, or NetConn() net.Conn, which returns the
// underlying one.
func (c *Conn) Cut() {
	c.mu.Lock()
	c.failLocked(fmt.Errorf("%w: cut", ErrClosed))
	c.mu.Unlock()
	c.dropNet()
}

// closeNet closes the net.Conn, and drops it if that has not finished in time. Closing TLS or a
// WebSocket may first send something, and wait for room.
func (c *Conn) closeNet(by time.Time) {
	if !time.Now().Before(by) {
		c.dropNet()
		return
	}
	timer := time.AfterFunc(time.Until(by), c.dropNet) // ends with the net.Conn's Close, which it unblocks
	defer timer.Stop()
	_ = c.nc.Close()
}

// dropNet closes a net.Conn without a word. Of TLS, or anything else on top of another net.Conn, it
// closes the underlying one.
func dropNet(nc net.Conn) error {
	switch nc := nc.(type) {
	case interface{ CloseNow() error }:
		return nc.CloseNow()
	case interface{ NetConn() net.Conn }:
		return nc.NetConn().Close()
	default:
		return nc.Close()
	}
}

func (c *Conn) dropNet() { _ = dropNet(c.nc) }

// AcceptLink waits for a link that the peer attaches, in any session. It returns links in the order
// of their attaches. The caller then calls Accept or Refuse. It ends with ctx or with the
// connection.
func (c *Conn) AcceptLink(ctx context.Context) (*Link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.backlog) == 0 {
		if c.err != nil {
			return nil, c.err
		}
		if err := c.waitLocked(ctx, &c.backlogged); err != nil {
			return nil, err
		}
	}
	l := c.backlog[0]
	c.backlog = c.backlog[1:]
	l.accepted = true
	return l, nil
}

// closeLocked sends close and ends everything locally. The reader goes on until the peer answers or
// closeTimeout has passed.
func (c *Conn) closeLocked(e *Error) {
	if c.err != nil {
		return
	}
	_ = c.sendErrorLocked(0, e, func(e *Error) appender { return &Close{e} })
	c.closeSent = true
	c.closeBy = time.Now().Add(closeTimeout)
	_ = c.nc.SetReadDeadline(c.closeBy)
	err := ErrClosed
	if e != nil {
		err = fmt.Errorf("%w by us: %w", ErrClosed, e)
	}
	c.failLocked(err)
}

// failLocked ends the connection's sessions and wakes all waiting calls. Only the contents of out
// are still sent.
func (c *Conn) failLocked(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.closeSent = true
	for _, s := range c.outgoing {
		s.failLocked(err)
	}
	c.ended.wakeLocked()
	c.backlogged.wakeLocked()
	c.outFree.wakeLocked()
	c.readable.wakeLocked()
	c.wakeWriter()
}

// wakeWriter makes the writer look at out and finished.
func (c *Conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
