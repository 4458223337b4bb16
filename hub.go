package eventhubs

import (
	"context"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A link carries whole batches to one partition. It is the partition's only way to the connection:
// it sends a batch and returns its outcome.
type link interface {
	// Open connects, authorises and attaches, as far as that is not done yet. It may be called
	// before each batch.
	Open(ctx context.Context) error
	// IsOpen reports whether all of that is done.
	IsOpen() bool
	// MaxMessageSize is the service's limit for one message, in bytes, as of the latest Open; zero
	// for no limit.
	MaxMessageSize() uint64
	// WaitingForCredit reports whether a Send waits until the service allows it a message.
	WaitingForCredit() bool
	// Claim, Identity and Detach are for an idempotent producer. Claim sets the identity that the
	// next attach claims, nil for a new one. Identity returns the reply to the latest attach, and
	// the number of attaches. Detach gives up the present link.
	Claim(*connection.Claim)
	Identity() (reply connection.Identity, attach uint64)
	Detach()
	// Send sends a batch, in pieces that are laid out as frames. While Result.Held is open, the
	// connection still reads some of their memory. SendOn is for an idempotent producer: it sends
	// only on the link of that attach.
	Send(ctx context.Context, batch [][]byte) connection.Result
	SendOn(ctx context.Context, attach uint64, batch [][]byte) connection.Result
}

// A hub is a producer's view of the connection to its event hub.
type hub interface {
	Properties(ctx context.Context) (connection.HubProperties, error)
	PartitionProperties(ctx context.Context, partitionID string) (connection.PartitionProperties, error)
	// Opened returns a channel that is closed when the next connection opens, for any producer or
	// partition.
	Opened() <-chan struct{}
	// TokenExpires returns when the present authorisation ends; zero if there is none or the time
	// is not known.
	TokenExpires() time.Time
	// Link returns the link to a partition, or to the hub for an empty id. It does not open it.
	Link(partitionID string) link
	// Close closes the producer's links, and its connection if the producer owns it. When ctx ends
	// it cuts them.
	Close(ctx context.Context) error
}

// A remoteHub is the hub at the other end of a connection.
type remoteHub struct {
	// Immutable.
	conn       *connection.Conn
	own        bool // the connection is the producer's own
	name       string
	identifier string
	idempotent bool

	mu     sync.Mutex // guards the fields below
	links  []*connection.Sender
	closed bool
}

func (h *remoteHub) Properties(ctx context.Context) (connection.HubProperties, error) {
	return h.conn.HubProperties(ctx, h.name)
}

func (h *remoteHub) PartitionProperties(ctx context.Context, partitionID string) (connection.PartitionProperties, error) {
	return h.conn.PartitionProperties(ctx, h.name, partitionID)
}

func (h *remoteHub) Opened() <-chan struct{} { return h.conn.Opened() }

func (h *remoteHub) TokenExpires() time.Time { return h.conn.TokenExpires(h.name) }

func (h *remoteHub) Link(partitionID string) link {
	open := h.conn.Sender
	if h.idempotent {
		open = h.conn.IdempotentSender
	}
	s := open(h.name, partitionID, h.identifier)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links = append(h.links, s)
	if h.closed {
		s.Close(context.Background()) // it has no link yet, so this only ensures that it gets none
	}
	return s
}

func (h *remoteHub) Close(ctx context.Context) error {
	if h.own {
		return h.conn.Close(ctx)
	}
	h.mu.Lock()
	links := h.links
	h.closed = true
	h.mu.Unlock()
	var closing sync.WaitGroup
	for _, s := range links {
		// Ends when the peer has answered, or with ctx.
		closing.Go(func() { s.Close(ctx) })
	}
	closing.Wait()
	return nil
}
