package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// asRecord returns an event as a record, in JSON.
func asRecord(t *testing.T, e *eventhubs.Event) string {
	t.Helper()
	r := newUndeliveredRecord(e, 0, "why")
	r.Partition = "3"
	return encodeJSON(t, r)
}

// wantSameRecord makes an event of a record, and a record of that event. Both records must be
// the same.
func wantSameRecord(t *testing.T, text string) entry {
	t.Helper()
	e := entry{body: []byte(text)}
	if err := formatEvents.fill(&e, 1<<20); err != nil {
		t.Errorf("%s: %v", text, err)
		return e
	}
	if again := asRecord(t, e.event); again != text {
		t.Errorf("%s\nhas become\n%s", text, again)
	}
	return e
}

func TestAnyEventComesBackFromItsRecord(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	text := func() *string {
		if r.IntN(2) == 0 {
			return nil
		}
		return new(randomText(r))
	}
	symbol := func() *string {
		if r.IntN(2) == 0 {
			return nil
		}
		return new(randomASCII(r))
	}
	at := func() *time.Time {
		if r.IntN(2) == 0 {
			return nil
		}
		return new(time.UnixMilli(int64(r.Uint64()) >> r.IntN(40)))
	}
	id := func() any {
		return []any{nil, randomText(r), r.Uint64(), amqp.UUID{byte(r.Uint32())}, []byte(randomText(r))}[r.IntN(5)]
	}
	for range 3_000 {
		m := &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{}, Body: &eventhubs.AMQPBody{}}
		e := &eventhubs.Event{PartitionKey: randomText(r), Properties: map[string]any{}, AMQP: m}
		for range r.IntN(3) {
			e.Properties[randomText(r)] = randomValue(r, 2)
			m.MessageAnnotations["x-"+randomASCII(r)] = randomValue(r, 2)
			m.MessageAnnotations[r.Uint64()] = randomValue(r, 0)
		}
		m.Properties = &eventhubs.AMQPProperties{
			MessageID: id(), CorrelationID: id(), ContentType: symbol(), ContentEncoding: symbol(), Subject: text(), To: text(), ReplyTo: text(), UserID: []byte(randomText(r)),
			CreationTime: at(), AbsoluteExpiryTime: at(), GroupID: text(), GroupSequence: []*uint32{nil, new(uint32), new(r.Uint32())}[r.IntN(3)], ReplyToGroupID: text(),
		}
		if r.IntN(2) == 0 {
			m.Header = &eventhubs.AMQPHeader{Durable: r.IntN(2) == 0, Priority: []*uint8{nil, new(uint8(r.Uint32()))}[r.IntN(2)], TTL: time.Duration(r.Uint32()>>r.IntN(32)) * time.Millisecond, FirstAcquirer: r.IntN(2) == 0, DeliveryCount: r.Uint32() >> r.IntN(32)}
			m.Footer = map[any]any{"x-" + randomASCII(r): randomValue(r, 2), r.Uint64(): randomValue(r, 0)}
		}
		switch r.IntN(4) {
		case 0:
			m.Body.Value = randomValue(r, 3)
		case 1:
			for range 1 + r.IntN(3) {
				m.Body.Sequences = append(m.Body.Sequences, []any{randomValue(r, 2), randomValue(r, 0)})
			}
		default:
			for range 1 + r.IntN(3) {
				m.Body.Data = append(m.Body.Data, []byte{byte(r.Uint32()), byte(r.Uint32() % 128)}[:r.IntN(3)])
			}
		}
		wantSameRecord(t, asRecord(t, e))
		if t.Failed() {
			return
		}
	}
}

