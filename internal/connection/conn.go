package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/callback"
)

const (
	// openTimeout bounds each opening: a connection with TLS and SASL, a token with its put-token,
	// or a link. It equals the producer's default TryTimeout: a shorter limit would give up sooner
	// than the caller does.
	openTimeout = time.Minute

	// closeTimeout bounds the wait for a peer's answer to a detach, an end or a close. If the peer
	// stays silent that long, the connection is cut.
	closeTimeout = 5 * time.Second

	// maxSessions is the service's limit of sessions per connection: it allows channels up to 4999.
	// A peer that allows fewer states its limit.
	maxSessions = 5000

	// idleTimeout is announced to the peer. If the peer is silent for twice as long, the connection
	// is cut.
	idleTimeout = 30 * time.Second

	// grace is how much longer than its context Close may take, so that the connection's goroutines
	// can notice the end. It only has to be longer than the scheduler needs.
	grace = 100 * time.Millisecond
)

// Config says where a connection goes and how. New keeps a copy; the values that it points to must
// not change afterwards.
type Config struct {
	// Namespace is the host, with or without a port. Every audience contains it. Without its port
	// it is the host name of the AMQP connection.
	Namespace string

	// Plain is for a development emulator: TCP without TLS, default port 5672, and audiences that
	// begin with amqp://.
	Plain bool

	// TLSConfig, if set, is cloned; its ServerName defaults to Namespace's host.
	TLSConfig *tls.Config

	// CustomEndpoint, if set, is dialled instead of Namespace: a host with or without a port.
	CustomEndpoint string

	// DialContext, if set, replaces net.Dialer's. It must return when its context ends.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	// NewWebSocketConn, if set, opens the transport instead of TCP and TLS. It must return when its
	// context ends.
	NewWebSocketConn func(ctx context.Context, url string) (net.Conn, error)

	// ApplicationID, if set, begins the user agent that the service sees.
	ApplicationID string

	// ContainerID begins the name of each connection on the wire; if empty, the name is random.
	ContainerID string

	// Tokens authorizes. It is required unless WithoutCBS is set.
	Tokens TokenSource

	// WithoutCBS is for a broker without $cbs: no token is requested or put. The Event Hubs service
	// refuses every link of a connection without a token.
	WithoutCBS bool

	// MaxBuffered bounds the bytes of events that were received and that no Receiver has returned
	// yet. Zero is the engine's default.
	MaxBuffered int

	// Logger may be nil. At level DEBUG it also gets frames; at LevelTraffic it gets every frame.
	Logger *slog.Logger

	// Frames, if set, gets every frame instead of Logger, as with amqp.Watch. It must not block.
	Frames func(sent bool, frame string)

	// Connected is called after a connection has opened, Disconnected after it has ended, with nil
	// if its owner closed it. Either may be nil. They must not block.
	Connected    func()
	Disconnected func(error)
}

// ErrClosed is the cause of errors of a closed Conn or Sender.
var ErrClosed = errors.New("the connection was closed by its owner")

// Conn is a connection to a namespace that opens when it is first needed. Its methods may be called
// by several goroutines at once.
type Conn struct {
	// Immutable after New.
	cfg      Config
	log      *slog.Logger
	lifetime context.Context // ends with Close; all openings live within it
	end      context.CancelCauseFunc

	maxSessions int         // of each connection
	mechanism   amqp.Symbol // of SASL; empty for the engine's own choice. Owned by the current dial

	mu        sync.Mutex // guards the fields below
	closed    bool
	work      sync.WaitGroup   // goroutines begun by begin; Add only under mu and while not closed
	client    *client          // the latest connection, nil before the first
	dialing   *flight[*client] // not nil while a connection is being opened
	failed    time.Time        // when dialling last failed; zero after a success
	dials     int              // counts them
	opened    chan struct{}    // closed and replaced when a connection has been opened
	perEntity map[string]bool  // by hub: whether it wants a grant for each partition
}

// New returns a connection that is not yet open. It does not touch the network.
func New(cfg Config) *Conn {
	c := &Conn{cfg: cfg, log: callback.Logger(cfg.Logger), maxSessions: maxSessions, opened: make(chan struct{}), perEntity: make(map[string]bool)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.lifetime, c.end = context.WithCancelCause(context.Background())
	return c
}

// begin runs work in a goroutine of the connection; Close waits for it. If the connection is
// closed, begin returns false and runs nothing. It may be called with locks held.
func (c *Conn) begin(work func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.beginLocked(work)
}

func (c *Conn) beginLocked(work func()) bool {
	if c.closed {
		return false
	}
	// Ends when work does: openings within openTimeout or at Close, the readers of request links
	// with their connection.
	c.work.Go(work)
	return true
}

// connect returns the present connection. It opens one if there is none or it is lost. All callers
// wait for the same dial, each as long as its own ctx lasts.
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
		failed := c.failed
		c.dials++
		dials := c.dials
		c.beginLocked(func() {
			f.run(c.lifetime, func(ctx context.Context) (*client, error) { return c.dial(ctx, failed, dials) })
		})
	}
	f := c.dialing
	c.mu.Unlock()
	cl, err := f.wait(ctx)
	return cl, c.blame(err)
}

