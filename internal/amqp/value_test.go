package amqp

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

var testTime = time.Date(2026, 11, 21, 1, 2, 3, 4_000_000, time.UTC)

type (
	myString string
	myInt    int32
	guid     [16]byte
	myTime   time.Time
)

// foreign has types that are named as go-amqp names its own.
type foreign struct{}

func TestValuesSurviveEncoding(t *testing.T) {
	long := strings.Repeat("é", 200)
	many := make(List, 300)
	for i := range many {
		many[i] = int32(i)
	}
	for _, v := range []any{
		nil, true, false,
		uint8(0), uint8(255), uint16(0), uint16(65535), uint32(0), uint32(255), uint32(256), uint32(math.MaxUint32),
		uint64(0), uint64(255), uint64(256), uint64(math.MaxUint64),
		int8(-128), int16(-32768), int32(0), int32(-128), int32(127), int32(128), int32(math.MinInt32),
		int64(0), int64(-128), int64(128), int64(math.MinInt64), int64(math.MaxInt64),
		float32(1.5), math.Pi, math.Inf(-1), Char('é'), testTime, time.UnixMilli(-1).UTC(), UUID{1, 2, 15: 3},
		Decimal32{1, 2, 3, 4}, Decimal64{1, 7: 2}, Decimal128{1, 15: 2},
		"", "text", long, Symbol(""), Symbol("sym"), Symbol(strings.Repeat("s", 400)), []byte{}, []byte{1, 2}, []byte(long),
		List{}, List{nil, int32(1), "x", List{true}}, many,
		Map{}, Map{{"k", int64(1)}, {Symbol("s"), nil}, {uint64(3), Map{}}}, Map{{"big", long}},
		Described{Symbol("d:x"), List{int32(1)}}, Described{Described{Symbol("d:x"), Described{Symbol("d:y"), "z"}}, Described{uint64(1), true}}, Described{uint64(0x468C00000004), "amqp.annotation.x-opt-offset > '-1'"},
		[]string{"a", long}, []Symbol{"a"}, []bool{true, false}, []int8{-1}, []int16{-1}, []int32{1, -1}, []int64{1, 1 << 40},
		[]uint16{1}, []uint32{1}, []uint64{1}, []float32{1}, []float64{1}, []time.Time{testTime}, []UUID{{1}}, []Char{'x'},
		[][]byte{{1}, {}}, []string{}, []Symbol{}, []int32{},
		Ubytes{1, 2}, Ubytes{}, Ubytes(long), Ubytes(long[:253]), Ubytes(long[:254]), []List{{}, {"a"}, many}, []List{}, []Map{{{"a", "b"}}, {}}, []Map{},
		Array{}, Array{[]int32{1}, []int32{2, 3}}, Array{Ubytes{1}, Ubytes(long)},
		Array{Decimal32{1}, Decimal32{2}}, Array{Decimal64{1}}, Array{Decimal128{1}},
	} {
		b, err := AppendValue([]byte("before"), v)
		if err != nil {
			t.Errorf("%T %v: %v", v, v, err)
			continue
		}
		got, rest, err := ReadValue(append(b[len("before"):], "after"...))
		if err != nil || string(rest) != "after" || !reflect.DeepEqual(got, v) {
			t.Errorf("%T %v: got %T %v, rest %q, error %v", v, v, got, got, rest, err)
		}
		if rest, err := SkipValue(append(b[len("before"):], "after"...)); err != nil || string(rest) != "after" {
			t.Errorf("%T %v: skipping leaves %q, error %v", v, v, rest, err)
		}
	}
}

