package eventhubs

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	amqpsdk "github.com/Azure/go-amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
)

// asReceived returns a message as go-amqp, and so azeventhubs' consumer, reads it. The event's
// AMQPMessage holds all of it. If go-amqp cannot read the message, asReceived returns an error.
func asReceived(encoded []byte) (e *Event, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			e, err = nil, errors.New("go-amqp gave up")
		}
	}()
	var r amqpsdk.Message
	if err := r.UnmarshalBinary(encoded); err != nil {
		return nil, err
	}
	m := &AMQPMessage{DeliveryAnnotations: r.DeliveryAnnotations, MessageAnnotations: r.Annotations, Footer: r.Footer, Body: &AMQPBody{Data: r.Data, Sequences: r.Sequence, Value: r.Value}}
	if h := r.Header; h != nil {
		m.Header = &AMQPHeader{DeliveryCount: h.DeliveryCount, Durable: h.Durable, FirstAcquirer: h.FirstAcquirer, TTL: h.TTL}
		if h.Priority != 4 { // 4 is go-amqp's value for a header without a priority
			m.Header.Priority = &h.Priority
		}
	}
	if p := r.Properties; p != nil {
		m.Properties = &AMQPProperties{
			AbsoluteExpiryTime: p.AbsoluteExpiryTime, ContentEncoding: p.ContentEncoding, ContentType: p.ContentType, CorrelationID: p.CorrelationID, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, MessageID: p.MessageID, ReplyTo: p.ReplyTo, ReplyToGroupID: p.ReplyToGroupID, Subject: p.Subject, To: p.To, UserID: p.UserID,
		}
	}
	return &Event{Properties: r.ApplicationProperties, AMQP: m}, nil
}

// encodeAgain encodes a handler's view of an encoded message. First it overwrites the memory of
// that view.
func encodeAgain(t *testing.T, encoded []byte, numbered bool) []byte {
	t.Helper()
	memory := bytes.Clone(encoded)
	told := decodeEvent(memory, false)
	for i := range memory {
		memory[i] = 0xee
	}
	w := &wireEvent{numbered: numbered}
	if err := w.encode(told, told.PartitionKey); err != nil {
		t.Fatalf("a handler's view of %x cannot be encoded: %v", encoded, err)
	}
	return slices.Concat(w.head, w.body)
}

// FuzzForward checks that an event received by azeventhubs is encoded to the same bytes. The same
// holds for a handler's view of that event.
func FuzzForward(f *testing.F) {
	f.Add([]byte{}, false)
	seed := make([]byte, 600)
	for i := range seed {
		seed[i] = byte(i * 37)
	}
	f.Add(seed, true)
	f.Add(bytes.Repeat([]byte("any text at all makes some message"), 20), false)
	f.Fuzz(func(t *testing.T, b []byte, numbered bool) {
		made := amqptest.Fuzzed(b).Message()
		original, err := made.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		received, err := asReceived(original)
		if err != nil {
			t.Fatalf("azeventhubs cannot receive %x: %v", original, err)
		}
		w := &wireEvent{numbered: numbered}
		if err := w.encode(received, ""); err != nil {
			t.Fatalf("%x cannot be sent on: %v", original, err)
		}
		encoded := slices.Concat(w.head, w.body)
		var without []string
		if numbered {
			without = []string{producerIDAnnotation, producerEpochAnnotation, sequenceNumberAnnotation}
		}
		want := amqptest.Canonical(original, without...)
		if got := amqptest.Canonical(encoded, without...); !bytes.Equal(got, want) {
			t.Errorf("sent on is\n %x, want\n %x", got, want)
		}
		if got := amqptest.Canonical(encodeAgain(t, encoded, numbered), without...); !bytes.Equal(got, want) {
			t.Errorf("sent on from a handler is\n %x, want\n %x", got, want)
		}
	})
}

// FuzzForwardAnything checks that a message of any bytes is refused by name, or can be shown to a
// handler and sent on by it.
func FuzzForwardAnything(f *testing.F) {
	for seed := range uint64(20) {
		m := amqptest.Random(seed).Message()
		b, err := m.AppendTo(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, b []byte, numbered bool) {
		received, err := asReceived(b)
		if err != nil {
			return
		}
		w := &wireEvent{numbered: numbered}
		if err := w.encode(received, ""); err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Errorf("%x is refused with %v, want ErrInvalidArgument", b, err)
			}
			return
		}
		encoded := slices.Concat(w.head, w.body)
		if again := encodeAgain(t, encoded, numbered); !bytes.Equal(amqptest.Canonical(again), amqptest.Canonical(encoded)) {
			t.Errorf("sent on from a handler is\n %x, want\n %x", again, encoded)
		}
	})
}

// A handler gets each value in its own type. Some values look alike to a reader, and some cannot be
// keys of a Go map.
func TestAHandlerGetsWhatItCanSendOn(t *testing.T) {
	type Symbol string // as another package has it
	list := []any{"l"}
	for name, value := range map[string]any{
		"a string and a symbol of the same text": map[any]any{"k": "a", Symbol("k"): "b"}, "a list for a key": map[any]any{&list: "a"},
		"such maps in an array": []map[any]any{{"k": 1, Symbol("k"): 2}, {&list: 1}}, "a null for a key": map[any]any{nil: nil},
		"binaries": [][]byte{{1}, {}}, "described binary": amqp.Described{Descriptor: amqp.Symbol("d"), Value: []any{[]byte{1}, Symbol("s")}}, "uuids": [][16]byte{{1}}, "lists": [][]any{{[]byte{1}}, {}},
		"no lists": [][]any{}, "no maps": []map[any]any{}, "no ubytes": amqp.Ubytes{}, "symbols": []Symbol{"a"}, "times": []any{any(map[string]any{"in": [16]byte{1}})},
	} {
		w := &wireEvent{}
		if err := w.encode(&Event{AMQP: &AMQPMessage{Body: &AMQPBody{Value: value}}}, ""); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, want := amqptest.Canonical(encodeAgain(t, w.head, false)), amqptest.Canonical(w.head); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
}
