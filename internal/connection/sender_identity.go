package connection

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// An idempotent producer on the wire: the capability that it asks for, and the names of the link
// properties and event annotations. Their types are long, short and int.
const (
	idempotentCapability = "com.microsoft:idempotent-producer"

	producerIDProperty       = "com.microsoft:producer-id"
	producerEpochProperty    = "com.microsoft:producer-epoch"
	producerSequenceProperty = "com.microsoft:producer-sequence-number"
)

// Identity is how the service knows an idempotent sender, from its reply to an attach.
type Identity struct {
	ProducerID int64
	Epoch      int16

	// Sequence is the last number that the service knows. The next event's number is one higher;
	// after 2,147,483,647 comes 0. It is -1 if the service has not stated it.
	Sequence int32
}

// Claim is the identity that a sender states when it attaches. It contains no sequence number. That
// property is sent as null, so that a service that merely echoes properties cannot pass for one
// that knows the number.
type Claim struct {
	ProducerID int64
	Epoch      int16
}

// properties is what an attach states: all three properties, or none without a claim, as the .NET
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

// errAttachedAnew is the cause when a send was meant for a link that is gone.
var errAttachedAnew = errors.New("the link for the numbers of these events is gone; nothing was sent")

// IdempotentSender returns a sender to a partition that numbers its events. The caller numbers
// them: Open, read Identity, annotate the events, SendOn. Plain Send refuses. IdempotentSender does
// not touch the network.
func (c *Conn) IdempotentSender(hub, partitionID, identifier string) *Sender {
	s := c.Sender(hub, partitionID, identifier)
	s.idempotent = true
	return s
}

// Claim sets what the next attaches state. Nil, the initial value, asks for a new identity. An open
// link stays; see Detach. An attach under way becomes useless: a caller that waits for it in Open
// gets an Error that is Lost.
func (s *Sender) Claim(claim *Claim) {
	if claim != nil {
		claim = new(*claim)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claim = claim
	s.supersedeLocked()
}

// Identity returns what the service's reply to the latest attach stated, and the number of that
// attach, counted from 1. Both are zero before the first.
func (s *Sender) Identity() (id Identity, attach uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity, s.attaches
}

// Detach gives up the present link. The next Open attaches again after the peer has answered.
// Detach does not block. Sends under way on the link become Unknown, unless their outcome still
// comes. If the peer does not answer within closeTimeout, the connection is cut.
func (s *Sender) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.supersedeLocked()
	if l := s.link; l != nil {
		s.link, s.former = nil, l
		l.leave()
	}
}

// supersedeLocked makes an attach under way useless.
func (s *Sender) supersedeLocked() {
	s.generation++
	s.opening = nil
}

// SendOn is Send for idempotent senders. It makes one try, only on the link of the attach whose
// number Identity returned. If that link is gone it sends nothing, and the Result is Stale. After
// another attach the caller must read the identity first.
func (s *Sender) SendOn(ctx context.Context, attach uint64, batch [][]byte) Result {
	if len(batch) == 0 {
		return emptyBatch()
	}
	l, err := s.attached(ctx, attach)
	if err != nil {
		result := notSent(err)
		result.Stale = asError(err).Lost
		return result
	}
	return s.try(ctx, l, batch)
}

// attached returns the link of an attach if it is still the present one.
func (s *Sender) attached(ctx context.Context, attach uint64) (*link, error) {
	if ctx.Err() != nil {
		return nil, classify(ContextError(ctx))
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

// readIdentity reads the link properties of the service's reply. A service without idempotent
// publishing sends none.
func readIdentity(properties amqp.Map) (Identity, error) {
	read := func(name string, least, largest int64) (int64, bool) {
		v, _ := properties.Get(name)
		return integer(v, least, largest)
	}
	id, hasID := read(producerIDProperty, math.MinInt64, math.MaxInt64) // any long: no document says that ids are positive
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

// integer reads a number of any integer type between least and largest.
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
