package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

func encodeJSON(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatalf("%#v: %v", v, err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func TestEveryValueBecomesJSONAndComesBack(t *testing.T) {
	at := time.Date(2026, 1, 31, 13, 0, 0, 250e6, time.FixedZone("", 3600))
	for _, test := range []struct {
		value any
		want  string
	}{
		{nil, "null"}, {true, "true"}, {false, "false"}, {"t <&> ü", `"t <&> ü"`}, {int64(math.MinInt64), "-9223372036854775808"}, {int64(math.MaxInt64), "9223372036854775807"},
		{1.5, "1.5"}, {1.0, "1.0"}, {-2.0, "-2.0"}, {math.Copysign(0, -1), "-0.0"}, {0.1, "0.1"}, {0.30000000000000004, "0.30000000000000004"}, {1234567.5, "1234567.5"},
		{1e20, "100000000000000000000.0"}, {1.2345678901234567e20, "123456789012345670000.0"}, {1e21, "1e+21"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{1e-6, "0.000001"}, {1e-7, "1e-07"}, {math.SmallestNonzeroFloat64, "5e-324"},
		{math.Float64frombits(0x7ff8000000000000), `{"double":"NaN"}`}, {math.NaN(), `{"double":"NaN(7ff8000000000001)"}`}, {math.Float64frombits(0xfff8000000000000), `{"double":"NaN(fff8000000000000)"}`},
		{math.Float32frombits(0x7fc00000), `{"float":"NaN"}`}, {math.Float32frombits(0xffc00001), `{"float":"NaN(ffc00001)"}`}, {math.Inf(1), `{"double":"+Inf"}`}, {math.Inf(-1), `{"double":"-Inf"}`},
		{float32(0.1), `{"float":0.1}`}, {float32(-2), `{"float":-2.0}`}, {float32(math.MaxFloat32), `{"float":3.4028235e+38}`}, {float32(math.Inf(-1)), `{"float":"-Inf"}`},
		{int8(-128), `{"byte":-128}`}, {int16(-32768), `{"short":-32768}`}, {int32(math.MinInt32), `{"int":-2147483648}`},
		{uint8(255), `{"ubyte":255}`}, {uint16(65535), `{"ushort":65535}`}, {uint32(math.MaxUint32), `{"uint":4294967295}`}, {uint64(math.MaxUint64), `{"ulong":18446744073709551615}`},
		{[]byte{0xff}, `{"binary":"/w=="}`}, {[]byte{}, `{"binary":""}`},
		{at, `{"timestamp":"2026-01-31T12:00:00.25Z"}`}, {time.UnixMilli(math.MinInt64 / 1000), `{"timestamp":-9223372036854775}`}, {time.UnixMilli(1 << 60), `{"timestamp":1152921504606846976}`},
		{amqp.Symbol("s"), `{"symbol":"s"}`}, {amqp.UUID{0: 1, 15: 2}, `{"uuid":"01000000-0000-0000-0000-000000000002"}`},
		{amqp.Char('ü'), `{"char":"ü"}`}, {amqp.Char(0xd800), `{"char":55296}`},
		{amqp.Decimal32{1, 2, 3, 4}, `{"decimal32":"01020304"}`}, {amqp.Decimal64{7: 1}, `{"decimal64":"0000000000000001"}`},
		{amqp.Decimal128{0x30, 0x40}, `{"decimal128":"30400000000000000000000000000000"}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(10_000_000)}, `{"timespan":"1s"}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(-1)}, `{"timespan":"-100ns"}`}, {amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(905_000_000)}, `{"timespan":"1m30.5s"}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(math.MaxInt64)}, `{"described":{"descriptor":{"symbol":"com.microsoft:timespan"},"value":9223372036854775807}}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int32(1)}, `{"described":{"descriptor":{"symbol":"com.microsoft:timespan"},"value":{"int":1}}}`},
		{amqp.Described{Descriptor: "com.microsoft:timespan", Value: int64(1)}, `{"described":{"descriptor":"com.microsoft:timespan","value":1}}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(639_315_037_230_040_000)}, `{"datetimeOffset":"2026-11-28T23:02:03.004Z"}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(0)}, `{"datetimeOffset":"0001-01-01T00:00:00Z"}`}, {amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(3155378975999999999)}, `{"datetimeOffset":"9999-12-31T23:59:59.9999999Z"}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(-1)}, `{"described":{"descriptor":{"symbol":"com.microsoft:datetime-offset"},"value":-1}}`}, {amqp.Described{Descriptor: amqp.Symbol("com.microsoft:datetime-offset"), Value: int64(3155378976000000000)}, `{"described":{"descriptor":{"symbol":"com.microsoft:datetime-offset"},"value":3155378976000000000}}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: "https://example.com/ü"}, `{"uri":"https://example.com/ü"}`}, {amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: ""}, `{"uri":""}`},
		{amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: nil}, `{"described":{"descriptor":{"symbol":"com.microsoft:uri"},"value":null}}`},
		{amqp.List{}, `{"list":[]}`}, {amqp.List{nil, int32(1), amqp.List{"a"}}, `{"list":[null,{"int":1},{"list":["a"]}]}`},
		{amqp.Map{}, `{"map":{}}`}, {amqp.Map{{Key: "b", Value: int64(1)}, {Key: "a<", Value: uint8(2)}}, `{"map":{"b":1,"a<":{"ubyte":2}}}`},
		{amqp.Map{{Key: amqp.Symbol("b"), Value: int64(1)}, {Key: nil, Value: nil}}, `{"map":[[{"symbol":"b"},1],[null,null]]}`},
		{[]string{"a", ""}, `{"array":{"of":"string","values":["a",""]}}`}, {[]int32{}, `{"array":{"of":"int","values":[]}}`}, {[]bool{true}, `{"array":{"of":"boolean","values":[true]}}`},
		{[]float64{1, math.NaN()}, `{"array":{"of":"double","values":[1.0,"NaN(7ff8000000000001)"]}}`}, {[]int64{1}, `{"array":{"of":"long","values":[1]}}`},
		{[]amqp.Symbol{"s"}, `{"array":{"of":"symbol","values":["s"]}}`}, {[][]byte{{1}}, `{"array":{"of":"binary","values":["AQ=="]}}`},
		{amqp.Ubytes{1, 2}, `{"array":{"of":"ubyte","values":[1,2]}}`}, {amqp.Ubytes{}, `{"array":{"of":"ubyte","values":[]}}`}, {[]amqp.List{{int64(1)}}, `{"array":{"of":"list","values":[[1]]}}`},
		{[]amqp.Map{}, `{"array":{"of":"map","values":[]}}`}, {[]amqp.Map{{{Key: "a", Value: true}}}, `{"array":{"of":"map","values":[{"a":true}]}}`},
		{amqp.Array{[]int64{1}, []int64{}}, `{"array":{"of":"array","values":[{"of":"long","values":[1]},{"of":"long","values":[]}]}}`},
	} {
		text := encodeJSON(t, eventjson.Value(test.value))
		if text != test.want {
			t.Errorf("%T %v: got %s, want %s", test.value, test.value, text, test.want)
		}
		wantSame(t, text, test.value)
	}
}

