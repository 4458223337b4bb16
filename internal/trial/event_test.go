package trial

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestANilElementEndsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		accepted, err := p.EnqueueAll(t.Context(), eventhubs.Events(world.Event("a"), nil, world.Event("c")))
		if accepted != 1 || !errors.Is(err, eventhubs.ErrInvalidArgument) {
			t.Errorf("EnqueueAll returned %d, %v, want 1 and ErrInvalidArgument", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), nil); accepted != 0 || !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), "the source of the events is nil") {
			t.Errorf("EnqueueAll of nil returned %d, %v, want 0 and ErrInvalidArgument", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), eventhubs.Events()); accepted != 0 || err != nil {
			t.Errorf("EnqueueAll of nothing returned %d, %v", accepted, err)
		}
		if err := p.Close(t.Context()); err != nil || fmt.Sprint(peer.StoredIn("0")) != "[a]" {
			t.Errorf("Close returned %v, stored %v", err, peer.StoredIn("0"))
		}
	})
}

func TestASetWhoseSourcePanicsKeepsWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the caller")
				}
			}()
			_, _ = p.EnqueueAll(t.Context(), func(yield func(*eventhubs.Event, error) bool) {
				_ = yield(world.Event("a"), nil) && yield(world.Event("b"), nil)
				panic("the source is broken")
			})
		}()
		if got := p.BufferedEvents(); got != 2 {
			t.Errorf("%d events are buffered, want 2", got)
		}
		if err := p.Close(t.Context()); err != nil || fmt.Sprint(peer.StoredIn("0")) != "[a b]" {
			t.Errorf("Close returned %v, stored %v", err, peer.StoredIn("0"))
		}
	})
}

func TestWhatCannotBeSentIsRefusedByName(t *testing.T) {
	tests := []struct {
		name  string
		event *eventhubs.Event
		text  string
	}{
		{"no event", nil, "event is nil"},
		{"id and key", &eventhubs.Event{Body: []byte("a"), PartitionID: "0", PartitionKey: "k"}, "both set"},
		{"a channel", &eventhubs.Event{Properties: map[string]any{"chan": make(chan int)}}, `Properties["chan"]`},
		{"a struct", &eventhubs.Event{Properties: map[string]any{"struct": struct{ A int }{1}}}, `Properties["struct"]`},
		{"a channel in a map", &eventhubs.Event{Properties: map[string]any{"map": map[string]any{"in": make(chan int)}}}, `Properties["map"]: value of in: amqp: Go type chan int`},
		{"one key twice", &eventhubs.Event{Properties: map[string]any{"map": map[any]any{1: "a", int64(1): "b"}}}, `Properties["map"]: amqp: a map has the key 1 twice`},
		{"an array of nulls", &eventhubs.Event{Properties: map[string]any{"array": []*int{nil}}}, `Properties["array"]`},
		{"a time without end", &eventhubs.Event{Properties: map[string]any{"time": time.Unix(1<<60, 0)}}, `Properties["time"]`},
		{"text that is none", &eventhubs.Event{Properties: map[string]any{"text": "\xff"}}, `Properties["text"]`},
		{"a name that is no text", &eventhubs.Event{Properties: map[string]any{"\xff": 1}}, "UTF-8"},
		{"a message id", &eventhubs.Event{MessageID: "\xff"}, "MessageID"},
		{"a content type", &eventhubs.Event{ContentType: "ж"}, "ContentType"},
		{"a correlation id", &eventhubs.Event{CorrelationID: "\xff"}, "Event.CorrelationID"},
		{"a correlation id of no such type", &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{CorrelationID: 1.5}}}, "Event.AMQP.Properties.CorrelationID"},
		{"a long key", &eventhubs.Event{Body: []byte("a"), PartitionKey: strings.Repeat("k", 129)}, "PartitionKey has 129 characters"},
		{"a long key as UTF-16 counts", &eventhubs.Event{Body: []byte("a"), PartitionKey: strings.Repeat("🎉", 64) + "k"}, "PartitionKey has 129 characters"},
		{"a key that is no text", &eventhubs.Event{Body: []byte("a"), PartitionKey: "\xff"}, "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := world.Over(scripted.New(t, 1), eventhubs.Options{})
				err := p.Enqueue(t.Context(), tt.event)
				if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), tt.text) {
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
		p := world.Over(scripted.New(t, 1), eventhubs.Options{MaxBufferedBytes: 1000})
		err := p.Enqueue(t.Context(), world.Event(strings.Repeat("x", 1000)))
		if tooLarge, ok := errors.AsType[*eventhubs.EventTooLargeError](err); !ok || tooLarge.Limit != 1000 || tooLarge.Size <= 1000 {
			t.Errorf("Enqueue returned %v, want an EventTooLargeError", err)
		}
	})
}

func TestOneEventMayBeUsedAThousandTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		got := map[string]string{}
		record := func(_ context.Context, b *eventhubs.Batch) {
			peer.Mu.Lock()
			defer peer.Mu.Unlock()
			for e := range b.Events() {
				if e.Tag != e.Properties["n"] {
					t.Errorf("event %v has the tag %v", e.Properties["n"], e.Tag)
				}
				got[string(e.Body)] = e.PartitionKey
			}
		}
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: record})
		e := &eventhubs.Event{Body: make([]byte, 4), Properties: map[string]any{}}
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

func TestAnEventIsReadBackAsItWasEnqueued(t *testing.T) {
	full := &eventhubs.Event{
		Properties: map[string]any{"a": int64(1), "uuid": [16]byte{5}}, PartitionKey: "k", ContentType: "text/plain", Tag: "full", ExpiresAt: time.Now().Add(time.Hour * 24 * 365 * 100),
		AMQP: &eventhubs.AMQPMessage{
			Body:                &eventhubs.AMQPBody{Data: [][]byte{[]byte("one"), []byte("two")}},
			DeliveryAnnotations: map[any]any{"d": "x"},
			Footer:              map[any]any{"f": true},
			Header:              &eventhubs.AMQPHeader{Durable: true, Priority: new(uint8(7)), TTL: time.Minute, DeliveryCount: 2},
			MessageAnnotations:  map[any]any{"m": "y"},
			Properties: &eventhubs.AMQPProperties{
				MessageID: uint64(9), UserID: []byte{1}, To: new("to"), Subject: new("subject"), ReplyTo: new("reply"), CorrelationID: [16]byte{3},
				ContentEncoding: new("gzip"), AbsoluteExpiryTime: new(time.UnixMilli(5).UTC()), CreationTime: new(time.UnixMilli(6).UTC()),
				GroupID: new("g"), GroupSequence: new(uint32(4)), ReplyToGroupID: new("rg"),
			},
		},
	}
	for name, e := range map[string]*eventhubs.Event{
		"full": full, "plain": {Body: []byte("b"), PartitionID: "0", MessageID: "m", CorrelationID: "c", ContentType: "text/plain", Properties: map[string]any{"p": "q"}},
		"an id alone": {Body: []byte("b"), MessageID: "m"}, "a correlation alone": {Body: []byte("b"), CorrelationID: "c"}, "an empty body": {Body: []byte{}},
		"no properties, but a section of them": {Body: []byte{}, Properties: map[string]any{}, AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{}}},
		"empty ids":                            {Body: []byte{}, AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{MessageID: "", CorrelationID: "", ContentType: new("")}}},
		"ids beside a subject":                 {Body: []byte{}, MessageID: "m", CorrelationID: "c", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{Subject: new("s")}}},
		"the default priority, said":           {Body: []byte{}, AMQP: &eventhubs.AMQPMessage{Header: &eventhubs.AMQPHeader{Priority: new(uint8(4))}}},
		"a key that travels with an id":        {PartitionID: "3", Body: []byte{}, AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "k"}}},
		"an empty key":                         {Body: []byte{}, AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": ""}}},
		"value":                                {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: map[any]any{"k": []any{int64(1), "two", nil}}}}},
		"null":                                 {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: eventhubs.Null{}}}},
		"none":                                 {PartitionKey: "k", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{}}},
		"null data":                            {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{nil}}}},
		"sequences":                            {AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Sequences: [][]any{{int64(1), "a"}, {true}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 4)
				var got []*eventhubs.Event
				p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) { got = slices.AppendSeq(got, b.Events()) }})
				var d eventhubs.Delivery
				sent := *e
				sent.Delivery = &d
				for i, e := range []*eventhubs.Event{&sent, nil} {
					if i == 1 {
						e = got[0] // unchanged
					}
					if err := p.Enqueue(t.Context(), e); err != nil {
						t.Fatal(err)
					}
					if err := p.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if len(got) != 2 || !reflect.DeepEqual(got[0], e) || !reflect.DeepEqual(got[1], e) {
					t.Errorf("got %+v\nwant %+v", got, e)
				}
			})
		})
	}
}

// A symbol is a string type as other AMQP packages have it.
type symbol string

