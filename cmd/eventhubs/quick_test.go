package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// printedBoth prints an encoded event quickly and by way of an eventRecord. It fails if they
// differ, and reports whether the quick way took the event.
func printedBoth(t *testing.T, encoded []byte) (quickly bool) {
	t.Helper()
	for _, kind := range []layoutKind{layoutJSON, layoutText} {
		p, opts := newPrinter(&layout{kind: kind}, "3"), new(tailOptions)
		whole := consumer.Event{Encoded: encoded}
		whole.Decode()
		e := whole
		got, ok := p.appendQuick([]byte("before"), &e, opts)
		if !ok {
			if string(got) != "before" {
				t.Errorf("%x: %q was printed although the event is not usual", encoded, got)
			}
			continue
		}
		quickly = true
		if whole.Err != nil {
			t.Errorf("%x was printed as %q, and is malformed: %v", encoded, got, whole.Err)
			continue
		}
		want, err := p.appendEvent([]byte("before"), &whole, opts)
		if err != nil || string(got) != string(want) {
			t.Errorf("%x is printed as\n%s\nwant\n%s%v", encoded, got, want, err)
		}
	}
	return quickly
}

// placed returns the annotations of an event in a hub, with further ones.
func placed(r *rand.Rand, more ...amqp.Pair) amqp.Map {
	at := time.UnixMilli(r.Int64N(4_000_000_000_000))
	if r.IntN(4) == 0 {
		at = at.Truncate(time.Second)
	}
	return append(amqp.Map{{Key: amqp.Symbol(eventjson.SequenceAnnotation), Value: r.Int64N(1000)}, {Key: amqp.Symbol(eventjson.OffsetAnnotation), Value: "1234"}, {Key: amqp.Symbol(eventjson.EnqueuedAnnotation), Value: at}}, more...)
}

// The events of most programs are printed quickly, and as all others are.
func TestUsualEventsArePrintedQuickly(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	symbol := func(text string) amqp.Symbol { return amqp.Symbol(text) }
	text := func() string { return randomText(r) + "some text\"\\\x00\x7f\n" + randomText(r) }
	usual := func() any {
		return []any{text(), symbol(randomASCII(r)), int64(r.Uint64()), int32(r.Uint32()), true, false, nil, time.UnixMilli(r.Int64() >> r.IntN(60))}[r.IntN(8)]
	}
	for range 3000 {
		m := amqp.Message{Annotations: placed(r), Data: [][]byte{[]byte(text())}}
		if r.IntN(2) == 0 {
			m.Annotations = append(m.Annotations, amqp.Pair{Key: symbol(eventjson.KeyAnnotation), Value: text()})
		}
		if r.IntN(3) == 0 {
			m.Annotations = append(m.Annotations, amqp.Pair{Key: symbol("x-" + randomASCII(r)), Value: usual()}, amqp.Pair{Key: symbol("a-" + randomASCII(r)), Value: usual()})
		}
		for i := range r.IntN(4) {
			m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: string(rune('z'-i)) + text(), Value: usual()})
		}
		if r.IntN(3) == 0 {
			m.Properties = &amqp.Properties{Subject: new(text()), To: new(""), ContentType: new(randomASCII(r)), ContentEncoding: new("gzip")}
			if r.IntN(2) == 0 {
				m.Properties.MessageID, m.Properties.CorrelationID, m.Properties.ReplyTo = text(), text(), new(text())
			}
		}
		if r.IntN(5) == 0 {
			m.Data[0] = make([]byte, r.IntN(40))
			for i := range m.Data[0] {
				m.Data[0][i] = byte(r.Uint32())
			}
		}
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !printedBoth(t, encoded) {
			t.Errorf("%x was not printed quickly", encoded)
		}
		// One that is damaged is as little misread as one that is whole.
		if damaged := append([]byte(nil), encoded...); len(damaged) > 0 {
			damaged[r.IntN(len(damaged))] ^= 1 << r.IntN(8)
			printedBoth(t, damaged)
			printedBoth(t, damaged[:r.IntN(len(damaged))])
		}
		if t.Failed() {
			return
		}
	}
}

func TestAnyEventIsPrintedTheSameQuickly(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	maker, r := amqptest.Random(seed), rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		m := maker.Message()
		m.Annotations = append(m.Annotations, placed(r)...)
		if encoded, err := m.AppendTo(nil); err == nil {
			printedBoth(t, encoded)
		}
		if t.Failed() {
			return
		}
	}
}

// Very many properties, in the wrong order, do not keep tail for minutes.
func TestVeryManyPropertiesAreNotSortedQuickly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, count := range []int{mostMembers, mostMembers + 1} {
		m := amqp.Message{Annotations: placed(r), Data: [][]byte{{}}}
		for i := range count {
			m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: fmt.Sprint(count - i), Value: int64(i)})
		}
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := printedBoth(t, encoded), count <= mostMembers; got != want {
			t.Errorf("%d properties: printed quickly is %v, want %v", count, got, want)
		}
	}
}

// No event costs memory that is not used again.
func TestUsualEventsCostNoMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m := amqp.Message{
		Annotations:           placed(r, amqp.Pair{Key: amqp.Symbol(eventjson.KeyAnnotation), Value: "key"}, amqp.Pair{Key: amqp.Symbol("x-opt-own"), Value: int64(1)}),
		Properties:            &amqp.Properties{MessageID: "id", ContentType: new("application/json")},
		ApplicationProperties: amqp.Map{{Key: "b", Value: int32(1)}, {Key: "a", Value: "text"}},
		Data:                  [][]byte{[]byte(lineOf(1))},
	}
	encoded, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := consumer.Event{Encoded: encoded}
	e.Decode()
	p, opts := newPrinter(&layout{kind: layoutJSON}, "0"), new(tailOptions)
	var out []byte
	if n := testing.AllocsPerRun(1000, func() { out, _ = p.appendQuick(out[:0], &e, opts) }); n != 0 {
		t.Errorf("an event costs %v allocations, want none", n)
	}
}

func FuzzQuick(f *testing.F) {
	maker, r := amqptest.Random(1), rand.New(rand.NewPCG(1, 1))
	for range 20 {
		m := maker.Message()
		m.Annotations = placed(r)
		if encoded, err := m.AppendTo(nil); err == nil {
			f.Add(encoded)
		}
	}
	f.Fuzz(func(t *testing.T, encoded []byte) { printedBoth(t, encoded) })
}
