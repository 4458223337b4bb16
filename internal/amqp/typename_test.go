package amqp

import (
	"testing"
	"time"
)

func TestTypeNamesAreThoseOfAMQP(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "boolean"},
		{uint8(1), "ubyte"}, {uint16(1), "ushort"}, {uint32(1), "uint"}, {uint64(1), "ulong"},
		{int8(1), "byte"}, {int16(1), "short"}, {int32(1), "int"}, {int64(1), "long"},
		{float32(1), "float"}, {float64(1), "double"},
		{Decimal32{}, "decimal32"}, {Decimal64{}, "decimal64"}, {Decimal128{}, "decimal128"},
		{Char('x'), "char"}, {time.UnixMilli(0), "timestamp"}, {UUID{}, "uuid"}, {[16]byte{}, "uuid"},
		{[]byte{1}, "binary"}, {"x", "string"}, {Symbol("x"), "symbol"},
		{List{}, "list"}, {Map{}, "map"}, {Array{}, "array"}, {Ubytes{}, "array"}, {[]int32{1}, "array"}, {[]List{{}}, "array"},
		{Described{Descriptor: Symbol("x"), Value: "x"}, "described value"},
		{struct{}{}, "value of no AMQP type"},
	} {
		if got := TypeName(test.value); got != test.want {
			t.Errorf("%#v is a %s, want %s", test.value, got, test.want)
		}
	}
}
