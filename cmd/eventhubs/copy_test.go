package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// number is the property that identifies a copy.
const number = "number of the test"

// copied returns a message as its copy must be: without delivery annotations, and without empty
// sections.
func copied(t *testing.T, encoded []byte) (number int64, canonical string) {
	t.Helper()
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Fatal(err)
	}
	m.DeliveryAnnotations = nil
	if len(m.Footer) == 0 {
		m.Footer = nil
	}
	if len(m.Annotations) == 0 {
		m.Annotations = nil
	}
	if p := m.Properties; p != nil {
		if len(p.UserID) == 0 {
			p.UserID = nil
		}
		if reflect.ValueOf(*p).IsZero() {
			m.Properties = nil
		}
	}
	out, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := m.ApplicationProperties.Get("number of the test")
	number, _ = n.(int64)
	return number, string(amqptest.Canonical(out))
}

// allCopied returns the messages in a hub of one partition, by number.
func allCopied(t *testing.T, server *emulator.Server, hub string) map[int64]string {
	t.Helper()
	all := map[int64]string{}
	for _, id := range server.PartitionIDs(hub) {
		for e := range server.Events(hub, id) {
			n, canonical := copied(t, e.Message)
			all[n] = canonical
		}
	}
	return all
}

// A copy by tail and publish must equal the original: every type and every body.
func TestACopyIsAsItWas(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}, {Name: "copy", Partitions: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	const count = 400
	maker := amqptest.Random(seed)
	messages := make([]amqp.Message, count)
	for i := range messages {
		m := maker.Message()
		if i%2 == 0 {
			m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: "odd", Value: randomValue(rand.New(rand.NewPCG(seed, uint64(i))), 3)},
				amqp.Pair{Key: "letter", Value: amqp.Char('ü')}, amqp.Pair{Key: "symbol", Value: amqp.Symbol("s")})
		}
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: number, Value: int64(i)})
		messages[i] = m
	}
	send(t, server, "0", messages...)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	printed := p.run(t, "tail", "--hub", "events", "--from", "start", "--count", fmt.Sprint(count), "--output", "json")
	printed.want(t, exitOK)
	p.stdin = strings.NewReader(printed.stdout)
	p.run(t, "publish", "--hub", "copy", "--format", "events", "-").want(t, exitOK)

	// The emulator inside the command reads everything back and compares.
	verified := program{stdin: strings.NewReader(printed.stdout)}.run(t, "publish", "--format", "events", "--output", "json", "-")
	verified.want(t, exitOK)
	if r := verified.report(t); r.Events != count || !r.Verified {
		t.Errorf("%d events were published, verified: %v, want %d and true", r.Events, r.Verified, count)
	}

	lines := strings.Split(printed.stdout, "\n")
	want, got := allCopied(t, server, "events"), allCopied(t, server, "copy")
	if len(got) != count {
		t.Errorf("%d of %d events were copied", len(got), count)
	}
	for i, w := range want {
		if g := got[i]; g != w {
			t.Errorf("event %d is\n%.2000q\nwant\n%.2000q\nit was printed as\n%.2000s", i, g, w, lines[i])
			return
		}
	}
}

func TestACopyOfWhatPeopleCopy(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}, {Name: "copy", Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	key := amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}}
	timespan := amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(10_000_000)}
	send(t, server, "0",
		amqp.Message{Annotations: key}, // tombstones
		amqp.Message{Annotations: key, Data: [][]byte{nil}},
		amqp.Message{Annotations: key, Data: [][]byte{{}}}, // this is no tombstone
		amqp.Message{Annotations: append(key, amqp.Pair{Key: amqp.Symbol("iothub-connection-device-id"), Value: "device-7"}, amqp.Pair{Key: amqp.Symbol("iothub-enqueuedtime"), Value: time.UnixMilli(1)}),
			Properties:            &amqp.Properties{MessageID: "m-1", CorrelationID: amqp.UUID{1}, ContentType: new("application/json"), Subject: new("s")},
			ApplicationProperties: amqp.Map{{Key: "took", Value: timespan}, {Key: "n", Value: int32(1)}, {Key: "u", Value: uint64(1<<64 - 1)}, {Key: "l", Value: amqp.List{"a", nil}}},
			Data:                  [][]byte{[]byte(`{"a":1}`)}},
		amqp.Message{Value: amqp.Map{{Key: "a", Value: amqp.List{uint8(1)}}}},
		amqp.Message{Sequences: []amqp.List{{int64(1)}, {"b"}}},
	)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	printed := p.run(t, "tail", "--hub", "events", "--from", "start", "--count", "6", "--output", "json")
	printed.want(t, exitOK)
	p.stdin = strings.NewReader(printed.stdout)
	p.run(t, "publish", "--hub", "copy", "--format", "events", "-").want(t, exitOK)
	var want, got []string
	for hub, list := range map[string]*[]string{"events": &want, "copy": &got} {
		for e := range server.Events(hub, "0") {
			_, canonical := copied(t, e.Message)
			*list = append(*list, canonical)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d of %d events were copied", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d is\n%q\nwant\n%q", i, got[i], want[i])
		}
	}
}

