package main

import (
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// messageOf returns an event as a message, of which records are made. It shares memory with the
// event. A value may have a Go type in place of AMQP's.
func messageOf(e *eventhubs.Event) *amqp.Message {
	var beyond eventhubs.AMQPMessage
	if e.AMQP != nil {
		beyond = *e.AMQP
	}
	m := &amqp.Message{Header: (*amqp.Header)(beyond.Header), Properties: propertiesOf(e, beyond.Properties)}
	for name, value := range e.Properties {
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: name, Value: value})
	}
	for key, value := range beyond.MessageAnnotations {
		m.Annotations = append(m.Annotations, amqp.Pair{Key: key, Value: value})
	}
	for key, value := range beyond.Footer {
		m.Footer = append(m.Footer, amqp.Pair{Key: key, Value: value})
	}
	if e.PartitionKey != "" {
		m.Annotations = append(m.Annotations, amqp.Pair{Key: eventjson.KeyAnnotation, Value: e.PartitionKey})
	}
	if beyond.Body == nil {
		m.Data = [][]byte{e.Body}
		if e.Body == nil {
			m.Data[0] = []byte{} // nil would be null
		}
		return m
	}
	m.Data, m.Value, m.HasValue = beyond.Body.Data, beyond.Body.Value, beyond.Body.Value != nil
	for _, section := range beyond.Body.Sequences {
		m.Sequences = append(m.Sequences, section)
	}
	return m
}

// propertiesOf returns the properties section of an event whose AMQP properties are p.
func propertiesOf(e *eventhubs.Event, p *eventhubs.AMQPProperties) *amqp.Properties {
	if p == nil {
		p = &eventhubs.AMQPProperties{}
	}
	out := &amqp.Properties{
		MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
		GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
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

// sentBody returns the bytes of an event's body, as bodyBytes counts them.
func sentBody(e *eventhubs.Event) []byte {
	if e.AMQP == nil || e.AMQP.Body == nil {
		return e.Body
	}
	return bodyBytes(messageOf(e))
}

// dataMessage encodes a message whose body is one data section.
func dataMessage(body string) []byte {
	return amqp.AppendBinary(amqp.AppendSectionHeader(nil, amqp.SectionData), []byte(body))
}
