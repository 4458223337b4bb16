package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	amqpsdk "github.com/Azure/go-amqp"
)

// every is an event with something in each field.
func every() *Event {
	return &Event{
		Body:          []byte("body"),
		ContentType:   "application/json",
		CorrelationID: "c-7",
		MessageID:     "m-1",
		Properties: map[string]any{
			"string": "s", "empty": "", "bool": true, "int": int64(-5), "small": int8(3), "uint": uint64(1) << 60, "float": 1.5, "float32": float32(2.5),
			"time": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "binary": []byte{1, 2}, "uuid": [16]byte{1, 2, 3}, "nil": nil,
		},
	}
}

func TestAnEventIsReadBackAsItWasWritten(t *testing.T) {
	tests := []struct {
		name  string
		event *Event
		key   string
	}{
		{"every field", every(), "key"},
		{"body only", &Event{Body: []byte("b")}, ""},
		{"nothing", &Event{Body: []byte{}}, ""},
		{"a body of 255 bytes", &Event{Body: make([]byte, 255)}, ""},
		{"a body of 256 bytes", &Event{Body: make([]byte, 256)}, "k"},
		{"a long property", &Event{Body: []byte{}, Properties: map[string]any{"p": strings.Repeat("x", 70_000)}}, ""},
		{"correlation by text", &Event{Body: []byte{}, CorrelationID: "c"}, ""},
		{"correlation by uuid", &Event{Body: []byte{}, AMQP: &AMQPMessage{Properties: &AMQPProperties{CorrelationID: [16]byte{9}}}}, ""},
		{"correlation by bytes", &Event{Body: []byte{}, AMQP: &AMQPMessage{Properties: &AMQPProperties{CorrelationID: []byte{1}}}}, ""},
		{"a key of 128 characters", &Event{Body: []byte{}}, strings.Repeat("ж", 128)},
		{"a key of 64 pairs", &Event{Body: []byte{}}, strings.Repeat("🎉", 64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w wireEvent
			if err := w.encode(tt.event, tt.key); err != nil {
				t.Fatal(err)
			}
			got := decodeEvent(slices.Concat(w.head, w.body))
			if got.PartitionKey != tt.key {
				t.Errorf("the key is %q, want %q", got.PartitionKey, tt.key)
			}
			if got.PartitionKey = ""; !reflect.DeepEqual(got, tt.event) {
				t.Errorf("got %+v\nwant %+v", got, tt.event)
			}
		})
	}
}

// The AMQP library that the service's own clients use must read the same.
func FuzzGoAMQPReadsOurEvents(f *testing.F) {
	f.Add("key", "id", "application/json", []byte("body"), "name", "value", int64(1), 1.5, true)
	f.Add("", "", "", []byte{}, "", "", int64(-1<<63), 0.0, false)
	f.Fuzz(func(t *testing.T, key, id, contentType string, body []byte, name, text string, number int64, float float64, flag bool) {
		e := &Event{Body: body, MessageID: id, ContentType: contentType, CorrelationID: text,
			Properties: map[string]any{name: text, "number": number, "float": float, "flag": flag, "binary": body}}
		var w wireEvent
		if err := w.encode(e, key); err != nil {
			if !errors.Is(err, ErrInvalidArgument) {
				t.Fatalf("encode: %v", err)
			}
			return
		}
		var got amqpsdk.Message
		if err := got.UnmarshalBinary(slices.Concat(w.head, w.body)); err != nil {
			t.Fatalf("go-amqp: %v", err)
		}
		var read Event
		if p := got.Properties; p != nil {
			read.MessageID, _ = p.MessageID.(string)
			read.CorrelationID, _ = p.CorrelationID.(string)
			if p.ContentType != nil {
				read.ContentType = *p.ContentType
			}
		}
		if !bytes.Equal(got.GetData(), body) || read.MessageID != id || read.ContentType != contentType || read.CorrelationID != text {
			t.Errorf("go-amqp read %+v %+v of %+v", got, got.Properties, e)
		}
		if key != "" && got.Annotations[partitionKeyAnnotation] != key {
			t.Errorf("go-amqp read the annotations %v, want the key %q", got.Annotations, key)
		}
		want := map[string]any{}
		maps.Copy(want, e.Properties)
		// NaN is not equal to itself.
		if float != float {
			delete(want, "float")
			delete(got.ApplicationProperties, "float")
		}
		if fmt.Sprint(got.ApplicationProperties) != fmt.Sprint(want) {
			t.Errorf("go-amqp read the properties %v, want %v", got.ApplicationProperties, want)
		}
	})
}

