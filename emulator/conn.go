package emulator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The service's values in its open and begin frames.
const (
	maxFrameSize  = 65_536
	channelMax    = 4_999
	sessionWindow = 5_000 // transfer frames
	handleMax     = 255

	// handshakeTimeout bounds the time for TLS, WebSocket, SASL and open together.
	handshakeTimeout = 20 * time.Second

	// maxLinks bounds the links of one connection, each of which has a goroutine. Five thousand
	// sessions of 256 links would allow more.
	maxLinks = 5_000

	// maxPartial and maxBuffered bound the bytes of unfinished messages and of waiting messages,
	// over all links of a connection. A thousand partitions with a message of 100 KB each under way
	// fit.
	maxPartial  = 128 << 20
	maxBuffered = 256 << 20
)

// A connection is one client's connection. Its serve method gives each link its own goroutine.
type connection struct {
	// Immutable after newConnection.
	server  *Server
	raw     net.Conn // as accepted
	number  int
	opened  time.Time
	ctx     context.Context // ends when the connection does
	end     context.CancelCauseFunc
	log     *slog.Logger
	guard   *guard // nil without authentication
	surplus bool   // beyond Options.MaxConnections

	// Immutable after the handshake.
	amqp      *amqp.Conn
	container string // the server's name in its open
	tracker   *linkTracker

	// Atomic.
	links  atomic.Int32           // that are being served
	client atomic.Pointer[client] // nil until the handshake is over

	wg sync.WaitGroup // one goroutine for each link, for each delayed answer or fault, and for the guard

	mu      sync.Mutex       // guards the fields below
	serving map[*attach]bool // links, including those that are about to be refused
	cbs     *amqp.Link       // the sender to $cbs; the service allows one at a time
	replies []*replyLink
}

// A replyLink is a client's receiver on $cbs or $management, for answers.
type replyLink struct {
	link    *amqp.Link
	node    string
	name    string
	address string // of the target; may be empty
}

func newConnection(s *Server, raw net.Conn, number int) *connection {
	c := &connection{server: s, raw: raw, number: number, opened: time.Now().UTC(), log: s.log.With("connection", number), serving: make(map[*attach]bool)}
	c.ctx, c.end = context.WithCancelCause(s.ctx)
	if s.options.Authentication != nil {
		c.guard = newGuard(c)
	}
	return c
}

// serve owns the network connection. It returns after the peer is gone or the server closes, and
// after all links' goroutines have ended.
func (c *connection) serve() {
	nc, ctx := c.raw, c.ctx
	defer c.end(nil)
	action, ok := c.server.decide(ctx, Operation{Kind: KindConnection, Connection: c.number})
	switch {
	case !ok, action.answer == answerCut:
		cut(nc)
		return
	case action.answer == answerSilence:
		ignore(ctx, nc)
		return
	}
	if err := c.handshake(ctx, nc, action); err != nil {
		c.log.Debug("opening a connection failed", "error", err)
		return
	}
	c.log.Debug("connected", "container", c.amqp.Peer().ContainerID)
	if c.guard != nil {
		// run ends with the connection, possibly by closing it; serve waits for it below.
		c.wg.Go(func() { c.guard.run(ctx) })
	}
	switch {
	case action.answer == answerReject, action.answer == answerDetach, action.answer == answerClose:
		_ = c.close(action.refusal())
	case c.surplus:
		_ = c.close(refuse(conditionLimit, textTooManyConnections, c.server.options.MaxConnections))
	}
	accepting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c.tracker = newLinkTracker(c.server.options.Idle, c.container, func(r *refusal) { stop(r) })
	c.acceptLinks(accepting)
	c.end(nil) // ends everything that its links wait for
	c.wg.Wait()
	c.tracker.stop()
}

// ignore takes everything that comes and answers nothing. It returns when the peer is gone or ctx
// ends. A server that did not read would not notice the peer's end, and would keep its place.
func ignore(ctx context.Context, nc net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, nc)
	_ = nc.Close()
}

// handshake finds the transport and exchanges headers, SASL and open.
func (c *connection) handshake(ctx context.Context, nc net.Conn, action Action) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	nc, transport, err := c.server.open(ctx, nc)
	if err != nil {
		return err
	}
	largest := c.server.options.takenMessageSize()
	c.container = containerID()
	c.amqp, err = amqp.Server(ctx, nc, &amqp.Config{
		ContainerID:   c.container,
		MaxFrameSize:  maxFrameSize,
		ChannelMax:    channelMax,
		IdleTimeout:   c.server.options.IdleTimeout,
		SessionWindow: sessionWindow,
		HandleMax:     handleMax,
		LinkBacklog:   maxLinks, // a client may open a thousand at once

		MaxMessageSize: uint64(largest),
		MaxPartial:     max(maxPartial, 4*largest),
		MaxBuffered:    max(maxBuffered, 4*largest),
		Authenticate:   c.login,
		BeforeStart: func(conn *amqp.Conn) {
			c.amqp = conn
			c.disturb(action, nil)
		},
		Logger: c.log,
	})
	if err == nil {
		c.client.Store(newClient(c.amqp.Peer(), transport))
	}
	return err
}

