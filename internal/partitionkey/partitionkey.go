// Package partitionkey maps partition keys to partitions as the Event Hubs service does. So an
// event with a partition key lands in the same partition whether the service, another SDK's
// producer or ours chooses it.
//
// The hash is Bob Jenkins' lookup3 (hashlittle2, both seeds 0) of the key's UTF-8 bytes, folded to
// 16 bits. The partition of a key changes whenever the number of partitions does.
package partitionkey

import (
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// MaxLength is the service's limit of a key in UTF-16 code units, which .NET, Java and JavaScript
// call the length of a string.
const MaxLength = 128

// Check returns why the service would refuse a key, or nil. The error is the end of a sentence that
// begins with the name of the key's place. The caller decides whether an empty key counts as a key.
func Check(key string) error {
	// No character has more UTF-16 units than bytes.
	if len(key) <= MaxLength && utf8.ValidString(key) {
		return nil
	}
	units := 0
	for i, r := range key {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(key[i:]); size == 1 {
				return fmt.Errorf("%q is not valid UTF-8", key)
			}
		}
		units++
		if r > 0xffff {
			units++ // a surrogate pair
		}
	}
	if units > MaxLength {
		return fmt.Errorf("has %d characters, but the service allows %d; one beyond U+FFFF, such as an emoji, counts twice, as in UTF-16", units, MaxLength)
	}
	return nil
}

// Hash returns the service's hash of a key. The empty key has hash 0.
func Hash(key string) int16 {
	c, b := lookup3(key)
	return int16(c ^ b)
}

// Index returns the partition of a key, as an index from 0 into the service's list of partitions.
// It panics if partitions is not positive.
func Index(key string, partitions int) int {
	if partitions <= 0 {
		panic("partitionkey: the number of partitions must be positive")
	}
	// The service takes the remainder's magnitude. Taking that of the hash would fail for the
	// smallest int16.
	index := int(Hash(key)) % partitions
	return max(index, -index)
}

// lookup3 returns hashlittle2's two words, the primary one first. It reads bytes one by one from
// the string: a conversion to []byte would allocate for every key longer than the compiler's small
// buffer.
func lookup3(key string) (primary, secondary uint32) {
	a := 0xdeadbeef + uint32(len(key))
	b, c := a, a
	for len(key) > 12 {
		a += word(key)
		b += word(key[4:])
		c += word(key[8:])
		a, b, c = mix(a, b, c)
		key = key[12:]
	}
	// Twelve bytes at the key's end take this path too; only the empty key stays unmixed.
	if len(key) == 0 {
		return c, b
	}
	a += partialWord(key, 0)
	b += partialWord(key, 4)
	c += partialWord(key, 8)
	return final(a, b, c)
}

func word(s string) uint32 {
	_ = s[3] // one bounds check instead of four
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// partialWord reads the little-endian word at from, with zeros beyond the end.
func partialWord(s string, from int) uint32 {
	if len(s) >= from+4 {
		return word(s[from:])
	}
	var w uint32
	for i := from; i < min(from+4, len(s)); i++ {
		w |= uint32(s[i]) << (8 * (i - from))
	}
	return w
}

func mix(a, b, c uint32) (uint32, uint32, uint32) {
	a -= c
	a ^= bits.RotateLeft32(c, 4)
	c += b
	b -= a
	b ^= bits.RotateLeft32(a, 6)
	a += c
	c -= b
	c ^= bits.RotateLeft32(b, 8)
	b += a
	a -= c
	a ^= bits.RotateLeft32(c, 16)
	c += b
	b -= a
	b ^= bits.RotateLeft32(a, 19)
	a += c
	c -= b
	c ^= bits.RotateLeft32(b, 4)
	b += a
	return a, b, c
}

func final(a, b, c uint32) (primary, secondary uint32) {
	c ^= b
	c -= bits.RotateLeft32(b, 14)
	a ^= c
	a -= bits.RotateLeft32(c, 11)
	b ^= a
	b -= bits.RotateLeft32(a, 25)
	c ^= b
	c -= bits.RotateLeft32(b, 16)
	a ^= c
	a -= bits.RotateLeft32(c, 4)
	b ^= a
	b -= bits.RotateLeft32(a, 14)
	c ^= b
	c -= bits.RotateLeft32(b, 24)
	return c, b
}