func TestWhatCannotBeSentIsRefusedByName(t *testing.T) {
	tests := []struct {
		name  string
		event *Event
		text  string
	}{
		{"no event", nil, "event is nil"},
		{"id and key", &Event{Body: []byte("a"), PartitionID: "0", PartitionKey: "k"}, "both set"},
		{"a channel", &Event{Properties: map[string]any{"chan": make(chan int)}}, `Properties["chan"]`},
		{"a struct", &Event{Properties: map[string]any{"struct": struct{ A int }{1}}}, `Properties["struct"]`},
		{"a channel in a map", &Event{Properties: map[string]any{"map": map[string]any{"in": make(chan int)}}}, `Properties["map"]: value of in: amqp: Go type chan int`},
		{"one key twice", &Event{Properties: map[string]any{"map": map[any]any{1: "a", int64(1): "b"}}}, `Properties["map"]: amqp: a map has the key 1 twice`},
		{"an array of nulls", &Event{Properties: map[string]any{"array": []*int{nil}}}, `Properties["array"]`},
		{"a time without end", &Event{Properties: map[string]any{"time": time.Unix(1<<60, 0)}}, `Properties["time"]`},
		{"text that is none", &Event{Properties: map[string]any{"text": "\xff"}}, `Properties["text"]`},
		{"a name that is no text", &Event{Properties: map[string]any{"\xff": 1}}, "UTF-8"},
		{"a message id", &Event{MessageID: "\xff"}, "MessageID"},
		{"a content type", &Event{ContentType: "ж"}, "ContentType"},
		{"a correlation id", &Event{CorrelationID: "\xff"}, "Event.CorrelationID"},
		{"a correlation id of no such type", &Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{CorrelationID: 1.5}}}, "Event.AMQP.Properties.CorrelationID"},
		{"a long key", &Event{Body: []byte("a"), PartitionKey: strings.Repeat("k", 129)}, "PartitionKey has 129 characters"},
		{"a long key as UTF-16 counts", &Event{Body: []byte("a"), PartitionKey: strings.Repeat("🎉", 64) + "k"}, "PartitionKey has 129 characters"},
		{"a key that is no text", &Event{Body: []byte("a"), PartitionKey: "\xff"}, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, 1).producer(Options{})
				err := p.Enqueue(t.Context(), tt.event)
				if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Enqueue returned %v, want ErrInvalidArgument with %q in its text", err, tt.text)
				}
				if p.BufferedEvents() != 0 {
					t.Error("the event was counted")
				}
			})
		})
	}
}

func TestAnEventThatTheBufferCouldNeverHoldIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{MaxBufferedBytes: 1000})
		err := p.Enqueue(t.Context(), event(strings.Repeat("x", 1000)))
		if tooLarge, ok := errors.AsType[*EventTooLargeError](err); !ok || tooLarge.Limit != 1000 || tooLarge.Size <= 1000 {
			t.Errorf("Enqueue returned %v, want an EventTooLargeError", err)
		}
	})
}

func TestOneEventMayBeUsedAThousandTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		got := map[string]string{}
		record := func(_ context.Context, b *Batch) {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			for e := range b.Events() {
				if e.Tag != e.Properties["n"] {
					t.Errorf("event %v has the tag %v", e.Properties["n"], e.Tag)
				}
				got[string(e.Body)] = e.PartitionKey
			}
		}
		p := peer.producer(Options{OnBatchSucceeded: record})
		e := &Event{Body: make([]byte, 4), Properties: map[string]any{}}
		for i := range 1000 {
			copy(e.Body, fmt.Sprintf("%04d", i))
			e.Properties["n"], e.PartitionKey, e.Tag = int64(i), fmt.Sprint("key", i), int64(i)
			if err := p.Enqueue(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		clear(e.Body)
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1000 {
			t.Errorf("the handler got %d different events, want 1000", len(got))
		}
		for body, key := range got {
			if want := "key" + strings.TrimLeft(body, "0"); key != want && body != "0000" {
				t.Errorf("event %s has the key %s, want %s", body, key, want)
			}
		}
	})
}
