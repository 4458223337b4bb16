package suites

import (
	"context"
	"net"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// queues is a broker of queues over this project's AMQP engine. A queue exists from its first use.
type queues struct {
	listener net.Listener

	mu     sync.Mutex // guards the fields below
	byName map[string]chan []byte
	conns  map[*amqp.Conn]bool
}

// queueLength bounds a queue; the next message waits.
const queueLength = 100_000

func newQueues(address string) (*queues, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	q := &queues{listener: listener, byName: make(map[string]chan []byte), conns: make(map[*amqp.Conn]bool)}
	go q.accept() // ends with the listener
	return q, nil
}

func (q *queues) close() {
	_ = q.listener.Close()
	q.mu.Lock()
	defer q.mu.Unlock()
	for conn := range q.conns {
		conn.Cut()
	}
}

// queue returns a queue by its name.
func (q *queues) queue(name string) chan []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.byName[name] == nil {
		q.byName[name] = make(chan []byte, queueLength)
	}
	return q.byName[name]
}

func (q *queues) accept() {
	for {
		nc, err := q.listener.Accept()
		if err != nil {
			return
		}
		go q.serve(nc) // ends with the connection
	}
}

func (q *queues) serve(nc net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := amqp.Server(ctx, nc, &amqp.Config{HandleMax: 65535})
	if err != nil {
		return
	}
	q.mu.Lock()
	q.conns[conn] = true
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		delete(q.conns, conn)
	}()
	for {
		link, err := conn.AcceptLink(ctx)
		if err != nil {
			return
		}
		// Each ends with its link.
		if link.Role() == amqp.RoleReceiver {
			go q.take(ctx, link)
		} else {
			go q.give(link)
		}
	}
}

// take puts what a client sends into the link's queue.
func (q *queues) take(ctx context.Context, link *amqp.Link) {
	const window = 100
	remote := link.Remote()
	if remote.Target == nil {
		_ = link.Refuse(&amqp.Error{Condition: amqp.ErrorInvalidField, Description: "there is no target"})
		return
	}
	queue := q.queue(remote.Target.Address)
	if link.Accept(nil) != nil || link.Credit(window) != nil {
		return
	}
	for {
		d, err := link.Receive(ctx)
		if err != nil {
			return
		}
		select {
		case queue <- d.Payload:
		case <-link.Done():
			return
		}
		_ = d.Settle(amqp.Accepted{}) // an error ends the link
	}
}

// give sends what is in the link's queue. The client's credit decides when it leaves.
func (q *queues) give(link *amqp.Link) {
	remote := link.Remote()
	if remote.Source == nil {
		_ = link.Refuse(&amqp.Error{Condition: amqp.ErrorInvalidField, Description: "there is no source"})
		return
	}
	queue := q.queue(remote.Source.Address)
	settled := remote.SenderSettleMode != nil && *remote.SenderSettleMode == amqp.SenderSettled
	if link.Accept(nil) != nil {
		return
	}
	for {
		select {
		case payload := <-queue:
			if link.Queue(&amqp.Delivery{Payload: payload, Settled: settled}) != nil {
				return
			}
		case <-link.Done():
			return
		}
	}
}
