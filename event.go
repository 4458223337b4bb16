package eventhubs

import "time"

// An Event is what a producer sends and what handlers get. [BufferedProducer.Enqueue] copies it, so
// the caller may change or reuse it afterwards. A handler may enqueue an event it got, as it is.
// The zero Event has an empty body and may go to any partition. Name the fields that you set: there
// will be more.
//
// The field AMQP has all that the other fields cannot express. Each value has one place: a handler
// finds it where the sender put it. AMQP is nil when the other fields say everything.
type Event struct {
	// Body is the body, of any bytes. Nil is an empty body. AMQP.Body is for a body of another
	// kind, or for none.
	Body []byte

	// PartitionID sends the event to that partition of the hub. In a handler it is still the
	// sender's choice: Batch.PartitionID is where the event went.
	PartitionID string

	// PartitionKey sends the event to the partition that the service would choose for that key. All
	// events with one key go to one partition while the hub's number of partitions stays the same.
	// The key travels with the event. It is valid UTF-8 of at most 128 characters, counted as .NET,
	// Java and JavaScript do. A character beyond U+FFFF, for example an emoji, counts twice. Give
	// neither key nor id unless events belong together: spread over all partitions they arrive
	// fastest.
	PartitionKey string

	// Properties travel with the event. A value may be a bool, a number, a string, a []byte, a
	// time.Time, a UUID ([16]byte) or nil. It may be a map, slice or pointer of these, or any value
	// that azeventhubs has received. Enqueue refuses other Go types by name.
	//
	// A handler gets a map as map[any]any, a list as []any, a symbol as a string. A value without a
	// Go type that a program can name, for example a described value, can be printed. Enqueued
	// again, it stays what it was.
	Properties map[string]any

	// MessageID, CorrelationID and ContentType travel with the event; empty is none. An id is valid
	// UTF-8, a content type ASCII. An id of another type, or one that is present and empty, is in
	// AMQP.Properties.
	MessageID     string
	CorrelationID string
	ContentType   string

	// ExpiresAt, if set, is when the event becomes useless. The event fails with ErrExpired if no
	// try to send it has begun by then. An event already on its way is not affected. The field is
	// not sent.
	ExpiresAt time.Time

	// Delivery, if set, gets the outcome of this event. It serves one event. It is nil in a
	// handler.
	Delivery *Delivery

	// Tag is any value that a handler gets back with the event. It is not sent.
	Tag any

	// Checkpoint, with [Options.Journal], says how far the program has read its source, this event
	// included. It is any bytes that are not nil, for example a file's name and an offset. The journal
	// keeps it in the same commit as the event. After a restart [BufferedProducer.Journal] returns
	// the last one, and the program goes on after it: so each line of a source is enqueued once. It
	// is not sent.
	Checkpoint []byte

	// AMQP, if set, has what the fields above cannot express.
	AMQP *AMQPMessage
}

// An AMQPMessage has the parts of an AMQP message that the fields of an Event cannot express. A nil
// part is absent. A part that is present and empty is sent and received as empty, except message
// annotations. Enqueue refuses what AMQP forbids with [ErrInvalidArgument], whose text names the
// field, the key and the Go type.
//
// Keys of annotations are ASCII text, of any string type, or uint64. Their values, like those of a
// body, may be the same as in [Event.Properties].
type AMQPMessage struct {
	Header              *AMQPHeader
	DeliveryAnnotations map[any]any

	// MessageAnnotations may also carry the partition key, as x-opt-partition-key.
	// Event.PartitionKey is then the same, or empty. With Event.PartitionID, the id decides where
	// the event goes, and the key in the annotation only travels with it.
	//
	// Annotations that the service put on a received event are not sent (x-opt-sequence-number,
	// x-opt-offset, x-opt-enqueued-time). Neither are the numbers of the producer that sent it
	// before.
	MessageAnnotations map[any]any

	Properties *AMQPProperties

	// Body, if set, is the body, and Event.Body must be nil. An AMQPBody with no content is no body
	// at all.
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

// AMQPProperties are the properties that AMQP has for every message. The first three are for values
// that the Event fields of the same name cannot express. Enqueue refuses an event that sets both.
type AMQPProperties struct {
	MessageID          any     // a uint64, UUID ([16]byte), []byte or string, also an empty one
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

// An AMQPBody is a body of any kind: sections of data, sequences, a value, or nothing. A tombstone
// for a compacted hub is a key and no body, or a null one. It is not known which of these the
// service accepts as one, see docs/wire.md.
//
// Not all consumers hand on a value. Java's client (azure-messaging-eventhubs 5.21.5) gives an event
// without bytes for it, and Go's (azeventhubs 2.0.2) has it in RawAMQPMessage only.
type AMQPBody struct {
	Data      [][]byte // one section each; a nil slice is a null section, an empty one is not
	Sequences [][]any  // one section each
	Value     any      // Null{} for one that is null
}

// Null is a null value, for example of [AMQPBody.Value], where nil is no value. A struct type of
// that name in another AMQP package (go-amqp) counts as the same.
type Null struct{}
