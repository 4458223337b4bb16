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

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// every is an event with something in each field.
func every() *azeventhubs.EventData {
	return &azeventhubs.EventData{
		Body:          []byte("body"),
		ContentType:   new("application/json"),
		CorrelationID: uint64(7),
		MessageID:     new("m-1"),
		Properties: map[string]any{
			"string": "s", "empty": "", "bool": true, "int": int64(-5), "small": int8(3), "uint": uint64(1) << 60, "float": 1.5, "float32": float32(2.5),
			"time": time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), "binary": []byte{1, 2}, "uuid": [16]byte{1, 2, 3}, "nil": nil,
		},
	}
}

func TestAnEventIsReadBackAsItWasWritten(t *testing.T) {
	tests := []struct {
		name  string
		event *azeventhubs.EventData
		key   string
	}{
		{"every field", every(), "key"},
		{"body only", &azeventhubs.EventData{Body: []byte("b")}, ""},
		{"nothing", &azeventhubs.EventData{Body: []byte{}}, ""},
		{"a body of 255 bytes", &azeventhubs.EventData{Body: make([]byte, 255)}, ""},
		{"a body of 256 bytes", &azeventhubs.EventData{Body: make([]byte, 256)}, "k"},
		{"a long property", &azeventhubs.EventData{Body: []byte{}, Properties: map[string]any{"p": strings.Repeat("x", 70_000)}}, ""},
		{"correlation by text", &azeventhubs.EventData{Body: []byte{}, CorrelationID: "c"}, ""},
		{"correlation by uuid", &azeventhubs.EventData{Body: []byte{}, CorrelationID: [16]byte{9}}, ""},
		{"correlation by bytes", &azeventhubs.EventData{Body: []byte{}, CorrelationID: []byte{1}}, ""},
		{"a key of 128 characters", &azeventhubs.EventData{Body: []byte{}}, strings.Repeat("ж", 128)},
		{"a key of 64 pairs", &azeventhubs.EventData{Body: []byte{}}, strings.Repeat("🎉", 64)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w wireEvent
			if err := w.encode(tt.event, tt.key); err != nil {
				t.Fatal(err)
			}
			got := decodeEvent(slices.Concat(w.head, w.body), false)
			if got.PartitionKey != tt.key {
				t.Errorf("the key is %q, want %q", got.PartitionKey, tt.key)
			}
			if !reflect.DeepEqual(got.Data, tt.event) {
				t.Errorf("got %+v\nwant %+v", got.Data, tt.event)
			}
		})
	}
}

// The AMQP library that the service's own clients use must read the same.
func FuzzGoAMQPReadsOurEvents(f *testing.F) {
	f.Add("key", "id", "application/json", []byte("body"), "name", "value", int64(1), 1.5, true)
	f.Add("", "", "", []byte{}, "", "", int64(-1<<63), 0.0, false)
	f.Fuzz(func(t *testing.T, key, id, contentType string, body []byte, name, text string, number int64, float float64, flag bool) {
		e := &azeventhubs.EventData{Body: body, MessageID: &id, ContentType: &contentType, CorrelationID: text,
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
		if !bytes.Equal(got.GetData(), body) || got.Properties.MessageID != id || *got.Properties.ContentType != contentType || got.Properties.CorrelationID != text {
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
		name    string
		event   *azeventhubs.EventData
		options *EnqueueOptions
		text    string
	}{
		{"no event", nil, nil, "event is nil"},
		{"id and key", event("a"), &EnqueueOptions{PartitionID: "0", PartitionKey: "k"}, "both set"},
		{"a channel", &azeventhubs.EventData{Properties: map[string]any{"chan": make(chan int)}}, nil, `Properties["chan"]`},
		{"a struct", &azeventhubs.EventData{Properties: map[string]any{"struct": struct{ A int }{1}}}, nil, `Properties["struct"]`},
		{"a channel in a map", &azeventhubs.EventData{Properties: map[string]any{"map": map[string]any{"in": make(chan int)}}}, nil, `Properties["map"]: value of in: amqp: Go type chan int`},
		{"one key twice", &azeventhubs.EventData{Properties: map[string]any{"map": map[any]any{1: "a", int64(1): "b"}}}, nil, `Properties["map"]: amqp: a map has the key 1 twice`},
		{"an array of nulls", &azeventhubs.EventData{Properties: map[string]any{"array": []*int{nil}}}, nil, `Properties["array"]`},
		{"a time without end", &azeventhubs.EventData{Properties: map[string]any{"time": time.Unix(1<<60, 0)}}, nil, `Properties["time"]`},
		{"text that is none", &azeventhubs.EventData{Properties: map[string]any{"text": "\xff"}}, nil, `Properties["text"]`},
		{"a name that is no text", &azeventhubs.EventData{Properties: map[string]any{"\xff": 1}}, nil, "UTF-8"},
		{"a message id", &azeventhubs.EventData{MessageID: new("\xff")}, nil, "MessageID"},
		{"a content type", &azeventhubs.EventData{ContentType: new("ж")}, nil, "ContentType"},
		{"a correlation id", &azeventhubs.EventData{CorrelationID: 1.5}, nil, "CorrelationID"},
		{"a long key", event("a"), &EnqueueOptions{PartitionKey: strings.Repeat("k", 129)}, "PartitionKey has 129 characters"},
		{"a long key as UTF-16 counts", event("a"), &EnqueueOptions{PartitionKey: strings.Repeat("🎉", 64) + "k"}, "PartitionKey has 129 characters"},
		{"a key that is no text", event("a"), &EnqueueOptions{PartitionKey: "\xff"}, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, 1).producer(Options{})
				err := p.Enqueue(t.Context(), tt.event, tt.options)
				if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Enqueue returned %v, want ErrInvalidArgument with %q in its text", err, tt.text)
				}
				if p.BufferedEventCount() != 0 {
					t.Error("the event was counted")
				}
			})
		})
	}
}

func TestAnEventThatTheBufferCouldNeverHoldIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{MaxBufferedBytes: 1000})
		err := p.Enqueue(t.Context(), event(strings.Repeat("x", 1000)), nil)
		if tooLarge, ok := errors.AsType[*EventTooLargeError](err); !ok || tooLarge.Limit != 1000 || tooLarge.Size <= 1000 {
			t.Errorf("Enqueue returned %v, want an EventTooLargeError", err)
		}
	})
}

func TestOneEventDataMayBeUsedAThousandTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		got := map[string]string{}
		record := func(_ context.Context, b *Batch) {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			for e := range b.Events() {
				if e.Tag != e.Data.Properties["n"] {
					t.Errorf("event %v has the tag %v", e.Data.Properties["n"], e.Tag)
				}
				got[string(e.Data.Body)] = e.PartitionKey
			}
		}
		p := peer.producer(Options{OnBatchSucceeded: record})
		e := &azeventhubs.EventData{Body: make([]byte, 4), Properties: map[string]any{}}
		for i := range 1000 {
			copy(e.Body, fmt.Sprintf("%04d", i))
			e.Properties["n"] = int64(i)
			if err := p.Enqueue(t.Context(), e, &EnqueueOptions{PartitionKey: fmt.Sprint("key", i), Tag: int64(i)}); err != nil {
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
