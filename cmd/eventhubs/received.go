package main

import (
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// decodeReceived decodes an event from the service. With an error it still returns an event if its
// place is known.
func decodeReceived(encoded []byte) (*azeventhubs.ReceivedEventData, error) {
	message, err := amqp.ParseMessage(encoded)
	if err != nil {
		return placeOf(encoded), err
	}
	e := placed(message.Annotations)
	if e == nil {
		return nil, errors.New("the service does not say where it is in the partition")
	}
	e.RawAMQPMessage = receivedMessage(&message)
	return e, nil
}

// placeOf returns an event with only the fields from its annotations; nil if they cannot be read.
func placeOf(encoded []byte) *azeventhubs.ReceivedEventData {
	for section, err := range amqp.Sections(encoded) {
		if err != nil {
			return nil
		}
		if section.Code == amqp.SectionMessageAnnotations {
			value, _, _ := amqp.ReadValue(section.Value)
			if annotations, ok := value.(amqp.Map); ok {
				return placed(annotations)
			}
		}
	}
	return nil
}

// placed returns an event with the service's annotations; nil if they do not have its place.
func placed(annotations amqp.Map) *azeventhubs.ReceivedEventData {
	e, known := &azeventhubs.ReceivedEventData{}, false
	for _, p := range annotations {
		switch value := p.Value.(type) {
		case int64:
			if annotationName(p.Key) == sequenceAnnotation {
				e.SequenceNumber, known = value, true
			}
		case time.Time:
			if annotationName(p.Key) == enqueuedAnnotation {
				e.EnqueuedTime = &value
			}
		case string:
			switch annotationName(p.Key) {
			case keyAnnotation:
				e.PartitionKey = &value
			case offsetAnnotation:
				e.Offset = value
			}
		}
	}
	if !known {
		return nil
	}
	return e
}

// receivedMessage returns a message in the SDK's form. Its values have the types of our own codec,
// which has all of AMQP's.
func receivedMessage(m *amqp.Message) *azeventhubs.AMQPAnnotatedMessage {
	out := &azeventhubs.AMQPAnnotatedMessage{ApplicationProperties: map[string]any{}, MessageAnnotations: map[any]any{}}
	for _, p := range m.ApplicationProperties {
		out.ApplicationProperties[annotationName(p.Key)] = p.Value
	}
	for _, p := range m.Annotations {
		out.MessageAnnotations[p.Key] = p.Value
	}
	if p := m.Properties; p != nil {
		out.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{
			MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	out.Body = azeventhubs.AMQPAnnotatedMessageBody{Data: m.Data, Value: m.Value}
	if m.HasValue && m.Value == nil {
		out.Body.Value = eventhubs.Null{} // nil is no body
	}
	for _, section := range m.Sequences {
		out.Body.Sequence = append(out.Body.Sequence, section)
	}
	return out
}
