package emulator_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// The notation of the transcripts in testdata. A symbol begins with a colon. Binary, UUIDs and
// decimals begin with their name. Maps, arrays, described values, composites and states are objects
// with one key. Null fields of a frame are left out. Numbers have lost their width.

// A transcribed value of a composite is one of these kinds, which numbers need to get their width
// back.
type kind int

const (
	anything kind = iota
	number32      // uint
	number16      // ushort
	number8       // ubyte
	number64      // ulong
	moment        // timestamp
	terminus
	errored
	outcome
)

type field struct {
	name string
	kind kind
}

// performatives have the fields of each frame in their order on the wire (2.7, 5.3.3 of the
// specification).
var performatives = map[string]struct {
	code   uint64
	fields []field
}{
	"open": {0x10, []field{
		{"container-id", 0}, {"hostname", 0}, {"max-frame-size", number32}, {"channel-max", number16}, {"idle-time-out", number32}, {"outgoing-locales", 0},
		{"incoming-locales", 0}, {"offered-capabilities", 0}, {"desired-capabilities", 0}, {"properties", 0},
	}},
	"begin": {0x11, []field{
		{"remote-channel", number16}, {"next-outgoing-id", number32}, {"incoming-window", number32}, {"outgoing-window", number32}, {"handle-max", number32},
		{"offered-capabilities", 0}, {"desired-capabilities", 0}, {"properties", 0},
	}},
	"attach": {0x12, []field{
		{"name", 0}, {"handle", number32}, {"role", 0}, {"snd-settle-mode", number8}, {"rcv-settle-mode", number8}, {"source", terminus}, {"target", terminus}, {"unsettled", 0},
		{"incomplete-unsettled", 0}, {"initial-delivery-count", number32}, {"max-message-size", number64}, {"offered-capabilities", 0}, {"desired-capabilities", 0}, {"properties", 0},
	}},
	"flow": {0x13, []field{
		{"next-incoming-id", number32}, {"incoming-window", number32}, {"next-outgoing-id", number32}, {"outgoing-window", number32}, {"handle", number32},
		{"delivery-count", number32}, {"link-credit", number32}, {"available", number32}, {"drain", 0}, {"echo", 0}, {"properties", 0},
	}},
	"transfer": {0x14, []field{
		{"handle", number32}, {"delivery-id", number32}, {"delivery-tag", 0}, {"message-format", number32}, {"settled", 0}, {"more", 0}, {"rcv-settle-mode", number8},
		{"state", outcome}, {"resume", 0}, {"aborted", 0}, {"batchable", 0},
	}},
	"disposition": {0x15, []field{{"role", 0}, {"first", number32}, {"last", number32}, {"settled", 0}, {"state", outcome}, {"batchable", 0}}},
	"detach":      {0x16, []field{{"handle", number32}, {"closed", 0}, {"error", errored}}},
	"end":         {0x17, []field{{"error", errored}}},
	"close":       {0x18, []field{{"error", errored}}},

	"sasl-mechanisms": {0x40, []field{{"sasl-server-mechanisms", 0}}},
	"sasl-init":       {0x41, []field{{"mechanism", 0}, {"initial-response", 0}, {"hostname", 0}}},
	"sasl-outcome":    {0x44, []field{{"code", number8}, {"additional-data", 0}}},

	"source": {0x28, []field{
		{"address", 0}, {"durable", number32}, {"expiry-policy", 0}, {"timeout", number32}, {"dynamic", 0}, {"dynamic-node-properties", 0}, {"distribution-mode", 0}, {"filter", 0},
		{"default-outcome", outcome}, {"outcomes", 0}, {"capabilities", 0},
	}},
	"target": {0x29, []field{
		{"address", 0}, {"durable", number32}, {"expiry-policy", 0}, {"timeout", number32}, {"dynamic", 0}, {"dynamic-node-properties", 0}, {"capabilities", 0},
	}},
	"error":    {0x1d, []field{{"condition", 0}, {"description", 0}, {"info", 0}}},
	"accepted": {0x24, nil},
	"rejected": {0x25, []field{{"error", errored}}},
	"released": {0x26, nil},
}

// messageProperties are the fields of that section (3.2.4); headerFields those of the header
// (3.2.1).
var (
	messageProperties = []field{
		{"message-id", number64}, {"user-id", 0}, {"to", 0}, {"subject", 0}, {"reply-to", 0}, {"correlation-id", number64}, {"content-type", 0}, {"content-encoding", 0},
		{"absolute-expiry-time", moment}, {"creation-time", moment}, {"group-id", 0}, {"group-sequence", number32}, {"reply-to-group-id", 0},
	}
	headerFields = []field{{"durable", 0}, {"priority", number8}, {"ttl", number32}, {"first-acquirer", 0}, {"delivery-count", number32}}
)

// nameOf finds a composite by its descriptor.
func nameOf(code uint64) (string, bool) {
	for name, p := range performatives {
		if p.code == code {
			return name, true
		}
	}
	return "", false
}

// transcribed gives numbers of properties the type that matters.
var transcribed = map[string]func(int64) any{
	"com.microsoft:timeout":                  func(n int64) any { return uint32(n) },
	"com.microsoft:entity-type":              func(n int64) any { return int32(n) },
	"com.microsoft:producer-epoch":           func(n int64) any { return int16(n) },
	"com.microsoft:producer-sequence-number": func(n int64) any { return int32(n) },
	"expiration":                             func(n int64) any { return time.UnixMilli(n).UTC() },
}

