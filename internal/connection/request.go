package connection

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// replyCredit is how many replies may be under way at once.
const replyCredit = 100

// requestNode is a node of the peer that answers requests: $cbs or $management. Its link pair opens
// with the first request, and again after a loss.
type requestNode struct {
	// Immutable after newRequestNode.
	client  *client
	address string

	mu      sync.Mutex // guards the fields below
	pair    *requestPair
	opening *flight[*requestPair]
}

func newRequestNode(cl *client, address string) *requestNode {
	return &requestNode{client: cl, address: address}
}

// requestPair is a sender link for requests and a receiver link for their replies, in one session.
type requestPair struct {
	// Immutable after newPair.
	node    *requestNode
	link    *link // of the requests
	replies *amqp.Link
	replyTo string

	mu       sync.Mutex                      // guards the fields below
	err      error                           // why the pair is useless; nil while it works
	next     uint64                          // counts message ids
	waiting  map[string]chan<- *amqp.Message // by message id; each has room for its one reply
	answered time.Time                       // when a request last got its reply
}

// request sends a message and waits for its reply, both as long as ctx lasts. A reply whose status
// is not a success becomes an *Error. It retries nothing, except that it replaces a pair that turns
// out to have been lost before.
func (n *requestNode) request(ctx context.Context, properties amqp.Map, body any) (*amqp.Message, error) {
	reply, stale, err := n.try(ctx, properties, body)
	if stale {
		reply, _, err = n.try(ctx, properties, body)
	}
	if err != nil {
		return nil, err
	}
	if err := replyStatus(reply); err != nil {
		return nil, err
	}
	return reply, nil
}

// try makes one try. It reports a stale pair if nothing was sent because the pair had been lost
// before; that shows only when it is used.
func (n *requestNode) try(ctx context.Context, properties amqp.Map, body any) (reply *amqp.Message, stale bool, err error) {
	pair, err := n.open(ctx)
	if err != nil {
		return nil, false, err
	}
	reply, stale, err = pair.exchange(ctx, properties, body)
	if err != nil {
		return nil, stale, classify(fmt.Errorf("request to %s: %w", n.address, err))
	}
	return reply, false, nil
}

func (n *requestNode) open(ctx context.Context) (*requestPair, error) {
	n.mu.Lock()
	if n.pair != nil && n.pair.broken() == nil {
		pair := n.pair
		n.mu.Unlock()
		return pair, nil
	}
	f := n.opening
	if f == nil {
		f = newFlight[*requestPair]()
		if !n.client.owner.begin(func() { f.run(n.client.owner.lifetime, n.attach) }) {
			n.mu.Unlock()
			return nil, closedError()
		}
		n.opening = f
	}
	n.mu.Unlock()
	return f.wait(ctx)
}

// attach opens a pair and makes it the present one.
func (n *requestNode) attach(ctx context.Context) (*requestPair, error) {
	pair, err := n.newPair(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.opening = nil
	if err != nil {
		err = attachError(fmt.Errorf("opening %s: %w", n.address, openingError(ctx, err)))
		return nil, n.afterRefusal(err.(*Error))
	}
	n.pair = pair
	return pair, nil
}

// afterRefusal examines why a pair could not be opened. The service allows a connection one pair to
// $cbs. If it refuses ours, it still knows an earlier one; then the connection is cut, so that the
// next starts clean.
func (n *requestNode) afterRefusal(err *Error) error {
	if n != n.client.cbs || err.Condition != string(amqp.ErrorNotAllowed) {
		return err
	}
	n.client.cut()
	err = new(*err)
	err.Code, err.Transient, err.Lost = CodeConnectionLost, true, true
	return err
}

func (n *requestNode) newPair(ctx context.Context) (*requestPair, error) {
	replyTo := n.address + "-" + rand.Text()
	l, further, err := newLink(ctx, n.client,
		&amqp.Attach{Source: &amqp.Source{}, Target: &amqp.Target{Address: n.address}},
		&amqp.Attach{
			Role:               amqp.RoleReceiver,
			Source:             &amqp.Source{Address: n.address},
			Target:             &amqp.Target{Address: replyTo},
			SenderSettleMode:   new(amqp.SenderSettled),
			ReceiverSettleMode: new(amqp.ReceiverFirst),
		})
	if err != nil {
		return nil, err
	}
	pair := &requestPair{
		node:    n,
		link:    l,
		replies: further[0],
		replyTo: replyTo,
		waiting: make(map[string]chan<- *amqp.Message),
	}
	// The request leaves right after this without waiting: both attaches have been answered.
	if err := pair.replies.Credit(replyCredit); err != nil {
		l.leave()
		return nil, err
	}
	if !n.client.owner.begin(pair.read) {
		l.leave()
		return nil, closedError()
	}
	return pair, nil
}

// read hands replies to their waiting requests. It ends with the link, at the latest with the
// connection.
func (p *requestPair) read() {
	for {
		reply, err := p.nextReply()
		if err != nil {
			p.fail(err)
			return
		}
		if reply.Properties == nil {
			continue
		}
		id, _ := reply.Properties.CorrelationID.(string)
		p.mu.Lock()
		waiter := p.waiting[id]
		delete(p.waiting, id)
		p.mu.Unlock()
		if waiter != nil {
			waiter <- reply
		}
	}
}

// nextReply waits for a reply. A reply that comes unsettled, although the attach asked for settled
// ones, is settled, since the peer might wait for that.
func (p *requestPair) nextReply() (*amqp.Message, error) {
	d, err := p.replies.Receive(context.Background())
	if err != nil {
		return nil, err
	}
	if err := d.Settle(amqp.Accepted{}); err != nil {
		return nil, err
	}
	if d.TooLarge {
		return nil, &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("a reply of %s has %d bytes", p.node.address, d.Size)}
	}
	reply, err := amqp.ParseMessage(d.Payload)
	if err != nil {
		return nil, &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("a reply of %s: %w", p.node.address, err)}
	}
	return &reply, nil
}