// wantSame makes a value of JSON and compares it with the original, both in AMQP's encoding.
func wantSame(t *testing.T, text string, value any) {
	t.Helper()
	back, err := parseAlone(json.RawMessage(text))
	if err != nil {
		t.Errorf("%s: it is %v", text, err)
		return
	}
	want, err := amqp.AppendValue(nil, value)
	if err != nil {
		t.Fatalf("%#v: %v", value, err)
	}
	if got, err := amqp.AppendValue(nil, back); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s comes back as %#v (% x, %v), want %#v (% x)", text, back, got, err, value, want)
	}
}

// A handler gets values in Go types, which stand for several of AMQP's.
func TestTheValuesOfAHandlerBecomeJSON(t *testing.T) {
	for _, test := range []struct {
		value any
		want  string
	}{
		{[16]byte{2}, `{"uuid":"02000000-0000-0000-0000-000000000000"}`}, {'a', `{"int":97}`},
		{map[any]any{"b": int64(1), "a": "x"}, `{"map":{"a":"x","b":1}}`}, {map[any]any{int64(1): []byte{1}}, `{"map":[[1,{"binary":"AQ=="}]]}`},
		{[]any{math.NaN(), []byte{1}}, `{"list":[{"double":"NaN(7ff8000000000001)"},{"binary":"AQ=="}]}`}, {[][16]byte{{3}}, `{"array":{"of":"uuid","values":["03000000-0000-0000-0000-000000000000"]}}`},
		{amqp.Array{amqp.Described{Descriptor: uint64(1), Value: "a"}}, `{"array":{"of":"described","values":[{"descriptor":{"ulong":1},"value":"a"}]}}`},
		{"\xff", `{"brokenString":"/w=="}`}, {amqp.Symbol("\xff"), `{"brokenString":"/w=="}`}, {[]string{"\xff", "a"}, `{"array":{"of":"brokenString","values":["/w==","a"]}}`},
	} {
		if got := encodeJSON(t, eventjson.Value(test.value)); got != test.want {
			t.Errorf("%T %v: got %s, want %s", test.value, test.value, got, test.want)
		}
	}
	// AMQP has no such value; any printable text will do.
	if kind, content := eventjson.Describe(make(chan int)); kind != "unknown" || content == nil {
		t.Errorf("got %q, %v", kind, content)
	}
}