func TestGoTypesHaveAnAMQPForm(t *testing.T) {
	type Symbol string
	type UUID [16]byte
	type Null struct{}
	type DescribedType struct{ Descriptor, Value any }
	one, text := 1, "x"
	tests := []struct{ in, want any }{
		{int(-5), int64(-5)}, {uint(5), uint64(5)}, {'x', int32('x')}, {byte(1), uint8(1)},
		{&one, int64(1)}, {(*int)(nil), nil}, {&text, "x"}, {(*string)(nil), nil}, {(*time.Time)(nil), nil}, {&testTime, testTime},
		{map[string]any{"a": 1}, Map{{"a", int64(1)}}}, {map[any]any{uint64(1): "x"}, Map{{uint64(1), "x"}}}, {map[string]string{"a": "b"}, Map{{"a", "b"}}},
		{map[Symbol]int32{"s": 3}, Map{{symbolOf("s"), int32(3)}}}, {map[string]any(nil), Map{}},
		{[]any{1, "x"}, List{int64(1), "x"}}, {[]any(nil), List{}}, {[]int{1, 2}, []int64{1, 2}}, {[]uint{1}, []uint64{1}},
		{myString("s"), "s"}, {myInt(7), int32(7)}, {time.Duration(9), int64(9)}, {myTime(testTime), testTime},
		{Symbol("s"), symbolOf("s")}, {[]Symbol{"s"}, []any{symbolOf("s")}}, {[]Symbol{}, []any{}}, {UUID{5}, uuidOf(5)}, {[]UUID{{5}}, []any{uuidOf(5)}}, {Null{}, nil},
		{[16]byte{5}, uuidOf(5)}, {[][16]byte{{5}}, []any{uuidOf(5)}}, {[][16]byte{}, []any{}}, {[]map[any]any{{1: 2}}, []Map{{{int64(1), int64(2)}}}}, {[]map[any]any{}, []Map{}}, {[][]any{}, []List{}},
		{DescribedType{Symbol("d"), int32(1)}, Described{symbolOf("d"), int32(1)}}, {DescribedType{"d", "x"}, Described{symbolOf("d"), "x"}}, {DescribedType{myString("d"), nil}, Described{symbolOf("d"), nil}},
		{DescribedType{int8(1), nil}, Described{int8(1), nil}}, {Described{"d", "x"}, Described{"d", "x"}}, {[]myString{"a"}, []string{"a"}}, {[]myInt{3}, []int32{3}},
	}
	for _, tt := range tests {
		b, err := AppendValue(nil, tt.in)
		if err != nil {
			t.Errorf("%T: %v", tt.in, err)
			continue
		}
		got, rest, err := ReadValue(b)
		if err != nil || len(rest) != 0 {
			t.Errorf("%T: rest %x, error %v", tt.in, rest, err)
		}
		if list, ok := tt.want.([]any); ok { // a slice of any element type
			if fmt.Sprint(got) != fmt.Sprint(list) {
				t.Errorf("%T %v: got %T %v", tt.in, tt.in, got, got)
			}
		} else if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%T %v: got %T %v, want %T %v", tt.in, tt.in, got, got, tt.want, tt.want)
		}
	}
}

func symbolOf(s string) Symbol { return Symbol(s) }
func uuidOf(b byte) UUID       { return UUID{b} }

func TestGoTypesWithoutAnAMQPForm(t *testing.T) {
	type Symbol string // as another package has it
	named := func(s string) any { return Symbol(s) }
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	tests := []struct {
		in   any
		want string
	}{
		{struct{ A int }{}, "struct"}, {make(chan int), "chan int"}, {func() {}, "func()"}, {complex(1, 1), "complex128"}, {foreign{}, "amqp.foreign"},
		{guid{}, "amqp.guid"}, {map[string]any{"key": make(chan int)}, "key"}, {List{1, make(chan int)}, "element 1"},
		{"\xff", "UTF-8"}, {[]string{"\xff"}, "UTF-8"}, {Array{1, "x"}, "another type"}, {Array{nil}, "null"}, {[]*int{nil}, "array's element"}, {cyclic, "too deep"},
		{struct{ A int }{}, "may be a bool"}, {[16]int8{}, "[16]int8"}, {symbolOf("é"), "not ASCII"}, {[]Symbol{"é"}, "not ASCII"}, {named("é"), "not ASCII"}, {Described{symbolOf("é"), 1}, "not ASCII"},
		{time.UnixMilli(math.MaxInt64).Add(time.Millisecond), "2^63 milliseconds"}, {[]time.Time{time.UnixMilli(math.MinInt64).Add(-time.Millisecond)}, "2^63 milliseconds"},
		{map[any]any{1: "a", int64(1): "b"}, "key 1 twice"}, {map[any]any{"k": 1, myString("k"): 2, true: 3}, "key k twice"}, {map[time.Time]int{testTime: 1, testTime.Add(1): 2}, "twice"},
		{List{map[*string]int{new("k"): 1, new("k"): 2}}, "key k twice"}, {map[float64]int{math.NaN(): 1, math.NaN(): 2}, "key NaN twice"},
	}
	for _, tt := range tests {
		b, err := AppendValue([]byte("x"), tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.want) || string(b) != "x" {
			t.Errorf("%T: got %q, error %v; want %q", tt.in, b, err, tt.want)
		}
	}
}

