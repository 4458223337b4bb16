package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

func TestBodiesOfEveryKindArePrinted(t *testing.T) {
	for _, test := range []struct {
		message amqp.Message
		want    string
		text    string
	}{
		{amqp.Message{Data: [][]byte{[]byte("a"), []byte("b")}}, `"body":"ab","bodyLengths":[1,1]`, "ab"},
		{amqp.Message{Data: [][]byte{{}}}, `"body":""`, ""},
		// The next three are a tombstone in each of its forms.
		{amqp.Message{}, `"bodyValue":null`, "-"},
		{amqp.Message{HasValue: true}, `"bodyValue":null,"types":{"body":"null"}`, "-"},
		{amqp.Message{Data: [][]byte{nil}}, `"bodyValue":null,"types":{"body":"nullData"}`, "-"},
		{amqp.Message{Data: [][]byte{nil, {}, []byte("a")}}, `"body":"a","bodyLengths":[-1,0,1]`, "a"},
		{amqp.Message{HasValue: true, Value: int32(1)}, `"bodyValue":1,"types":{"body":"int"}`, "1"},
		{amqp.Message{Data: [][]byte{{0xc3}, {0xbc}}}, `"body":"ü","bodyLengths":[1,1]`, "ü"},
		{amqp.Message{HasValue: true, Value: false}, `"bodyValue":false`, "false"},
		{amqp.Message{HasValue: true, Value: "\x1b[2J"}, `"bodyValue":"\u001b[2J"`, `"\u001b[2J"`},
		{amqp.Message{Sequences: []amqp.List{{int64(1)}, {int64(2)}}}, `"bodyValue":[[1],[2]],"types":{"body":"sequences"}`, "[[1],[2]]"},
		{amqp.Message{Data: [][]byte{{'a', 0xff, 0}}}, `"bodyBase64":"Yf8A"`, `"a\xff\x00"`},
	} {
		test.message.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k\x1b\n"}}
		r := newEventRecord("0", &consumer.Event{Message: test.message})
		want := `{"partition":"0","sequenceNumber":0,"offset":"","enqueuedTime":"","key":"k\u001b\n","properties":{},` + test.want + "}"
		if got := string(r.AppendTo(nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := string(r.appendText(nil)), "0\t0\t\tk\\x1b\\n\t"+test.text+"\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The quick encoder must write what encoding/json writes, for any message.
func TestARecordIsEncodedAsByThePackageJSON(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	maker, r := amqptest.Random(seed), rand.New(rand.NewPCG(seed, 1))
	for range 3_000 {
		m := maker.Message()
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: "odd", Value: randomValue(r, 3)}, amqp.Pair{Key: randomText(r), Value: randomText(r)})
		record := newEventRecord("7", &consumer.Event{SequenceNumber: r.Int64(), Offset: randomText(r), EnqueuedTime: time.UnixMilli(r.Int64N(1 << 40)), Message: m})
		if got, want := string(record.AppendTo(nil)), encodeJSON(t, record); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func FuzzJSONString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "ü€😀\u2028\u2029\ufffd", "\xff\xc3\x28", "<&>"} {
		f.Add(seed)
	}
	const line = "a line of text that is longer than one step, and then longer than two of them"
	for i := range len(line) { // plain bytes are skipped in steps
		for _, middle := range []string{"\x00", "\n", "\x1f", "\"", "\\", "\x7f", "\x80", "\xff", "ü", "\u2028"} {
			f.Add(line[:i] + middle + line[i:])
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := string(eventjson.AppendString(nil, text)), encodeJSON(t, text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if got, want := string(appendQuoted(nil, []byte(text))), strconv.Quote(text); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := printable(text); strings.ContainsFunc(got, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("%q: a control character is in %q", text, got)
		}
	})
}

func TestAnyBytesAreQuotedAsInGo(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2_000 {
		b := []byte(randomText(r) + "\x00\a\t\v\"\\\x7f'" + randomText(r))
		for range 5 {
			b[r.IntN(len(b))] = byte(r.Uint32())
		}
		if got, want := string(appendQuoted(nil, b)), strconv.Quote(string(b)); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// A terminal may take a single byte beyond ASCII for a control character.
func TestBytesThatAreNoTextAreEscaped(t *testing.T) {
	const text, want = "a\x9b2Jü\xff\ufffd€\xe2", `a\x9b2Jü\xff` + "\ufffd€" + `\xe2`
	if got := printable(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrintableCharactersAreThoseOfGo(t *testing.T) {
	for r := range rune(unicode.MaxRune + 1) {
		if got, want := isPrint(r), strconv.IsPrint(r); got != want {
			t.Errorf("isPrint(%U) is %v, want %v", r, got, want)
		}
	}
}

func BenchmarkPrint(b *testing.B) {
	body := []byte(`{"text":"` + strings.Repeat("0123456789 abc.", 68) + `"}`)
	binary := make([]byte, 1024)
	for i := range binary {
		binary[i] = byte(i * 167)
	}
	for name, test := range map[string]struct {
		kind layoutKind
		body []byte
	}{"json": {layoutJSON, body}, "text": {layoutText, body}, "json of bytes": {layoutJSON, binary}, "text of bytes": {layoutText, binary}} {
		m := amqp.Message{
			Annotations: amqp.Map{
				{Key: amqp.Symbol(eventjson.SequenceAnnotation), Value: int64(123456)}, {Key: amqp.Symbol(eventjson.OffsetAnnotation), Value: "123456"},
				{Key: amqp.Symbol(eventjson.EnqueuedAnnotation), Value: time.Now()}, {Key: amqp.Symbol(eventjson.KeyAnnotation), Value: "key"},
			},
			Data: [][]byte{test.body},
		}
		encoded, err := m.AppendTo(nil)
		if err != nil {
			b.Fatal(err)
		}
		e := consumer.Event{Encoded: encoded}
		e.Decode()
		print := func(name string, once func(p *printer, dst []byte) []byte) {
			b.Run(name, func(b *testing.B) {
				p := newPrinter(&layout{kind: test.kind}, "0")
				var out []byte
				for b.Loop() {
					out = once(&p, out[:0])
				}
				b.SetBytes(int64(len(test.body)))
			})
		}
		opts := new(tailOptions)
		print(name, func(p *printer, dst []byte) []byte {
			dst, _ = p.appendQuick(dst, &e, opts)
			return dst
		})
		print(name+" by a record", func(p *printer, dst []byte) []byte {
			dst, _ = p.appendEvent(dst, &e, opts)
			return dst
		})
	}
}