// A number must keep its value, or be refused.
func TestNumbersAreExactOrRefused(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-1": int64(-1), "9223372036854775807": int64(math.MaxInt64), "-9223372036854775808": int64(math.MinInt64),
		"9223372036854775808": uint64(1 << 63), "18446744073709551615": uint64(math.MaxUint64),
		"1.0": 1.0, "1e3": 1000.0, "-0.0": math.Copysign(0, -1), "1E-2": 0.01, "0.10000000000000001": 0.1, "1.7976931348623157e308": math.MaxFloat64, "5e-324": math.SmallestNonzeroFloat64,
		"0e999999999999": 0.0, "1.000000000000000000000000": 1.0, "100000000000000000000000.0": 1e23,

		"18446744073709551616": "which is too large a number", "-9223372036854775809": "which is too large a number",
		"123456789012345678901234567890123456789012345678901234567890123": "which is too large a number; the largest is 18446744073709551615",
		"1e400": "which is too large a number", "-1e400": "which is too large a number", "1e99999999999999": "which is too large a number", "1e-400": "which is too small a number",
		"0.1234567890123456789": "which has more digits than a floating-point number keeps", "12345678901234567890.0": "which has more digits",
	} {
		got, err := parseAlone(json.RawMessage(text))
		if message, refused := want.(string); refused {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%s: got %v, %v, want that it is refused: %s", text, got, err, message)
			}
			continue
		}
		// The text also distinguishes 0 from -0.
		if err != nil || fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
			t.Errorf("%s: got %v (%T), %v, want %v (%T)", text, got, got, err, want, want)
		}
	}
}