func TestWhatARecordIsMadeOf(t *testing.T) {
	e := entry{body: []byte(`{"key":"k","messageId":7,"correlationId":"0b7c0000-0000-0000-0000-000000000000","properties":{"n":5,"u":18446744073709551615,"took":{"descriptor":{"symbol":"com.microsoft:timespan"},"value":1}},` +
		`"annotations":{"iothub-connection-device-id":"d","x-opt-sequence-number":4,"x-opt-offset":"9","x-opt-partition-key":"other","com.microsoft:producer-id":5},` +
		`"body":"abc","bodyLengths":[1,0,2],"types":{"correlationId":"uuid","properties":{"n":"int","took":"described"}},"offset":"17","sequenceNumber":3,"outcome":"not stored","whatever":[]}`)}
	if err := formatEvents.fill(&e, maxEventBytes); err != nil {
		t.Fatal(err)
	}
	m := e.event.AMQP
	took, _ := e.event.Properties["took"].(amqp.Described)
	if e.key != "k" || e.event.PartitionKey != "k" || m.Properties.MessageID != uint64(7) || m.Properties.CorrelationID != (amqp.UUID{0x0b, 0x7c}) || e.event.Properties["n"] != int32(5) || e.event.Properties["u"] != uint64(1<<64-1) ||
		took.Descriptor != amqp.Symbol("com.microsoft:timespan") || took.Value != int64(1) || len(m.Body.Data) != 3 || string(m.Body.Data[2]) != "bc" || string(e.body) != "abc" {
		t.Errorf("got key %q, body %q, %+v and %+v", e.key, e.body, e.event, m)
	}
	if len(m.MessageAnnotations) != 1 || m.MessageAnnotations["iothub-connection-device-id"] != "d" {
		t.Errorf("the annotations are %v, want only the device's: the others belong to the old hub and its producer", m.MessageAnnotations)
	}
}

func TestWhatIsWrongInARecordIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		`{"body":"x","bodyValue":1}`: "more than one of body, bodyBase64 and bodyValue",
		`{"body":"x","properties":{"n":300},"types":{"properties":{"n":"ubyte"}}}`: `its property "n" is 300, which is no whole number from 0 to 255`,
		`{"body":"x","properties":{"n":1},"types":{"properties":{"m":"int"}}}`:     `its types name the property "m", which it does not have`,
		`{"body":"x","types":{"annotations":{"m":"int"}}}`:                         `its types name the annotation "m", which it does not have`,
		`{"body":"x","annotations":{"a":{}}}`:                                      `its annotation "a" is an object`,
		`{"body":"x","messageId":-1}`:                                              "its messageId is -1, which is no id (text, an unsigned number, a UUID or bytes)",
		`{"body":"x","correlationId":1.5}`:                                         "its correlationId is 1.5, which is no id",
		`{"body":"x","correlationId":"x","types":{"correlationId":"uuid"}}`:        `its correlationId is "x", which is no UUID`,
		`{"body":"x","creationTime":"now"}`:                                        `its creationTime is "now", which is no time`,
		`{"body":"x","header":{"ttl":-1}}`:                                         `its header is {"ttl":-1}, which is none: durable and firstAcquirer are true or false`,
		`{"body":"x","header":{"priority":256}}`:                                   "priority is a whole number up to 255",
		`{"body":"x","header":{"durability":true}}`:                                "its header is",
		`{"body":"x","header":7}`:                                                  "its header is 7",
		`{"body":"x","footer":{"f":300},"types":{"footer":{"f":"byte"}}}`:          `its footer "f" is 300`,
		`{"body":"x","contentEncoding":"ü"}`:                                       `its contentEncoding "ü" is not ASCII`,
		`{"body":"x","annotations":{"ü":1}}`:                                       `its annotation "ü" has a name that is not ASCII`,
		`{"body":"x","footer":{"ü":1}}`:                                            `its footer "ü" has a name that is not ASCII`,
		`{"body":"x","properties":{"p":` + strings.Repeat(`[{"list":`, 40) + "[]" + strings.Repeat("}]", 40) + `},"types":{"properties":{"p":"list"}}}`: "a value that cannot be sent: element 0: ",
		`{"bodyValue":[[` + strings.Repeat(`{"list":[`, 40) + strings.Repeat("]}", 40) + `]],"types":{"body":"sequences"}}`:                             "its bodyValue has a section 0 that is a value that cannot be sent",
		`{"bodyValue":[` + strings.Repeat(`{"list":[`, 40) + strings.Repeat("]}", 40) + `],"types":{"body":"list"}}`:                                    "its bodyValue is a value that cannot be sent",
		`{"body":"x","properties":{"a":{"of":"described","values":[{"descriptor":1,"value":1}]}},"types":{"properties":{"a":"array"}}}`:                 `its property "a" is a value that cannot be sent: array element 0: a value of the kind Described cannot be an array's element`,
		`{"body":"x","bodyLengths":[2]}`:                       "its bodyLengths [2] are not those of its body",
		`{"body":"x","bodyLengths":[0]}`:                       "its bodyLengths [0] are not those of its body",
		`{"body":"x","bodyLengths":[-1,2]}`:                    "its bodyLengths [-1 2] are not those of its body",
		`{"bodyValue":{}}`:                                     "its bodyValue is an object",
		`{"bodyValue":1,"types":{"body":"sequences"}}`:         "its bodyValue is 1, which is no list of sections",
		`{"bodyValue":[1],"types":{"body":"sequences"}}`:       "its bodyValue has a section 0 that is 1, which is no list",
		`{"bodyValue":[],"types":{"body":"sequences"}}`:        "no list of sections",
		`{"body":"x","properties":{"p":1e999}}`:                `its property "p" is 1e999, which is too large a number`,
		`{"body":"x","properties":{"p":18446744073709551616}}`: `its property "p" is 18446744073709551616, which is too large a number`,
	} {
		e := entry{body: []byte(line)}
		if err := formatEvents.fill(&e, maxEventBytes); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", line, err, want)
		}
	}
}