// everyType has a value of each type that a record names.
var everyType = map[string]any{
	eventjson.KindNull: nil, eventjson.KindBoolean: true, eventjson.KindString: "text ü", eventjson.KindLong: int64(math.MinInt64), eventjson.KindDouble: 1.0 / 3,
	"ubyte": uint8(255), "ushort": uint16(65535), "uint": uint32(math.MaxUint32), "ulong": uint64(math.MaxUint64),
	"byte": int8(-128), "short": int16(-32768), "int": int32(math.MinInt32), "float": float32(0.1),
	"decimal32": amqp.Decimal32{1, 2, 3, 4}, "decimal64": amqp.Decimal64{5}, "decimal128": amqp.Decimal128{6},
	"char": amqp.Char('ü'), "timestamp": time.UnixMilli(-1), "uuid": amqp.UUID{7}, "binary": []byte{0xff, 0}, "symbol": amqp.Symbol("s"),
	eventjson.KindDescribed: amqp.Described{Descriptor: uint64(0x0001_0002), Value: "described by a number"},
	eventjson.KindTimespan:  amqp.Described{Descriptor: eventjson.SymbolTimespan, Value: int64(1)}, eventjson.KindDatetimeOffset: amqp.Described{Descriptor: eventjson.SymbolDatetimeOffset, Value: int64(1)},
	eventjson.KindURI:  amqp.Described{Descriptor: eventjson.SymbolURI, Value: "https://x"},
	eventjson.KindList: amqp.List{}, eventjson.KindMap: amqp.Map{}, eventjson.KindArray: []int16{1, -1},
}

// forms returns a value alone and within each type that has others in it, in two levels.
func forms(v any) []any {
	within := func(v any) []any {
		return []any{
			amqp.List{v, "after"},
			amqp.Map{{Key: "name", Value: v}, {Key: int32(1), Value: v}},
			amqp.Map{{Key: "name", Value: v}},
			amqp.Described{Descriptor: amqp.Symbol("com.example:own"), Value: v},
			amqp.Described{Descriptor: uint64(1), Value: amqp.Described{Descriptor: "text", Value: v}},
			amqp.Array{v, v},
			amqp.Array{},
		}
	}
	all := append([]any{v}, within(v)...)
	for _, outer := range within(v) {
		all = append(all, within(outer)...)
	}
	return all
}

