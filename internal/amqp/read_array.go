package amqp

import (
	"fmt"
	"time"
)

// maxZeroWidth bounds the count of an array whose elements take no bytes. Nothing else bounds it.
const maxZeroWidth = 256

// readArray decodes an array: a count, one constructor, and the elements' data.
func readArray(code byte, data []byte, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, errTooDeep)
	}
	n, data, err := splitArrayCount(code, data)
	if err != nil {
		return nil, err
	}
	var descriptor any
	described := len(data) > 0 && data[0] == codeDescribed
	if described {
		if descriptor, data, err = readValue(data[1:], depth+1); err != nil {
			return nil, err
		}
	}
	if len(data) == 0 {
		return nil, errShort
	}
	elem, data := data[0], data[1:]
	limit := len(data)
	if elem>>4 == 0x4 {
		limit = maxZeroWidth
	}
	if n > limit {
		return nil, fmt.Errorf("%w: an array of %d elements in %d bytes", ErrMalformed, n, len(data))
	}
	if !described {
		if v, ok, err := readTypedArray(elem, n, data, depth+1); ok {
			return v, err
		}
	}
	array := make(Array, n)
	for i := range array {
		if array[i], data, err = readElement(elem, data, depth+1); err != nil {
			return nil, err
		}
		if described {
			array[i] = Described{descriptor, array[i]}
		}
	}
	return array, nil
}

// splitArrayCount is splitCount without its bound, since an array's elements may take no bytes.
func splitArrayCount(code byte, data []byte) (n int, rest []byte, err error) {
	if code == codeArray8 {
		if len(data) < 1 {
			return 0, nil, errShort
		}
		return int(data[0]), data[1:], nil
	}
	if len(data) < 4 {
		return 0, nil, errShort
	}
	count := be.Uint32(data)
	if uint64(count) > uint64(max(len(data), maxZeroWidth)) {
		return 0, nil, fmt.Errorf("%w: an array of %d elements in %d bytes", ErrMalformed, count, len(data))
	}
	return int(count), data[4:], nil
}

func readElement(elem byte, data []byte, depth int) (v any, rest []byte, err error) {
	if depth > maxDepth {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, errTooDeep)
	}
	one, rest, err := split(elem, data)
	if err != nil {
		return nil, nil, err
	}
	v, err = readData(elem, one, depth)
	return v, rest, err
}

// readTypedArray decodes an array whose elements have a Go slice type; ok is false for others.
func readTypedArray(elem byte, n int, data []byte, depth int) (v any, ok bool, err error) {
	switch elem {
	case codeUbyte: // readArray has checked that there are as many bytes
		v = Ubytes(data[:n:n])
	case codeList0, codeList8, codeList32:
		v, err = readElements[List](elem, n, data, depth)
	case codeMap8, codeMap32:
		v, err = readElements[Map](elem, n, data, depth)
	case codeString8, codeString32:
		v, err = readElements[string](elem, n, data, depth)
	case codeSymbol8, codeSymbol32:
		v, err = readElements[Symbol](elem, n, data, depth)
	case codeBinary8, codeBinary32:
		v, err = readElements[[]byte](elem, n, data, depth)
	case codeBool, codeTrue, codeFalse:
		v, err = readElements[bool](elem, n, data, depth)
	case codeByte:
		v, err = readElements[int8](elem, n, data, depth)
	case codeShort:
		v, err = readElements[int16](elem, n, data, depth)
	case codeInt, codeSmallInt:
		v, err = readElements[int32](elem, n, data, depth)
	case codeLong, codeSmallLong:
		v, err = readElements[int64](elem, n, data, depth)
	case codeUshort:
		v, err = readElements[uint16](elem, n, data, depth)
	case codeUint, codeSmallUint, codeUint0:
		v, err = readElements[uint32](elem, n, data, depth)
	case codeUlong, codeSmallUlong, codeUlong0:
		v, err = readElements[uint64](elem, n, data, depth)
	case codeFloat:
		v, err = readElements[float32](elem, n, data, depth)
	case codeDouble:
		v, err = readElements[float64](elem, n, data, depth)
	case codeTimestamp:
		v, err = readElements[time.Time](elem, n, data, depth)
	case codeUUID:
		v, err = readElements[UUID](elem, n, data, depth)
	case codeChar:
		v, err = readElements[Char](elem, n, data, depth)
	default:
		return nil, false, nil
	}
	return v, true, err
}

// readElements decodes n elements that readData yields as T.
func readElements[T any](elem byte, n int, data []byte, depth int) ([]T, error) {
	list := make([]T, n)
	for i := range list {
		v, rest, err := readElement(elem, data, depth)
		if err != nil {
			return nil, err
		}
		list[i], data = v.(T), rest
	}
	return list, nil
}
