package amqp

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// maxDepth bounds the nesting of values, described values and compounds alike, both ways.
const maxDepth = 32

var errTooDeep = errors.New("amqp: value is nested too deep (more than 32 levels)")

// AppendValue appends v by its Go type. Integers, floats, bool, string, [Symbol], []byte (binary), time.Time (timestamp), [UUID], [Char], decimals,
// [Map], [List], [Array], [Described], map[string]any, map[any]any and []any (list) have the obvious form; int is long and uint is
// ulong; other slices are arrays; a pointer is what it points to, or null. Any other type is taken by its underlying
// kind, and types that are named Symbol, UUID, Null or DescribedType, as other AMQP packages have them, for what their name says. The error
// names the Go type that has no form. On error the returned slice is dst as it was.
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
		return AppendSymbol(dst, v), nil
	case []byte:
		return AppendBinary(dst, v), nil
	case time.Time:
		return AppendTimestamp(dst, v), nil
	case Map:
		return appendMap(dst, v, depth)
	case map[string]any:
		return appendGoMap(dst, v, depth)
	case map[any]any:
		return appendGoMap(dst, v, depth)
	case List:
		return appendList(dst, v, depth)
	case []any:
		return appendList(dst, v, depth)
	case Array:
		return appendArray(dst, v, depth)
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
	case Decimal32:
		return append(append(dst, codeDecimal32), v[:]...), true
	case Decimal64:
		return append(append(dst, codeDecimal64), v[:]...), true
	case Decimal128:
		return append(append(dst, codeDecimal128), v[:]...), true
	}
	return dst, false
}

// appendText appends a string after checking it: both its encodings are of "UTF-8 Unicode" (1.6.20).
func appendText(dst []byte, v string) ([]byte, error) {
	if !utf8.ValidString(v) {
		return dst, errors.New("amqp: string is not valid UTF-8; send it as []byte")
	}
	return AppendString(dst, v), nil
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

// appendGoMap appends the entries in whatever order Go gives them.
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
