package azevents_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/azevents"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
	"github.com/go-eventhubs/eventhubs/internal/sdktest"
)

// asMap returns a map's pairs in any order; nil stays nil.
func asMap[K comparable](m map[K]any) (out amqp.Map) {
	for key, value := range m {
		out = append(out, amqp.Pair{Key: key, Value: value})
	}
	if m != nil && out == nil {
		out = amqp.Map{}
	}
	return out
}

// encoded returns the wire form of an azeventhubs message with values of any types, for
// comparisons. It leaves out the named annotations.
func encoded(t testing.TB, m *azeventhubs.AMQPAnnotatedMessage, without ...string) []byte {
	t.Helper()
	w := amqp.Message{
		DeliveryAnnotations: asMap(m.DeliveryAnnotations), Annotations: asMap(m.MessageAnnotations), ApplicationProperties: asMap(m.ApplicationProperties), Footer: asMap(m.Footer),
		Data: m.Body.Data, Value: m.Body.Value,
	}
	if len(w.Annotations) == 0 {
		w.Annotations = nil
	}
	for _, sequence := range m.Body.Sequence {
		w.Sequences = append(w.Sequences, sequence)
	}
	if h := m.Header; h != nil {
		w.Header = &amqp.Header{Durable: h.Durable, Priority: &h.Priority, TTL: h.TTL, FirstAcquirer: h.FirstAcquirer, DeliveryCount: h.DeliveryCount}
	}
	if p := m.Properties; p != nil {
		w.Properties = &amqp.Properties{
			MessageID: p.MessageID, UserID: p.UserID, To: p.To, Subject: p.Subject, ReplyTo: p.ReplyTo, CorrelationID: p.CorrelationID,
			ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, AbsoluteExpiryTime: p.AbsoluteExpiryTime, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, ReplyToGroupID: p.ReplyToGroupID,
		}
	}
	b, err := w.AppendTo([]byte{})
	if err != nil {
		t.Fatal(err)
	}
	return amqptest.Canonical(b, without...)
}

// asReceived returns an encoded message as azeventhubs' consumer returns it.
func asReceived(t testing.TB, message []byte) *azeventhubs.AMQPAnnotatedMessage {
	t.Helper()
	var r goamqp.Message
	if err := r.UnmarshalBinary(message); err != nil {
		t.Fatalf("azeventhubs cannot receive %x: %v", message, err)
	}
	m := &azeventhubs.AMQPAnnotatedMessage{
		ApplicationProperties: r.ApplicationProperties, DeliveryAnnotations: r.DeliveryAnnotations, MessageAnnotations: r.Annotations, Footer: r.Footer,
		Body: azeventhubs.AMQPAnnotatedMessageBody{Data: r.Data, Sequence: r.Sequence, Value: r.Value},
	}
	if h := r.Header; h != nil {
		m.Header = &azeventhubs.AMQPAnnotatedMessageHeader{DeliveryCount: h.DeliveryCount, Durable: h.Durable, FirstAcquirer: h.FirstAcquirer, Priority: h.Priority, TTL: h.TTL}
	}
	if p := r.Properties; p != nil {
		m.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{
			AbsoluteExpiryTime: p.AbsoluteExpiryTime, ContentEncoding: p.ContentEncoding, ContentType: p.ContentType, CorrelationID: p.CorrelationID, CreationTime: p.CreationTime,
			GroupID: p.GroupID, GroupSequence: p.GroupSequence, MessageID: p.MessageID, ReplyTo: p.ReplyTo, ReplyToGroupID: p.ReplyToGroupID, Subject: p.Subject, To: p.To, UserID: p.UserID,
		}
	}
	return m
}

// there converts a message to an event and back.
func there(t testing.TB, m *azeventhubs.AMQPAnnotatedMessage) *azeventhubs.AMQPAnnotatedMessage {
	t.Helper()
	back, err := azevents.ToMessage(azevents.FromMessage(m))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// FuzzMessage checks every message that azeventhubs can receive. Converted to an event and back, it
// must be the same, for every AMQP type. The message itself must not change.
func FuzzMessage(f *testing.F) {
	f.Add([]byte{})
	for seed := range 60 {
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(i*(2*seed+1) + seed)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		made := amqptest.Fuzzed(b).Message()
		original, err := made.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		received := asReceived(t, original)
		want := encoded(t, received)
		if got := encoded(t, there(t, received)); !bytes.Equal(got, want) {
			t.Errorf("there and back it is\n %x, want\n %x", got, want)
		}
		if after := encoded(t, received); !bytes.Equal(after, want) {
			t.Errorf("the message itself has become\n %x, was\n %x", after, want)
		}
	})
}