// Every constructor that a peer may choose for a value.
func TestConstructorForms(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want any
	}{
		{"null", []byte{0x40}, nil}, {"true", []byte{0x41}, true}, {"false", []byte{0x42}, false}, {"boolean 1", []byte{0x56, 1}, true}, {"boolean 0", []byte{0x56, 0}, false},
		{"uint0", []byte{0x43}, uint32(0)}, {"smalluint", []byte{0x52, 9}, uint32(9)}, {"uint", []byte{0x70, 0, 0, 0, 9}, uint32(9)},
		{"ulong0", []byte{0x44}, uint64(0)}, {"smallulong", []byte{0x53, 9}, uint64(9)}, {"ulong", []byte{0x80, 0, 0, 0, 0, 0, 0, 0, 9}, uint64(9)},
		{"smallint", []byte{0x54, 0xff}, int32(-1)}, {"int", []byte{0x71, 0xff, 0xff, 0xff, 0xff}, int32(-1)},
		{"smalllong", []byte{0x55, 0xff}, int64(-1)}, {"long", []byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, int64(-1)},
		{"str8", []byte{0xa1, 1, 'x'}, "x"}, {"str32", []byte{0xb1, 0, 0, 0, 1, 'x'}, "x"}, {"sym8", []byte{0xa3, 1, 'x'}, Symbol("x")}, {"sym32", []byte{0xb3, 0, 0, 0, 1, 'x'}, Symbol("x")},
		{"vbin8", []byte{0xa0, 1, 'x'}, []byte("x")}, {"vbin32", []byte{0xb0, 0, 0, 0, 1, 'x'}, []byte("x")},
		{"list0", []byte{0x45}, List{}}, {"list8", []byte{0xc0, 2, 1, 0x41}, List{true}}, {"list32", []byte{0xd0, 0, 0, 0, 5, 0, 0, 0, 1, 0x41}, List{true}},
		{"map8", []byte{0xc1, 3, 2, 0x41, 0x42}, Map{{true, false}}}, {"map32", []byte{0xd1, 0, 0, 0, 6, 0, 0, 0, 2, 0x41, 0x42}, Map{{true, false}}},
		{"array8", []byte{0xe0, 4, 2, 0x50, 1, 2}, Ubytes{1, 2}}, {"array32", []byte{0xf0, 0, 0, 0, 6, 0, 0, 0, 1, 0x54, 5}, []int32{5}},
		{"array of sym8", []byte{0xe0, 5, 1, 0xa3, 2, 'a', 'b'}, []Symbol{"ab"}}, {"array of zero-width", []byte{0xe0, 2, 3, 0x41}, []bool{true, true, true}},
		{"array of described", []byte{0xe0, 6, 1, 0x00, 0x53, 7, 0x54, 1}, Array{Described{uint64(7), int32(1)}}},
		{"described, smallulong", []byte{0, 0x53, 5, 0x41}, Described{uint64(5), true}}, {"described, symbol", []byte{0, 0xa3, 1, 'd', 0x41}, Described{Symbol("d"), true}},
	}
	for _, tt := range tests {
		got, rest, err := ReadValue(tt.in)
		if err != nil || len(rest) != 0 || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %T %v, rest %x, error %v", tt.name, got, got, rest, err)
		}
		for n := range tt.in {
			if v, _, err := ReadValue(tt.in[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d bytes: got %v, error %v", tt.name, n, v, err)
			}
		}
	}
}

