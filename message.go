package eventhubs

import (
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// keyOfMessage makes the partition key that a message carries already the option, which must not say otherwise.
func keyOfMessage(m *azeventhubs.AMQPAnnotatedMessage, o *EnqueueOptions) error {
	carried, ok := m.MessageAnnotations[partitionKeyAnnotation]
	if !ok {
		return nil
	}
	key, ok := carried.(string)
	switch {
	case !ok:
		return invalid("AMQPAnnotatedMessage.MessageAnnotations[%q] is a %T: a partition key is a string", partitionKeyAnnotation, carried)
	case o.PartitionKey != "" && o.PartitionKey != key:
		return invalid("the message carries the partition key %q and EnqueueOptions.PartitionKey is %q: give one of them, or the same", key, o.PartitionKey)
	}
	o.PartitionKey = key
	return nil
}

// messageOf gives an SDK's message the form of our codec, which borrows its memory, with that partition key.
func messageOf(m *azeventhubs.AMQPAnnotatedMessage, key string) (*amqp.Message, error) {
	body := m.Body
	if forms := count(len(body.Data) > 0) + count(len(body.Sequence) > 0) + count(body.Value != nil); forms > 1 {
		return nil, invalid("AMQPAnnotatedMessage.Body has more than one of Data, Sequence and Value: a message has one")
	}
	for key, value := range m.ApplicationProperties {
		encoded, err := amqp.AppendValue(nil, wireValue(value))
		switch {
		case err != nil:
			return nil, invalid("AMQPAnnotatedMessage.ApplicationProperties[%q]: %v", key, err)
		case !amqp.KindOf(encoded).Simple():
			return nil, invalid("AMQPAnnotatedMessage.ApplicationProperties[%q] is a %T: a property is of a simple type", key, value)
		}
	}
	out := &amqp.Message{
		Data:                  body.Data,
		Value:                 wireValue(body.Value),
		HasValue:              body.Value != nil,
		DeliveryAnnotations:   wireMap(m.DeliveryAnnotations),
		Annotations:           wireMap(m.MessageAnnotations),
		ApplicationProperties: wireMap(m.ApplicationProperties),
		Footer:                wireMap(m.Footer),
	}
	if len(body.Data) == 0 && len(body.Sequence) == 0 && body.Value == nil {
		out.Data = [][]byte{{}} // a message has a body, be it empty
	}
	for _, s := range body.Sequence {
		out.Sequences = append(out.Sequences, amqp.List(s))
	}
	if _, ok := m.MessageAnnotations[partitionKeyAnnotation]; key != "" && !ok {
		out.Annotations = append(out.Annotations, amqp.Pair{Key: amqp.Symbol(partitionKeyAnnotation), Value: key})
	}
	if h := m.Header; h != nil {
		out.Header = &amqp.Header{Durable: h.Durable, Priority: &h.Priority, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
	}
	if p := m.Properties; p != nil {
		out.Properties = &amqp.Properties{
			MessageID: wireValue(p.MessageID), UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: wireValue(p.CorrelationID),
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	return out, nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// wireMap gives a Go map the codec's form; nil stays nil.
func wireMap[K comparable](m map[K]any) amqp.Map {
	var out amqp.Map
	for k, v := range m {
		out = append(out, amqp.Pair{Key: k, Value: wireValue(v)})
	}
	return out
}

// wireValue gives a value the codec's type where Go's own has no meaning in AMQP: [16]byte is what plainValue makes of a UUID.
func wireValue(v any) any {
	if uuid, ok := v.([16]byte); ok {
		return amqp.UUID(uuid)
	}
	return v
}

// annotatedMessage is messageOf the other way. Nothing in the result shares memory with m.
func annotatedMessage(m *amqp.Message) *azeventhubs.AMQPAnnotatedMessage {
	out := &azeventhubs.AMQPAnnotatedMessage{
		DeliveryAnnotations:   plainMap(m.DeliveryAnnotations),
		MessageAnnotations:    plainMap(m.Annotations),
		ApplicationProperties: plainStringMap(m.ApplicationProperties),
		Footer:                plainMap(m.Footer),
	}
	if m.HasValue {
		out.Body.Value = plainValue(m.Value)
	}
	for _, data := range m.Data {
		out.Body.Data = append(out.Body.Data, append([]byte{}, data...))
	}
	for _, s := range m.Sequences {
		out.Body.Sequence = append(out.Body.Sequence, plainList(s))
	}
	if h := m.Header; h != nil {
		out.Header = &azeventhubs.AMQPAnnotatedMessageHeader{Durable: h.Durable, Priority: 4, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
		if h.Priority != nil {
			out.Header.Priority = *h.Priority
		}
	}
	if p := m.Properties; p != nil {
		out.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{
			MessageID: plainValue(p.MessageID), UserID: append([]byte(nil), p.UserID...), To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: plainValue(p.CorrelationID),
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	return out
}