// fail makes the pair useless and fails every waiting request.
func (p *requestPair) fail(err error) {
	p.mu.Lock()
	first := p.err == nil
	if first {
		p.err = err
	}
	waiting := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	for _, waiter := range waiting {
		close(waiter)
	}
	if first {
		p.link.leave()
	}
}

func (p *requestPair) broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// enlist reserves a message id and returns where its reply will come. If the pair fails, the
// channel is closed instead.
func (p *requestPair) enlist() (id string, reply <-chan *amqp.Message, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return "", nil, p.err
	}
	p.next++
	id = p.replyTo + ":" + strconv.FormatUint(p.next, 10)
	waiter := make(chan *amqp.Message, 1)
	p.waiting[id] = waiter
	return id, waiter, nil
}

func (p *requestPair) resign(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

// heard notes that a request was answered.
func (p *requestPair) heard() {
	p.link.waited.Store(0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = time.Now()
}

// unheard notes that a request has waited in vain since start. Keep-alive and other links' traffic
// say nothing about a dead pair. So a pair on which no request got a reply in all that time is
// given up, as a sender's link without credit is.
func (p *requestPair) unheard(start time.Time) {
	p.mu.Lock()
	if p.answered.After(start) {
		start = p.answered
	}
	p.mu.Unlock()
	if p.link.starved(time.Since(start)) {
		p.fail(errPeerSilent)
	}
}

// exchange sends one request and waits for its reply. It reports a stale pair as try does.
func (p *requestPair) exchange(ctx context.Context, properties amqp.Map, body any) (reply *amqp.Message, stale bool, err error) {
	id, answer, err := p.enlist()
	if err != nil {
		return nil, true, err
	}
	defer p.resign(id)
	start := time.Now()
	d, err := p.send(id, properties, body)
	if err != nil {
		return nil, errorOfLink(err), err
	}
	settled := d.Told()
	for {
		select {
		case got, ok := <-answer: // may come before the request's own outcome
			if !ok {
				return nil, false, p.broken()
			}
			p.heard()
			return got, false, nil
		case <-settled:
			settled = nil
			state, err := d.Result()
			if err != nil {
				p.link.leave() // read notices that, and then closes answer
			} else if result := stateResult(state); result.Outcome != Accepted && len(answer) == 0 { // a reply says more
				return nil, false, result.Err
			}
		case <-ctx.Done():
			// Other requests may be under way on this link, so it is not given up.
			d.Withdraw()
			p.unheard(start)
			return nil, false, ContextError(ctx)
		}
	}
}

// send hands a request to the engine.
func (p *requestPair) send(id string, properties amqp.Map, body any) (*amqp.Delivery, error) {
	request := amqp.Message{
		Properties:            &amqp.Properties{MessageID: id, ReplyTo: &p.replyTo},
		ApplicationProperties: properties,
		Value:                 body, // nil is no body, as in the SDK's requests to $management
	}
	payload, err := request.AppendTo(nil)
	if err != nil {
		return nil, err
	}
	d := &amqp.Delivery{Payload: payload}
	if err := p.link.amqp.Queue(d); err != nil {
		if errorOfLink(err) {
			p.fail(err)
		}
		return nil, err
	}
	return d, nil
}

// replyStatus returns nil for a reply whose status is a success.
func replyStatus(reply *amqp.Message) error {
	properties := reply.ApplicationProperties
	status, ok := integer(first(properties, "status-code", "statusCode"), math.MinInt32, math.MaxInt32)
	if !ok {
		return &Error{Code: CodeInternal, Transient: true, Err: errors.New("the service's reply has no status code")}
	}
	if status >= 200 && status < 300 {
		return nil
	}
	description, _ := first(properties, "status-description", "statusDescription").(string)
	var condition string
	switch c := first(properties, "error-condition", "errorCondition").(type) {
	case string:
		condition = c
	case amqp.Symbol:
		condition = string(c)
	}
	return statusError(int(status), condition, description)
}

func first(properties amqp.Map, names ...string) any {
	for _, name := range names {
		if v, ok := properties.Get(name); ok {
			return v
		}
	}
	return nil
}

// openingError says why an opening failed, which may be the end of its context.
func openingError(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return ContextError(ctx)
}