// An event that our producer's handler gets, of every AMQP type, must become the message that
// azeventhubs received, in azeventhubs' types.
func TestAHandlersEventBecomesWhatAzeventhubsReceives(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "from", Partitions: 1}, {Name: "to", Partitions: 1}}})
			_, messages := amqptest.Random(seed).Messages(t, 200)
			sdktest.Store(t, server.ConnectionString("from"), messages)
			received := sdktest.Receive(t, server.ConnectionString("from"), len(messages))

			var mu sync.Mutex
			var told []*eventhubs.Event
			p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("to"), "", &eventhubs.Options{OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
				mu.Lock()
				defer mu.Unlock()
				told = slices.AppendSeq(told, b.Events())
			}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range received {
				if err := p.Enqueue(t.Context(), azevents.FromReceived(r)); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			system := []string{"x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time"}
			for i, e := range told {
				back, err := azevents.ToMessage(e)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := encoded(t, back, system...), encoded(t, received[i].RawAMQPMessage, system...); !bytes.Equal(got, want) {
					t.Fatalf("event %d is\n %x, want\n %x", i, got, want)
				}
				if got, want := fmt.Sprintf("%T", back.Body.Value), fmt.Sprintf("%T", received[i].RawAMQPMessage.Body.Value); got != want {
					t.Errorf("event %d has a value of type %s, want %s", i, got, want)
				}
			}
			if len(told) != len(messages) {
				t.Errorf("the handler got %d events, want %d", len(told), len(messages))
			}
		})
	}
}

