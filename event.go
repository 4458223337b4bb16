package eventhubs

import "time"

// An Event is what a producer sends, and what handlers are told of. [BufferedProducer.Enqueue] copies it: it may be changed or used again afterwards, and one that a handler was given
// may be enqueued as it is. The zero Event is one with an empty body, for any partition. Name the fields that you set: there will be more.
//
// What an AMQP message has beyond these fields is AMQP. Each thing has one place: a handler finds it where the sender has put it, and AMQP is nil where these fields
// say it all.
type Event struct {
	// Body is the body, of any bytes. Nil is an empty body. A body of another kind, or none, is AMQP.Body.
	Body []byte

	// PartitionID sends the event to that partition of the hub. In a handler it is still what the sender asked for: Batch.PartitionID is where the event went.
	PartitionID string

	// PartitionKey sends the event to the partition that the service would choose for that key: all events with one key go
	// to one partition, as long as the hub has as many partitions as now. The key travels with the event. It is valid UTF-8 of at most 128
	// characters, counted as .NET, Java and JavaScript do: one beyond U+FFFF, such as an emoji, counts twice. Give
	// neither key nor id unless events belong together: spread over all partitions they arrive fastest.
	PartitionKey string

	// Properties travel with the event. One may be a bool, a number, a string, a []byte, a time.Time, a UUID ([16]byte), nil, a map, slice or pointer of these, or
	// whatever azeventhubs has received as one. Other Go types are refused by name.
	//
	// A handler gets a map as map[any]any, a list as []any, a symbol as a string. What has no type that a program could name, such as a described value, can be printed,
	// and is what it was when it is enqueued again.
	Properties map[string]any

	// MessageID, CorrelationID and ContentType travel with the event; empty is none. An id is valid UTF-8, a content type ASCII. An id of another type, and one that is
	// there and empty, is in AMQP.Properties.
	MessageID     string
	CorrelationID string
	ContentType   string

	// ExpiresAt, if set, is when the event is of no more use: if no try to send it has begun by then, it fails with ErrExpired. An event that
	// is already on its way is not affected. It stays here and is not sent.
	ExpiresAt time.Time

	// Delivery, if set, is told the outcome of this event. It serves one event. It is nil in a handler.
	Delivery *Delivery

	// Tag stays here and is not sent: a handler gets it back, whatever it is.
	Tag any

	// AMQP, if set, is what the event has that the fields above cannot say.
	AMQP *AMQPMessage
}

// An AMQPMessage is what of an AMQP message the fields of an Event cannot say. Whatever is nil is not there; what is there and empty is sent as such, and so received, but
// for message annotations.
// What AMQP forbids is refused with [ErrInvalidArgument], whose text names the field, the key and the Go type.
//
// Keys of annotations are ASCII text, of any string type, or uint64. Their values, like those of a body, may be what [Event.Properties] may be.
type AMQPMessage struct {
	Header              *AMQPHeader
	DeliveryAnnotations map[any]any

	// MessageAnnotations may also carry the partition key, as x-opt-partition-key; Event.PartitionKey is the same then, or empty. Not sent are what the
	// service had put on a received event (x-opt-sequence-number, x-opt-offset, x-opt-enqueued-time), and the numbers of the producer that had sent it.
	MessageAnnotations map[any]any

	Properties *AMQPProperties

	// Body, if set, is the body, and Event.Body is nil. One with nothing in it is no body at all.
	Body *AMQPBody

	Footer map[any]any
}

// An AMQPHeader is the header of a message.
type AMQPHeader struct {
	Durable       bool
	Priority      *uint8        // nil is AMQP's default, 4
	TTL           time.Duration // sent in milliseconds; zero is none
	FirstAcquirer bool
	DeliveryCount uint32
}

// AMQPProperties are the properties that AMQP has for every message. The first three are for what the fields of the same name in Event cannot say, and are refused
// if both are set.
type AMQPProperties struct {
	MessageID          any     // a uint64, a UUID ([16]byte), a []byte, or a string, also an empty one
	CorrelationID      any     // likewise
	ContentType        *string // ASCII, also an empty one
	ContentEncoding    *string // ASCII
	UserID             []byte
	To                 *string
	Subject            *string
	ReplyTo            *string
	AbsoluteExpiryTime *time.Time
	CreationTime       *time.Time
	GroupID            *string
	GroupSequence      *uint32
	ReplyToGroupID     *string
}

// An AMQPBody is a body of any kind: sections of data, sequences, a value, or nothing. A tombstone for a compacted hub is a key and no body, or a null one; which of
// these the service takes for one is not known, see docs/wire.md.
type AMQPBody struct {
	Data      [][]byte // one section each; nil is one that is null, as JavaScript's client sends it, an empty one is not
	Sequences [][]any  // one section each
	Value     any      // Null{} for one that is null
}

// Null is a value that is null, such as [AMQPBody.Value]: nil is no value. A struct type of that name in another AMQP package, such as go-amqp's, is taken for
// the same.
type Null struct{}
