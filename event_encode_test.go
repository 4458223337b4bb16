package eventhubs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
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
			got := decodeEvent(slices.Concat(w.head, w.body), false)
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
