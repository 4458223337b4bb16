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
	// openTimeout bounds each opening: a connection with its TLS and SASL, a
	// token and its put-token, a link. It is as long as the producer's default
	// try, since a shorter wait would give up what a caller is willing to await.
	openTimeout = time.Minute

	// closeTimeout bounds the wait for a peer's answer to a detach, an end or a
	// close. A peer that is silent for so long loses the connection.
	closeTimeout = 5 * time.Second

	// maxSessions is how many sessions the service lets a connection have: it
	// allows channels up to 4999. A peer that allows fewer says so.
	maxSessions = 5000

	// idleTimeout is what the peer hears. One that is silent for twice as long loses the
	// connection.
	idleTimeout = 30 * time.Second

	// grace is how much longer than its context Close may take, for what ends with the
	// connection to see that. It only has to be longer than the scheduler needs.
	grace = 100 * time.Millisecond
)

// Config says where a connection goes and how. It is not modified, and must not
// be after it was passed to New.
type Config struct {
	// Namespace is the host, with or without a port. It is part of every audience,
	// and without its port the host name of the AMQP connection.
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
	NewWebSocketConn func(ctx context.Context, url string) (net.Conn, error)

	// ApplicationID, if set, begins the user agent that the service sees.
	ApplicationID string

	// ContainerID begins the name of each connection on the wire; empty for a random
	// one.
	ContainerID string

	// Tokens authorizes. It is required, unless WithoutCBS is set.
	Tokens TokenSource

	// WithoutCBS is for a broker that has no $cbs: no token is asked for and none
	// is put. The service refuses every link of such a connection.
	WithoutCBS bool

	// Logger may be nil. At level DEBUG it is told of frames too, at LevelTraffic of all.
	Logger *slog.Logger

	// Frames, if set, is told of each frame instead, as amqp.Watch does. It must not
	// block.
	Frames func(sent bool, frame string)

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

	maxSessions int         // of each connection
	mechanism   amqp.Symbol // of SASL; empty for the engine's own choice. Owned by the dial under way

	mu        sync.Mutex // guards the fields below
	closed    bool
	work      sync.WaitGroup   // goroutines begun by begin; Add only under mu and while not closed
	client    *client          // the latest connection, nil before the first
	dialing   *flight[*client] // not nil while a connection is being opened
	failed    time.Time        // when dialling last failed; zero if it has succeeded since
	dials     int              // counts them
	opened    chan struct{}    // closed and replaced when a connection has been opened
	perEntity map[string]bool  // by hub: whether it wants a grant for each partition
}

// New returns a connection that is not yet opened; nothing touches the network.
func New(cfg Config) *Conn {
	c := &Conn{cfg: cfg, log: callback.Logger(cfg.Logger), maxSessions: maxSessions, opened: make(chan struct{}), perEntity: make(map[string]bool)}
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

// blame marks a timeout of ours as Unreached when what took so long was the dial.
func (c *Conn) blame(err error) error {
	e, ok := err.(*Error)
	if !ok || e.Code != CodeTimeout || e.Condition != "" || e.Unreached || c.present() != nil {
		return err
	}
	e = new(*e) // the original may be others' too
	e.Unreached = true
	return e
}

// Opened returns a channel that is closed when the next connection has been
// opened. Whoever means to wait after an Error that is Unreached takes the channel
// before the try, so as not to miss the dial of somebody else's that succeeds right
// after it. Nobody dials because of Opened.
func (c *Conn) Opened() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// Mechanism returns the SASL mechanism of the present connection, empty if there is
// none.
func (c *Conn) Mechanism() string {
	if cl := c.present(); cl != nil {
		return string(cl.amqp.SASL().Mechanism)
	}
	return ""
}

// TokenExpires returns when the present authorization of a hub ends. It is zero if
// there is none, since nothing of the hub was opened on the present connection or
// the service has taken no token, and if the end is not known.
func (c *Conn) TokenExpires(hub string) time.Time {
	if cl := c.present(); cl != nil {
		return cl.tokenExpires(hub)
	}
	return time.Time{}
}

// dial opens a connection and makes it the present one; not right after it has
// failed.
func (c *Conn) dial(ctx context.Context, failed time.Time, dials int) (*client, error) {
	start := time.Now()
	cl, err := dialClient(ctx, c, failed, dials)
	return c.dialled(ctx, cl, err, start)
}

// dialled ends a dial.
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
		// Begun here, since after a Close it would not be. Ends with the connection.
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
		cl.cut() // Close cannot have seen this one
		return nil, closedError()
	}
	if former != nil {
		former.cut()     // it is lost, and may still be about to say so
		<-former.mourned // soon: nobody is to hear of this one before that one's end
	}
	log.Info("connected", "duration", time.Since(start))
	if c.cfg.Connected != nil {
		c.cfg.Connected()
	}
	return cl, nil
}

// mourn waits for the end of a connection and tells of it.
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

// audience is what a token for a hub, or a partition of it, must cover.
func (c *Conn) audience(path string) string { return c.cfg.audience(path) }

func (cfg *Config) audience(path string) string {
	scheme := "amqps://"
	if cfg.Plain {
		scheme = "amqp://"
	}
	return scheme + authority(cfg.Namespace) + "/" + path
}
