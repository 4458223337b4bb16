// Package azevents makes events of what azeventhubs, the official client, has, and the other way round, with nothing lost: whoever consumes with that client sends on
// what it has received, and a handler's event can be sent by it.
//
//	err := producer.Enqueue(ctx, azevents.FromReceived(received))
//
// It is a package of its own so that only who needs it links azeventhubs. The conversions share memory with what they are given.
package azevents

import (
	"maps"
	"reflect"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
)

const partitionKeyAnnotation = "x-opt-partition-key"

// defaultPriority is a message's unless its header says another.
const defaultPriority = 4

// FromEventData makes an event of one that is to be sent; nil of nil. Properties without any are none, as azeventhubs sends them. In azeventhubs the partition is said for a
// batch, in EventDataBatchOptions; here in the event, which has neither id nor key yet.
func FromEventData(d *azeventhubs.EventData) *eventhubs.Event {
	if d == nil {
		return nil
	}
	e := &eventhubs.Event{Body: d.Body}
	if len(d.Properties) > 0 {
		e.Properties = d.Properties
	}
	p := eventhubs.AMQPProperties{CorrelationID: d.CorrelationID, ContentType: d.ContentType}
	if d.MessageID != nil {
		p.MessageID = *d.MessageID
	}
	if takeProperties(e, &p); p.MessageID != nil || p.CorrelationID != nil || p.ContentType != nil {
		e.AMQP = &eventhubs.AMQPMessage{Properties: &p}
	}
	return e
}

// FromReceived makes an event of a received one; nil of nil. It looks at RawAMQPMessage, where all of it is, and not at what a program may have changed in the other
// fields. The event goes to the partition of its key, if it has one. What the service had added stays in AMQP.MessageAnnotations, and Enqueue leaves it out.
//
// What azeventhubs does not tell from something else is that: a symbol is a string, a null value is no body.
func FromReceived(r *azeventhubs.ReceivedEventData) *eventhubs.Event {
	switch {
	case r == nil:
		return nil
	case r.RawAMQPMessage != nil:
		return FromMessage(r.RawAMQPMessage)
	}
	e := FromEventData(&r.EventData)
	if r.PartitionKey != nil {
		e.PartitionKey = *r.PartitionKey
	}
	return e
}

// FromMessage makes an event of an AMQP message; nil of nil. A partition key in its annotations is the event's. DeliveryTag, which is the transfer's, is left out.
func FromMessage(m *azeventhubs.AMQPAnnotatedMessage) *eventhubs.Event {
	if m == nil {
		return nil
	}
	e := &eventhubs.Event{Properties: m.ApplicationProperties}
	beyond := eventhubs.AMQPMessage{
		Header: fromHeader(m.Header), DeliveryAnnotations: m.DeliveryAnnotations, MessageAnnotations: takeKey(e, m.MessageAnnotations), Footer: m.Footer,
		Properties: fromProperties(e, m.Properties),
	}
	if b := m.Body; len(b.Data) == 1 && b.Data[0] != nil && len(b.Sequence) == 0 && b.Value == nil {
		e.Body = b.Data[0]
	} else {
		beyond.Body = &eventhubs.AMQPBody{Data: b.Data, Sequences: b.Sequence, Value: b.Value}
	}
	if beyond.Header != nil || beyond.DeliveryAnnotations != nil || beyond.MessageAnnotations != nil || beyond.Properties != nil || beyond.Body != nil || beyond.Footer != nil {
		e.AMQP = &beyond
	}
	return e
}

func fromHeader(h *azeventhubs.AMQPAnnotatedMessageHeader) *eventhubs.AMQPHeader {
	if h == nil {
		return nil
	}
	out := &eventhubs.AMQPHeader{Durable: h.Durable, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
	if h.Priority != defaultPriority { // which azeventhubs does not tell from none
		out.Priority = &h.Priority
	}
	return out
}

// takeKey takes a key that the event can say, and returns the other annotations; nil for none.
func takeKey(e *eventhubs.Event, annotations map[any]any) map[any]any {
	if key, _ := annotations[partitionKeyAnnotation].(string); key != "" {
		e.PartitionKey = key
		annotations = maps.Clone(annotations)
		delete(annotations, partitionKeyAnnotation)
	}
	if len(annotations) == 0 {
		return nil
	}
	return annotations
}

// fromProperties takes what fields of the event can say, and returns the rest; nil for none.
func fromProperties(e *eventhubs.Event, p *azeventhubs.AMQPAnnotatedMessageProperties) *eventhubs.AMQPProperties {
	if p == nil {
		return nil
	}
	rest := eventhubs.AMQPProperties{
		MessageID: p.MessageID, CorrelationID: p.CorrelationID, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, UserID: p.UserID,
		To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
		GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
	}
	takeProperties(e, &rest)
	said := e.MessageID != "" || e.CorrelationID != "" || e.ContentType != "" // so that there will be a section
	if said && reflect.ValueOf(rest).IsZero() {
		return nil
	}
	return &rest
}

// takeProperties takes what fields of the event can say out of p.
func takeProperties(e *eventhubs.Event, p *eventhubs.AMQPProperties) {
	if id, ok := p.MessageID.(string); ok && id != "" {
		e.MessageID, p.MessageID = id, nil
	}
	if id, ok := p.CorrelationID.(string); ok && id != "" {
		e.CorrelationID, p.CorrelationID = id, nil
	}
	if p.ContentType != nil && *p.ContentType != "" {
		e.ContentType, p.ContentType = *p.ContentType, nil
	}
}
