// Package azevents converts between this module's events and those of azeventhubs, the official
// client, without loss. A program that consumes with azeventhubs can publish the events that it
// receives. And azeventhubs can send a handler's events.
//
//	err := producer.Enqueue(ctx, azevents.FromReceived(received))
//
// It is a separate package, so that only its users link azeventhubs. The results share memory with
// the arguments.
package azevents

import (
	"maps"
	"reflect"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
)

const partitionKeyAnnotation = "x-opt-partition-key"

// defaultPriority is a message's priority unless its header has another.
const defaultPriority = 4

// FromEventData makes an event of an azeventhubs event to send. It returns nil for nil. An empty
// property map becomes nil, since azeventhubs sends none. azeventhubs sets the partition in
// EventDataBatchOptions, for a whole batch. Set PartitionID or PartitionKey of the result instead,
// if needed.
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

// FromReceived makes an event of a received one. It returns nil for nil. It reads the complete
// RawAMQPMessage, and ignores changes of the other fields. The event keeps its partition key, if
// any, and so goes to that key's partition. The service's annotations stay in
// AMQP.MessageAnnotations, and Enqueue leaves them out.
//
// azeventhubs loses two differences: a symbol becomes a string, and a null value becomes no body.
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

// FromMessage makes an event of an AMQP message. It returns nil for nil. A partition key in its
// annotations becomes PartitionKey. DeliveryTag is left out, since it belongs to the transfer.
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
	if h.Priority != defaultPriority { // azeventhubs does not distinguish it from no priority
		out.Priority = &h.Priority
	}
	return out
}

// takeKey moves a key from the annotations to the event, and returns the other annotations; nil for
// none.
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

// fromProperties moves properties to the event's own fields, and returns the rest; nil for none.
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
	// With one of these, the event has a properties section anyway.
	said := e.MessageID != "" || e.CorrelationID != "" || e.ContentType != ""
	if said && reflect.ValueOf(rest).IsZero() {
		return nil
	}
	return &rest
}

// takeProperties moves properties from p to the event's own fields.
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
