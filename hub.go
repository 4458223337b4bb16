package eventhubs

import (
	"context"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A link carries whole batches to one partition. Between it and the partition there is nothing else: send this batch, tell me its outcome.
type link interface {
	// Open connects, authorises and attaches, as far as that is not done already. It may be called before each batch.
	Open(ctx context.Context) error
	// IsOpen reports whether all of that is done.
	IsOpen() bool
	// MaxMessageSize is what the service takes in one message, in bytes, as of the latest Open; zero if it has no limit.
	MaxMessageSize() uint64
	// WaitingForCredit reports whether a Send waits for the service to allow it a message.
	WaitingForCredit() bool
	// An idempotent producer's: Claim says who it claims to be when the link is next attached, nil for a new one; Identity is what the
	// reply to the latest attach said, with the number of attaches; Detach gives the present link up.
	Claim(*connection.Claim)
	Identity() (reply connection.Identity, attach uint64)
	Detach()
	// Send sends a batch, in pieces that are laid out as frames. While Result.Held is open some of their memory is still read. SendOn is an idempotent
	// producer's: it sends on the link of that attach and on no other.
	Send(ctx context.Context, batch [][]byte) connection.Result
	SendOn(ctx context.Context, attach uint64, batch [][]byte) connection.Result
}

// A hub is what a producer needs of the connection to its event hub.
type hub interface {
	Properties(ctx context.Context) (connection.HubProperties, error)
	PartitionProperties(ctx context.Context, partitionID string) (connection.PartitionProperties, error)
	// Opened returns a channel that is closed when the next connection has been opened, by whomever.
	Opened() <-chan struct{}
	// TokenExpires is when the present authorization ends: zero if there is none or that is not known.
	TokenExpires() time.Time
	// Link returns the link to a partition, or to the hub for an empty id. It does not open it.
	Link(partitionID string) link
	// Close closes the producer's links, and its connection if it is its own. When ctx ends it cuts them.
	Close(ctx context.Context) error
}

// A remoteHub is a hub at the other end of a connection.
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
		s.Close(context.Background()) // it has no link yet, so this only sees to it that it gets none
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