// present returns the present connection, nil if there is none.
func (c *Conn) present() *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil || c.client.lost() {
		return nil
	}
	return c.client
}

// blame marks a timeout as Unreached if the dial was what took so long.
func (c *Conn) blame(err error) error {
	e, ok := err.(*Error)
	if !ok || e.Code != CodeTimeout || e.Condition != "" || e.Unreached || c.present() != nil {
		return err
	}
	e = new(*e) // other callers may have the original
	e.Unreached = true
	return e
}

// Opened returns a channel that is closed when the next connection has opened. A caller that wants
// to wait after an Unreached error takes the channel before its try. Otherwise it could miss
// another caller's dial that succeeds right after the try. Opened itself never dials.
func (c *Conn) Opened() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// Mechanism returns the SASL mechanism of the present connection; empty if there is none.
func (c *Conn) Mechanism() string {
	if cl := c.present(); cl != nil {
		return string(cl.amqp.SASL().Mechanism)
	}
	return ""
}

// TokenExpires returns when the present authorization of a hub ends. It is zero if the end is not
// known. It is also zero without an authorization: nothing of the hub has been opened on the
// present connection, or the service has accepted no token.
func (c *Conn) TokenExpires(hub string) time.Time {
	if cl := c.present(); cl != nil {
		return cl.tokenExpires(hub)
	}
	return time.Time{}
}

// dial opens a connection and makes it the present one, at the earliest againPause after the last
// failure.
func (c *Conn) dial(ctx context.Context, failed time.Time, dials int) (*client, error) {
	start := time.Now()
	cl, err := dialClient(ctx, c, failed, dials)
	return c.dialled(ctx, cl, err, start)
}

// dialled records the result of a dial, logs it and calls Connected.
func (c *Conn) dialled(ctx context.Context, cl *client, err error, start time.Time) (*client, error) {
	told := make(chan struct{}) // closed when Connected has been called
	defer close(told)
	c.mu.Lock()
	c.dialing = nil
	closed := c.closed
	changed := c.failed.IsZero()
	var former *client
	switch {
	case err != nil:
		c.failed = time.Now()
	case !closed:
		c.failed = time.Time{}
		former, c.client = c.client, cl
		close(c.opened)
		c.opened = make(chan struct{})
		opened := time.Now()
		// Begun here, since begin would refuse it after a Close. Ends with the connection.
		c.beginLocked(func() {
			<-told
			c.mourn(cl, opened)
		})
	}
	c.mu.Unlock()

	log := c.log.With("namespace", c.cfg.Namespace)
	switch {
	case err != nil:
		level := slog.LevelDebug
		if changed && !closed {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "connecting failed", "duration", time.Since(start), "error", err)
		return nil, err
	case closed:
		cl.cut() // Close cannot have seen this connection
		return nil, closedError()
	}
	if former != nil {
		former.cut()     // it is lost, but its goroutines may not have noticed yet
		<-former.mourned // soon: Disconnected of the former connection comes before Connected of this one
	}
	log.Info("connected", "duration", time.Since(start))
	if c.cfg.Connected != nil {
		c.cfg.Connected()
	}
	return cl, nil
}

// mourn waits for the end of a connection, logs it and calls Disconnected.
func (c *Conn) mourn(cl *client, opened time.Time) {
	defer close(cl.mourned)
	<-cl.amqp.Done()
	reason := cl.reason()
	log := c.log.With("namespace", c.cfg.Namespace, "duration", time.Since(opened))
	if reason == nil {
		log.Info("connection closed")
	} else {
		log.Info("connection lost; it is opened again when it is needed", "error", reason)
	}
	if c.cfg.Disconnected != nil {
		c.cfg.Disconnected(reason)
	}
}

// narrowHubs returns a copy of the hubs that want a grant for each partition.
func (c *Conn) narrowHubs() map[string]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.perEntity)
}

// Close closes the connection and ends everything that waits for it. It closes politely at first;
// when ctx ends, or after closeTimeout, it breaks the connection. So Close never hangs. Batches in
// flight become Unknown. It returns an error only if the caller's own dialer or token source
// ignores the end of its context. A second Close does nothing.
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
	// Everything else ends by itself now.
	ended := make(chan struct{})
	go func() { // ends with the last of the connection's goroutines; awaited below with a limit
		c.work.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	// The connection has just been broken: everything that honours its context ends now.
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-timer.C:
		return ContextError(ctx)
	}
}

// audience is the audience of a token for a hub or a partition.
func (c *Conn) audience(path string) string { return c.cfg.audience(path) }

func (cfg *Config) audience(path string) string {
	scheme := "amqps://"
	if cfg.Plain {
		scheme = "amqp://"
	}
	return scheme + authority(cfg.Namespace) + "/" + path
}
