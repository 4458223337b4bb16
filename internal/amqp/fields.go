package amqp

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// fields reads the fields of a composite in order. A null or absent field leaves the destination
// unchanged, so the caller sets the default first. The first error sticks and stops the reading.
type fields struct {
	b   []byte
	n   int // fields left
	err error
}

// readComposite cuts a described list off b.
func readComposite(b []byte) (descriptor uint64, f fields, rest []byte, err error) {
	descriptor, b, err = readDescriptor(b)
	if err != nil {
		return 0, f, nil, err
	}
	f, rest, err = readFields(b)
	return descriptor, f, rest, err
}

func readFields(b []byte) (f fields, rest []byte, err error) {
	if len(b) == 0 {
		return f, nil, errShort
	}
	switch b[0] {
	case codeList0:
		return f, b[1:], nil
	case codeList8, codeList32:
	default:
		return f, nil, fmt.Errorf("%w: 0x%02x where a list must be", ErrMalformed, b[0])
	}
	data, rest, err := split(b[0], b[1:])
	if err != nil {
		return f, nil, err
	}
	f.n, f.b, err = splitCount(b[0], data)
	return f, rest, err
}

// next returns the next field's format code and data; ok is false if it is absent or null. A
// described field has code 0, and its data includes the descriptor.
func (f *fields) next() (code byte, data []byte, ok bool) {
	if f.err != nil || f.n == 0 {
		return 0, nil, false
	}
	f.n--
	if len(f.b) == 0 {
		f.err = errShort
		return 0, nil, false
	}
	code = f.b[0]
	if code == codeDescribed {
		rest, err := SkipValue(f.b)
		if err != nil {
			f.err = err
			return 0, nil, false
		}
		data, f.b = f.b[:len(f.b)-len(rest)], rest
		return code, data, true
	}
	data, f.b, f.err = split(code, f.b[1:])
	return code, data, f.err == nil && code != codeNull
}

func (f *fields) fail(what string, code byte) {
	if f.err == nil {
		f.err = fmt.Errorf("%w: format code 0x%02x where %s must be", ErrMalformed, code, what)
	}
}

// unsigned reads a ubyte, ushort, uint or ulong that is at most limit. Any width is accepted, since
// peers differ in theirs.
func (f *fields) unsigned(limit uint64) (v uint64, ok bool) {
	code, data, ok := f.next()
	if !ok {
		return 0, false
	}
	switch code {
	case codeUint0, codeUlong0:
	case codeUbyte, codeSmallUint, codeSmallUlong:
		v = uint64(data[0])
	case codeUshort:
		v = uint64(be.Uint16(data))
	case codeUint:
		v = uint64(be.Uint32(data))
	case codeUlong:
		v = be.Uint64(data)
	default:
		f.fail("an unsigned number", code)
		return 0, false
	}
	if v > limit {
		f.err = fmt.Errorf("%w: %d where at most %d is allowed", ErrMalformed, v, limit)
		return 0, false
	}
	return v, true
}

func (f *fields) uint8(dst *uint8) {
	if v, ok := f.unsigned(math.MaxUint8); ok {
		*dst = uint8(v)
	}
}

func (f *fields) uint32(dst *uint32) {
	if v, ok := f.unsigned(math.MaxUint32); ok {
		*dst = uint32(v)
	}
}

func (f *fields) uint64(dst *uint64) {
	if v, ok := f.unsigned(math.MaxUint64); ok {
		*dst = v
	}
}

func (f *fields) optUint(dst *Optional[uint32]) {
	if v, ok := f.unsigned(math.MaxUint32); ok {
		*dst = Some(uint32(v))
	}
}

func (f *fields) uintPtr(dst **uint32) {
	if v, ok := f.unsigned(math.MaxUint32); ok {
		*dst = new(uint32(v))
	}
}

func (f *fields) milliseconds(dst *time.Duration) {
	if v, ok := f.unsigned(math.MaxUint32); ok {
		*dst = time.Duration(v) * time.Millisecond
	}
}

func (f *fields) bool(dst *bool) {
	code, data, ok := f.next()
	switch {
	case !ok:
	case code == codeTrue || code == codeBool && data[0] == 1:
		*dst = true
	case code == codeFalse || code == codeBool && data[0] == 0:
		*dst = false
	default:
		f.fail("a boolean", code)
	}
}

// text reads a string, or a symbol: some peers confuse them.
func (f *fields) text() (v string, ok bool) {
	code, data, ok := f.next()
	if !ok {
		return "", false
	}
	switch code {
	case codeString8, codeString32, codeSymbol8, codeSymbol32:
		return string(data), true
	}
	f.fail("a string", code)
	return "", false
}

func (f *fields) str(dst *string) {
	if v, ok := f.text(); ok {
		*dst = v
	}
}

func (f *fields) strPtr(dst **string) {
	if v, ok := f.text(); ok {
		*dst = &v
	}
}

func (f *fields) symbol(dst *Symbol) { f.str((*string)(dst)) }

// binary reads binary without copying it.
func (f *fields) binary(dst *[]byte) {
	code, data, ok := f.next()
	if !ok {
		return
	}
	if code != codeBinary8 && code != codeBinary32 {
		f.fail("binary", code)
		return
	}
	*dst = data
}

func (f *fields) timePtr(dst **time.Time) {
	code, data, ok := f.next()
	if !ok {
		return
	}
	if code != codeTimestamp {
		f.fail("a timestamp", code)
		return
	}
	*dst = new(time.UnixMilli(int64(be.Uint64(data))).UTC())
}

// value reads a value of any type.
func (f *fields) value(dst *any) {
	code, data, ok := f.next()
	if !ok {
		return
	}
	if code == codeDescribed {
		*dst, _, f.err = readValue(data, 0)
		return
	}
	*dst, f.err = readData(code, data, 0)
}

func (f *fields) mapping(dst *Map) {
	code, data, ok := f.next()
	if !ok {
		return
	}
	if code != codeMap8 && code != codeMap32 {
		f.fail("a map", code)
		return
	}
	*dst, f.err = readMap(code, data, 0)
}

// symbols reads a field with "multiple=true".
//
// "A single element of the type specified in the field description is always permitted. Multiple
// values are represented by the use of an array" (1.4).
func (f *fields) symbols(dst *[]Symbol) {
	var v any
	f.value(&v)
	switch v := v.(type) {
	case nil:
	case Symbol:
		*dst = []Symbol{v}
	case []Symbol:
		*dst = slices.Clip(v)
	case Array: // an empty array, whose elements are null
	default:
		if f.err == nil {
			f.err = fmt.Errorf("%w: type %s where symbols must be", ErrMalformed, TypeName(v))
		}
	}
}

// composite reads a described list, returning its descriptor; ok is false if the field is null or
// absent.
func (f *fields) composite() (descriptor uint64, inner fields, ok bool) {
	code, data, ok := f.next()
	if !ok {
		return 0, inner, false
	}
	if code != codeDescribed {
		f.fail("a described type", code)
		return 0, inner, false
	}
	descriptor, inner, _, f.err = readComposite(data)
	return descriptor, inner, f.err == nil
}
