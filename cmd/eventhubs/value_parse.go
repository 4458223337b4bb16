package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// parseAlone reverses eventjson.Value.
func parseAlone(text json.RawMessage) (any, error) {
	kind, content, err := splitKind(text)
	if err != nil {
		return nil, err
	}
	return parseValue(kind, content)
}

// splitKind splits {"uint": 7}. JSON that is no object has no name of a type.
func splitKind(text json.RawMessage) (kind string, content json.RawMessage, err error) {
	if len(text) == 0 || text[0] != '{' {
		return "", text, nil
	}
	members, _ := membersOf(text)
	if len(members) != 1 {
		return "", nil, errors.New(`an object; a value without a JSON type is the only member of an object, under the name of its type: {"uint": 7}`)
	}
	return members[0].name, members[0].value, nil
}

// parseValue parses JSON as a value of the named type. Its errors continue a sentence that names
// the value: "… is 300, which …". It refuses a number that would change.
func parseValue(kind string, content json.RawMessage) (any, error) {
	if len(content) == 0 {
		return nil, errors.New("missing")
	}
	if kind == "" {
		return parsePlain(content)
	}
	if parse, ok := kinds[kind]; ok {
		return parse(content)
	}
	if kind == eventjson.KindBroken {
		return nil, errors.New("text that is not UTF-8, which AMQP forbids and which cannot be published")
	}
	return nil, fmt.Errorf("of the type %q, which AMQP does not have", kind)
}

// kinds are the types with a name. init fills it, since some types contain others.
var kinds map[string]func(json.RawMessage) (any, error)

func init() {
	kinds = map[string]func(json.RawMessage) (any, error){
		eventjson.KindNull:    ofPlain("null", func(v any) bool { return v == nil }),
		eventjson.KindBoolean: ofPlain("true or false", func(v any) bool { _, ok := v.(bool); return ok }),
		eventjson.KindString:  func(content json.RawMessage) (any, error) { return plainText(content) },
		"ubyte":               ofNatural(8, func(n uint64) any { return uint8(n) }),
		"ushort":              ofNatural(16, func(n uint64) any { return uint16(n) }),
		"uint":                ofNatural(32, func(n uint64) any { return uint32(n) }),
		"ulong":               ofNatural(64, func(n uint64) any { return n }),
		"byte":                ofInteger(8, func(n int64) any { return int8(n) }),
		"short":               ofInteger(16, func(n int64) any { return int16(n) }),
		"int":                 ofInteger(32, func(n int64) any { return int32(n) }),
		eventjson.KindLong:    ofInteger(64, func(n int64) any { return n }),
		"float": func(content json.RawMessage) (any, error) {
			if pattern, ok := parseNaN(content, 32); ok {
				return math.Float32frombits(uint32(pattern)), nil
			}
			f, err := parseFloat(content, 32)
			return float32(f), err
		},
		eventjson.KindDouble: func(content json.RawMessage) (any, error) {
			if pattern, ok := parseNaN(content, 64); ok {
				return math.Float64frombits(pattern), nil
			}
			return parseFloat(content, 64)
		},
		"symbol": func(content json.RawMessage) (any, error) {
			text, err := plainText(content)
			if err == nil && !isASCII(text) {
				err = fmt.Errorf("%q, which is not ASCII, as a symbol is", text)
			}
			return amqp.Symbol(text), err
		},
		"timestamp":             parseTimestamp,
		"char":                  parseChar,
		"uuid":                  parseUUID,
		"binary":                func(content json.RawMessage) (any, error) { return parseBinary(content) },
		"decimal32":             ofHex(4, func(b []byte) any { return amqp.Decimal32(b) }),
		"decimal64":             ofHex(8, func(b []byte) any { return amqp.Decimal64(b) }),
		"decimal128":            ofHex(16, func(b []byte) any { return amqp.Decimal128(b) }),
		eventjson.KindDescribed: parseDescribed,

		eventjson.KindTimespan:       parseTimespan,
		eventjson.KindDatetimeOffset: parseDatetimeOffset,
		eventjson.KindURI:            parseURI,

		eventjson.KindList:  func(content json.RawMessage) (any, error) { return parseList(content) },
		eventjson.KindMap:   parseMap,
		eventjson.KindArray: parseArray,
	}
}

