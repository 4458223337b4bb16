package amqp

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values, for encoding and decoding; described values and compounds
// both count. The maps and lists of the message's own sections do not count. So everything that can
// be encoded can be decoded.
const maxDepth = 32

var errTooDeep = errors.New("amqp: value is nested too deep (more than 32 levels)")

// errNoForm says that a Go type has no AMQP form, and lists the types that have one.
func errNoForm(t any) error {
	return fmt.Errorf("amqp: Go type %v has no AMQP form; a value may be a bool, a number, a string, a []byte, a time.Time, a UUID, and a map, slice or described value of these", t)
}

// AppendValue appends v by its Go type. Integers, floats, bool, string, [Symbol], []byte (binary),
// time.Time (timestamp), [UUID], [16]byte, [Char] and decimals have the obvious form. So do [Map],
// [List], [Array], [Ubytes], [Described], map[string]any, map[any]any and []any (list). An int is a
// long, and a uint is a ulong. Other slices are arrays. A pointer stands for its target, or for
// null. Types of other AMQP packages are recognized by name: see appendByName. Any other type
// counts as its underlying kind.
//
// The error names the Go type without a form, or the rule of AMQP that v breaks. On error
// AppendValue returns dst unchanged.
func AppendValue(dst []byte, v any) ([]byte, error) {
	out, err := appendValue(dst, v, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

func appendValue(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errTooDeep
	}
	switch v := v.(type) {
	case nil:
		return AppendNull(dst), nil
	case string:
		return appendText(dst, v)
	case Symbol:
		return appendSymbol(dst, v)
	case []byte:
		return AppendBinary(dst, v), nil
	case time.Time:
		return appendTime(dst, v)
	case Map:
		return appendMap(dst, v, depth)
	case map[string]any:
		return appendGoMap(dst, v, depth)
	case map[any]any:
		return appendAnyMap(dst, v, depth)
	case List:
		return appendList(dst, v, depth)
	case []any:
		return appendList(dst, v, depth)
	case Array:
		return appendArray(dst, v, depth)
	case Ubytes:
		return appendUbytes(dst, v), nil
	case Described:
		return appendDescribed(dst, v, depth)
	}
	if out, ok := appendScalar(dst, v); ok {
		return out, nil
	}
	return appendReflect(dst, v, depth)
}

// appendScalar appends v if it is of a fixed-width type.
func appendScalar(dst []byte, v any) (_ []byte, ok bool) {
	switch v := v.(type) {
	case bool:
		return AppendBool(dst, v), true
	case int:
		return AppendLong(dst, int64(v)), true
	case int8:
		return AppendByte(dst, v), true
	case int16:
		return AppendShort(dst, v), true
	case int32:
		return AppendInt(dst, v), true
	case int64:
		return AppendLong(dst, v), true
	case uint:
		return AppendUlong(dst, uint64(v)), true
	case uint8:
		return AppendUbyte(dst, v), true
	case uint16:
		return AppendUshort(dst, v), true
	case uint32:
		return AppendUint(dst, v), true
	case uint64:
		return AppendUlong(dst, v), true
	case float32:
		return AppendFloat(dst, v), true
	case float64:
		return AppendDouble(dst, v), true
	case Char:
		return AppendChar(dst, v), true
	case UUID:
		return AppendUUID(dst, v), true
	case [16]byte:
		return AppendUUID(dst, v), true
	case Decimal32:
		return append(append(dst, codeDecimal32), v[:]...), true
	case Decimal64:
		return append(append(dst, codeDecimal64), v[:]...), true
	case Decimal128:
		return append(append(dst, codeDecimal128), v[:]...), true
	}
	return dst, false
}

// appendText appends a string if it is valid UTF-8, which both encodings require (1.6.20).
func appendText(dst []byte, v string) ([]byte, error) {
	if !utf8.ValidString(v) {
		return dst, errors.New("amqp: string is not valid UTF-8; send it as []byte")
	}
	return AppendString(dst, v), nil
}

// appendSymbol appends a symbol if it is ASCII: "symbols are values from a constrained domain",
// encoded as "seven bit ASCII characters" (1.6.21).
func appendSymbol(dst []byte, v Symbol) ([]byte, error) {
	if err := v.check(); err != nil {
		return dst, err
	}
	return AppendSymbol(dst, v), nil
}

func (s Symbol) check() error {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return fmt.Errorf("amqp: symbol %q is not ASCII", string(s))
		}
	}
	return nil
}

