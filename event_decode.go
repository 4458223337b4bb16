package eventhubs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// decodeEvent reverses encode: the result encodes to the same bytes, except the numbers of an
// idempotent producer. The result shares no memory with encoded. This package wrote the bytes, so a
// failure to read them is a defect of the package. The key of an event whose sender named the
// partition stays an annotation.
func decodeEvent(encoded []byte, named bool) *Event {
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		panic(fmt.Sprintf("eventhubs: an event encoded by this package does not decode: %v", err))
	}
	e := &Event{Properties: plainStringMap(m.ApplicationProperties)}
	if !named {
		e.PartitionKey = keyOf(encoded)
	}
	beyond := AMQPMessage{
		Header: (*AMQPHeader)(m.Header), DeliveryAnnotations: plainMap(m.DeliveryAnnotations), Footer: plainMap(m.Footer),
		MessageAnnotations: plainMap(ownAnnotations(m.Annotations, e.PartitionKey)),
		Properties:         e.takeProperties(m.Properties),
		Body:               e.takeBody(&m),
	}
	if beyond.Header != nil || beyond.DeliveryAnnotations != nil || beyond.MessageAnnotations != nil || beyond.Properties != nil || beyond.Body != nil || beyond.Footer != nil {
		e.AMQP = &beyond
	}
	return e
}

// ownAnnotations returns the caller's annotations: without those of this hub or producer, and
// without the key, if there is one. It returns nil for none.
func ownAnnotations(all amqp.Map, key string) amqp.Map {
	own := slices.DeleteFunc(all, func(pair amqp.Pair) bool {
		name, _ := nameOf(pair.Key)
		return stale(name) || name == partitionKeyAnnotation && key != ""
	})
	if len(own) == 0 {
		return nil
	}
	return own
}

// takeProperties moves the properties that Event has fields for into e, and returns the rest; nil
// for none.
func (e *Event) takeProperties(p *amqp.Properties) *AMQPProperties {
	if p == nil {
		return nil
	}
	rest := &AMQPProperties{
		MessageID: plainValue(p.MessageID), UserID: bytes.Clone(p.UserID), To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: plainValue(p.CorrelationID),
		ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
		GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
	}
	if id, ok := rest.MessageID.(string); ok && id != "" {
		e.MessageID, rest.MessageID = id, nil
	}
	if id, ok := rest.CorrelationID.(string); ok && id != "" {
		e.CorrelationID, rest.CorrelationID = id, nil
	}
	if rest.ContentType != nil && *rest.ContentType != "" {
		e.ContentType, rest.ContentType = *rest.ContentType, nil
	}
	said := e.MessageID != "" || e.CorrelationID != "" || e.ContentType != "" // so the encoder makes a section anyway
	if said && reflect.ValueOf(*rest).IsZero() {
		return nil
	}
	return rest
}

// takeBody moves a body that fits Event.Body into e, and returns any other body; nil for none.
func (e *Event) takeBody(m *amqp.Message) *AMQPBody {
	if len(m.Data) == 1 && m.Data[0] != nil {
		e.Body = bytes.Clone(m.Data[0])
		return nil
	}
	b := new(AMQPBody)
	for _, data := range m.Data {
		b.Data = append(b.Data, bytes.Clone(data))
	}
	for _, s := range m.Sequences {
		b.Sequences = append(b.Sequences, plainList(s))
	}
	switch {
	case m.HasValue && m.Value == nil:
		b.Value = Null{} // a nil Value means no value
	case m.HasValue:
		b.Value = plainValue(m.Value)
	}
	return b
}

// keyOf returns the partition key that an encoded event carries.
func keyOf(encoded []byte) string {
	key, _ := amqp.AnnotationText(encoded, partitionKeyAnnotation)
	return string(key)
}

// plainValue returns a copy of a decoded value with Go types that callers can name, as azeventhubs
// does. Other values keep a type that encodes to the same bytes.
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

// ownValue returns a copy of a decoded value, and keeps its type.
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

// plainMap returns a Go map; nil for nil. It is smaller than m if a Go map cannot have all of m's
// keys. That is a list, or a string and a symbol with one text.
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