func TestWhatIsNoValueIsRefusedByName(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "an object; a value without a JSON type", `{"int":1,"uint":2}`: "an object; a value without a JSON type",
		`[1]`: "a list without the name of its type", `{"number":1}`: `of the type "number", which AMQP does not have`, `{"brokenString":"/w=="}`: "text that is not UTF-8",
		`{"ubyte":256}`: "256, which is no whole number from 0 to 255", `{"ubyte":-1}`: "from 0 to 255", `{"ubyte":1.0}`: "from 0 to 255", `{"ubyte":"1"}`: "from 0 to 255",
		`{"ulong":18446744073709551616}`: "from 0 to 18446744073709551615", `{"byte":128}`: "from -128 to 127", `{"long":1e3}`: "from -9223372036854775808 to 9223372036854775807",
		`{"float":1e39}`: "too large", `{"float":1e-50}`: "too small", `{"float":"x"}`: "no number", `{"double":true}`: "no number", `{"double":"Infinity"}`: "no number", `{"double":"NaN(7ff0000000000000)"}`: "no number", `{"float":"NaN(7ff8000000000001)"}`: "no number",
		`{"timestamp":"today"}`: "no time in RFC 3339", `{"timestamp":1.5}`: "neither a time", `{"timestamp":"2026-01-31T12:00:00.0001Z"}`: "finer than the milliseconds",
		`{"char":"ab"}`: "not one character", `{"char":""}`: "not one character", `{"char":-1}`: "no character", `{"uuid":"1"}`: "no UUID", `{"binary":"*"}`: "not base64", `{"binary":7}`: "not base64",
		`{"decimal128":"00"}`: "not 32 hexadecimal digits", `{"symbol":"ü"}`: "not ASCII", `{"symbol":1}`: "no text", `{"string":1}`: "no text", `{"boolean":1}`: "not true or false", `{"null":1}`: "not null",
		`{"list":1}`: "no list", `{"list":[{}]}`: "a list, and element 0 is an object", `{"map":1}`: "no map", `{"map":[[1]]}`: "pair 0 is not a key and a value", `{"map":{"a":[]}}`: `a map, and its "a" is a list`,
		`{"map":{"a":1,"a":2}}`: `has "a" twice`, `{"described":1}`: "no described value", `{"described":{"value":1}}`: "its descriptor is missing", `{"described":{"descriptor":1}}`: "its value is missing",
		`{"described":{"descriptor":1,"value":1,"more":1}}`: "no described value", `{"array":{"of":"int"}}`: "no array", `{"array":{"of":"int","values":[1.5]}}`: "element 0 is 1.5",
		`{"array":{"of":"number","values":[]}}`: `of the type "number"`, `{"array":[1]}`: "no array",
	} {
		if got, err := parseAlone(json.RawMessage(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

// randomValue makes a value of any type, nested at most depth deep.
func randomValue(r *rand.Rand, depth int) any {
	scalars := []func() any{
		func() any { return nil }, func() any { return r.IntN(2) == 0 }, func() any { return randomText(r) }, func() any { return amqp.Symbol(randomASCII(r)) },
		func() any { return int64(r.Uint64() >> r.IntN(64)) }, func() any { return int32(r.Uint32()) }, func() any { return int16(r.Uint32()) }, func() any { return int8(r.Uint32()) },
		func() any { return r.Uint64() >> r.IntN(64) }, func() any { return r.Uint32() }, func() any { return uint16(r.Uint32()) }, func() any { return uint8(r.Uint32()) },
		func() any { return math.Float64frombits(r.Uint64()) }, func() any { return float64(r.IntN(1000)) / 8 }, func() any { return math.Float32frombits(r.Uint32()) },
		func() any { return []byte(randomText(r)) }, func() any { return time.UnixMilli(int64(r.Uint64()) >> r.IntN(40)) }, func() any { return amqp.UUID{byte(r.Uint32())} },
		func() any { return amqp.Char(r.IntN(0x110000)) }, func() any { return amqp.Decimal32{byte(r.Uint32())} }, func() any { return amqp.Decimal64{byte(r.Uint32())} }, func() any { return amqp.Decimal128{byte(r.Uint32())} },
		func() any { return []string{randomText(r), randomText(r)} }, func() any { return []int16{int16(r.Uint32())} }, func() any { return []amqp.UUID{{1}, {2}}[:r.IntN(3)] }, func() any { return []amqp.Char{'a'} },
		func() any { return []time.Time{time.UnixMilli(int64(r.Uint32()))} }, func() any { return []amqp.Decimal64{{1}} }, func() any { return []float32{0.5, -1}[:r.IntN(3)] },
	}
	if depth == 0 || r.IntN(3) > 0 {
		return scalars[r.IntN(len(scalars))]()
	}
	switch r.IntN(3) {
	case 0:
		return amqp.Described{Descriptor: randomValue(r, 0), Value: randomValue(r, depth-1)}
	case 1:
		list := make(amqp.List, r.IntN(4))
		for i := range list {
			list[i] = randomValue(r, depth-1)
		}
		return list
	default:
		m := make(amqp.Map, r.IntN(4))
		for i := range m {
			m[i] = amqp.Pair{Key: randomText(r), Value: randomValue(r, depth-1)}
			if r.IntN(4) == 0 {
				m[i].Key = randomValue(r, 0)
			}
		}
		return m
	}
}

func randomASCII(r *rand.Rand) string {
	b := make([]byte, r.IntN(10))
	for i := range b {
		b[i] = byte(r.IntN(128))
	}
	return string(b)
}

func randomText(r *rand.Rand) string {
	runes := make([]rune, r.IntN(6))
	for i := range runes {
		runes[i] = rune(r.IntN(0x110000))
	}
	return string(runes)
}

func TestAnyValueComesBackFromJSON(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		value := randomValue(r, 3)
		wantSame(t, encodeJSON(t, eventjson.Value(value)), value)
		if t.Failed() {
			return
		}
	}
}
