package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// openTimeout bounds each opening: a connection with its TLS and SASL, a
	// token and its put-token, a link. It is as long as the producer's default
	// try, since a shorter wait would give up what a caller is willing to await.
	openTimeout = time.Minute

	// closeTimeout bounds the wait for a peer's answer to a detach, an end or a
	// close. A peer that is silent for so long loses the connection.
	closeTimeout = 5 * time.Second
)

// Config says where a connection goes and how. It is not modified, and must not
// be after it was passed to New.
type Config struct {
	// Namespace is the host, with or without a port, as the user wrote it. It is
	// the host name of the AMQP connection and part of every audience.
	Namespace string

	// Plain is for a development emulator: TCP without TLS, default port 5672,
	// audiences that begin with amqp://.
	Plain bool

	// TLSConfig, if set, is cloned; its ServerName defaults to Namespace's host.
	TLSConfig *tls.Config

	// CustomEndpoint, if set, is the host, with or without a port, that is
	// dialled instead of Namespace.
	CustomEndpoint string

	// DialContext, if set, replaces net.Dialer's. It must return when its context
	// ends.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NewWebSocketConn, if set, opens the transport in place of TCP and TLS. It
	// must return when its context ends.
	NewWebSocketConn func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error)

	// ApplicationID, if set, begins the user agent that the service sees.
	ApplicationID string

	// ContainerID names the connection on the wire; empty for a random one.
	ContainerID string

	// Tokens authorizes. It is required.
	Tokens TokenSource

	// Logger may be nil.
	Logger *slog.Logger

	// Connected is called when a connection has been opened, Disconnected when
	// it has ended, with nil if its owner closed it. Either may be nil; they must
	// not block.
	Connected    func()
	Disconnected func(error)
}

// ErrClosed is the cause of errors of a Conn or Sender that was closed.
var ErrClosed = errors.New("the connection was closed by its owner")

// Conn is a connection to a namespace that opens itself when it is needed. Its
// methods may be called by several goroutines at once.
type Conn struct {
	// Immutable after New.
	cfg      Config
	log      *slog.Logger
	lifetime context.Context // ends with Close; all openings live within it
	end      context.CancelCauseFunc

	mu      sync.Mutex // guards the fields below
	closed  bool
	work    sync.WaitGroup   // goroutines begun by begin; Add only under mu and while not closed
	client  *client          // the latest connection, nil before the first
	dialing *flight[*client] // not nil while a connection is being opened
}

// New returns a connection that is not yet opened; nothing touches the network.
func New(cfg Config) *Conn {
	c := &Conn{cfg: cfg, log: cfg.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.lifetime, c.end = context.WithCancelCause(context.Background())
	return c
}

// begin runs work in a goroutine of the connection's; Close waits for it. It
// returns false, and runs nothing, when the connection was closed. It may be
// called with locks held.
func (c *Conn) begin(work func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(work)
}

func (c *Conn) beginLocked(work func()) bool {
	if c.closed {
		return false
	}
	// Ends when work does: openings within openTimeout or at Close, the readers
	// of request links with their connection.
	c.work.Go(work)
	return true
}

// connect returns the present connection, opening one if there is none or it is
// lost. All callers wait for one dial, each as long as its own ctx lasts.
func (c *Conn) connect(ctx context.Context) (*client, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, closedError()
	}
	if c.client != nil && !c.client.lost() {
		cl := c.client
		c.mu.Unlock()
		return cl, nil
	}
	if c.dialing == nil {
		f := newFlight[*client]()
		c.dialing = f
		c.beginLocked(func() { f.run(c.lifetime, c.dial) })
	}
	f := c.dialing
	c.mu.Unlock()
	return f.wait(ctx)
}

// dial opens a connection and makes it the present one.
func (c *Conn) dial(ctx context.Context) (*client, error) {
	start := time.Now()
	cl, err := dialClient(ctx, c)
	c.mu.Lock()
	c.dialing = nil
	closed := c.closed
	if err == nil && !closed {
		c.client = cl
	}
	c.mu.Unlock()

	log := c.log.With("namespace", c.cfg.Namespace, "duration", time.Since(start))
	switch {
	case err != nil:
		log.Warn("connecting failed", "error", err)
		return nil, err
	case closed:
		cl.cut() // Close cannot have seen this one
		return nil, closedError()
	}
	log.Info("connected")
	if c.cfg.Connected != nil {
		c.cfg.Connected()
	}
	if c.cfg.Disconnected != nil {
		// Ends with the connection.
		c.begin(func() {
			<-cl.amqp.Done()
			c.cfg.Disconnected(cl.reason())
		})
	}
	return cl, nil
}

// Close closes the connection and ends whatever waits for it. It asks the peer
// politely, but when ctx ends, or after closeTimeout, it breaks the connection;
// so it never hangs. Batches in flight become Unknown. It returns an error only if
// a dialer or token source of the caller's ignores that its context has ended. A
// second Close finds nothing left to close.
func (c *Conn) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	cl := c.client
	c.mu.Unlock()
	c.end(ErrClosed)

	ctx, cancel := context.WithTimeoutCause(ctx, closeTimeout, errPeerSilent)
	defer cancel()
	if cl != nil {
		cl.close(ctx)
	}
	// What is left ends by itself now.
	ended := make(chan struct{})
	go func() { // ends with the last of them; awaited below, within bounds
		c.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	// The connection has just been broken; all that honours its context ends now.
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return contextError(ctx)
	}
}

// audience is what a token for a hub must cover.
func (c *Conn) audience(hub string) string {
	scheme := "amqps://"
	if c.cfg.Plain {
		scheme = "amqp://"
	}
	return scheme + c.cfg.Namespace + "/" + hub
}
