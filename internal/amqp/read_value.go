package amqp

import (
	"fmt"
	"math"
	"time"
)

// ReadValue decodes the value at the start of b and returns the bytes after it. Numbers have the Go
// type of their AMQP type's width (int32, uint64, …). Timestamps are time.Time in UTC, lists
// [List], maps [Map], described values [Described]. Arrays are []string, []Symbol, []int32 and so
// on, or [Array]. Binary is not copied: a []byte aliases b. Errors wrap [ErrMalformed].
func ReadValue(b []byte) (v any, rest []byte, err error) { return readValue(b, 0) }

func readValue(b []byte, depth int) (v any, rest []byte, err error) {
	if depth > maxDepth {
		return nil, nil, fmt.Errorf("%w: %w", ErrMalformed, errTooDeep)
	}
	if len(b) == 0 {
		return nil, nil, errShort
	}
	code := b[0]
	if code == codeDescribed {
		return readDescribed(b[1:], depth)
	}
	data, rest, err := split(code, b[1:])
	if err != nil {
		return nil, nil, err
	}
	v, err = readData(code, data, depth)
	return v, rest, err
}

func readDescribed(b []byte, depth int) (v any, rest []byte, err error) {
	var d Described
	if d.Descriptor, b, err = readValue(b, depth+1); err != nil {
		return nil, nil, err
	}
	if d.Value, b, err = readValue(b, depth+1); err != nil {
		return nil, nil, err
	}
	return d, b, nil
}

// readData decodes the data that split has cut off.
func readData(code byte, data []byte, depth int) (any, error) {
	switch code >> 4 {
	case 0x4, 0x5, 0x6:
		return readNarrow(code, data)
	case 0x7, 0x8, 0x9:
		return readWide(code, data)
	}
	switch code {
	case codeBinary8, codeBinary32:
		return data, nil
	case codeString8, codeString32:
		return string(data), nil
	case codeSymbol8, codeSymbol32:
		return Symbol(data), nil
	case codeList8, codeList32:
		return readList(code, data, depth)
	case codeMap8, codeMap32:
		return readMap(code, data, depth)
	case codeArray8, codeArray32:
		return readArray(code, data, depth)
	}
	return nil, errUndefined(code)
}

func errUndefined(code byte) error {
	return fmt.Errorf("%w: format code 0x%02x is not defined", ErrMalformed, code)
}

// readNarrow decodes a value of at most two bytes.
func readNarrow(code byte, data []byte) (any, error) {
	switch code {
	case codeNull:
		return nil, nil
	case codeTrue:
		return true, nil
	case codeFalse:
		return false, nil
	case codeUint0:
		return uint32(0), nil
	case codeUlong0:
		return uint64(0), nil
	case codeList0:
		return List{}, nil
	case codeUbyte:
		return data[0], nil
	case codeByte:
		return int8(data[0]), nil
	case codeSmallUint:
		return uint32(data[0]), nil
	case codeSmallUlong:
		return uint64(data[0]), nil
	case codeSmallInt:
		return int32(int8(data[0])), nil
	case codeSmallLong:
		return int64(int8(data[0])), nil
	case codeBool:
		if data[0] > 1 {
			return nil, fmt.Errorf("%w: boolean 0x%02x", ErrMalformed, data[0])
		}
		return data[0] == 1, nil
	case codeUshort:
		return be.Uint16(data), nil
	case codeShort:
		return int16(be.Uint16(data)), nil
	}
	return nil, errUndefined(code)
}

// readWide decodes a fixed-width value of four bytes or more.
func readWide(code byte, data []byte) (any, error) {
	switch code {
	case codeUint:
		return be.Uint32(data), nil
	case codeInt:
		return int32(be.Uint32(data)), nil
	case codeFloat:
		return math.Float32frombits(be.Uint32(data)), nil
	case codeChar:
		return Char(be.Uint32(data)), nil
	case codeDecimal32:
		return Decimal32(data), nil
	case codeUlong:
		return be.Uint64(data), nil
	case codeLong:
		return int64(be.Uint64(data)), nil
	case codeDouble:
		return math.Float64frombits(be.Uint64(data)), nil
	case codeTimestamp:
		return time.UnixMilli(int64(be.Uint64(data))).UTC(), nil
	case codeDecimal64:
		return Decimal64(data), nil
	case codeDecimal128:
		return Decimal128(data), nil
	case codeUUID:
		return UUID(data), nil
	}
	return nil, errUndefined(code)
}

func readList(code byte, data []byte, depth int) (List, error) {
	n, data, err := splitCount(code, data)
	if err != nil {
		return nil, err
	}
	if n > len(data) {
		return nil, errShort
	}
	list := make(List, n)
	for i := range list {
		if list[i], data, err = readValue(data, depth+1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func readMap(code byte, data []byte, depth int) (Map, error) {
	n, data, err := splitCount(code, data)
	if err != nil {
		return nil, err
	}
	// "Map encodings must contain an even number of items (i.e. an equal number of keys and
	// values)" (1.6.23). Duplicate keys are not checked here; the code that looks entries up deals
	// with them.
	if n%2 != 0 {
		return nil, fmt.Errorf("%w: a map of %d elements, an odd number", ErrMalformed, n)
	}
	if n > len(data) {
		return nil, errShort
	}
	m := make(Map, n/2)
	for i := range m {
		if m[i].Key, data, err = readValue(data, depth+1); err != nil {
			return nil, err
		}
		if m[i].Value, data, err = readValue(data, depth+1); err != nil {
			return nil, err
		}
	}
	return m, nil
}
