package amqp_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// Values that go-amqp has read, some in types that it does not export, are encoded unchanged.
func TestWhatGoAMQPReadsIsEncodedAsItWas(t *testing.T) {
	type l = amqp.List
	type d = amqp.Described
	sym := func(s string) amqp.Symbol { return amqp.Symbol(s) }
	for name, v := range map[string]any{
		"TimeSpan": d{sym("com.microsoft:timespan"), int64(10_000_000)}, "DateTimeOffset": d{sym("com.microsoft:datetime-offset"), int64(638_000_000_000_000_000)},
		"Uri": d{sym("com.microsoft:uri"), "http://host/"}, "a number describes": d{uint64(0x468C00000004), l{true}}, "a small number describes": d{uint64(1), nil},
		"described twice": d{sym("a"), d{sym("b"), "x"}}, "described in a list": l{d{sym("a"), l{d{uint64(300), 1}}}}, "another type describes": d{int8(-1), "x"},
		"uuid": amqp.UUID{1, 15: 2}, "null": nil, "timestamp": time.UnixMilli(math.MinInt64),
		"ubytes": amqp.Ubytes{1, 2, 255}, "no ubytes": amqp.Ubytes{}, "many ubytes": make(amqp.Ubytes, 300), "binary": []byte{1, 2, 255}, "empty binary": []byte{},
		"bytes": []int8{-128, 127}, "shorts": []int16{-32768, 1}, "ints": []int32{math.MinInt32, -129, 1}, "longs": []int64{math.MinInt64, -129, 1},
		"ushorts": []uint16{1}, "uints": []uint32{1 << 31}, "ulongs": []uint64{1 << 63}, "floats": []float32{1.5}, "doubles": []float64{math.Inf(-1)}, "booleans": []bool{true, false},
		"strings": []string{"", "x"}, "symbols": []amqp.Symbol{"", "x"}, "binaries": [][]byte{{}, {1}}, "timestamps": []time.Time{time.UnixMilli(math.MaxInt64), time.UnixMilli(-1)}, "uuids": []amqp.UUID{{1}},
		"maps": []amqp.Map{{{"k", int64(1)}}, {}}, "no maps": []amqp.Map{}, "no strings": []string{}, "no symbols": []amqp.Symbol{}, "no uuids": []amqp.UUID{}, "no timestamps": []time.Time{}, "no binaries": [][]byte{},
		"map": amqp.Map{{"k", amqp.Map{{uint64(1), l{}}}}}, "empty map": amqp.Map{}, "null key": amqp.Map{{nil, nil}}, "uuid key": amqp.Map{{amqp.UUID{7}, true}}, "time key": amqp.Map{{time.UnixMilli(1), true}},
		// go-amqp decodes known parts of the protocol wherever they occur.
		"error": d{uint64(0x1d), l{sym("amqp:not-found"), "text", amqp.Map{{"k", int64(1)}}}}, "nameless error": d{uint64(0x1d), l{sym("")}}, "short error": d{uint64(0x1d), l{sym("amqp:not-found")}}, "error without text": d{uint64(0x1d), l{sym("x"), nil, amqp.Map{{"k", nil}}}},
		"received": d{uint64(0x23), l{uint32(1), uint64(2)}}, "accepted": d{uint64(0x24), l{}}, "rejected": d{uint64(0x25), l{d{uint64(0x1d), l{sym("x")}}}}, "rejected for no reason": d{uint64(0x25), l{}},
		"released": d{uint64(0x26), l{}}, "modified": d{uint64(0x27), l{true, nil, amqp.Map{{sym("a"), "b"}}}}, "modified in no way": d{uint64(0x27), l{}}, "modified here": d{uint64(0x27), l{nil, true}},
		"delete-on-close": d{uint64(0x2b), l{}}, "delete-on-no-links-or-messages": d{uint64(0x2e), l{}},
	} {
		want, err := (&amqp.Message{Value: v, HasValue: true}).AppendTo(nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var m goamqp.Message
		if err := m.UnmarshalBinary(want); err != nil {
			t.Errorf("%s: go-amqp does not read it: %v", name, err)
			continue
		}
		got, err := (&amqp.Message{Value: m.Value, HasValue: true}).AppendTo(nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: go-amqp read a %T, encoded\n %x, error %v; want\n %x", name, m.Value, got, err, want)
		}
	}
}

// FuzzWhatGoAMQPReads checks that go-amqp's decoded form of any bytes can be encoded, and that
// go-amqp decodes it to the same.
func FuzzWhatGoAMQPReads(f *testing.F) {
	for _, v := range []any{nil, "x", amqp.Map{{"k", amqp.List{amqp.UUID{}, amqp.Described{Descriptor: amqp.Symbol("d"), Value: []string{"a"}}}}}, amqp.Ubytes{1}, []amqp.Map{{{uint64(1), 1.5}}},
		amqp.Described{Descriptor: uint64(0x1d), Value: amqp.List{amqp.Symbol("c")}}, []time.Time{time.UnixMilli(0)}} {
		b, err := amqp.AppendValue(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := readByGoAMQP(b)
		if !ok {
			return
		}
		encoded, err := amqp.AppendValue(nil, v)
		if err != nil {
			for _, forbidden := range []string{"UTF-8", "ASCII", "too deep", "twice"} {
				if strings.Contains(err.Error(), forbidden) {
					return
				}
			}
			t.Fatalf("go-amqp reads %#v from %x: %v", v, b, err)
		}
		again, ok := readByGoAMQP(encoded)
		if !ok || !reflect.DeepEqual(v, again) && fmt.Sprint(v) != fmt.Sprint(again) { // a NaN is not equal to itself
			t.Errorf("go-amqp reads %#v from %x, and %#v from what we make of it, %x", v, b, again, encoded)
		}
	})
}

// readByGoAMQP reads one value. ok is false if there is none, or more than one.
func readByGoAMQP(encoded []byte) (v any, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	var m goamqp.Message
	err := m.UnmarshalBinary(append(amqp.AppendSectionHeader(nil, amqp.SectionValue), encoded...))
	v, m.Value = m.Value, nil
	return v, err == nil && reflect.DeepEqual(m, goamqp.Message{})
}