// wireValue is the value of the notation, for amqp.AppendValue.
func wireValue(v any, k kind) any {
	switch v := v.(type) {
	case json.Number:
		return wireNumber(v, k)
	case string:
		return wireText(v)
	case []any:
		list := make(amqp.List, len(v))
		for i, e := range v {
			list[i] = wireValue(e, anything)
		}
		return list
	case map[string]any:
		for name, inner := range v { // there is one
			return wireObject(name, inner)
		}
	}
	return v
}

func wireNumber(v json.Number, k kind) any {
	n, err := v.Int64()
	if err != nil {
		f, _ := v.Float64()
		return f
	}
	switch k {
	case number32:
		return uint32(n)
	case number16:
		return uint16(n)
	case number8:
		return uint8(n)
	case number64:
		return uint64(n)
	case moment:
		return time.UnixMilli(n).UTC()
	default:
		return n
	}
}

func wireText(v string) any {
	if symbol, ok := strings.CutPrefix(v, ":"); ok {
		return amqp.Symbol(symbol)
	}
	if digits, ok := strings.CutPrefix(v, "binary:"); ok {
		return bytesOf(digits)
	}
	if text, ok := strings.CutPrefix(v, "uuid:"); ok {
		sum := sha256.Sum256([]byte(text)) // the transcript has a name instead
		return amqp.UUID(sum[:16])
	}
	if digits, ok := strings.CutPrefix(v, "decimal128:"); ok {
		var d amqp.Decimal128
		copy(d[:], bytesOf(digits))
		return d
	}
	return v
}

// bytesOf reads hexadecimal digits, or a name instead of them.
func bytesOf(digits string) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		return []byte(digits)
	}
	return b
}

func wireObject(name string, inner any) any {
	switch name {
	case "map":
		var m amqp.Map
		for _, pair := range inner.([]any) {
			key, value := wireValue(pair.([]any)[0], anything), pair.([]any)[1]
			typed := wireValue(value, anything)
			if number, ok := typed.(int64); ok {
				if exact := transcribed[fmt.Sprint(key)]; exact != nil {
					typed = exact(number)
				}
			}
			m = append(m, amqp.Pair{Key: key, Value: typed})
		}
		return m
	case "array":
		var array amqp.Array
		for _, e := range inner.([]any) {
			array = append(array, wireValue(e, anything))
		}
		return array
	case "described":
		return amqp.Described{Descriptor: wireValue(inner.([]any)[0], number64), Value: wireValue(inner.([]any)[1], anything)}
	default:
		return wireComposite(name, inner.(map[string]any))
	}
}

// wireComposite is a described list with the fields in their places.
func wireComposite(name string, fields map[string]any) amqp.Described {
	p, ok := performatives[name]
	if !ok {
		panic("the notation has no " + name)
	}
	list := make(amqp.List, 0, len(p.fields))
	for _, f := range p.fields {
		list = append(list, wireValue(fields[f.name], f.kind))
	}
	for len(list) > 0 && list[len(list)-1] == nil {
		list = list[:len(list)-1]
	}
	return amqp.Described{Descriptor: p.code, Value: list}
}

// notation is how the transcripts write a value that amqp.ReadValue returned.
func notation(v any) any {
	switch v := v.(type) {
	case amqp.Symbol:
		return ":" + string(v)
	case []byte:
		return "binary:" + hex.EncodeToString(v)
	case amqp.UUID:
		return "uuid:" + hex.EncodeToString(v[:])
	case amqp.Decimal128:
		return "decimal128:" + hex.EncodeToString(v[:])
	case time.Time:
		return float64(v.UnixMilli())
	case amqp.Char:
		return string(rune(v))
	case amqp.List:
		return notations([]any(v))
	case []amqp.Symbol:
		return map[string]any{"array": notations(v)}
	case []string:
		return map[string]any{"array": notations(v)}
	case amqp.Map:
		pairs := []any{}
		for _, p := range v {
			pairs = append(pairs, []any{notation(p.Key), notation(p.Value)})
		}
		return map[string]any{"map": pairs}
	case amqp.Described:
		if code, ok := v.Descriptor.(uint64); ok {
			if name, known := nameOf(code); known {
				return map[string]any{name: fieldsOf(name, v)}
			}
		}
		return map[string]any{"described": []any{notation(v.Descriptor), notation(v.Value)}}
	case nil, bool, string:
		return v
	default:
		var f float64
		if _, err := fmt.Sscan(fmt.Sprint(v), &f); err != nil {
			f = math.NaN()
		}
		return f
	}
}

func notations[T any](list []T) []any {
	out := []any{}
	for _, v := range list {
		out = append(out, notation(v))
	}
	return out
}

// fieldsOf names the fields of a composite that are not null.
func fieldsOf(name string, d amqp.Described) map[string]any {
	out := map[string]any{}
	list, _ := d.Value.(amqp.List)
	for i, v := range list {
		if v != nil && i < len(performatives[name].fields) {
			out[performatives[name].fields[i].name] = notation(v)
		}
	}
	return out
}
