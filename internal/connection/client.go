package connection

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// errPeerSilent is the cause when a peer did not answer within closeTimeout, or a
// pair's requests within openTimeout.
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

	broken atomic.Bool   // cut was called; amqp.Done comes soon
	lane   chan struct{} // holds one while the frames of a message leave, behind its first; see takeLane
	slots  chan struct{} // holds one for each session that has not ended

	mourned chan struct{} // closed when its end has been told

	mu        sync.Mutex        // guards the fields below
	grants    map[string]*grant // by path; see grant.go
	perEntity map[string]bool   // by hub: whether it wants a grant for each partition
}

// dialClient opens the transport and the AMQP connection over it; not right after
// that has failed.
func dialClient(ctx context.Context, owner *Conn, failed time.Time) (*client, error) {
	if err := pace(ctx, failed); err != nil {
		return nil, classifyDial(err)
	}
	transport, err := dialTransport(ctx, &owner.cfg)
	if err != nil {
		return nil, err
	}
	conn, err := callback.Result("net.Conn", func() (*amqp.Conn, error) {
		return amqp.NewConn(ctx, transport.conn, &amqp.ConnOptions{
			ContainerID: owner.cfg.ContainerID,
			HostName:    owner.cfg.Namespace,
			SASLType:    amqp.SASLTypeAnonymous(),
			MaxSessions: 65535,
			Properties:  openProperties(owner.cfg.ApplicationID),
		})
	})
	if err != nil {
		hangUp(transport.raw)
		return nil, classifyDial(err)
	}
	cl := &client{
		owner:     owner,
		amqp:      conn,
		raw:       transport.raw,
		lane:      make(chan struct{}, 1),
		slots:     make(chan struct{}, owner.maxSessions),
		mourned:   make(chan struct{}),
		grants:    make(map[string]*grant),
		perEntity: owner.narrowHubs(),
	}
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
		return cl.broken.Load()
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
	cl.broken.Store(true)
	hangUp(cl.raw)
}

// close closes the connection politely and breaks it when ctx ends. It returns
// when go-amqp has let go of it.
func (cl *client) close(ctx context.Context) {
	stop := context.AfterFunc(ctx, cl.cut)
	defer stop()
	_ = callback.Call("net.Conn.Close", func() { _ = cl.amqp.Close() })
}

// undated is a context without its deadline, which go-amqp would make the
// socket's.
type undated struct{ context.Context }

func (undated) Deadline() (time.Time, bool) { return time.Time{}, false }

// newSession begins a session. go-amqp is given a context that only the
// connection's end or openTimeout ends: after either, a half-begun session would
// confuse the peer, so the connection is broken.
//
// It takes one of the client's slots, which the session's end gives back: go-amqp
// closes the connection when it runs out of channels. Sessions that are about to
// end are waited for, for a while.
func (cl *client) newSession(ctx context.Context) (*amqp.Session, error) {
	if err := cl.takeSlot(ctx); err != nil {
		return nil, err
	}
	session, err := cl.amqp.NewSession(undated{ctx}, nil)
	if err != nil {
		cl.freeSlot()
		if ctx.Err() != nil {
			cl.cut()
		}
	}
	return session, err
}

func (cl *client) takeSlot(ctx context.Context) error {
	select {
	case cl.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case cl.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return &Error{Code: CodeQuota, Err: fmt.Errorf("all %d sessions of the connection are in use, one for each open partition; open more on another connection", cap(cl.slots))}
	case <-cl.amqp.Done():
		return &amqp.ConnError{}
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (cl *client) freeSlot() { <-cl.slots }