// acceptLinks starts a goroutine for each link until the connection is over or ctx ends. The end of
// ctx closes the connection: with ctx's cause as the reason, or because the server closes.
func (c *connection) acceptLinks(ctx context.Context) {
	for {
		link, err := c.amqp.AcceptLink(ctx)
		if err != nil {
			c.sayGoodbye(ctx)
			select {
			case <-c.amqp.Done():
			case <-ctx.Done():
				c.amqp.Cut() // a fault may have left the client's close unanswered
				<-c.amqp.Done()
			}
			if err := c.amqp.Err(); err != nil && !errors.Is(err, io.EOF) {
				c.log.Debug("disconnected", "error", err)
			}
			return
		}
		if c.links.Load() >= maxLinks {
			_ = link.Refuse(refuse(conditionLimit, textTooManyLinks, maxLinks).amqp())
			continue
		}
		c.links.Add(1)
		// serveLink ends when the link is detached or the connection is over; serve waits for it.
		c.wg.Go(func() {
			defer c.links.Add(-1)
			c.serveLink(c.ctx, link)
		})
	}
}

// sayGoodbye closes the connection if ctx has ended. If the connection was idle for too long, its
// links are detached first.
func (c *connection) sayGoodbye(ctx context.Context) {
	if ctx.Err() == nil {
		return
	}
	cause := context.Cause(ctx)
	refused, ok := errors.AsType[*refusal](cause)
	switch {
	case ok:
		for _, a := range c.attaches() {
			_ = a.link.Detach(refused.amqp())
		}
		_ = c.close(refused)
	case errors.Is(cause, errCut):
		c.amqp.Cut()
	default:
		_ = c.close(refuse(conditionForced, textConnectionGoesAway))
	}
}

// errCut is why a connection ends when CutAll breaks it.
var errCut = errors.New("cut")

// cut breaks the connection from outside, whatever it is doing.
func (c *connection) cut() {
	cut(c.raw)
	c.end(errCut)
}

// attaches are the links that are being served.
func (c *connection) attaches() []*attach {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.serving))
}

// track notes that a link is being served, until the returned function is called.
func (c *connection) track(a *attach) (leave func()) {
	c.mu.Lock()
	c.serving[a] = true
	c.mu.Unlock()
	c.tracker.attached()
	active := a.refused == nil && a.address.node != nodeCBS
	if active {
		c.tracker.enter()
	}
	return func() {
		if active {
			c.tracker.leave()
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.serving, a)
	}
}

// serveLink resolves the client's attach and serves the link until it is detached.
func (c *connection) serveLink(ctx context.Context, link *amqp.Link) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &attach{connection: c, link: link, remote: link.Remote()}
	a.resolve()
	defer a.leave()
	if refused := c.guard.admit(a); refused != nil {
		a.refused = refused
	}
	defer c.guard.release(link)
	defer c.track(a)()
	action, ok := a.decide(ctx, a.operation())
	if !ok {
		return
	}
	if action.answer == answerReject {
		a.refused = action.refusal()
	}
	switch action.answer {
	case answerCut:
		if action.stored {
			_ = a.accept()
		}
		c.amqp.Cut()
		return
	case answerClose:
		_ = c.close(action.refusal())
		return
	case answerSilence:
		<-link.Done()
		return
	}
	if a.refused != nil {
		c.log.Debug("attach refused", "address", a.address.text, "error", a.refused)
		_ = link.Refuse(a.refused.amqp())
		return
	}
	if action.answer == answerDetach {
		if a.accept() == nil {
			_ = link.Detach(action.refusal().amqp())
		}
		return
	}
	a.serve(ctx, action)
}

// close ends the connection with an error for the client.
func (c *connection) close(r *refusal) error { return c.amqp.Close(r.amqp()) }

// addReply registers a client's receiver for answers.
func (c *connection) addReply(r *replyLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, r)
}

func (c *connection) removeReply(r *replyLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = slices.DeleteFunc(c.replies, func(other *replyLink) bool { return other == r })
}

// reply finds the receiver that a request's reply-to means. Clients differ: .NET and JavaScript
// name the target address of their receiver, others name the link. If neither matches, the newest
// receiver on the same node is meant.
func (c *connection) reply(node, replyTo string) *amqp.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	var byName, byNode *amqp.Link
	for _, r := range c.replies {
		if r.node != node || ended(r.link) {
			continue
		}
		byNode = r.link
		switch {
		case replyTo == "":
		case r.address == replyTo:
			return r.link
		case r.name == replyTo:
			byName = r.link
		}
	}
	if byName != nil {
		return byName
	}
	return byNode
}

// openCBS claims the connection's only $cbs node for link; false if another link has it.
func (c *connection) openCBS(link *amqp.Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A client may attach the next link before the last one's goroutine has noticed its end.
	if c.cbs != nil && !ended(c.cbs) {
		return false
	}
	c.cbs = link
	return true
}

// entityURL is an entity's name as the service prints it, under the host name that the client used.
func (c *connection) entityURL(entity string) string {
	host := c.server.endpoint()
	if peer := c.amqp.Peer(); peer != nil && peer.HostName != "" {
		host = peer.HostName
	}
	return "sb://" + host + "/" + entity
}

// containerID names the server in an open frame, in the form of the service's gateways.
func containerID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, by its documentation
	return hex.EncodeToString(id[:]) + "_G0"
}

// ended reports whether a link is detached.
func ended(link *amqp.Link) bool {
	select {
	case <-link.Done():
		return true
	default:
		return false
	}
}

// cut drops a network connection without a farewell, if its type allows that.
func cut(nc net.Conn) {
	switch nc := nc.(type) {
	case interface{ Cut() }:
		nc.Cut()
		return
	case *net.TCPConn:
		_ = nc.SetLinger(0) // a reset instead of an orderly end
	}
	_ = nc.Close()
}
