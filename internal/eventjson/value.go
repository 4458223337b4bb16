package eventjson

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// An AMQP value in JSON has two parts: the name of its type, and a JSON value. For null, boolean,
// string, long and double the name is empty, since JSON shows the type. Text is a string. A number
// without fraction and exponent is a long, any other number a double. A value alone or inside
// another, with a named type, is an object: {"uint": 7}.
//
// The command line has the way back.

// Names of JSON's own types. They may be left out.
const (
	KindNull    = "null"
	KindBoolean = "boolean"
	KindString  = "string"
	KindLong    = "long"
	KindDouble  = "double"
)

// Names of types that contain other values.
const (
	KindDescribed = "described" // {"descriptor": …, "value": …}
	KindList      = "list"      // […]
	KindMap       = "map"       // {"key": …}, or [[key, value], …] if a key is not text
	KindArray     = "array"     // {"of": NAME, "values": […]}
)

// KindBroken is a string that is not UTF-8, in base64. AMQP forbids it, but clients send it.
const KindBroken = "brokenString"

// Value returns a value that stands alone, for encoding/json.
func Value(v any) any {
	kind, content := Describe(v)
	if kind == "" {
		return content
	}
	return jsonObject{{kind, content}}
}

// Describe returns the name of a value's type (empty for JSON's own) and the value's JSON.
func Describe(v any) (kind string, content any) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case bool:
		return "", v
	case string:
		if !utf8.ValidString(v) {
			return KindBroken, base64.StdEncoding.EncodeToString([]byte(v))
		}
		return "", v
	case int64:
		return "", v
	case float64:
		return describeFloat(v, math.Float64bits(v), 64)
	case float32:
		return describeFloat(float64(v), uint64(math.Float32bits(v)), 32)
	case time.Time:
		return "timestamp", jsonTime(v)
	case []byte:
		return "binary", base64.StdEncoding.EncodeToString(v)
	case amqp.Symbol:
		return describeSymbol(string(v))
	case amqp.UUID:
		return "uuid", v.String()
	case [16]byte:
		return "uuid", amqp.UUID(v).String()
	case amqp.Char:
		return describeChar(v)
	case amqp.Decimal32:
		return "decimal32", hex.EncodeToString(v[:])
	case amqp.Decimal64:
		return "decimal64", hex.EncodeToString(v[:])
	case amqp.Decimal128:
		return "decimal128", hex.EncodeToString(v[:])
	case amqp.Described:
		if kind, content := describeDotNet(v); kind != "" {
			return kind, content
		}
		return KindDescribed, jsonObject{{"descriptor", Value(v.Descriptor)}, {"value", Value(v.Value)}}
	case amqp.Map:
		return KindMap, jsonMap(v)
	case amqp.List:
		return KindList, jsonList(v)
	case []any:
		return KindList, jsonList(v)
	case amqp.Array, amqp.Ubytes:
		return KindArray, jsonArray(reflect.ValueOf(v))
	}
	return describeOther(reflect.ValueOf(v))
}

// describeOther describes values by their Go kind, such as those that a handler gets.
func describeOther(v reflect.Value) (kind string, content any) {
	switch v.Kind() {
	case reflect.Int8:
		return "byte", v.Int()
	case reflect.Int16:
		return "short", v.Int()
	case reflect.Int32:
		return "int", v.Int()
	case reflect.Uint8:
		return "ubyte", v.Uint()
	case reflect.Uint16:
		return "ushort", v.Uint()
	case reflect.Uint32:
		return "uint", v.Uint()
	case reflect.Uint64:
		return "ulong", v.Uint()
	case reflect.Map:
		var m amqp.Map
		for key, value := range v.Seq2() {
			m = append(m, amqp.Pair{Key: key.Interface(), Value: value.Interface()})
		}
		slices.SortFunc(m, func(a, b amqp.Pair) int { return cmp.Compare(fmt.Sprint(a.Key), fmt.Sprint(b.Key)) })
		return KindMap, jsonMap(m)
	case reflect.Slice:
		return KindArray, jsonArray(v)
	}
	return "unknown", fmt.Sprint(v.Interface()) // no AMQP decoder makes such a value
}

