package connection

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// readCredit is how many events may be on their way to a Reader.
const readCredit = 300

// selectorFilter is the name, and selectorCode the descriptor, of the filter that says where
// reading starts. The service's own clients send the same.
const (
	selectorFilter = "apache.org:selector-filter:string"
	selectorCode   = uint64(0x0000468C00000004)
)

// A Reader reads the events of a partition as the service sends them, encoded, whatever they
// contain. A receiver of go-amqp v1.7.0 ends at the first message with a value of an unknown type
// (decimals, characters). It does not say which message that was.
//
// A Reader has its own connection. It retries nothing and renews no token: after it has ended, for
// whatever reason, open another. One goroutine at a time may use it.
type Reader struct {
	conn *amqp.Conn
	link *amqp.Link
}

// A Source is the partition that a Reader reads, and where it starts.
type Source struct {
	Hub, ConsumerGroup, PartitionID string
	Selector                        string // e.g. "amqp.annotation.x-opt-sequence-number > '41'"
}

func (s *Source) path() string {
	return s.Hub + "/ConsumerGroups/" + s.ConsumerGroup + "/Partitions/" + s.PartitionID
}

// OpenReader opens a reader. Its errors are *Error.
func OpenReader(ctx context.Context, cfg Config, source Source) (*Reader, error) {
	conn, _, err := dialAMQP(ctx, &cfg, cfg.ContainerID, 1, new(amqp.Symbol))
	if err != nil {
		return nil, err
	}
	r := &Reader{conn: conn}
	if err := r.open(ctx, &cfg, &source); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) open(ctx context.Context, cfg *Config, source *Source) error {
	session, err := r.conn.NewSession(ctx)
	if err != nil {
		return readError("beginning a session", err)
	}
	if !cfg.WithoutCBS {
		if err := authorizeReader(ctx, session, cfg, source); err != nil {
			return err
		}
	}
	r.link, err = session.Attach(ctx, &amqp.Attach{
		Name: "eventhubs-reader", Role: amqp.RoleReceiver,
		Source: &amqp.Source{
			Address: source.path(),
			Filter:  amqp.Map{{Key: amqp.Symbol(selectorFilter), Value: amqp.Described{Descriptor: selectorCode, Value: source.Selector}}},
		},
		Target:         &amqp.Target{Address: "eventhubs-reader"},
		MaxMessageSize: math.MaxInt32,
	})
	if err == nil {
		err = r.link.Credit(readCredit)
	}
	return readError("reading "+source.path(), err)
}

// authorizeReader puts a token for a source to $cbs.
func authorizeReader(ctx context.Context, session *amqp.Session, cfg *Config, source *Source) error {
	audience := cfg.audience(source.path())
	token, err := cfg.Tokens.Token(ctx, audience)
	if err != nil {
		return &Error{Code: CodeNoToken, Err: fmt.Errorf("getting a token for %s: %w", audience, err)}
	}
	const node, replyTo = "$cbs", "eventhubs-reader-cbs"
	links, err := session.AttachAll(ctx,
		&amqp.Attach{Name: "eventhubs-reader-requests", Role: amqp.RoleSender, Source: &amqp.Source{Address: replyTo}, Target: &amqp.Target{Address: node}},
		&amqp.Attach{Name: "eventhubs-reader-replies", Role: amqp.RoleReceiver, Source: &amqp.Source{Address: node}, Target: &amqp.Target{Address: replyTo}})
	if err != nil {
		return readError("opening "+node, err)
	}
	requests, replies := links[0], links[1]
	if err := replies.Credit(1); err != nil {
		return readError("opening "+node, err)
	}
	request := amqp.Message{
		Properties:            &amqp.Properties{MessageID: "1", To: new(node), ReplyTo: new(replyTo)},
		ApplicationProperties: putTokenProperties(token, audience),
		Value:                 token.text(),
	}
	payload, err := request.AppendTo(nil)
	if err != nil {
		return &Error{Code: CodeInternal, Err: fmt.Errorf("putting a token: %w", err)}
	}
	if err := requests.Send(ctx, &amqp.Delivery{Payload: payload}); err != nil {
		return readError("putting a token", err)
	}
	reply, err := replies.Receive(ctx)
	if err != nil {
		return readError("putting a token", err)
	}
	_ = reply.Settle(amqp.Accepted{}) // the link is not used again
	answer, err := amqp.ParseMessage(reply.Payload)
	if err != nil {
		return &Error{Code: CodeInternal, Transient: true, Err: fmt.Errorf("the answer of %s: %w", node, err)}
	}
	return replyStatus(&answer)
}

// expiration is when a token expires, as the Go SDK writes it: Unix seconds as text, 0 if unknown.
func expiration(token Token) string {
	if token.Expires.IsZero() {
		return "0"
	}
	return strconv.FormatInt(token.Expires.Unix(), 10)
}

// Next waits for the next event and returns it, encoded. Its errors are *Error; no events follow an
// error.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	delivery, err := r.link.Receive(ctx)
	if err != nil {
		return nil, readError("reading", err)
	}
	if err := delivery.Settle(amqp.Accepted{}); err != nil { // does nothing if the service has settled it, as it does
		return nil, readError("reading", err)
	}
	if delivery.TooLarge {
		return nil, &Error{Code: CodeTooLarge, Err: fmt.Errorf("an event of %d bytes", delivery.Size)}
	}
	return delivery.Payload, nil
}

// Close ends the reader. It takes at most closeTimeout.
func (r *Reader) Close() { _ = r.conn.Close(nil) }

// readError makes an error of the engine an *Error; nil stays nil.
func readError(doing string, err error) error {
	if err == nil {
		return nil
	}
	return classify(fmt.Errorf("%s: %w", doing, err))
}