// parsePlain parses a value of JSON's own types.
func parsePlain(content json.RawMessage) (any, error) {
	switch content[0] {
	case '{':
		return nil, errors.New("an object without the name of its type")
	case '[':
		return nil, errors.New("a list without the name of its type")
	case '"':
		return plainText(content)
	case 'n':
		return nil, nil
	case 't', 'f':
		return content[0] == 't', nil
	}
	return numberOf(json.Number(content))
}

// plainText parses text in JSON.
func plainText(content json.RawMessage) (string, error) {
	var text string
	if content[0] != '"' || json.Unmarshal(content, &text) != nil {
		return "", fmt.Errorf("%s, which is no text", shortened(content))
	}
	return text, nil
}

// ofPlain parses a value of JSON's own types, and accepts it if good.
func ofPlain(want string, good func(any) bool) func(json.RawMessage) (any, error) {
	return func(content json.RawMessage) (any, error) {
		if v, err := parsePlain(content); err == nil && good(v) {
			return v, nil
		}
		return nil, fmt.Errorf("%s, which is not %s", shortened(content), want)
	}
}

// ofNatural parses whole numbers from 0, of so many bits.
func ofNatural(bits int, as func(uint64) any) func(json.RawMessage) (any, error) {
	return func(content json.RawMessage) (any, error) {
		n, err := strconv.ParseUint(string(content), 10, bits)
		if err != nil {
			return nil, fmt.Errorf("%s, which is no whole number from 0 to %d", shortened(content), uint64(math.MaxUint64)>>(64-bits))
		}
		return as(n), nil
	}
}

// ofInteger parses whole numbers of so many bits.
func ofInteger(bits int, as func(int64) any) func(json.RawMessage) (any, error) {
	return func(content json.RawMessage) (any, error) {
		n, err := strconv.ParseInt(string(content), 10, bits)
		if err != nil {
			largest := int64(math.MaxInt64) >> (64 - bits)
			return nil, fmt.Errorf("%s, which is no whole number from %d to %d", shortened(content), -largest-1, largest)
		}
		return as(n), nil
	}
}

// numberOf returns a JSON number as an AMQP long, or as an unsigned long if only that has room.
// With a fraction or an exponent it is a double.
func numberOf(n json.Number) (any, error) {
	text := n.String()
	if !strings.ContainsAny(text, ".eE") {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i, nil
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return u, nil
		}
		return nil, fmt.Errorf("%s, which is too large a number; the largest is %d; give larger ones as text", shortened([]byte(text)), uint64(math.MaxUint64))
	}
	return parseFloat(json.RawMessage(text), 64)
}

// maxDigits identify a double among all others. A double cannot keep more.
const maxDigits = 17

// parseNaN returns the bits of "NaN" or "NaN(BITS)".
func parseNaN(content json.RawMessage, bits int) (pattern uint64, ok bool) {
	text := string(content)
	if text == `"NaN"` {
		return map[int]uint64{32: eventjson.UsualNaN32, 64: eventjson.UsualNaN64}[bits], true
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(text, `)"`), `"NaN(`)
	if !ok || len(digits) != bits/4 {
		return 0, false
	}
	pattern, err := strconv.ParseUint(digits, 16, bits)
	f := math.Float64frombits(pattern)
	if bits == 32 {
		f = float64(math.Float32frombits(uint32(pattern)))
	}
	return pattern, err == nil && math.IsNaN(f)
}

// parseFloat parses a number, or the text "+Inf" or "-Inf". It refuses a number that a float cannot
// represent well.
func parseFloat(content json.RawMessage, bits int) (float64, error) {
	switch text := string(content); text {
	case `"+Inf"`:
		return math.Inf(1), nil
	case `"-Inf"`:
		return math.Inf(-1), nil
	}
	if c := content[0]; c != '-' && (c < '0' || c > '9') {
		return 0, fmt.Errorf("%s, which is no number", shortened(content))
	}
	f, err := strconv.ParseFloat(string(content), bits)
	digits := significant(string(content))
	switch {
	case err != nil: // it is a number, since it is JSON, so it is too large
		return 0, fmt.Errorf("%s, which is too large a number", shortened(content))
	case f == 0 && digits > 0:
		return 0, fmt.Errorf("%s, which is too small a number, and would be 0", shortened(content))
	case digits > maxDigits:
		return 0, fmt.Errorf("%s, which has more digits than a floating-point number keeps; give it as text", shortened(content))
	}
	return f, nil
}

