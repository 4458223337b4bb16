package amqp

import (
	"testing"
	"time"
)

func TestKindOfAnEncodedValue(t *testing.T) {
	long := make([]byte, 300)
	for _, c := range []struct {
		value any
		want  Kind
	}{
		{nil, KindNull},
		{uint64(0), KindUlong}, {uint64(7), KindUlong}, {uint64(1 << 40), KindUlong},
		{UUID{1}, KindUUID},
		{[]byte("x"), KindBinary}, {long, KindBinary},
		{"x", KindString}, {string(long), KindString},
		{List{}, KindOther}, {List{true}, KindOther}, {List{long}, KindOther},
		{Map{{"k", "v"}}, KindOther}, {Map{{"k", long}}, KindOther},
		{[]string{"a"}, KindOther}, {[]string{string(long)}, KindOther},
		{Described{uint64(1), "x"}, KindOther},
		{true, KindOther}, {uint8(1), KindOther}, {int64(-1), KindOther}, {uint32(0), KindOther}, {1.5, KindOther},
		{Symbol("s"), KindOther}, {Symbol(long), KindOther}, {time.UnixMilli(0), KindOther}, {Decimal128{}, KindOther},
	} {
		b, err := AppendValue(nil, c.value)
		if err != nil {
			t.Fatal(err)
		}
		got := KindOf(b)
		if got != c.want {
			t.Errorf("KindOf(% x…) of a %T is %d, want %d", b[0], c.value, got, c.want)
		}
	}
	// A ulong in eight bytes that would fit into one, which no encoder here writes.
	if got := KindOf([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 1}); got != KindUlong {
		t.Errorf("a wide ulong is %d", got)
	}
}
