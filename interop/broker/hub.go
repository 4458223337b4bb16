package main

import (
	"context"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// A hub connects a whole producer to the broker, over a connection of its own. It counts the tries
// whose outcome is unknown. If the broker has no $management, the hub itself answers with a list of
// partitions.
type hub struct {
	// Immutable.
	conn   *connection.Conn
	name   string
	listed []string // nil: the broker has the list
	once   bool     // the broker numbers the producer
	failed func()   // called after each failed try

	mu      sync.Mutex     // guards the field below
	unknown map[string]int // tries by partition, since taken
}

// hub returns the hub of a name, for one producer, which may be idempotent.
func (d *bed) hub(name, producer string, partitions []string, once bool, failed func()) *hub {
	config := d.connection(container + "-" + producer)
	h := &hub{name: name, listed: partitions, once: once, failed: failed, unknown: make(map[string]int)}
	if d.managed() {
		h.listed = nil
		config.WithoutCBS, config.Tokens = false, connection.TokensFromKey("key", "c2VjcmV0")
	}
	h.conn = connection.New(config)
	return h
}

// managed reports whether the broker has $cbs and $management.
func (d *bed) managed() bool { return d.lacks[nameProducer] == "" }

func (h *hub) Properties(ctx context.Context) (connection.HubProperties, error) {
	if h.listed != nil {
		return connection.HubProperties{Name: h.name, PartitionIDs: h.listed}, nil
	}
	return h.conn.HubProperties(ctx, h.name)
}

func (h *hub) PartitionProperties(ctx context.Context, partitionID string) (connection.PartitionProperties, error) {
	return h.conn.PartitionProperties(ctx, h.name, partitionID)
}

func (h *hub) Opened() <-chan struct{} { return h.conn.Opened() }

func (h *hub) TokenExpires() time.Time { return h.conn.TokenExpires(h.name) }

func (h *hub) Close(ctx context.Context) error { return h.conn.Close(ctx) }

func (h *hub) Link(partitionID string) testseam.Link {
	sender := h.conn.Sender
	if h.once {
		sender = h.conn.IdempotentSender
	}
	return &countedLink{Sender: sender(h.name, partitionID, "interop"), hub: h, partitionID: partitionID}
}

// take returns the number of a partition's tries with an unknown outcome since the last call.
func (h *hub) take(partitionID string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.unknown[partitionID]
	delete(h.unknown, partitionID)
	return n
}

// A countedLink is a link that reports its failed tries to its hub.
type countedLink struct {
	*connection.Sender
	hub         *hub
	partitionID string
}

func (l *countedLink) Open(ctx context.Context) error {
	err := l.Sender.Open(ctx)
	if err != nil {
		l.hub.failed()
	}
	return err
}

func (l *countedLink) Send(ctx context.Context, batch [][]byte) connection.Result {
	return l.count(l.Sender.Send(ctx, batch))
}

func (l *countedLink) SendOn(ctx context.Context, attach uint64, batch [][]byte) connection.Result {
	return l.count(l.Sender.SendOn(ctx, attach, batch))
}

func (l *countedLink) count(r connection.Result) connection.Result {
	if r.Outcome == connection.Unknown {
		l.hub.mu.Lock()
		l.hub.unknown[l.partitionID]++
		l.hub.mu.Unlock()
	}
	if r.Outcome != connection.Accepted {
		l.hub.failed()
	}
	return r
}

// addressOf returns the address of a hub's partition, or of the hub itself for an empty id.
func addressOf(hub, partitionID string) string {
	if partitionID == "" {
		return hub
	}
	return hub + "/Partitions/" + partitionID
}