func TestABadEventIsRefusedByName(t *testing.T) {
	tests := []struct {
		event *eventhubs.Event
		text  string
	}{
		{nil, "event is nil"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: 1, Data: [][]byte{{}}}}}, "more than one"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: make(chan int)}}}, "chan int"},
		{&eventhubs.Event{Properties: map[string]any{"bad": struct{ A int }{}}}, "bad"},
		{&eventhubs.Event{Properties: map[string]any{"nested": map[string]any{"x": func() {}}}}, `Event.Properties["nested"]: value of x: amqp: Go type func() has no AMQP form; a value may be a bool`},
		{&eventhubs.Event{Properties: map[string]any{"\xff": 1}}, `the key "\xff" in Event.Properties is not valid UTF-8`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Sequences: [][]any{{}, {"\xff"}}}}}, "Event.AMQP.Body.Sequences[1]: element 0: amqp: string is not valid UTF-8"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: struct{ A int }{}}}}, "Event.AMQP.Body.Value: amqp: Go type struct { A int }"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{int64(7): 1}}}, "Event.AMQP.MessageAnnotations has the key 7, which is a int64: a key is a string, or a uint64"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"ж": 1}}}, `Event.AMQP.MessageAnnotations has the key "ж": a key is ASCII`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"m": func() {}}}}, `Event.AMQP.MessageAnnotations["m"]: amqp: Go type func()`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{DeliveryAnnotations: map[any]any{uint64(7): func() {}}}}, "Event.AMQP.DeliveryAnnotations[7]: amqp: Go type func()"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Footer: map[any]any{"f": 1, symbol("f"): 2}}}, `Event.AMQP.Footer has the key "f" twice, as a trial.symbol and as a string`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Header: &eventhubs.AMQPHeader{TTL: -1}}}, "Event.AMQP.Header: amqp: header TTL -1ns must be between 0 and"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{MessageID: 7}}}, "Event.AMQP.Properties.MessageID is a int: it may be a uint64"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{CorrelationID: []any{}}}}, "Event.AMQP.Properties.CorrelationID is a []interface {}"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{Subject: new("\xff")}}}, `Event.AMQP.Properties.Subject "\xff" is not valid UTF-8`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{ContentEncoding: new("ж")}}}, `Event.AMQP.Properties.ContentEncoding "ж" is not ASCII`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{CreationTime: new(time.Unix(1<<60, 0))}}}, "Event.AMQP.Properties.CreationTime: amqp: the time"},
		{&eventhubs.Event{PartitionKey: "b", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{symbol("x-opt-partition-key"): "a"}}}, `"a"`},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "a", symbol("x-opt-partition-key"): "a"}}}, "twice"},
		{&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": 7}}}, "int"},
		{&eventhubs.Event{PartitionKey: "b", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "a"}}}, `"a"`},
		{&eventhubs.Event{PartitionID: "0", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": 7}}}, "int"},
		{&eventhubs.Event{PartitionID: "0", AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": strings.Repeat("k", 129)}}}, `Event.AMQP.MessageAnnotations["x-opt-partition-key"] has 129`},
		{&eventhubs.Event{Body: []byte{}, AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: 1}}}, "Event.Body and Event.AMQP.Body are both set"},
		{&eventhubs.Event{MessageID: "a", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{MessageID: "a"}}}, "Event.MessageID and Event.AMQP.Properties.MessageID are both set"},
		{&eventhubs.Event{CorrelationID: "a", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{CorrelationID: uint64(1)}}}, "Event.CorrelationID and Event.AMQP.Properties.CorrelationID are both set"},
		{&eventhubs.Event{ContentType: "a", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{ContentType: new("a")}}}, "Event.ContentType and Event.AMQP.Properties.ContentType are both set"},
		{&eventhubs.Event{MessageID: "\xff", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{}}}, `Event.MessageID "\xff" is not valid UTF-8`},
		{&eventhubs.Event{ContentType: "ж", AMQP: &eventhubs.AMQPMessage{Properties: &eventhubs.AMQPProperties{}}}, `Event.ContentType "ж" is not ASCII`},
	}
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		for _, tt := range tests {
			err := p.Enqueue(t.Context(), tt.event)
			if !errors.Is(err, eventhubs.ErrInvalidArgument) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Enqueue returned %v, want ErrInvalidArgument with %q in its text", err, tt.text)
			}
		}
		if p.BufferedEvents() != 0 {
			t.Error("a refused message was counted")
		}
	})
}