// azeventhubs' own producer must be able to send a program's values, even of types that azeventhubs
// does not have.
func TestAnEventIsSentByAzeventhubs(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "to", Partitions: 1}}})
	client, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString("to"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	batch, err := client.NewEventDataBatch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_700_000_000_123).UTC()
	events := []*eventhubs.Event{ // each with an id, or azeventhubs adds one
		{Body: []byte("plain"), MessageID: "m", CorrelationID: "c", ContentType: "text/plain", Properties: map[string]any{"uuid": [16]byte{1, 2}, "at": at, "n": int64(5)}},
		{MessageID: "m"}, {MessageID: "m", PartitionKey: "k", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{{1}, {2}}}}},
		{MessageID: "m", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: eventhubs.Null{}}}},
		{MessageID: "m", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: map[string]any{"list": []any{[16]byte{3}, "x"}}}}},
		{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Sequences: [][]any{{[16]byte{4}}, {}}}, Properties: &eventhubs.AMQPProperties{MessageID: [16]byte{5}, Subject: new("s")}}},
	}
	for i, e := range events {
		m, err := azevents.ToMessage(e)
		if err == nil {
			err = batch.AddAMQPAnnotatedMessage(m, nil)
		}
		if err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if err := client.SendEventDataBatch(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("to"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := p.EnqueueAll(t.Context(), eventhubs.Events(events...)); n != len(events) || err != nil {
		t.Fatal(n, err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stored [][]byte
	for e := range server.Events("to", "0") {
		m, err := amqp.ParseMessage(e.Message)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Annotations) == 0 {
			m.Annotations = nil // azeventhubs sends an empty section for none
		}
		b, err := m.AppendTo(nil) // and it uses long forms
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, amqptest.Canonical(b))
	}
	for i := range events {
		if theirs, ours := stored[i], stored[len(events)+i]; !bytes.Equal(theirs, ours) {
			t.Errorf("event %d is sent by azeventhubs as\n %q, by us as\n %q", i, theirs, ours)
		}
	}
}

func TestEventDataIsTheSameThereAndBack(t *testing.T) {
	for name, d := range map[string]*azeventhubs.EventData{
		"nothing": {}, "everything": {Body: []byte("b"), ContentType: new("text/plain"), MessageID: new("m"), CorrelationID: "c", Properties: map[string]any{"p": int64(1)}},
		"there and empty": {ContentType: new(""), MessageID: new(""), CorrelationID: ""}, "an id in bytes": {CorrelationID: []byte{1}}, "a number": {CorrelationID: uint64(7)},
		"a UUID": {CorrelationID: goamqp.UUID{1}}, "no properties": {Properties: map[string]any{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := azevents.ToEventData(azevents.FromEventData(d))
			if err != nil {
				t.Fatal(err)
			}
			want := *d
			want.Body = append([]byte{}, d.Body...)
			if len(want.Properties) == 0 {
				want.Properties = nil
			}
			if !reflect.DeepEqual(got, &want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
	if e, err := azevents.ToEventData(nil); e != nil || err != nil || azevents.FromEventData(nil) != nil || azevents.FromMessage(nil) != nil || azevents.FromReceived(nil) != nil {
		t.Error("something was made of nil")
	}
}

func TestWhatEventDataHasNoPlaceForIsNamed(t *testing.T) {
	for want, m := range map[string]*eventhubs.AMQPMessage{
		"Event.AMQP.Header": {Header: &eventhubs.AMQPHeader{}}, "Event.AMQP.DeliveryAnnotations": {DeliveryAnnotations: map[any]any{}}, "Event.AMQP.Footer": {Footer: map[any]any{}},
		"Event.AMQP.Body": {Body: &eventhubs.AMQPBody{}}, `Event.AMQP.MessageAnnotations["a"]`: {MessageAnnotations: map[any]any{"a": 1}},
		"Event.AMQP.Properties.MessageID":          {Properties: &eventhubs.AMQPProperties{MessageID: uint64(1)}},
		"Event.AMQP.Properties.Subject":            {Properties: &eventhubs.AMQPProperties{Subject: new("s")}},
		"Event.AMQP.Properties.ContentEncoding":    {Properties: &eventhubs.AMQPProperties{ContentEncoding: new("s")}},
		"Event.AMQP.Properties.UserID":             {Properties: &eventhubs.AMQPProperties{UserID: []byte{}}},
		"Event.AMQP.Properties.To":                 {Properties: &eventhubs.AMQPProperties{To: new("s")}},
		"Event.AMQP.Properties.ReplyTo":            {Properties: &eventhubs.AMQPProperties{ReplyTo: new("s")}},
		"Event.AMQP.Properties.AbsoluteExpiryTime": {Properties: &eventhubs.AMQPProperties{AbsoluteExpiryTime: new(time.Time)}},
		"Event.AMQP.Properties.CreationTime":       {Properties: &eventhubs.AMQPProperties{CreationTime: new(time.Time)}},
		"Event.AMQP.Properties.GroupID":            {Properties: &eventhubs.AMQPProperties{GroupID: new("s")}},
		"Event.AMQP.Properties.GroupSequence":      {Properties: &eventhubs.AMQPProperties{GroupSequence: new(uint32(1))}},
		"Event.AMQP.Properties.ReplyToGroupID":     {Properties: &eventhubs.AMQPProperties{ReplyToGroupID: new("s")}},
	} {
		d, err := azevents.ToEventData(&eventhubs.Event{AMQP: m})
		if d != nil || !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), want+":") {
			t.Errorf("ToEventData returned %+v, %v; want an error that names %s", d, err, want)
		}
	}
	received := &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-offset": "1", "x-opt-sequence-number": int64(1), "x-opt-enqueued-time": time.Now()}}
	if _, err := azevents.ToEventData(&eventhubs.Event{AMQP: received}); err != nil {
		t.Errorf("the service's annotations are in the way: %v", err)
	}
}

func TestAReceivedEventKeepsItsKeyAndItsAnnotations(t *testing.T) {
	annotations := map[any]any{"x-opt-partition-key": "k", "x-opt-offset": "9", "iothub-connection-device-id": "d"}
	r := &azeventhubs.ReceivedEventData{RawAMQPMessage: &azeventhubs.AMQPAnnotatedMessage{MessageAnnotations: annotations, Body: azeventhubs.AMQPAnnotatedMessageBody{Data: [][]byte{[]byte("b")}}}}
	want := &eventhubs.Event{Body: []byte("b"), PartitionKey: "k", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-offset": "9", "iothub-connection-device-id": "d"}}}
	if got := azevents.FromReceived(r); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(annotations) != 3 {
		t.Errorf("the received event's annotations became %v", annotations)
	}
	// A fake of a consumer sets no RawAMQPMessage.
	made := &azeventhubs.ReceivedEventData{EventData: azeventhubs.EventData{Body: []byte("b")}, PartitionKey: new("k")}
	if got, want := azevents.FromReceived(made), (&eventhubs.Event{Body: []byte("b"), PartitionKey: "k"}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatAzeventhubsHasNoTypeForIsNamed(t *testing.T) {
	for want, e := range map[string]*eventhubs.Event{
		`Event.Properties["char"], a amqp.Char`:     {Properties: map[string]any{"char": amqp.Char('x')}},
		`Event.Properties["chan"], a chan int`:      {Properties: map[string]any{"chan": make(chan int)}},
		"Event.AMQP.Body.Value, a amqp.Decimal32":   {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: amqp.Decimal32{}}}},
		"Event.AMQP.Body.Sequences[1], a []interfa": {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Sequences: [][]any{{}, {amqp.Char('x')}}}}},
		`Event.AMQP.Footer["f"], a func()`:          {AMQP: &eventhubs.AMQPMessage{Footer: map[any]any{"f": func() {}}}},
		"Event.Body and Event.AMQP.Body":            {Body: []byte{}, AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{}}},
	} {
		if m, err := azevents.ToMessage(e); m != nil || !errors.Is(err, eventhubs.CodeInvalidArgument) || !strings.Contains(err.Error(), want) {
			t.Errorf("ToMessage returned %+v, %v; want an error with %q", m, err, want)
		}
	}
}
