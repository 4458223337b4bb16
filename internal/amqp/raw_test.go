package amqp

import (
	"math"
	"testing"
	"time"
)

// A value that is only cut off is what the decoder makes of it.
func FuzzRaw(f *testing.F) {
	for _, v := range []any{
		nil, true, false, "text", Symbol("symbol"), int64(1), int64(math.MinInt64), int32(-1), int32(math.MaxInt32), time.UnixMilli(5), uint8(7), 1.5,
		List{}, List{int64(1), "a"}, Map{}, Map{{Key: "a", Value: int32(1)}}, []byte{1}, []string{"a"}, Described{Descriptor: uint64(1), Value: "x"},
	} {
		encoded, err := AppendValue(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add([]byte{codeBool, 2})
	f.Add([]byte{codeMap8, 1, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		raw, rest, ok := NextRaw(b)
		want, after, err := ReadValue(b)
		if !ok {
			if err == nil && b[0] != codeDescribed {
				t.Errorf("%x is %v, and was not cut off", b, want)
			}
			return
		}
		if err != nil {
			return // it is malformed inside
		}
		if len(rest) != len(after) {
			t.Errorf("%x leaves %d bytes, want %d", b, len(rest), len(after))
		}
		checks := map[string]bool{}
		text, is := raw.Text()
		s, wantIs := want.(string)
		checks["Text"] = is == wantIs && (!is || string(text) == s)
		text, is = raw.Symbol()
		symbol, wantIs := want.(Symbol)
		checks["Symbol"] = is == wantIs && (!is || string(text) == string(symbol))
		long, is := raw.Long()
		n, wantIs := want.(int64)
		checks["Long"] = is == wantIs && long == n
		short, is := raw.Int()
		m, wantIs := want.(int32)
		checks["Int"] = is == wantIs && short == m
		yes, is := raw.Bool()
		truth, wantIs := want.(bool)
		checks["Bool"] = is == wantIs && yes == truth
		ms, is := raw.Timestamp()
		at, wantIs := want.(time.Time)
		checks["Timestamp"] = is == wantIs && (!is || ms == at.UnixMilli())
		checks["IsNull"] = raw.IsNull() == (want == nil)
		count, _, is := raw.Map()
		pairs, wantIs := want.(Map)
		checks["Map"] = is == wantIs && (!is || count == 2*len(pairs))
		count, _, is = raw.List()
		list, wantIs := want.(List)
		checks["List"] = is == wantIs && (!is || count == len(list))
		for name, good := range checks {
			if !good {
				t.Errorf("%s of %x differs from %#v", name, b, want)
			}
		}
	})
}