func TestMalformedValues(t *testing.T) {
	deep := append(bytes.Repeat([]byte{0xc0, 0xff, 1}, 100), 0x40)
	for i := range 100 { // sizes that fit
		deep[3*i+1] = byte(min(255, 3*(100-i)-1))
	}
	tests := []struct {
		name string
		in   []byte
	}{
		{"undefined code", []byte{0x3f}}, {"undefined narrow code", []byte{0x46}}, {"undefined wide code", []byte{0x75, 0, 0, 0, 0}}, {"undefined variable code", []byte{0xa2, 0}},
		{"undefined compound code", []byte{0xc3, 1, 0}}, {"boolean 2", []byte{0x56, 2}}, {"odd map", []byte{0xc1, 2, 1, 0x41}}, {"list count beyond its size", []byte{0xc0, 2, 9, 0x41}},
		{"list32 of 4 billion", []byte{0xd0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x41}}, {"array of 4 billion nulls", []byte{0xf0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x40}},
		{"array of too many trues", []byte{0xf0, 0, 0, 0, 5, 0, 0, 1, 1, 0x41}}, {"array without constructor", []byte{0xe0, 1, 0}}, {"string of 4 GB", []byte{0xb1, 0xff, 0xff, 0xff, 0xff, 'x'}},
		{"deep lists", deep}, {"deep descriptors", bytes.Repeat([]byte{0}, 1000)}, {"deep described values", bytes.Repeat([]byte{0, 0x41}, 1000)},
		{"deep arrays", append(bytes.Repeat([]byte{0xe0, 200, 1}, 60), 0x40)},
	}
	for _, tt := range tests {
		if v, _, err := ReadValue(tt.in); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, error %v", tt.name, v, err)
		}
	}
}

func TestNestingIsBoundedInTheSameWayForSkippingAndDecoding(t *testing.T) {
	for _, levels := range []int{1, maxDepth, maxDepth + 1, 1000} {
		for name, b := range map[string][]byte{
			"descriptors": append(bytes.Repeat([]byte{0}, levels), bytes.Repeat([]byte{0x41}, levels+1)...),
			"values":      append(bytes.Repeat([]byte{0, 0x41}, levels), 0x41),
		} {
			_, rest, err := ReadValue(b)
			skipped, skipErr := SkipValue(b)
			if good := levels <= maxDepth; good != (err == nil) || good != (skipErr == nil) || len(rest)+len(skipped) > 0 {
				t.Errorf("%d %s: decoding leaves %x, error %v; skipping leaves %x, error %v; want an error only beyond %d", levels, name, rest, err, skipped, skipErr, maxDepth)
			}
		}
	}
}

func TestFixedWidthForms(t *testing.T) {
	if got, want := AppendInt4(nil, 5), []byte{0x71, 0, 0, 0, 5}; !bytes.Equal(got, want) {
		t.Errorf("AppendInt4: %x, want %x", got, want)
	}
	if got, want := AppendSectionHeader(nil, SectionData), []byte{0, 0x53, 0x75}; !bytes.Equal(got, want) {
		t.Errorf("AppendSectionHeader: %x, want %x", got, want)
	}
	if got, want := AppendBinaryHeader(nil, 255), []byte{0xa0, 255}; !bytes.Equal(got, want) {
		t.Errorf("AppendBinaryHeader(255): %x, want %x", got, want)
	}
	if got, want := AppendBinaryHeader(nil, 256), []byte{0xb0, 0, 0, 1, 0}; !bytes.Equal(got, want) {
		t.Errorf("AppendBinaryHeader(256): %x, want %x", got, want)
	}
	b, mark := BeginMap(nil)
	b = AppendString(AppendSymbol(b, "k"), "v")
	if got, want := EndMap(b, mark, 1), []byte{0xc1, 7, 2, 0xa3, 1, 'k', 0xa1, 1, 'v'}; !bytes.Equal(got, want) {
		t.Errorf("map: %x, want %x", got, want)
	}
}

func TestTheEndsOfTimeAreTimestamps(t *testing.T) {
	for _, ms := range []int64{math.MinInt64, math.MinInt64 + 1, -62135596800000, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64} {
		want := be.AppendUint64([]byte{codeTimestamp}, uint64(ms))
		for _, at := range []time.Time{time.UnixMilli(ms), time.UnixMilli(ms).UTC(), time.UnixMilli(ms).Add(time.Millisecond - 1)} { // units below a millisecond are cut off
			if got, err := AppendValue(nil, at); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d ms is %x, error %v; want %x", ms, got, err, want)
			}
		}
	}
}
