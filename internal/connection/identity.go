package connection

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// An idempotent producer on the wire: the capability that it asks for, and what
// link properties and the annotations of its events tell: a long, a short and an
// int.
const (
	idempotentCapability = "com.microsoft:idempotent-producer"

	producerIDProperty       = "com.microsoft:producer-id"
	producerEpochProperty    = "com.microsoft:producer-epoch"
	producerSequenceProperty = "com.microsoft:producer-sequence-number"
)

// Identity is who an idempotent sender is to the service, as its reply to an attach
// has told.
type Identity struct {
	ProducerID int64
	Epoch      int16

	// Sequence is the last number that the service knows of, so that the next
	// event's is the one after it; after 2,147,483,647 comes 0. It is -1 if the
	// service has not told it.
	Sequence int32
}

// Claim is the identity that a sender states when it attaches. There is no number
// in it: the property is sent as null, so that a service that would only echo it
// has to tell what it knows of.
type Claim struct {
	ProducerID int64
	Epoch      int16
}

// properties is what an attach states: all three or, without a claim, nothing, as the .NET
// client does.
func (c *Claim) properties() amqp.Map {
	if c == nil {
		return nil
	}
	return amqp.Map{
		{Key: amqp.Symbol(producerIDProperty), Value: c.ProducerID},
		{Key: amqp.Symbol(producerEpochProperty), Value: c.Epoch},
		{Key: amqp.Symbol(producerSequenceProperty), Value: nil},
	}
}

// errAttachedAnew is the cause when a send was meant for a link that is no more.
var errAttachedAnew = errors.New("the link on which the numbers of these events were to be used is gone; nothing was sent")

// IdempotentSender returns a sender to a partition that numbers its events. The
// caller does the numbering: Open, ask Identity, annotate the events, SendOn.
// Plain Send refuses. Nothing touches the network yet.
func (c *Conn) IdempotentSender(hub, partitionID, identifier string) *Sender {
	s := c.Sender(hub, partitionID, identifier)
	s.idempotent = true
	return s
}

// Claim says what the next attaches state: nil asks for a new identity, which is
// also what a sender begins with. It leaves a link that is open alone, see Detach.
// An attach under way becomes of no use: who waits for it in Open gets an Error
// that is Lost.
func (s *Sender) Claim(claim *Claim) {
	if claim != nil {
		claim = new(*claim)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claim = claim
	s.supersedeLocked()
}

// Identity returns what the service's reply to the latest attach has told and which
// attach that was, counted from 1. Both are zero before the first.
func (s *Sender) Identity() (id Identity, attach uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity, s.attaches
}

// Detach gives the present link up, so that the next Open attaches anew, when the peer has
// answered. It does not wait itself; sends under way on the link become Unknown, unless their outcome still
// comes. A peer that does not answer within closeTimeout loses the connection.
func (s *Sender) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.supersedeLocked()
	if l := s.link; l != nil {
		s.link, s.former = nil, l
		l.leave()
	}
}

// supersedeLocked makes an attach under way one that nobody waits for any more.
func (s *Sender) supersedeLocked() {
	s.generation++
	s.opening = nil
}

// SendOn is Send for idempotent senders: it makes one try, on the link of the
// attach whose number Identity has returned and on no other. If that link is gone
// it sends nothing and answers NotSent with an Error that is Lost, since after
// another attach the caller must look at the identity first.
func (s *Sender) SendOn(ctx context.Context, attach uint64, batch [][]byte) Result {
	if len(batch) == 0 {
		return emptyBatch()
	}
	l, err := s.attached(ctx, attach)
	if err != nil {
		return notSent(err)
	}
	result, _ := s.tryOn(ctx, l, batch)
	return result
}

// attached returns the link of an attach, if that is still the present one.
func (s *Sender) attached(ctx context.Context, attach uint64) (*link, error) {
	if ctx.Err() != nil {
		return nil, classify(contextError(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, closedError()
	case s.link == nil || s.attaches != attach || s.link.client.lost():
		return nil, &Error{Code: CodeConnectionLost, Transient: true, Lost: true, Err: errAttachedAnew}
	}
	return s.link, nil
}

// readIdentity reads the link properties of the service's reply. A service that
// does not offer idempotent publishing sends none.
func readIdentity(properties amqp.Map) (Identity, error) {
	read := func(name string, least, largest int64) (int64, bool) {
		v, _ := properties.Get(name)
		return integer(v, least, largest)
	}
	id, hasID := read(producerIDProperty, math.MinInt64, math.MaxInt64) // any long: nothing says that ids are positive
	epoch, hasEpoch := read(producerEpochProperty, 0, math.MaxInt16)
	if !hasID || !hasEpoch {
		return Identity{}, &Error{Code: CodeNotSupported, Err: fmt.Errorf("the service's reply has no %s or no %s", producerIDProperty, producerEpochProperty)}
	}
	sequence, known := read(producerSequenceProperty, 0, math.MaxInt32)
	if !known {
		sequence = -1
	}
	return Identity{ProducerID: id, Epoch: int16(epoch), Sequence: int32(sequence)}, nil
}

// integer reads a number between least and largest of whatever integer type.
func integer(v any, least, largest int64) (n int64, ok bool) {
	switch v := v.(type) {
	case int64:
		n = v
	case int32:
		n = int64(v)
	case int16:
		n = int64(v)
	case int8:
		n = int64(v)
	case uint64:
		if v > math.MaxInt64 {
			return 0, false
		}
		n = int64(v)
	case uint32:
		n = int64(v)
	case uint16:
		n = int64(v)
	case uint8:
		n = int64(v)
	default:
		return 0, false
	}
	return n, n >= least && n <= largest
}