// A text that is a record must give a record again when it is written.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"body":"x","key":"k","properties":{"a":1,"b":1e400,"c":null}}`, `{"bodyBase64":"AP8="}`, `{`, `null`, `{"bodyValue":null}`, `{"bodyValue":[[1],[{"map":{"a":1}}]],"types":{"body":"sequences"}}`,
		`{"body":"ab","bodyLengths":[1,1],"messageId":1,"properties":{"t":"2026-01-31T12:00:00Z","d":{"descriptor":1,"value":{"list":[]}}},"types":{"properties":{"t":"timestamp","d":"described"}}}`,
		`{"body":"b","header":{"durable":true,"priority":9,"ttl":1000,"firstAcquirer":true,"deliveryCount":2},"footer":{"f":1},"types":{"footer":{"f":"int"}}}`, `{"body":"b","header":{}}`,
		`{"bodyValue":{"of":"char","values":["a"]},"types":{"body":"array"},"annotations":{"1":2}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e := entry{body: text}
		if formatEvents.fill(&e, maxEventBytes) != nil {
			return
		}
		if len(e.body) > maxEventBytes {
			t.Errorf("the body has %d bytes", len(e.body))
		}
		wantSameRecord(t, asRecord(t, e.event))
	})
}

func TestARecordSaysWhatJSONDoesNot(t *testing.T) {
	m := &amqp.Message{
		ApplicationProperties: amqp.Map{{Key: "n", Value: int32(5)}, {Key: "took", Value: amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(10_000_000)}}, {Key: "text", Value: "x"}},
		Annotations: amqp.Map{
			{Key: amqp.Symbol("iothub-connection-device-id"), Value: "device-7"}, {Key: "iothub-enqueuedtime", Value: time.UnixMilli(0)},
			{Key: "x-opt-sequence-number", Value: int64(3)}, {Key: "x-opt-offset", Value: "77"}, {Key: "x-opt-enqueued-time", Value: time.UnixMilli(0)}, {Key: "x-opt-partition-key", Value: []byte("no text")},
		},
		Properties: &amqp.Properties{MessageID: "m-1", CorrelationID: amqp.UUID{1}},
		Data:       [][]byte{[]byte("x")},
	}
	r := eventjson.New(m)
	const want = `{"key":null,"messageId":"m-1","correlationId":"01000000-0000-0000-0000-000000000000","properties":{"n":5,"text":"x","took":"1s"},` +
		`"annotations":{"iothub-connection-device-id":"device-7","iothub-enqueuedtime":"1970-01-01T00:00:00Z","x-opt-partition-key":"bm8gdGV4dA=="},"body":"x",` +
		`"types":{"correlationId":"uuid","properties":{"n":"int","took":"timespan"},"annotations":{"iothub-enqueuedtime":"timestamp","x-opt-partition-key":"binary"}}}`
	if got := encodeJSON(t, r); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := strings.Join(more(&r), " "), `message-id=m-1 correlation-id=01000000-0000-0000-0000-000000000000 iothub-connection-device-id=device-7 iothub-enqueuedtime=1970-01-01T00:00:00Z x-opt-partition-key="bm8gdGV4dA=="`; got != want {
		t.Errorf("for people: got %s, want %s", got, want)
	}
	m.Properties.MessageID, m.Properties.CorrelationID, m.Annotations = "a \x1b[2J\n", uint64(7), nil
	r = eventjson.New(m)
	if got, want := strings.Join(more(&r), " "), `message-id="a \x1b[2J\n" correlation-id=7`; got != want {
		t.Errorf("for people: got %s, want %s", got, want)
	}
	if !json.Valid([]byte(encodeJSON(t, r))) {
		t.Error("the record is not JSON")
	}
}
