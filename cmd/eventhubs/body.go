package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// bodyBytes returns the bytes by which a message's body is counted and compared: its data or,
// without data, its value as JSON. A batch's handler gets a value without the difference between
// symbols and strings, the order of a map, and the difference between null and nothing. So
// bodyBytes ignores them too.
func bodyBytes(m *amqp.Message) []byte {
	switch {
	case len(m.Data) == 1:
		return m.Data[0]
	case len(m.Data) > 1:
		return bytes.Join(m.Data, nil)
	case len(m.Sequences) > 0:
		return canonicalJSON(m.Sequences)
	case amqp.IsNull(m.Value):
		return nil
	}
	return canonicalJSON(m.Value)
}

// canonicalJSON encodes a value as JSON. Values that bodyBytes does not distinguish have the same
// encoding.
func canonicalJSON(v any) []byte {
	if value, ok := onTheWire(v); ok {
		v = value
	}
	text, _ := json.Marshal(eventjson.Value(plain(reflect.ValueOf(v)))) // eventjson.Value makes it encodable
	return text
}

// onTheWire returns a value in the type that reading its encoding gives.
func onTheWire(v any) (any, bool) {
	encoded, err := amqp.AppendValue(nil, v)
	if err != nil {
		return nil, false
	}
	value, _, err := amqp.ReadValue(encoded)
	return value, err == nil
}

// plain replaces symbols by strings and arrays by lists, and sorts maps.
func plain(v reflect.Value) any {
	switch {
	case !v.IsValid():
		return nil
	case v.Kind() == reflect.Interface:
		return plain(v.Elem())
	case v.Kind() == reflect.String:
		return v.String()
	}
	switch value := v.Interface().(type) {
	case []byte:
		return value
	case amqp.Described:
		return amqp.Described{Descriptor: plain(reflect.ValueOf(value.Descriptor)), Value: plain(reflect.ValueOf(value.Value))}
	case amqp.Map:
		out := make(amqp.Map, len(value))
		for i, p := range value {
			out[i] = amqp.Pair{Key: plain(reflect.ValueOf(p.Key)), Value: plain(reflect.ValueOf(p.Value))}
		}
		slices.SortFunc(out, func(a, b amqp.Pair) int { return bytes.Compare(nameInOrder(a), nameInOrder(b)) })
		return out
	}
	if v.Kind() != reflect.Slice {
		return v.Interface()
	}
	out := make([]any, v.Len())
	for i := range out {
		out[i] = plain(v.Index(i))
	}
	return out
}

// nameInOrder returns the key of a pair as plain sorts by it.
func nameInOrder(p amqp.Pair) []byte {
	text, _ := json.Marshal(eventjson.Value(p.Key)) // eventjson.Value makes it encodable
	return text
}