// significant counts the significant digits of a number: none of 0.000, three of -1.230e5.
func significant(number string) int {
	number, _, _ = strings.Cut(strings.ReplaceAll(number, "E", "e"), "e")
	digits := strings.Trim(strings.Replace(strings.TrimPrefix(number, "-"), ".", "", 1), "0")
	return len(digits)
}

// parseTimestamp takes RFC 3339, or milliseconds since 1970.
func parseTimestamp(content json.RawMessage) (any, error) {
	if content[0] != '"' {
		ms, err := strconv.ParseInt(string(content), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s, which is neither a time in RFC 3339 nor milliseconds since 1970", shortened(content))
		}
		return time.UnixMilli(ms).UTC(), nil
	}
	text, _ := plainText(content)
	t, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s, which is no time in RFC 3339", shortened(content))
	case !t.Equal(t.Truncate(time.Millisecond)):
		return nil, fmt.Errorf("%s, which is finer than the milliseconds of a timestamp", shortened(content))
	}
	return t.UTC(), nil
}

// parseChar takes a character, or its number.
func parseChar(content json.RawMessage) (any, error) {
	if content[0] != '"' {
		n, err := strconv.ParseUint(string(content), 10, 32)
		if err != nil || n > math.MaxInt32 {
			return nil, fmt.Errorf("%s, which is no character", shortened(content))
		}
		return amqp.Char(n), nil
	}
	text, err := plainText(content)
	if err != nil || utf8.RuneCountInString(text) != 1 {
		return nil, fmt.Errorf("%s, which is not one character", shortened(content))
	}
	c, _ := utf8.DecodeRuneInString(text)
	return amqp.Char(c), nil
}

func parseUUID(content json.RawMessage) (any, error) {
	text, err := plainText(content)
	b, hexErr := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || hexErr != nil || len(b) != 16 || amqp.UUID(b).String() != strings.ToLower(text) {
		return nil, fmt.Errorf("%s, which is no UUID", shortened(content))
	}
	return amqp.UUID(b), nil
}

func parseBinary(content json.RawMessage) ([]byte, error) {
	text, err := plainText(content)
	b, base64Err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64Err != nil {
		return nil, fmt.Errorf("%s, which is not base64", shortened(content))
	}
	return b, nil
}

// ofHex parses so many bytes.
func ofHex(size int, as func([]byte) any) func(json.RawMessage) (any, error) {
	return func(content json.RawMessage) (any, error) {
		text, err := plainText(content)
		b, hexErr := hex.DecodeString(text)
		if err != nil || hexErr != nil || len(b) != size {
			return nil, fmt.Errorf("%s, which is not %d hexadecimal digits", shortened(content), 2*size)
		}
		return as(b), nil
	}
}

func parseDescribed(content json.RawMessage) (any, error) {
	var d struct{ Descriptor, Value json.RawMessage }
	if err := strictly(content, &d); err != nil {
		return nil, errors.New(`no described value: {"descriptor": …, "value": …}`)
	}
	descriptor, err := parseAlone(d.Descriptor)
	if err != nil {
		return nil, fmt.Errorf("described, and its descriptor is %w", err)
	}
	value, err := parseAlone(d.Value)
	if err != nil {
		return nil, fmt.Errorf("described, and its value is %w", err)
	}
	return amqp.Described{Descriptor: descriptor, Value: value}, nil
}

// splitList returns the members of a list; ok is false if it is no list.
func splitList(content json.RawMessage) (members []json.RawMessage, ok bool) {
	ok = content[0] == '[' && json.Unmarshal(content, &members) == nil
	return members, ok
}

func parseList(content json.RawMessage) (amqp.List, error) {
	members, ok := splitList(content)
	if !ok {
		return nil, fmt.Errorf("%s, which is no list", shortened(content))
	}
	list := make(amqp.List, len(members))
	for i, member := range members {
		var err error
		if list[i], err = parseAlone(member); err != nil {
			return nil, fmt.Errorf("a list, and element %d is %w", i, err)
		}
	}
	return list, nil
}