// appendTime appends a timestamp if its 64 bits of "milliseconds since the unix epoch" (1.6.17) can
// hold the time.
func appendTime(dst []byte, v time.Time) ([]byte, error) {
	if err := checkTime(v); err != nil {
		return dst, err
	}
	return AppendTimestamp(dst, v), nil
}

func checkTime(v time.Time) error {
	if time.UnixMilli(v.UnixMilli()).Unix() != v.Unix() {
		return fmt.Errorf("amqp: the time %v is more than 2^63 milliseconds from 1970, more than a timestamp holds", v)
	}
	return nil
}

func appendMap(dst []byte, m Map, depth int) ([]byte, error) {
	dst, mark := BeginMap(dst)
	var err error
	for _, p := range m {
		if dst, err = appendPair(dst, p.Key, p.Value, depth); err != nil {
			return dst, err
		}
	}
	return EndMap(dst, mark, len(m)), nil
}

// appendGoMap appends the entries in the order of Go's iteration.
func appendGoMap[K comparable](dst []byte, m map[K]any, depth int) ([]byte, error) {
	dst, mark := BeginMap(dst)
	var err error
	for k, v := range m {
		if dst, err = appendPair(dst, k, v, depth); err != nil {
			return dst, err
		}
	}
	return EndMap(dst, mark, len(m)), nil
}

// appendAnyMap is appendGoMap for keys that differ in Go but may be equal in AMQP.
func appendAnyMap(dst []byte, m map[any]any, depth int) ([]byte, error) {
	mark := len(dst)
	dst, err := appendGoMap(dst, m, depth)
	if err != nil {
		return dst, err
	}
	return dst, checkKeys(dst[mark:])
}

// checkKeys looks for a duplicate key in an encoded map: "a map in which there exist two identical
// key values is invalid" (1.6.23).
func checkKeys(encoded []byte) error {
	data, _, err := split(encoded[0], encoded[1:])
	if err != nil {
		return err
	}
	count, data, err := splitCount(encoded[0], data)
	if err != nil || count <= 2 {
		return err
	}
	seen := make(map[string]struct{}, count/2)
	for ; count > 0; count -= 2 {
		value, err := SkipValue(data)
		if err != nil {
			return err
		}
		key := string(data[:len(data)-len(value)])
		if _, twice := seen[key]; twice {
			v, _, _ := ReadValue(data)
			return fmt.Errorf("amqp: a map has the key %v twice: its two Go types are one AMQP type", v)
		}
		seen[key] = struct{}{}
		if data, err = SkipValue(value); err != nil {
			return err
		}
	}
	return nil
}

func appendPair(dst []byte, key, value any, depth int) ([]byte, error) {
	dst, err := appendValue(dst, key, depth+1)
	if err != nil {
		return dst, fmt.Errorf("key %v: %w", key, err)
	}
	if dst, err = appendValue(dst, value, depth+1); err != nil {
		return dst, fmt.Errorf("value of %v: %w", key, err)
	}
	return dst, nil
}

func appendList(dst []byte, l []any, depth int) ([]byte, error) {
	// list0: "the empty list (i.e. the list with no elements)" (1.6.22).
	if len(l) == 0 {
		return append(dst, codeList0), nil
	}
	dst, mark := BeginList(dst)
	var err error
	for i, v := range l {
		if dst, err = appendValue(dst, v, depth+1); err != nil {
			return dst, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return EndList(dst, mark, len(l)), nil
}

func appendDescribed(dst []byte, d Described, depth int) ([]byte, error) {
	dst, err := appendValue(append(dst, codeDescribed), d.Descriptor, depth+1)
	if err != nil {
		return dst, fmt.Errorf("descriptor: %w", err)
	}
	return appendValue(dst, d.Value, depth+1)
}
