package connection

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/Azure/go-amqp"
)

// errPeerSilent is the cause when a peer did not answer within closeTimeout.
var errPeerSilent = errors.New("the peer did not answer in time")

// client is one established AMQP connection. When it is lost it stays so; Conn
// opens another.
type client struct {
	// Immutable after dialClient.
	owner *Conn
	amqp  *amqp.Conn
	raw   net.Conn // what amqp writes to, below TLS: closing it ends everything at once

	cbs        *requestNode
	management *requestNode

	mu     sync.Mutex        // guards the field below
	grants map[string]*grant // by hub; see cbs.go
}

// dialClient opens the transport and the AMQP connection over it.
func dialClient(ctx context.Context, owner *Conn) (*client, error) {
	transport, err := dialTransport(ctx, &owner.cfg)
	if err != nil {
		return nil, err
	}
	conn, err := amqp.NewConn(ctx, transport.conn, &amqp.ConnOptions{
		ContainerID: owner.cfg.ContainerID,
		HostName:    owner.cfg.Namespace,
		SASLType:    amqp.SASLTypeAnonymous(),
		MaxSessions: 65535,
		Properties:  openProperties(owner.cfg.ApplicationID),
	})
	if err != nil {
		_ = transport.raw.Close()
		return nil, classifyDial(err)
	}
	cl := &client{owner: owner, amqp: conn, raw: transport.raw, grants: make(map[string]*grant)}
	cl.cbs = newRequestNode(cl, "$cbs")
	cl.management = newRequestNode(cl, "$management")
	return cl, nil
}

// openProperties tells the service who we are, under the names that its own SDKs
// use.
func openProperties(applicationID string) map[string]any {
	agent := "go-eventhubs (" + runtime.Version() + "; " + runtime.GOOS + ")"
	if applicationID != "" {
		agent = applicationID + " " + agent
	}
	return map[string]any{
		"product":    "go-eventhubs",
		"version":    "0.1.0",
		"platform":   runtime.GOOS,
		"framework":  runtime.Version(),
		"user-agent": agent,
	}
}

func (cl *client) lost() bool {
	select {
	case <-cl.amqp.Done():
		return true
	default:
		return false
	}
}

// reason is why the connection ended, nil if we closed it ourselves.
func (cl *client) reason() error {
	if err := cl.amqp.Err(); err != nil && cl.owner.lifetime.Err() == nil {
		return classify(err)
	}
	return nil
}

// cut breaks the connection at once: everything that waits for it fails.
func (cl *client) cut() {
	_ = cl.raw.Close()
}

// close closes the connection politely and breaks it when ctx ends. It returns
// when go-amqp has let go of it.
func (cl *client) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, cl.cut)
	defer stop()
	_ = cl.amqp.Close()
}

// undated is a context without its deadline, which go-amqp would make the
// socket's.
type undated struct{ context.Context }

func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

// newSession begins a session. go-amqp is given a context that only the
// connection's end or openTimeout ends: after either, a half-begun session would
// confuse the peer, so the connection is broken.
func (cl *client) newSession(ctx context.Context) (*amqp.Session, error) {
	session, err := cl.amqp.NewSession(undated{ctx}, nil)
	if err != nil && ctx.Err() != nil {
		cl.cut()
	}
	return session, err
}

// endSession begins to end a session and does not wait for the peer's answer,
// which go-amqp still awaits in the background, as long as the connection lives.
func endSession(session *amqp.Session) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = session.Close(ctx)
}