// parseMap takes an object, or a list of keys with their values.
func parseMap(content json.RawMessage) (any, error) {
	m := amqp.Map{}
	if members, ok := membersOf(content); ok {
		seen := map[string]bool{}
		for _, member := range members {
			if seen[member.name] {
				return nil, fmt.Errorf("an object that has %q twice", member.name)
			}
			seen[member.name] = true
			value, err := parseAlone(member.value)
			if err != nil {
				return nil, fmt.Errorf("a map, and its %q is %w", member.name, err)
			}
			m = append(m, amqp.Pair{Key: member.name, Value: value})
		}
		return m, nil
	}
	var pairs [][]json.RawMessage
	if content[0] != '[' || json.Unmarshal(content, &pairs) != nil {
		return nil, fmt.Errorf("%s, which is no map", shortened(content))
	}
	for i, pair := range pairs {
		if len(pair) != 2 {
			return nil, fmt.Errorf("a map, and pair %d is not a key and a value", i)
		}
		key, err := parseAlone(pair[0])
		if err != nil {
			return nil, fmt.Errorf("a map, and key %d is %w", i, err)
		}
		value, err := parseAlone(pair[1])
		if err != nil {
			return nil, fmt.Errorf("a map, and value %d is %w", i, err)
		}
		m = append(m, amqp.Pair{Key: key, Value: value})
	}
	return m, nil
}

// parseArray takes {"of": NAME, "values": […]}.
func parseArray(content json.RawMessage) (any, error) {
	var a struct {
		Of     string
		Values []json.RawMessage
	}
	if err := strictly(content, &a); err != nil || a.Of == "" || a.Values == nil {
		return nil, errors.New(`no array: {"of": TYPE, "values": […]}`)
	}
	values := make(amqp.Array, len(a.Values))
	for i, value := range a.Values {
		var err error
		if values[i], err = parseValue(a.Of, value); err != nil {
			return nil, fmt.Errorf("an array, and element %d is %w", i, err)
		}
	}
	return typedArray(a.Of, values)
}

// typedArray returns an array in the Go type of its elements. So an empty array keeps the type.
func typedArray(of string, values amqp.Array) (any, error) {
	switch of {
	case eventjson.KindNull, eventjson.KindArray, eventjson.KindDescribed, eventjson.KindTimespan, eventjson.KindDatetimeOffset, eventjson.KindURI:
		return values, nil // these have no Go type of their own
	case eventjson.KindList:
		return sliceOf[amqp.List](values), nil
	case eventjson.KindMap:
		return sliceOf[amqp.Map](values), nil
	case "ubyte":
		return amqp.Ubytes(sliceOf[uint8](values)), nil // a []uint8 is binary
	case eventjson.KindBoolean:
		return sliceOf[bool](values), nil
	case eventjson.KindString:
		return sliceOf[string](values), nil
	case "ushort":
		return sliceOf[uint16](values), nil
	case "uint":
		return sliceOf[uint32](values), nil
	case "ulong":
		return sliceOf[uint64](values), nil
	case "byte":
		return sliceOf[int8](values), nil
	case "short":
		return sliceOf[int16](values), nil
	case "int":
		return sliceOf[int32](values), nil
	case eventjson.KindLong:
		return sliceOf[int64](values), nil
	case "float":
		return sliceOf[float32](values), nil
	case eventjson.KindDouble:
		return sliceOf[float64](values), nil
	case "symbol":
		return sliceOf[amqp.Symbol](values), nil
	case "timestamp":
		return sliceOf[time.Time](values), nil
	case "char":
		return sliceOf[amqp.Char](values), nil
	case "uuid":
		return sliceOf[amqp.UUID](values), nil
	case "binary":
		return sliceOf[[]byte](values), nil
	case "decimal32":
		return sliceOf[amqp.Decimal32](values), nil
	case "decimal64":
		return sliceOf[amqp.Decimal64](values), nil
	case "decimal128":
		return sliceOf[amqp.Decimal128](values), nil
	}
	return nil, fmt.Errorf("an array of the type %q, which AMQP does not have", of)
}

func sliceOf[T any](values amqp.Array) []T {
	out := make([]T, len(values))
	for i, value := range values {
		out[i] = value.(T)
	}
	return out
}

// strictly decodes one JSON object, without unknown members.
func strictly(content json.RawMessage, to any) error {
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	return decodeOne(d, to)
}

// shortened returns JSON at a length for an error.
func shortened(content []byte) string {
	const shown = 60
	if len(content) <= shown {
		return string(content)
	}
	return strings.ToValidUTF8(string(content[:shown]), "") + "…"
}
