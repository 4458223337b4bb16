package main

import (
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// wireMessage returns a message of the publishing side as one of our own codec, from which records
// are made.
func wireMessage(m *azeventhubs.AMQPAnnotatedMessage) *amqp.Message {
	out := &amqp.Message{Data: m.Body.Data, Value: m.Body.Value, HasValue: m.Body.Value != nil}
	for name, value := range m.ApplicationProperties {
		out.ApplicationProperties = append(out.ApplicationProperties, amqp.Pair{Key: name, Value: value})
	}
	for key, value := range m.MessageAnnotations {
		out.Annotations = append(out.Annotations, amqp.Pair{Key: key, Value: value})
	}
	if p := m.Properties; p != nil {
		out.Properties = &amqp.Properties{
			MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	for _, section := range m.Body.Sequence {
		out.Sequences = append(out.Sequences, section)
	}
	return out
}

// dataMessage encodes a message whose body is one data section.
func dataMessage(body string) []byte {
	return amqp.AppendBinary(amqp.AppendSectionHeader(nil, amqp.SectionData), []byte(body))
}
