package connection

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Sender sends to one partition, over its own session and link, which open when first needed and
// again after a loss. Its methods may be called by several goroutines at once.
type Sender struct {
	// Immutable after Conn.Sender.
	conn        *Conn
	hub         string
	partitionID string
	identifier  string
	idempotent  bool // see sender_identity.go

	maxMessageSize atomic.Uint64

	mu         sync.Mutex // guards the fields below; held before Conn.mu, never while waiting
	closed     bool
	link       *link            // of the latest attach; nil when that is gone
	former     *link            // the link before, given up and not yet gone, for which the next waits; nil if there is none
	opening    *flight[*link]   // not nil while a link is being opened
	generation uint64           // counts the events that make an attach under way useless
	attaches   uint64           // counts attaches
	identity   Identity         // of the latest attach
	claim      *Claim           // what the next attach states
	latest     *amqp.Delivery   // of the send that began last; nil when it has returned
	spare      []*amqp.Delivery // for sends to come
}

// Sender returns a sender to a partition of a hub. If partitionID is empty, it sends to the hub,
// and the service chooses the partition. The service sees the identifier as the link's source.
// Sender does not touch the network.
func (c *Conn) Sender(hub, partitionID, identifier string) *Sender {
	return &Sender{conn: c, hub: hub, partitionID: partitionID, identifier: identifier}
}

// Open connects, authorizes and attaches, unless that is done already and still holds. It waits as
// long as ctx lasts. An opening goes on without its caller and serves the next call. Its errors are
// *Error.
func (s *Sender) Open(ctx context.Context) error {
	_, err := s.open(ctx)
	return err
}

// IsOpen reports whether Open would find everything open. It allocates nothing.
func (s *Sender) IsOpen() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link != nil && !s.link.client.lost()
}

// MaxMessageSize is the largest message in bytes that the latest link takes. It is 0 before the
// first attach. It is also 0 if the peer has no limit, in either of AMQP's two ways to say so.
func (s *Sender) MaxMessageSize() uint64 {
	return s.maxMessageSize.Load()
}

// WaitingForCredit reports whether the latest Send has a link and waits for the peer to allow a
// message on it.
func (s *Sender) WaitingForCredit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest != nil && s.latest.WaitsForPeer()
}

func (s *Sender) open(ctx context.Context) (*link, error) {
	if ctx.Err() != nil {
		return nil, classify(ContextError(ctx))
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, closedError()
	}
	if s.link != nil && !s.link.client.lost() {
		l := s.link
		s.mu.Unlock()
		return l, nil
	}
	f := s.opening
	if f == nil {
		f = newFlight[*link]()
		generation, claim, former := s.generation, s.claim, s.former
		attach := func(ctx context.Context) (*link, error) { return s.attach(ctx, generation, claim, former) }
		if !s.conn.begin(func() { f.run(s.conn.lifetime, attach) }) {
			s.mu.Unlock()
			return nil, closedError()
		}
		s.opening = f
	}
	s.mu.Unlock()
	l, err := f.wait(ctx)
	return l, s.conn.blame(err)
}

// attach opens a link and makes it the present one, unless the sender has been closed or the attach
// has become useless meanwhile. It waits until the peer has let go of the former link, or the
// connection has been cut because the peer did not.
func (s *Sender) attach(ctx context.Context, generation uint64, claim *Claim, former *link) (*link, error) {
	start := time.Now()
	if former != nil {
		<-former.gone // within closeTimeout
	}
	l, id, err := s.newLink(ctx, claim)
	s.mu.Lock()
	superseded := s.generation != generation
	if !superseded {
		s.opening = nil
	}
	closed := s.closed
	if err == nil && !closed && !superseded {
		s.link, s.former, s.identity = l, nil, id
		s.attaches++
		s.maxMessageSize.Store(maxMessageSize(l.amqp))
	}
	s.mu.Unlock()

	log := s.log().With("duration", time.Since(start))
	switch {
	case err != nil:
		log.Debug("opening a link failed", "error", err)
		return nil, err
	case closed:
		l.leave() // Close cannot have seen this link
		return nil, closedError()
	case superseded:
		l.leave()
		return nil, &Error{Code: CodeConnectionLost, Transient: true, Lost: true, Err: errAttachedAnew}
	}
	log.Debug("link opened", "maxMessageSize", maxMessageSize(l.amqp))
	return l, nil
}