// Every type that AMQP has is copied, at every place of a message that may have it, alone and inside
// every other.
func TestACopyOfEveryTypeAtEveryPlace(t *testing.T) {
	for kind := range kinds {
		if _, ok := everyType[kind]; !ok {
			t.Errorf("the test has no value of the type %q", kind)
		}
	}
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}, {Name: "copy", Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	var messages []amqp.Message
	var names []string
	add := func(name string, m amqp.Message) {
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: number, Value: int64(len(messages))})
		if _, err := m.AppendTo(nil); err != nil {
			return // AMQP has no such value: an array has elements of one type
		}
		messages, names = append(messages, m), append(names, name)
	}
	for _, kind := range slices.Sorted(maps.Keys(everyType)) {
		value := everyType[kind]
		for i, form := range forms(value) {
			name := fmt.Sprintf("%s, form %d", kind, i)
			add(name+" as the body", amqp.Message{Value: form, HasValue: true})
			add(name+" everywhere else", amqp.Message{
				Header:                &amqp.Header{Durable: i%2 == 0, Priority: []*uint8{nil, new(uint8(0)), new(uint8(255))}[i%3], TTL: time.Duration(i) * time.Second, FirstAcquirer: i%5 == 0, DeliveryCount: uint32(i % 4)},
				Annotations:           amqp.Map{{Key: amqp.Symbol("own"), Value: form}, {Key: uint64(7), Value: form}},
				ApplicationProperties: amqp.Map{{Key: "own", Value: form}},
				Sequences:             []amqp.List{{form}, {}, {form, nil}},
				Footer:                amqp.Map{{Key: amqp.Symbol("own"), Value: form}},
			})
		}
		add(kind+" as an id", amqp.Message{Properties: &amqp.Properties{MessageID: value, CorrelationID: value}, Data: [][]byte{{}}})
	}
	for _, h := range []*amqp.Header{nil, {}, {Durable: true}, {TTL: math.MaxUint32 * time.Millisecond}, {DeliveryCount: math.MaxUint32}} {
		add(fmt.Sprintf("header %+v", h), amqp.Message{Header: h, Data: [][]byte{[]byte("x")}})
	}
	isID := map[string]bool{eventjson.KindString: true, "ulong": true, "uuid": true, "binary": true, eventjson.KindNull: true}
	kept := messages[:0:0]
	for i, m := range messages {
		// An id of another type is refused; see TestWhatIsWrongInARecordIsNamed.
		if kind, is := strings.CutSuffix(names[i], " as an id"); !is || isID[kind] {
			kept = append(kept, m)
		}
	}
	send(t, server, "0", kept...)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	records := printedEvents(t, p, "events")
	p.stdin = strings.NewReader(records)
	p.run(t, "publish", "--hub", "copy", "--format", "events", "-").want(t, exitOK)
	want, got := allCopied(t, server, "events"), allCopied(t, server, "copy")
	if len(want) != len(kept) || len(got) != len(kept) || len(kept) < 500 {
		t.Errorf("%d events were sent, %d arrived and %d were copied; want at least 500", len(kept), len(want), len(got))
	}
	for i, w := range want {
		if g := got[i]; g != w {
			t.Errorf("%s is\n%.500q\nwant\n%.500q", names[i], g, w)
		}
	}
	for kind := range kinds {
		if plain := kind == eventjson.KindNull || kind == eventjson.KindBoolean || kind == eventjson.KindString || kind == eventjson.KindLong || kind == eventjson.KindDouble; !plain && !strings.Contains(records, `"body":"`+kind+`"`) {
			t.Errorf("no record has a body of the type %q", kind)
		}
	}
}

// Delivery annotations are of one transfer. publish says that it leaves them out, and of how many
// events.
func TestDeliveryAnnotationsAreLeftOutInWords(t *testing.T) {
	file := writeFile(t, `{"body":"a","deliveryAnnotations":{"x":1}}`+"\n"+`{"body":"b"}`+"\n"+`{"body":"c","deliveryAnnotations":{"x":{"uint":1}},"types":{"deliveryAnnotations":{"x":"uint"}}}`+"\n")
	got := program{}.run(t, "publish", "--format", "events", "--output", "json", file)
	got.want(t, exitOK, "Left out of 2 events: delivery annotations, which are of one transfer; no hub keeps them.")
	if !strings.Contains(got.stdout, `"deliveryAnnotationsLeftOut":2`) {
		t.Errorf("the report is %s, want 2 events with delivery annotations left out", got.stdout)
	}
}

// Events that are not stored keep header and footer in the file of --undelivered.
func TestUndeliveredEventsKeepHeaderAndFooter(t *testing.T) {
	record := `{"key":"k","properties":{},"header":{"durable":true,"priority":9,"ttl":1000,"firstAcquirer":true,"deliveryCount":2},"footer":{"f":1,"g":"s"},"body":"b","types":{"footer":{"f":"int","g":"symbol"}}}`
	event := entry{body: []byte(record)}
	if err := event.fromRecord(maxEventBytes); err != nil {
		t.Fatal(err)
	}
	r := newUndeliveredRecord(event.event, eventhubs.NotStored, "")
	text, err := json.Marshal(r.Message)
	if err != nil || string(text) != record {
		t.Errorf("got\n%s, %v, want\n%s", text, err, record)
	}
}
