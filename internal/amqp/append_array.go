package amqp

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// appendSlice appends a slice of a type whose elements all have the same AMQP type.
func appendSlice(dst []byte, rv reflect.Value, depth int) ([]byte, error) {
	if rv.Len() > 0 {
		return appendArray(dst, elements(rv), depth)
	}
	// An empty array still names its elements' type, so it is taken from the slice's zero element.
	zero := reflect.Zero(rv.Type().Elem()).Interface()
	if zero == nil {
		return dst, errNoForm(rv.Type())
	}
	_, code, err := appendElement(nil, zero, depth+1)
	if err != nil {
		return dst, err
	}
	return append(dst, codeArray8, 2, 0, code), nil
}

// appendUbytes appends an array of ubyte, in its short form if that is enough.
func appendUbytes(dst, v []byte) []byte {
	if len(v) <= math.MaxUint8-2 {
		return append(append(dst, codeArray8, byte(len(v)+2), byte(len(v)), codeUbyte), v...)
	}
	dst = be.AppendUint32(append(dst, codeArray32), uint32(len(v)+5))
	dst = append(be.AppendUint32(dst, uint32(len(v))), codeUbyte)
	return append(dst, v...)
}

// appendArray appends an array. Its elements share the constructor that precedes the first of them
// (1.6.24).
func appendArray(dst []byte, elems []any, depth int) ([]byte, error) {
	if len(elems) == 0 {
		return append(dst, codeArray8, 2, 0, codeNull), nil
	}
	mark := len(dst)
	dst = append(dst, codeArray32, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for i, v := range elems {
		var code byte
		var err error
		if dst, code, err = appendElement(dst, v, depth+1); err != nil {
			return dst, fmt.Errorf("array element %d: %w", i, err)
		}
		if i > 0 && code != dst[mark+9] {
			return dst, fmt.Errorf("amqp: array element %d is of another type (%T) than the first (%T)", i, v, elems[0])
		}
		dst[mark+9] = code
	}
	be.PutUint32(dst[mark+1:], uint32(len(dst)-mark-5))
	be.PutUint32(dst[mark+5:], uint32(len(elems)))
	return dst, nil
}

// appendElement appends the data of v without its constructor, in the one form that fits every
// value of the type. It returns that form's code.
func appendElement(dst []byte, v any, depth int) (_ []byte, code byte, err error) {
	if depth > maxDepth {
		return dst, 0, errTooDeep
	}
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return dst, 0, errors.New("amqp: string is not valid UTF-8; send it as []byte")
		}
		return append(be.AppendUint32(dst, uint32(len(v))), v...), codeString32, nil
	case Symbol:
		if err := v.check(); err != nil {
			return dst, 0, err
		}
		return append(be.AppendUint32(dst, uint32(len(v))), v...), codeSymbol32, nil
	case []byte:
		return append(be.AppendUint32(dst, uint32(len(v))), v...), codeBinary32, nil
	case time.Time:
		if err := checkTime(v); err != nil {
			return dst, 0, err
		}
		return be.AppendUint64(dst, uint64(v.UnixMilli())), codeTimestamp, nil
	}
	if dst, code, ok := appendElementScalar(dst, v); ok {
		return dst, code, nil
	}
	if v == nil {
		return dst, 0, errors.New("amqp: an array cannot hold null; use a list")
	}
	if plain, ok := plainScalar(reflect.ValueOf(v)); ok {
		return appendElement(dst, plain, depth)
	}
	return appendElementCompound(dst, v, depth)
}

func appendElementScalar(dst []byte, v any) (_ []byte, code byte, ok bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, 1), codeBool, true
		}
		return append(dst, 0), codeBool, true
	case int:
		return be.AppendUint64(dst, uint64(v)), codeLong, true
	case int8:
		return append(dst, byte(v)), codeByte, true
	case int16:
		return be.AppendUint16(dst, uint16(v)), codeShort, true
	case int32:
		return be.AppendUint32(dst, uint32(v)), codeInt, true
	case int64:
		return be.AppendUint64(dst, uint64(v)), codeLong, true
	case uint:
		return be.AppendUint64(dst, uint64(v)), codeUlong, true
	case uint8:
		return append(dst, v), codeUbyte, true
	case uint16:
		return be.AppendUint16(dst, v), codeUshort, true
	case uint32:
		return be.AppendUint32(dst, v), codeUint, true
	case uint64:
		return be.AppendUint64(dst, v), codeUlong, true
	case float32:
		return be.AppendUint32(dst, math.Float32bits(v)), codeFloat, true
	case float64:
		return be.AppendUint64(dst, math.Float64bits(v)), codeDouble, true
	case Char:
		return be.AppendUint32(dst, uint32(v)), codeChar, true
	case UUID:
		return append(dst, v[:]...), codeUUID, true
	case Decimal32:
		return append(dst, v[:]...), codeDecimal32, true
	case Decimal64:
		return append(dst, v[:]...), codeDecimal64, true
	case Decimal128:
		return append(dst, v[:]...), codeDecimal128, true
	}
	return dst, 0, false
}

// appendElementCompound appends a list, map or array, or a type known by its name, as an element.
// It first encodes the value by itself, then widens its short form, which might not fit every
// element.
func appendElementCompound(dst []byte, v any, depth int) (_ []byte, code byte, err error) {
	one, err := appendValue(nil, v, depth)
	if err != nil {
		return dst, 0, err
	}
	code, body := one[0], one[1:]
	switch code {
	case codeUUID, codeTimestamp, codeList32, codeMap32, codeArray32, codeBinary32:
		return append(dst, body...), code, nil
	case codeBinary8:
		return append(be.AppendUint32(dst, uint32(body[0])), body[1:]...), codeBinary32, nil
	case codeList0:
		dst = be.AppendUint32(dst, 4)
		return be.AppendUint32(dst, 0), codeList32, nil
	case codeList8, codeMap8, codeArray8:
		dst = be.AppendUint32(dst, uint32(body[0])+3)
		dst = be.AppendUint32(dst, uint32(body[1]))
		return append(dst, body[2:]...), code + 0x10, nil
	}
	return dst, 0, fmt.Errorf("amqp: Go type %T cannot be an array's element", v)
}
