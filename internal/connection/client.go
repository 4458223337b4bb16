package connection

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// errPeerSilent is the cause when a peer did not answer a close within closeTimeout, or a pair's
// requests within openTimeout.
var errPeerSilent = errors.New("the peer did not answer in time")

// client is one established AMQP connection. A lost client stays lost; Conn opens another.
type client struct {
	// Immutable after dialClient.
	owner *Conn
	amqp  *amqp.Conn
	raw   net.Conn // the transport below TLS; closing it ends everything at once

	cbs        *requestNode
	management *requestNode

	broken atomic.Bool // cut was called; amqp.Done closes soon

	mourned chan struct{} // closed after Disconnected has been called

	mu        sync.Mutex        // guards the fields below
	grants    map[string]*grant // by path; see grant.go
	perEntity map[string]bool   // by hub: whether it wants a grant for each partition
}

// dialClient opens the transport and the AMQP connection over it, at the earliest againPause after
// the last failure.
func dialClient(ctx context.Context, owner *Conn, failed time.Time, dials int) (*client, error) {
	if err := pace(ctx, failed); err != nil {
		return nil, classifyDial(err)
	}
	conn, raw, err := dialAMQP(ctx, &owner.cfg, containerID(owner.cfg.ContainerID, dials), owner.maxSessions, &owner.mechanism)
	if err != nil {
		return nil, err
	}
	cl := &client{
		owner:     owner,
		amqp:      conn,
		raw:       raw,
		mourned:   make(chan struct{}),
		grants:    make(map[string]*grant),
		perEntity: owner.narrowHubs(),
	}
	cl.cbs = newRequestNode(cl, "$cbs")
	cl.management = newRequestNode(cl, "$management")
	return cl, nil
}

// dialAMQP opens a transport and an AMQP connection over it. The SASL mechanism is sent before the
// server has made its offer. If the server then offers another one, dialAMQP dials once more with
// that, and keeps it in *mechanism for later dials. Its errors are *Error.
func dialAMQP(ctx context.Context, cfg *Config, container string, sessions int, mechanism *amqp.Symbol) (conn *amqp.Conn, raw net.Conn, err error) {
	for again := false; ; again = true {
		t, err := dialTransport(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		conn, err := handshake(ctx, cfg, t, container, sessions, *mechanism)
		if err == nil {
			return conn, t.raw, nil
		}
		other := amqp.Symbol("")
		if refusal, ok := errors.AsType[*amqp.SASLError](err); ok {
			other = refusal.Instead()
		}
		if other == "" || again {
			return nil, nil, err
		}
		*mechanism = other
	}
}

// handshake opens an AMQP connection over a transport, and closes the transport if that fails. Its
// errors are *Error.
func handshake(ctx context.Context, cfg *Config, t transport, container string, sessions int, mechanism amqp.Symbol) (*amqp.Conn, error) {
	host, _ := splitHostPort(cfg.Namespace) // the name without the port (AMQP 2.7.1): some servers refuse a port
	if saw := cfg.watch(); saw != nil {
		t.conn = amqp.Watch(t.conn, saw)
	}
	stop := context.AfterFunc(ctx, func() { hangUp(t.raw) })
	defer stop()
	conn, err := callback.Result("net.Conn", func() (*amqp.Conn, error) {
		return amqp.Client(ctx, t.conn, &amqp.Config{
			ContainerID: container,
			HostName:    host,
			Mechanism:   mechanism,
			ChannelMax:  uint16(sessions - 1),
			HandleMax:   math.MaxUint16, // as Java's client says; a session of ours has two links at most
			IdleTimeout: idleTimeout,
			LinkBacklog: -1, // no peer attaches a link of its own
			WholeWrites: cfg.NewWebSocketConn != nil,
			MaxBuffered: cfg.MaxBuffered,
			Properties:  openProperties(cfg.ApplicationID),
		})
	})
	if err != nil {
		hangUp(t.raw)
		return nil, classifyDial(openingError(ctx, err))
	}
	return conn, nil
}

// LevelTraffic is the log level of the frames that recur on an open link. Frames that begin, end or
// refuse something are logged at level DEBUG.
const LevelTraffic = slog.LevelDebug - 4

// watch returns the function that gets each frame, or nil if neither Frames nor the logger wants
// them.
func (cfg *Config) watch() func(amqp.Sight) {
	switch {
	case cfg.Frames != nil:
		return func(s amqp.Sight) { cfg.Frames(s.Sent, s.Text) }
	case cfg.Logger == nil:
		return nil
	}
	log, ctx := callback.Logger(cfg.Logger), context.Background()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	traffic := log.Enabled(ctx, LevelTraffic)
	log = log.With("namespace", cfg.Namespace)
	return func(s amqp.Sight) {
		level := slog.LevelDebug
		if s.Traffic {
			if level = LevelTraffic; !traffic {
				return
			}
		}
		message := "frame received"
		if s.Sent {
			message = "frame sent"
		}
		log.Log(ctx, level, message, "frame", s.Text)
	}
}

// containerID is the name of a connection. From the second dial on it ends with a number, since
// some servers refuse a name while they still know the previous connection.
func containerID(name string, dials int) string {
	if name == "" || dials == 1 {
		return name
	}
	return name + "-" + strconv.Itoa(dials)
}

// openProperties identify this client to the service, under the names that Microsoft's SDKs use.
func openProperties(applicationID string) amqp.Map {
	agent := "go-eventhubs (" + runtime.Version() + "; " + runtime.GOOS + ")"
	if applicationID != "" {
		agent = applicationID + " " + agent
	}
	return amqp.Map{
		{Key: amqp.Symbol("product"), Value: "go-eventhubs"},
		{Key: amqp.Symbol("version"), Value: "0.1.0"},
		{Key: amqp.Symbol("platform"), Value: runtime.GOOS},
		{Key: amqp.Symbol("framework"), Value: runtime.Version()},
		{Key: amqp.Symbol("user-agent"), Value: agent},
	}
}

func (cl *client) lost() bool { return cl.broken.Load() || cl.amqp.Err() != nil }

// reason is why the connection ended; nil if we closed it ourselves.
func (cl *client) reason() error {
	if err := cl.amqp.Err(); err != nil && cl.owner.lifetime.Err() == nil {
		return classify(err)
	}
	return nil
}

// cut breaks the connection at once; everything that waits for it fails.
func (cl *client) cut() {
	cl.broken.Store(true)
	hangUp(cl.raw)
}

// standstill is how long a write may still hold the memory of a batch whose try is over.
const standstill = time.Second

// cutIfStill cuts the connection if a write that holds a batch's memory does not finish within
// standstill. Later batches and the next try of this batch would otherwise wait forever.
func (cl *client) cutIfStill(held <-chan struct{}) {
	// Runs once, after standstill, and does not block.
	time.AfterFunc(standstill, func() {
		select {
		case <-held:
		default:
			cl.cut()
		}
	})
}

// close closes the connection politely, without waiting for the peer's own close. It breaks the
// connection when ctx ends. It returns after all of the connection's goroutines have ended.
func (cl *client) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, cl.cut)
	defer stop()
	_ = callback.Call("net.Conn", func() { cl.amqp.Leave(nil) })
}
