package eventhubs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// decodeEvent reads back what encode wrote. The bytes are our own, so that a failure to read them is a defect of this package.
func decodeEvent(encoded []byte, asMessage bool) Event {
	message, err := amqp.ParseMessage(encoded)
	if err != nil {
		panic(fmt.Sprintf("eventhubs: an event of our own does not decode: %v", err))
	}
	key := keyOf(encoded)
	if asMessage {
		return Event{Message: annotatedMessage(&message), PartitionKey: key}
	}
	data := &azeventhubs.EventData{}
	if len(message.Data) > 0 {
		data.Body = bytes.Clone(message.Data[0])
	}
	if p := message.Properties; p != nil {
		if id, ok := p.MessageID.(string); ok {
			data.MessageID = &id
		}
		data.ContentType = p.ContentType
		data.CorrelationID = plainValue(p.CorrelationID)
	}
	data.Properties = plainStringMap(message.ApplicationProperties)
	return Event{Data: data, PartitionKey: key}
}

// keyOf returns the partition key that an encoded event carries.
func keyOf(encoded []byte) string {
	key, _ := amqp.AnnotationText(encoded, partitionKeyAnnotation)
	return string(key)
}

// annotatedMessage is encodeMessage the other way: what it returns would be encoded to the same, but for the numbers. Nothing in it shares memory with m.
func annotatedMessage(m *amqp.Message) *azeventhubs.AMQPAnnotatedMessage {
	own := slices.DeleteFunc(m.Annotations, func(pair amqp.Pair) bool {
		name, _ := nameOf(pair.Key)
		return stale(name)
	})
	if len(own) == 0 {
		own = nil
	}
	out := &azeventhubs.AMQPAnnotatedMessage{
		DeliveryAnnotations:   plainMap(m.DeliveryAnnotations),
		MessageAnnotations:    plainMap(own),
		ApplicationProperties: plainStringMap(m.ApplicationProperties),
		Footer:                plainMap(m.Footer),
	}
	switch {
	case m.HasValue && m.Value == nil:
		out.Body.Value = Null{} // nil is no body
	case m.HasValue:
		out.Body.Value = plainValue(m.Value)
	}
	for _, data := range m.Data {
		out.Body.Data = append(out.Body.Data, bytes.Clone(data))
	}
	for _, s := range m.Sequences {
		out.Body.Sequence = append(out.Body.Sequence, plainList(s))
	}
	if h := m.Header; h != nil {
		out.Header = &azeventhubs.AMQPAnnotatedMessageHeader{Durable: h.Durable, Priority: defaultPriority, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
		if h.Priority != nil {
			out.Header.Priority = *h.Priority
		}
	}
	if p := m.Properties; p != nil {
		out.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{
			MessageID: plainValue(p.MessageID), UserID: bytes.Clone(p.UserID), To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: plainValue(p.CorrelationID),
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	return out
}

// plainValue gives a decoded value the types of azeventhubs, as far as callers can name them, and memory of its own. What they cannot name is encoded to what
// it was.
func plainValue(v any) any {
	switch v := v.(type) {
	case amqp.Symbol:
		return string(v)
	case amqp.UUID:
		return [16]byte(v)
	case amqp.Char:
		return rune(v)
	case time.Time:
		return v.UTC()
	case amqp.Map:
		if plain := plainMap(v); len(plain) == len(v) {
			return plain
		}
	case amqp.List:
		return plainList(v)
	case []amqp.UUID:
		return each(v, func(u amqp.UUID) [16]byte { return u })
	case []amqp.List:
		return each(v, func(l amqp.List) []any { return plainList(l) })
	case []amqp.Map:
		plain := each(v, plainMap)
		whole := true
		for i := range v {
			whole = whole && len(plain[i]) == len(v[i])
		}
		if whole {
			return plain
		}
	}
	return ownValue(v)
}

// ownValue gives a decoded value memory of its own, and leaves its type.
func ownValue(v any) any {
	switch v := v.(type) {
	case []byte:
		return bytes.Clone(v)
	case [][]byte:
		return each(v, bytes.Clone)
	case amqp.Ubytes:
		return amqp.Ubytes(bytes.Clone(v))
	case amqp.Described:
		return amqp.Described{Descriptor: ownValue(v.Descriptor), Value: ownValue(v.Value)}
	case amqp.Map:
		return amqp.Map(each(v, func(p amqp.Pair) amqp.Pair { return amqp.Pair{Key: ownValue(p.Key), Value: ownValue(p.Value)} }))
	case amqp.List:
		return amqp.List(each(v, ownValue))
	case amqp.Array:
		return amqp.Array(each(v, ownValue))
	case []amqp.Map:
		return each(v, func(m amqp.Map) amqp.Map { return ownValue(m).(amqp.Map) })
	case []amqp.List:
		return each(v, func(l amqp.List) amqp.List { return ownValue(l).(amqp.List) })
	default:
		return v
	}
}

func each[A, B any](list []A, f func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = f(v)
	}
	return out
}

func plainList(l []any) []any { return each(l, plainValue) }

// plainMap returns a Go map; nil for nil. It is smaller than m if Go's maps cannot have all of m's keys: a list, or a string and a symbol of the same text.
func plainMap(m amqp.Map) map[any]any {
	if m == nil {
		return nil
	}
	out := make(map[any]any, len(m))
	for _, p := range m {
		if key := plainValue(p.Key); key == nil || reflect.ValueOf(key).Comparable() {
			out[key] = plainValue(p.Value)
		}
	}
	return out
}

// plainStringMap is plainMap for keys that are strings.
func plainStringMap(m amqp.Map) map[string]any {
	if m == nil {
		return nil
	}
	out := make(map[string]any, len(m))
	for _, p := range m {
		key, _ := p.Key.(string)
		out[key] = plainValue(p.Value)
	}
	return out
}
