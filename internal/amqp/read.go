package amqp

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of the decoder.
var ErrMalformed = errors.New("amqp: malformed encoding")

var errShort = fmt.Errorf("%w: it ends within a value", ErrMalformed)

// split cuts the data of a value with this format code off b. For a fixed-width or variable-width
// value that is its content. For a compound or array it is everything after the size: the count and
// the elements.
func split(code byte, b []byte) (data, rest []byte, err error) {
	var n int
	switch code >> 4 {
	case 0x4:
		n = 0
	case 0x5, 0x6, 0x7, 0x8, 0x9:
		n = 1 << (code>>4 - 5)
	case 0xa, 0xc, 0xe:
		if len(b) < 1 {
			return nil, nil, errShort
		}
		n, b = int(b[0]), b[1:]
	case 0xb, 0xd, 0xf:
		if len(b) < 4 {
			return nil, nil, errShort
		}
		size := be.Uint32(b)
		if uint64(size) > uint64(len(b)-4) {
			return nil, nil, errShort
		}
		n, b = int(size), b[4:]
	default:
		return nil, nil, fmt.Errorf("%w: format code 0x%02x is not defined", ErrMalformed, code)
	}
	if n > len(b) {
		return nil, nil, errShort
	}
	return b[:n:n], b[n:], nil
}

// splitCount cuts the count off the data of a compound or array.
//
// Every element takes at least one byte, except in an array of zero-width elements. So a count
// larger than the data is false and must not cause an allocation.
func splitCount(code byte, data []byte) (count int, rest []byte, err error) {
	if code>>4 == 0xc || code>>4 == 0xe {
		if len(data) < 1 {
			return 0, nil, errShort
		}
		return int(data[0]), data[1:], nil
	}
	if len(data) < 4 {
		return 0, nil, errShort
	}
	n := be.Uint32(data)
	if uint64(n) > uint64(len(data)) {
		return 0, nil, fmt.Errorf("%w: %d elements in %d bytes", ErrMalformed, n, len(data)-4)
	}
	return int(n), data[4:], nil
}

// SkipValue returns the bytes after the value at the start of b. It looks no deeper than the
// outermost size, so the skipped value need not be decodable. Errors wrap [ErrMalformed].
func SkipValue(b []byte) (rest []byte, err error) { return skipValue(b, 0) }

func skipValue(b []byte, depth int) (rest []byte, err error) {
	for ; depth <= maxDepth; depth++ {
		if len(b) == 0 {
			return nil, errShort
		}
		code := b[0]
		b = b[1:]
		if code != codeDescribed {
			_, rest, err = split(code, b)
			return rest, err
		}
		// A descriptor is itself a value, and may be described.
		if b, err = skipValue(b, depth+1); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrMalformed, errTooDeep)
}

// readDescriptor cuts a descriptor (00 and a ulong or symbol) off b and returns its number. The
// number is 0 for a symbol that the specification does not define, and for values of other types.
func readDescriptor(b []byte) (code uint64, rest []byte, err error) {
	if len(b) < 2 {
		return 0, nil, errShort
	}
	if b[0] != codeDescribed {
		return 0, nil, fmt.Errorf("%w: 0x%02x where a described type must be", ErrMalformed, b[0])
	}
	// Nearly every peer sends this form.
	if b[1] == codeSmallUlong && len(b) > 2 {
		return uint64(b[2]), b[3:], nil
	}
	data, rest, err := split(b[1], b[2:])
	if err != nil {
		return 0, nil, err
	}
	switch b[1] {
	case codeUlong:
		code = be.Uint64(data)
	case codeSymbol8, codeSymbol32:
		code = descriptorCode(Symbol(data))
	}
	return code, rest, nil
}
