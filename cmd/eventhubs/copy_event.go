package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// Properties that --source-properties gives to an event.
const (
	sourcePartition = "source-partition"
	sourceSequence  = "source-sequence-number"
	sourceOffset    = "source-offset"
	sourceEnqueued  = "source-enqueued-time"
)

// isSourceProperty reports whether --source-properties sets a property.
func isSourceProperty(key any) bool {
	switch key {
	case sourcePartition, sourceSequence, sourceOffset, sourceEnqueued:
		return true
	}
	return false
}

// eventOf makes an event of a message, with all types. It reverses messageOf. The key stays in the
// annotations. The event has nothing that belongs to the message's hub. It shares memory with the
// message. The error names what a producer cannot send.
func eventOf(m *amqp.Message) (*eventhubs.Event, error) {
	if kinds := min(len(m.Data), 1) + min(len(m.Sequences), 1); kinds > 1 || kinds == 1 && m.HasValue {
		return nil, errors.New("its body has more than one of data, sequences and a value, which cannot be sent")
	}
	e := &eventhubs.Event{}
	beyond := eventhubs.AMQPMessage{Header: (*eventhubs.AMQPHeader)(m.Header)}
	var err error
	if e.Properties, err = goMap[string]("property", m.ApplicationProperties, nil); err != nil {
		return nil, err
	}
	if beyond.DeliveryAnnotations, err = goMap[any]("delivery annotation", m.DeliveryAnnotations, nil); err != nil {
		return nil, err
	}
	if beyond.MessageAnnotations, err = goMap[any]("annotation", m.Annotations, isLeft); err != nil {
		return nil, err
	}
	if beyond.Footer, err = goMap[any]("footer", m.Footer, nil); err != nil {
		return nil, err
	}
	if len(beyond.MessageAnnotations) == 0 {
		beyond.MessageAnnotations = nil
	}
	if p := m.Properties; p != nil {
		beyond.Properties = &eventhubs.AMQPProperties{
			MessageID: p.MessageID, CorrelationID: p.CorrelationID, ContentType: p.ContentType, ContentEncoding: p.ContentEncoding,
			UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	if len(m.Data) == 1 && m.Data[0] != nil {
		e.Body = m.Data[0]
	} else {
		beyond.Body = bodyOf(m)
	}
	if !reflect.ValueOf(beyond).IsZero() {
		e.AMQP = &beyond
	}
	return e, nil
}

// isTaken reports whether a producer takes an event of eventOf, whatever its size.
func isTaken(e *eventhubs.Event) bool {
	m := messageOf(e)
	for _, id := range []any{m.Properties.MessageID, m.Properties.CorrelationID} {
		switch id.(type) {
		case nil, string, uint64, amqp.UUID, []byte:
		default:
			return false
		}
	}
	if key, there := m.Annotations.Get(eventjson.KeyAnnotation); there {
		if _, ok := key.(string); !ok {
			return false
		}
	}
	_, err := m.AppendTo(nil)
	return err == nil
}

// bodyOf returns a message's body of another kind than one section of data.
func bodyOf(m *amqp.Message) *eventhubs.AMQPBody {
	b := &eventhubs.AMQPBody{Data: m.Data, Value: m.Value}
	for _, s := range m.Sequences {
		b.Sequences = append(b.Sequences, s)
	}
	if m.HasValue && m.Value == nil {
		b.Value = eventhubs.Null{}
	}
	return b
}

// isLeft reports whether a message's annotation stays with its hub.
func isLeft(key any) bool {
	name := eventjson.AnnotationName(key)
	return isOfOneHub(name) && name != eventjson.KeyAnnotation
}

// goMap returns a map that a producer takes; nil for nil. It refuses a key of another type, and one
// that comes twice.
func goMap[K comparable](what string, m amqp.Map, left func(key any) bool) (map[K]any, error) {
	if m == nil {
		return nil, nil
	}
	out := make(map[K]any, len(m))
	for _, p := range m {
		if left != nil && left(p.Key) {
			continue
		}
		key, ok := p.Key.(K)
		if v := reflect.ValueOf(p.Key); !ok || v.IsValid() && !v.Comparable() {
			return nil, fmt.Errorf("its %s has a key of the type %T, which cannot be sent", what, p.Key)
		}
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("its %s %q comes twice, which cannot be sent", what, eventjson.AnnotationName(p.Key))
		}
		out[key] = p.Value
	}
	return out, nil
}

// keyOfMessage returns the partition key of a message; "" for none.
func keyOfMessage(m *amqp.Message) string {
	key, _ := m.Annotations.Get(eventjson.KeyAnnotation)
	text, _ := key.(string)
	return text
}

// describeSource gives an event the properties of --source-properties. It reports whether one was
// there.
func describeSource(e *eventhubs.Event, partition string, from *consumer.Event) (replaced bool) {
	if e.Properties == nil {
		e.Properties = make(map[string]any, 4)
	}
	for name, value := range map[string]any{
		sourcePartition: partition, sourceSequence: from.SequenceNumber, sourceOffset: from.Offset, sourceEnqueued: from.EnqueuedTime,
	} {
		if _, there := e.Properties[name]; there {
			replaced = true
		}
		e.Properties[name] = value
	}
	return replaced
}
