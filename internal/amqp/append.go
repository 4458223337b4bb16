package amqp

import (
	"encoding/binary"
	"math"
	"time"
)

var be = binary.BigEndian

// AppendNull appends AMQP's null.
func AppendNull(dst []byte) []byte { return append(dst, codeNull) }

// AppendBool appends a boolean in its one-byte form.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

// AppendUbyte appends a ubyte.
func AppendUbyte(dst []byte, v uint8) []byte { return append(dst, codeUbyte, v) }

// AppendUshort appends a ushort.
func AppendUshort(dst []byte, v uint16) []byte { return be.AppendUint16(append(dst, codeUshort), v) }

// AppendUint appends a uint (32 bits) in its shortest form.
func AppendUint(dst []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(dst, codeUint0)
	case v <= math.MaxUint8:
		return append(dst, codeSmallUint, byte(v))
	}
	return be.AppendUint32(append(dst, codeUint), v)
}

// AppendUlong appends a ulong (64 bits) in its shortest form.
func AppendUlong(dst []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(dst, codeUlong0)
	case v <= math.MaxUint8:
		return append(dst, codeSmallUlong, byte(v))
	}
	return be.AppendUint64(append(dst, codeUlong), v)
}

// AppendByte appends a byte, which is signed in AMQP.
func AppendByte(dst []byte, v int8) []byte { return append(dst, codeByte, byte(v)) }

// AppendShort appends a short.
func AppendShort(dst []byte, v int16) []byte {
	return be.AppendUint16(append(dst, codeShort), uint16(v))
}

// AppendInt appends an int (32 bits) in its shortest form.
func AppendInt(dst []byte, v int32) []byte {
	if v >= math.MinInt8 && v <= math.MaxInt8 {
		return append(dst, codeSmallInt, byte(v))
	}
	return AppendInt4(dst, v)
}

// AppendInt4 appends an int in its five-byte form, so that the value can be patched in place.
func AppendInt4(dst []byte, v int32) []byte { return be.AppendUint32(append(dst, codeInt), uint32(v)) }

// AppendLong appends a long (64 bits) in its shortest form.
func AppendLong(dst []byte, v int64) []byte {
	if v >= math.MinInt8 && v <= math.MaxInt8 {
		return append(dst, codeSmallLong, byte(v))
	}
	return be.AppendUint64(append(dst, codeLong), uint64(v))
}

// AppendFloat appends a float (32 bits).
func AppendFloat(dst []byte, v float32) []byte {
	return be.AppendUint32(append(dst, codeFloat), math.Float32bits(v))
}

// AppendDouble appends a double (64 bits).
func AppendDouble(dst []byte, v float64) []byte {
	return be.AppendUint64(append(dst, codeDouble), math.Float64bits(v))
}

// AppendChar appends a char.
func AppendChar(dst []byte, v Char) []byte { return be.AppendUint32(append(dst, codeChar), uint32(v)) }

// AppendTimestamp appends a timestamp; AMQP's have milliseconds, smaller units are cut off.
func AppendTimestamp(dst []byte, v time.Time) []byte {
	return be.AppendUint64(append(dst, codeTimestamp), uint64(v.UnixMilli()))
}

// AppendUUID appends a uuid.
func AppendUUID(dst []byte, v UUID) []byte { return append(append(dst, codeUUID), v[:]...) }

// AppendString appends a string. The caller guarantees valid UTF-8.
func AppendString(dst []byte, v string) []byte {
	return append(appendLength(dst, codeString8, len(v)), v...)
}

// AppendSymbol appends a symbol. The caller guarantees ASCII.
func AppendSymbol(dst []byte, v Symbol) []byte {
	return append(appendLength(dst, codeSymbol8, len(v)), v...)
}

// AppendBinary appends binary.
func AppendBinary(dst []byte, v []byte) []byte {
	return append(AppendBinaryHeader(dst, len(v)), v...)
}

// AppendBinaryHeader appends the header of n bytes of binary: two bytes for n < 256, else five.
func AppendBinaryHeader(dst []byte, n int) []byte { return appendLength(dst, codeBinary8, n) }

// AppendSectionHeader appends the three-byte descriptor of a message section; section is
// SectionData or another of its siblings.
func AppendSectionHeader(dst []byte, section byte) []byte {
	return append(dst, codeDescribed, codeSmallUlong, section)
}

// appendLength appends a variable-width constructor: code8 with a length of one byte, or its
// sibling with four.
func appendLength(dst []byte, code8 byte, n int) []byte {
	if n <= math.MaxUint8 {
		return append(dst, code8, byte(n))
	}
	return be.AppendUint32(append(dst, code8+0x10), uint32(n))
}

// BeginMap starts a map whose entries the caller appends, key and value in turn. EndMap needs the
// mark that it returns.
func BeginMap(dst []byte) (_ []byte, mark int) { return beginCompound(dst, codeMap8) }

// EndMap ends the map that BeginMap started at mark; it has this many pairs.
func EndMap(dst []byte, mark, pairs int) []byte { return endCompound(dst, mark, 2*pairs) }

// BeginList starts a list whose elements the caller appends. EndList needs the mark that it
// returns.
func BeginList(dst []byte) (_ []byte, mark int) { return beginCompound(dst, codeList8) }

// EndList ends the list that BeginList started at mark; it has count elements.
func EndList(dst []byte, mark, count int) []byte { return endCompound(dst, mark, count) }

// beginCompound leaves room for the short form: constructor, size, count.
func beginCompound(dst []byte, code8 byte) (_ []byte, mark int) {
	return append(dst, code8, 0, 0), len(dst)
}

// endCompound fills in size and count at mark. It moves the elements by six bytes if they need the
// long form.
func endCompound(dst []byte, mark, count int) []byte {
	body := len(dst) - mark - 3
	// The size includes the count's own width (1.6.22).
	if body+1 <= math.MaxUint8 && count <= math.MaxUint8 {
		dst[mark+1], dst[mark+2] = byte(body+1), byte(count)
		return dst
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	copy(dst[mark+9:], dst[mark+3:mark+3+body])
	dst[mark] += 0x10
	be.PutUint32(dst[mark+1:], uint32(body+4))
	be.PutUint32(dst[mark+5:], uint32(count))
	return dst
}