// maxMessageSize is the peer's limit, 0 for none. A peer without a limit states nothing, or the
// largest number (AMQP 2.7.3, max-message-size).
func maxMessageSize(l *amqp.Link) uint64 {
	if n := l.Remote().MaxMessageSize; n != math.MaxUint64 {
		return n
	}
	return 0
}

// newLink connects, authorizes and attaches.
func (s *Sender) newLink(ctx context.Context, claim *Claim) (l *link, id Identity, err error) {
	cl, err := s.conn.connect(ctx)
	if err != nil {
		return nil, Identity{}, err
	}
	l, err = attachUnder(
		func() (permit, error) { return cl.authorize(ctx, s.hub, s.partitionID) },
		func(p permit) (l *link, err error) {
			l, id, err = s.newLinkUnder(ctx, cl, p, claim)
			return l, err
		})
	return l, id, err
}

// newLinkUnder attaches under a permit. If the attach is refused, it distrusts the permit.
func (s *Sender) newLinkUnder(ctx context.Context, cl *client, p permit, claim *Claim) (*link, Identity, error) {
	attach := &amqp.Attach{
		Source:             &amqp.Source{Address: s.identifier},
		Target:             &amqp.Target{Address: s.address()},
		SenderSettleMode:   new(amqp.SenderMixed),
		ReceiverSettleMode: new(amqp.ReceiverFirst),
	}
	if s.idempotent {
		attach.DesiredCapabilities = []amqp.Symbol{idempotentCapability}
		attach.Properties = claim.properties()
	}
	l, _, err := newLink(ctx, cl, attach)
	if err != nil {
		cl.distrust(p, s.partitionID, err)
		e := new(*attachError(openingError(ctx, err))) // a copy, since it is changed
		e.Refused = refusesLink(err)
		return nil, Identity{}, e
	}
	l.permit.Store(new(p))
	if !s.idempotent {
		return l, Identity{}, nil
	}
	id, err := readIdentity(l.amqp.Remote().Properties)
	if over := l.amqp.Err(); err != nil && over != nil { // the engine forgets the attach properties of a link that is over
		err = asError(over)
	}
	if err != nil {
		l.leave()
		return nil, Identity{}, err
	}
	return l, id, nil
}

func (s *Sender) log() *slog.Logger {
	return s.conn.log.With("hub", s.hub, "partition", s.partitionID)
}

func (s *Sender) address() string {
	if s.partitionID == "" {
		return s.hub
	}
	return partitionPath(s.hub, s.partitionID)
}

// drop forgets a useless link, so that the next Open or Send opens another.
func (s *Sender) drop(l *link, reason error) {
	s.mu.Lock()
	present := s.link == l
	if present {
		s.link = nil
		if !errorOfLink(reason) {
			s.former = l // we end it, so its successor waits for the peer's answer
		}
	}
	s.mu.Unlock()
	l.leave()
	if !present {
		return
	}
	l.client.distrust(*l.permit.Load(), s.partitionID, reason)
	s.log().Debug("link lost", "error", reason)
}

// Close closes the link; the sender stays closed. Batches in flight become Unknown, unless their
// outcome still comes. Close waits for the peer as long as ctx lasts. If the peer does not answer
// within closeTimeout, the connection is cut, whatever ctx is.
func (s *Sender) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	l := s.link
	s.link = nil
	s.mu.Unlock()
	if l == nil {
		return
	}
	l.leave()
	select {
	case <-l.gone:
	case <-ctx.Done():
	}
}
