package eventjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The functions in this file look at 32 bytes at a time.

// IsText reports whether b is valid UTF-8. It is utf8.Valid, several times as fast for ASCII.
func IsText(b []byte) bool {
	for len(b) >= 32 {
		words := binary.NativeEndian.Uint64(b) | binary.NativeEndian.Uint64(b[8:]) | binary.NativeEndian.Uint64(b[16:]) | binary.NativeEndian.Uint64(b[24:])
		if words&highBits != 0 {
			break
		}
		b = b[32:]
	}
	return utf8.Valid(b)
}

// word returns the eight bytes at i, the first as the lowest.
func word[T string | []byte](text T, i int) uint64 {
	b := text[i : i+8]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

const (
	eachByte = 0x0101010101010101
	highBits = 0x8080808080808080
)

// below marks the bytes of a word that are less than n, and of those beyond ASCII any, by their high
// bits. Only the lowest mark is exact.
func below(w uint64, n uint64) uint64 { return w - eachByte*n }

// stops marks the bytes of a word that are control characters, beyond ASCII, a or b, by their high
// bits. Each byte of a and b is the same. Only the lowest mark is exact. The other bits have no
// meaning.
func stops(w, a, b uint64) uint64 { return w | below(w, ' ') | below(w^a, 1) | below(w^b, 1) }

// skip returns the place after bytes of text from i on that stops does not mark. The bytes there may
// be so too.
func skip[T string | []byte](text T, i int, a, b uint64) int {
	for i+32 <= len(text) && (stops(word(text, i), a, b)|stops(word(text, i+8), a, b)|stops(word(text, i+16), a, b)|stops(word(text, i+24), a, b))&highBits == 0 {
		i += 32
	}
	for i+8 <= len(text) {
		n := bits.TrailingZeros64(stops(word(text, i), a, b)&highBits) / 8 // 8 if there is no mark
		if i += n; n < 8 {
			break
		}
	}
	return i
}

// skipPlain skips bytes that stand for themselves in JSON.
func skipPlain[T string | []byte](text T, i int) int {
	return skip(text, i, eachByte*'"', eachByte*'\\')
}

// SkipPrintable returns the place after bytes of text from i on that are printable ASCII. The bytes
// there may be so too.
func SkipPrintable[T string | []byte](text T, i int) int {
	const del = eachByte * 0x7f // the control character
	return skip(text, i, del, del)
}
