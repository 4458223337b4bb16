package amqp

import "fmt"

// Symbol is an AMQP symbol: ASCII text from a constrained domain, for example an annotation's key
// or an error condition.
type Symbol string

// Char is AMQP's char, one Unicode code point. It is a type of its own because Go's rune is int32.
type Char rune

// UUID is an RFC 4122 universally unique identifier.
type UUID [16]byte

// Decimal32, Decimal64 and Decimal128 are IEEE 754-2008 decimals in their wire form (big endian).
// This package only carries them.
type (
	Decimal32  [4]byte
	Decimal64  [8]byte
	Decimal128 [16]byte
)

// String formats u as 8-4-4-4-12 hexadecimal digits.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

// Described is a value with a descriptor that gives it a meaning. By the specification the
// descriptor is a uint64 or a Symbol.
type Described struct {
	Descriptor, Value any
}

// Pair is one entry of a Map.
type Pair struct {
	Key, Value any
}

// Map is an AMQP map in the order of its encoding. Keys of an encoded map must be unique; a Map is
// not checked for that.
type Map []Pair

// Get returns the value of the first entry whose key is the string or the Symbol key.
func (m Map) Get(key string) (value any, ok bool) {
	for _, p := range m {
		switch k := p.Key.(type) {
		case string:
			if k == key {
				return p.Value, true
			}
		case Symbol:
			if string(k) == key {
				return p.Value, true
			}
		}
	}
	return nil, false
}

// List is an AMQP list: values of any types.
type List []any

// Array is an AMQP array whose elements have no slice type here: arrays, described values, decimals
// and nulls. All elements must have the same AMQP type. Arrays of other types are []string,
// []Symbol, []int32, []List, []Map and so on, and [Ubytes].
type Array []any

// Ubytes is an AMQP array of ubyte; a []uint8 is binary.
type Ubytes []uint8

// Optional is a value that may be absent. Frequent frames use it instead of a pointer, which would
// allocate.
type Optional[T any] struct {
	Value T
	Set   bool
}

// Some returns a present value.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Set: true} }

// Or returns the value, or def if it is absent.
func (o Optional[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}
