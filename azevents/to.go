package azevents

import (
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	goamqp "github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// ToMessage makes an AMQP message of an event, such as a handler's. It returns nil for nil. The
// partition key goes into the annotations. PartitionID, ExpiresAt, Delivery and Tag are left out,
// since they are not sent. Values get the types that azeventhubs returns. If azeventhubs has no
// type for a value, the error names it and matches [eventhubs.ErrInvalidArgument].
func ToMessage(e *eventhubs.Event) (*azeventhubs.AMQPAnnotatedMessage, error) {
	if e == nil {
		return nil, nil
	}
	var beyond eventhubs.AMQPMessage
	if e.AMQP != nil {
		beyond = *e.AMQP
	}
	var c converter
	m := &azeventhubs.AMQPAnnotatedMessage{
		Header: toHeader(beyond.Header), DeliveryAnnotations: values(&c, "Event.AMQP.DeliveryAnnotations", beyond.DeliveryAnnotations),
		MessageAnnotations:    values(&c, "Event.AMQP.MessageAnnotations", beyond.MessageAnnotations),
		Properties:            c.properties(e, beyond.Properties),
		ApplicationProperties: values(&c, "Event.Properties", e.Properties),
		Body:                  c.body(e, beyond.Body),
		Footer:                values(&c, "Event.AMQP.Footer", beyond.Footer),
	}
	if e.PartitionKey != "" {
		if m.MessageAnnotations == nil {
			m.MessageAnnotations = map[any]any{}
		}
		m.MessageAnnotations[partitionKeyAnnotation] = e.PartitionKey
	}
	if c.err != nil {
		return nil, c.err
	}
	return m, nil
}

// ToEventData makes an EventData of an event. It returns nil for nil. PartitionID and PartitionKey
// are left out: azeventhubs sets them in EventDataBatchOptions, for a whole batch. ExpiresAt,
// Delivery and Tag are left out too. If an EventData has no place for a field of the event, the
// error names it and matches [eventhubs.ErrInvalidArgument]. Use ToMessage then.
func ToEventData(e *eventhubs.Event) (*azeventhubs.EventData, error) {
	if e == nil {
		return nil, nil
	}
	if e.AMQP != nil {
		if err := onlyEventData(e.AMQP); err != nil {
			return nil, err
		}
	}
	m, err := ToMessage(e)
	if err != nil {
		return nil, err
	}
	d := &azeventhubs.EventData{Body: m.Body.Data[0], Properties: m.ApplicationProperties}
	if p := m.Properties; p != nil {
		d.ContentType, d.CorrelationID = p.ContentType, p.CorrelationID
		switch id := p.MessageID.(type) {
		case nil:
		case string:
			d.MessageID = &id
		default:
			return nil, noPlace("Properties.MessageID")
		}
	}
	return d, nil
}

// invalid returns an error in the form of Enqueue's.
func invalid(format string, args ...any) error {
	return fmt.Errorf("azevents: %w: "+format, append([]any{eventhubs.ErrInvalidArgument}, args...)...)
}

func noPlace(field string) error {
	return invalid("an EventData has no place for Event.AMQP.%s: use ToMessage", field)
}

// onlyEventData refuses fields that an EventData has no place for. The service's annotations are
// not the sender's, and are accepted.
func onlyEventData(m *eventhubs.AMQPMessage) error {
	switch {
	case m.Header != nil:
		return noPlace("Header")
	case m.DeliveryAnnotations != nil:
		return noPlace("DeliveryAnnotations")
	case m.Body != nil:
		return noPlace("Body")
	case m.Footer != nil:
		return noPlace("Footer")
	}
	for key := range m.MessageAnnotations {
		switch key {
		case partitionKeyAnnotation, "x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time":
		default:
			return noPlace(fmt.Sprintf("MessageAnnotations[%q]", key))
		}
	}
	p := m.Properties
	if p == nil {
		return nil
	}
	for _, property := range [...]struct {
		name string
		set  bool
	}{
		{"ContentEncoding", p.ContentEncoding != nil}, {"UserID", p.UserID != nil}, {"To", p.To != nil}, {"Subject", p.Subject != nil}, {"ReplyTo", p.ReplyTo != nil},
		{"AbsoluteExpiryTime", p.AbsoluteExpiryTime != nil}, {"CreationTime", p.CreationTime != nil}, {"GroupID", p.GroupID != nil},
		{"GroupSequence", p.GroupSequence != nil}, {"ReplyToGroupID", p.ReplyToGroupID != nil},
	} {
		if property.set {
			return noPlace("Properties." + property.name)
		}
	}
	return nil
}

func toHeader(h *eventhubs.AMQPHeader) *azeventhubs.AMQPAnnotatedMessageHeader {
	if h == nil {
		return nil
	}
	out := &azeventhubs.AMQPAnnotatedMessageHeader{Durable: h.Durable, Priority: defaultPriority, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
	if h.Priority != nil {
		out.Priority = *h.Priority
	}
	return out
}

// A converter converts an event's values to azeventhubs' types, and keeps the first error.
type converter struct{ err error }

func (c *converter) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *converter) body(e *eventhubs.Event, b *eventhubs.AMQPBody) azeventhubs.AMQPAnnotatedMessageBody {
	if b == nil {
		// nil would be null.
		return azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{append([]byte{}, e.Body...)}}
	}
	if e.Body != nil {
		c.fail(invalid("Event.Body and Event.AMQP.Body are both set: set only one of them"))
	}
	out := azeventhubs.AMQPAnnotatedMessageBody{Data: b.Data}
	for i, sequence := range b.Sequences {
		list, _ := c.value(fmt.Sprintf("Event.AMQP.Body.Sequences[%d]", i), sequence).([]any)
		if list == nil {
			list = []any{}
		}
		out.Sequence = append(out.Sequence, list)
	}
	switch {
	case b.Value == nil:
	case amqp.IsNull(b.Value):
		out.Value = goamqp.Null{}
	default:
		out.Value = c.value("Event.AMQP.Body.Value", b.Value)
	}
	return out
}