// The NaN of most clients. Another one is "NaN(7ff8000000000001)", with its bits.
const (
	UsualNaN64 = 0x7ff8000000000000
	UsualNaN32 = 0x7fc00000
)

// describeFloat returns a number with a fraction or an exponent, so that it does not look like an
// integer. NaN and infinities are text. pattern has the number's bits.
func describeFloat(v float64, pattern uint64, bits int) (kind string, content any) {
	usualNaN := uint64(UsualNaN64)
	if bits == 32 {
		kind, usualNaN = "float", UsualNaN32
	}
	switch {
	case math.IsNaN(v) && pattern != usualNaN:
		return cmp.Or(kind, KindDouble), fmt.Sprintf("NaN(%0*x)", bits/4, pattern)
	case math.IsNaN(v), math.IsInf(v, 0):
		return cmp.Or(kind, KindDouble), strconv.FormatFloat(v, 'g', -1, bits)
	}
	format := byte('f')
	if size := math.Abs(v); size >= 1e21 || size > 0 && size < 1e-6 {
		format = 'e'
	}
	text := strconv.FormatFloat(v, format, -1, bits)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return kind, json.RawMessage(text)
}

func describeSymbol(text string) (kind string, content any) {
	if !utf8.ValidString(text) {
		return KindBroken, base64.StdEncoding.EncodeToString([]byte(text))
	}
	return "symbol", text
}

// describeChar returns a character as text, or as a number if it is no valid character.
func describeChar(c amqp.Char) (kind string, content any) {
	if utf8.ValidRune(rune(c)) {
		return "char", string(rune(c))
	}
	return "char", int64(c)
}

// jsonTime returns a time in RFC 3339, or milliseconds since 1970 if its year does not have four
// digits.
func jsonTime(t time.Time) any {
	t = t.UTC()
	if year := t.Year(); year < 0 || year > 9999 {
		return t.UnixMilli()
	}
	return t.Format(time.RFC3339Nano)
}

func jsonList(list []any) []any {
	out := make([]any, len(list))
	for i, member := range list {
		out[i] = Value(member)
	}
	return out
}

// jsonMap returns an object if the keys are distinct texts, otherwise pairs.
func jsonMap(m amqp.Map) any {
	object, pairs := make(jsonObject, 0, len(m)), make([]any, len(m))
	names := map[string]bool{}
	for i, p := range m {
		pairs[i] = []any{Value(p.Key), Value(p.Value)}
		if name, ok := p.Key.(string); ok && utf8.ValidString(name) && !names[name] {
			names[name] = true
			object = append(object, jsonMember{name, Value(p.Value)})
		}
	}
	if len(object) == len(m) {
		return object
	}
	return pairs
}

// jsonArray returns an array with the name of its elements' type.
func jsonArray(array reflect.Value) any {
	of, values := "", make([]any, array.Len())
	for i := range values {
		var kind string
		kind, values[i] = describeElement(array.Index(i).Interface())
		if of != KindBroken { // one broken string makes the whole array unpublishable
			of = kind
		}
	}
	if element := array.Type().Elem(); len(values) == 0 {
		of = KindNull
		if element.Kind() != reflect.Interface {
			of, _ = describeElement(reflect.Zero(element).Interface())
		}
	}
	return jsonObject{{"of", of}, {"values", values}}
}

// describeElement is Describe with names also for JSON's own types.
func describeElement(v any) (kind string, content any) {
	kind, content = Describe(v)
	if kind != "" {
		return kind, content
	}
	switch content.(type) {
	case nil:
		return KindNull, nil
	case bool:
		return KindBoolean, content
	case string:
		return KindString, content
	case int64:
		return KindLong, content
	}
	return KindDouble, content
}

// A jsonObject is an object whose members keep their order.
type jsonObject []jsonMember

type jsonMember struct {
	name  string
	value any
}

func (o jsonObject) MarshalJSON() ([]byte, error) { return o.AppendTo(nil), nil }

func (o jsonObject) AppendTo(dst []byte) []byte {
	dst = append(dst, '{')
	for i, m := range o {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, m.name), ':')
		dst = AppendJSON(dst, m.value)
	}
	return append(dst, '}')
}
