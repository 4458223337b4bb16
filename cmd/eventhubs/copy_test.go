package main

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
)

// number is the property that identifies a copy.
const number = "number of the test"

// copied returns a message as its copy must be: without the parts of one transfer, and without
// empty sections.
func copied(t *testing.T, encoded []byte) (number int64, canonical string) {
	t.Helper()
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Fatal(err)
	}
	m.Header, m.DeliveryAnnotations, m.Footer = nil, nil, nil
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
