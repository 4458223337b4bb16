package connection

import (
	"context"
	"fmt"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	// receiveCredit is how many events may be on their way to a Receiver. The service's own clients
	// ask for 300.
	receiveCredit = 300

	// maxReceived is the largest event that a Receiver takes, in bytes. The service's limit is 20
	// MB.
	maxReceived = 64 << 20
)

// selectorFilter is the name, and selectorCode the descriptor, of the filter that says where
// reading starts. The service's own clients send the same.
const (
	selectorFilter = "apache.org:selector-filter:string"
	selectorCode   = uint64(0x0000468C00000004)
)

// A Source is the partition that a Receiver reads, and where it starts.
type Source struct {
	Hub, ConsumerGroup, PartitionID string
	Selector                        string // e.g. "amqp.annotation.x-opt-sequence-number > '41'"
}

func (s *Source) path() string {
	return s.Hub + "/ConsumerGroups/" + s.ConsumerGroup + "/Partitions/" + s.PartitionID
}

// A Receiver reads the events of a partition as the service sends them, encoded, whatever they
// contain. It has its own session and link. It keeps its token valid, and retries nothing: after an
// error, open another. One goroutine at a time may use it.
type Receiver struct {
	// Immutable.
	path string
	link *link

	// Owned by the caller of Next.
	deliveries []*amqp.Delivery // of the last call; memory for the next
	events     [][]byte         // likewise
}

// Receiver opens a receiver. It connects and authorizes first, unless that is done already and
// still holds. It waits as long as ctx lasts. Its errors are *Error.
func (c *Conn) Receiver(ctx context.Context, source Source) (*Receiver, error) {
	f := newFlight[*Receiver]()
	open := func(ctx context.Context) (*Receiver, error) { return c.receiver(ctx, &source) }
	if !c.begin(func() { f.run(c.lifetime, open) }) {
		return nil, closedError()
	}
	r, err := f.wait(ctx)
	if err != nil && ctx.Err() != nil {
		// Ends with the opening, which goes on without its caller.
		c.begin(func() {
			if late, err := f.wait(c.lifetime); err == nil {
				late.Close()
			}
		})
	}
	return r, c.blame(err)
}

func (c *Conn) receiver(ctx context.Context, source *Source) (*Receiver, error) {
	cl, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	return attachUnder(
		func() (permit, error) { return cl.authorizePath(ctx, source.path()) },
		func(p permit) (*Receiver, error) { return cl.attachReceiver(ctx, p, source) })
}

// attachReceiver attaches a link under a permit. If the attach is refused, it distrusts the permit.
func (cl *client) attachReceiver(ctx context.Context, p permit, source *Source) (*Receiver, error) {
	l, _, err := newLink(ctx, cl, &amqp.Attach{
		Role: amqp.RoleReceiver,
		Source: &amqp.Source{
			Address: source.path(),
			Filter:  amqp.Map{{Key: amqp.Symbol(selectorFilter), Value: amqp.Described{Descriptor: selectorCode, Value: source.Selector}}},
		},
		Target:             &amqp.Target{Address: "eventhubs-receiver"},
		SenderSettleMode:   new(amqp.SenderSettled),
		ReceiverSettleMode: new(amqp.ReceiverFirst),
		MaxMessageSize:     maxReceived,
	})
	if err != nil {
		cl.distrust(p, "", err)
		return nil, attachError(fmt.Errorf("reading %s: %w", source.path(), openingError(ctx, err)))
	}
	cl.trust(p)
	r := &Receiver{path: source.path(), link: l}
	if err := l.amqp.Credit(receiveCredit); err != nil {
		l.leave()
		return nil, r.failed(err)
	}
	if !cl.owner.cfg.WithoutCBS && !cl.owner.begin(r.keepAuthorized) {
		l.leave()
		return nil, closedError()
	}
	return r, nil
}

// keepAuthorized renews the token whenever that is due, however long no event comes: the service
// ends a link whose token has expired. It ends with the link.
func (r *Receiver) keepAuthorized() {
	cl := r.link.client
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := cl.renewal(r.path)
		if next.IsZero() {
			return // the token lasts for ever
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
			_ = cl.renew(r.path) // logged there; the present token may outlast the failure
		case <-r.link.amqp.Done():
			return
		}
	}
}

// Next waits for events and returns all that have come, encoded. The bytes are the caller's, the
// slice is valid until the next call. Errors are *Error, and end the receiver.
func (r *Receiver) Next(ctx context.Context) (events [][]byte, err error) {
	clear(r.deliveries)
	if r.deliveries, err = r.link.amqp.ReceiveAll(ctx, r.deliveries[:0]); err != nil {
		return nil, r.failed(err)
	}
	clear(r.events)
	r.events = r.events[:0]
	for _, d := range r.deliveries {
		if d.TooLarge {
			return nil, &Error{Code: CodeTooLarge, Err: fmt.Errorf("reading %s: an event of %d bytes", r.path, d.Size)}
		}
		if !d.Settled { // the service settles, as it was asked to
			if err := d.Settle(amqp.Accepted{}); err != nil {
				return nil, r.failed(err)
			}
		}
		r.events = append(r.events, d.Payload)
	}
	return r.events, nil
}

// NextLent is Next, but the bytes are valid only until the next call. It uses their memory again.
func (r *Receiver) NextLent(ctx context.Context) (events [][]byte, err error) {
	r.link.amqp.RecycleAll(r.deliveries)
	return r.Next(ctx)
}

func (r *Receiver) failed(err error) error {
	return classify(fmt.Errorf("reading %s: %w", r.path, err))
}

// Close ends the receiver. It does not wait for the service.
func (r *Receiver) Close() { r.link.leave() }
