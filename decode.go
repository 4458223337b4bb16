package eventhubs

import (
	"fmt"
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
	key, _ := message.Annotations.Get(partitionKeyAnnotation)
	text, _ := key.(string)
	if asMessage {
		message.Annotations = slices.DeleteFunc(message.Annotations, func(pair amqp.Pair) bool { return isNumber(pair.Key) })
		return Event{Message: annotatedMessage(&message), PartitionKey: text}
	}
	data := &azeventhubs.EventData{}
	for i, section := range message.Data {
		if i == 0 {
			data.Body = append([]byte{}, section...)
		} else {
			data.Body = append(data.Body, section...)
		}
	}
	if p := message.Properties; p != nil {
		if id, ok := p.MessageID.(string); ok {
			data.MessageID = &id
		}
		data.ContentType = p.ContentType
		data.CorrelationID = plainValue(p.CorrelationID)
	}
	data.Properties = plainStringMap(message.ApplicationProperties)
	return Event{Data: data, PartitionKey: text}
}

// keyOf returns the partition key that an encoded event carries.
func keyOf(encoded []byte) string {
	for section, err := range amqp.Sections(encoded) {
		if err != nil {
			break
		}
		if section.Code == amqp.SectionMessageAnnotations {
			value, _, _ := amqp.ReadValue(section.Value)
			annotations, _ := value.(amqp.Map)
			key, _ := annotations.Get(partitionKeyAnnotation)
			text, _ := key.(string)
			return text
		}
	}
	return ""
}

// plainValue gives a decoded value types that callers can name, and memory of its own.
func plainValue(v any) any {
	switch v := v.(type) {
	case amqp.Symbol:
		return string(v)
	case amqp.UUID:
		return [16]byte(v)
	case amqp.Char:
		return rune(v)
	case []byte:
		return append([]byte{}, v...)
	case time.Time:
		return v.UTC()
	case amqp.Map:
		return plainMap(v)
	case amqp.List:
		return plainList(v)
	default:
		return v
	}
}

func plainList(l []any) []any {
	out := make([]any, len(l))
	for i, v := range l {
		out[i] = plainValue(v)
	}
	return out
}

// plainMap returns a Go map; nil for an empty one.
func plainMap(m amqp.Map) map[any]any {
	if len(m) == 0 {
		return nil
	}
	out := make(map[any]any, len(m))
	for _, p := range m {
		out[plainValue(p.Key)] = plainValue(p.Value)
	}
	return out
}

// plainStringMap is plainMap for keys that are strings.
func plainStringMap(m amqp.Map) map[string]any {
	if len(m) == 0 {
		return nil
	}
	out := make(map[string]any, len(m))
	for _, p := range m {
		key, _ := p.Key.(string)
		out[key] = plainValue(p.Value)
	}
	return out
}