func (c *converter) properties(e *eventhubs.Event, p *eventhubs.AMQPProperties) *azeventhubs.AMQPAnnotatedMessageProperties {
	if p == nil {
		if e.MessageID == "" && e.CorrelationID == "" && e.ContentType == "" {
			return nil
		}
		p = new(eventhubs.AMQPProperties)
	}
	out := &azeventhubs.AMQPAnnotatedMessageProperties{
		MessageID: c.value("Event.AMQP.Properties.MessageID", p.MessageID), CorrelationID: c.value("Event.AMQP.Properties.CorrelationID", p.CorrelationID),
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo,
		AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime, GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
	}
	if e.MessageID != "" {
		out.MessageID = e.MessageID
	}
	if e.CorrelationID != "" {
		out.CorrelationID = e.CorrelationID
	}
	if e.ContentType != "" {
		out.ContentType = &e.ContentType
	}
	return out
}

// values converts the values of a map; nil stays nil.
func values[K comparable](c *converter, field string, in map[K]any) map[K]any {
	if in == nil {
		return nil
	}
	out := make(map[K]any, len(in))
	for key, v := range in {
		if plain(v) {
			out[key] = v
			continue
		}
		out[key] = c.value(fmt.Sprintf("%s[%#v]", field, key), v)
	}
	return out
}

// plain reports whether a value has the same type in both packages.
func plain(v any) bool {
	switch v.(type) {
	case nil, bool, string, []byte, time.Time, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return true
	}
	return false
}

// value returns a value in azeventhubs' type: go-amqp's reading of its encoding.
func (c *converter) value(field string, v any) any {
	if plain(v) {
		return v
	}
	converted, err := received(v)
	if err != nil {
		c.fail(invalid("%s, a %T, has no form in azeventhubs: %w", field, v, err))
	}
	return converted
}

func received(v any) (_ any, err error) {
	encoded, err := amqp.AppendValue(amqp.AppendSectionHeader(nil, amqp.SectionValue), v)
	if err != nil {
		return nil, err
	}
	defer func() {
		if reason := recover(); reason != nil { // it does for some described values
			err = errors.New("go-amqp cannot read it")
		}
	}()
	var m goamqp.Message
	if err := m.UnmarshalBinary(encoded); err != nil {
		return nil, err
	}
	return m.Value, nil
}
