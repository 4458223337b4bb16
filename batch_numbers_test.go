package eventhubs

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// encoded is an event in its wire form.
func encoded(t testing.TB, e *Event, key string) []byte {
	t.Helper()
	w := &wireEvent{numbered: true}
	if err := w.encode(e, key); err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(w.head), w.body...)
}

// numbersRead returns the numbers of an event as any reader finds them, and how often each
// annotation occurs.
func numbersRead(t testing.TB, encoded []byte) (n numbers, times map[string]int) {
	t.Helper()
	m, err := amqp.ParseMessage(encoded)
	if err != nil {
		t.Fatalf("an event with numbers does not decode: %v", err)
	}
	times = map[string]int{}
	for _, pair := range m.Annotations {
		times[fmt.Sprint(pair.Key)]++
	}
	var ok [3]bool
	id, _ := m.Annotations.Get(producerIDAnnotation)
	epoch, _ := m.Annotations.Get(producerEpochAnnotation)
	sequence, _ := m.Annotations.Get(sequenceNumberAnnotation)
	n.id, ok[0] = id.(int64)
	n.epoch, ok[1] = epoch.(int16)
	n.first, ok[2] = sequence.(int32)
	if ok != [3]bool{true, true, true} {
		t.Fatalf("the annotations are a %T, a %T and a %T, want a long, a short and an int", id, epoch, sequence)
	}
	return n, times
}

func TestNumbersAreWrittenInPlace(t *testing.T) {
	body := bytes.Repeat([]byte("b"), 300)
	shapes := map[string][]byte{
		"plain":      encoded(t, &Event{Body: body}, ""),
		"empty":      encoded(t, &Event{}, ""),
		"a key":      encoded(t, &Event{Body: body}, "key"),
		"a long key": encoded(t, &Event{Body: body, Properties: map[string]any{"p": 1}}, strings.Repeat("k", 128)),
		"a message":  encoded(t, &Event{AMQP: &AMQPMessage{Body: &AMQPBody{}}}, "key"),
		"all sections": encoded(t, &Event{MessageID: "id", AMQP: &AMQPMessage{
			Header:              &AMQPHeader{Durable: true, Priority: new(uint8(3)), TTL: time.Hour},
			DeliveryAnnotations: map[any]any{"d": strings.Repeat("d", 300), producerIDAnnotation: int64(99)},
			MessageAnnotations:  map[any]any{"m": strings.Repeat("m", 300)},
			Properties:          &AMQPProperties{Subject: new("s")}, Footer: map[any]any{"f": 1},
		}}, strings.Repeat("k", 128)),
	}
	for name, event := range shapes {
		for _, want := range []numbers{
			{}, {1, 0, 1}, {math.MaxInt64, math.MaxInt16, math.MaxInt32}, {-7, 12, 0x01020304}, {0x0102030405060708, 0x0102, math.MaxInt32 - 1},
		} {
			before := bytes.Clone(event)
			writeTo(want, [][]byte{event})
			got, times := numbersRead(t, event)
			if got != want || times[producerIDAnnotation] != 1 || times[producerEpochAnnotation] != 1 || times[sequenceNumberAnnotation] != 1 {
				t.Errorf("%s: numbers are %+v, there %v times; want %+v, once", name, got, times, want)
			}
			// Nothing else has changed.
			writeTo(numbers{math.MaxInt64, math.MaxInt16, math.MaxInt32}, [][]byte{before, event})
			writeTo(numbers{math.MaxInt64, math.MaxInt16, math.MaxInt32}, [][]byte{event})
			if !bytes.Equal(event, before) {
				t.Errorf("%s: writing %+v has changed more than the numbers", name, want)
			}
		}
	}
}

// The three names belong to the producer. It leaves out the caller's values under these names,
// whatever string type the key has.
func TestTheCallersOwnNumbersAreReplaced(t *testing.T) {
	type mine string
	m := &AMQPMessage{MessageAnnotations: map[any]any{
		producerIDAnnotation: "somebody's", amqp.Symbol(producerEpochAnnotation): int16(7), mine(sequenceNumberAnnotation): int32(8), "other": int64(1), "com.microsoft:producer-idx": int64(2),
	}}
	event := encoded(t, &Event{AMQP: m}, "key")
	want := numbers{5, 6, 7}
	writeTo(want, [][]byte{event})
	got, times := numbersRead(t, event)
	if got != want || fmt.Sprint(times) != "map[com.microsoft:producer-epoch:1 com.microsoft:producer-id:1 com.microsoft:producer-idx:1 com.microsoft:producer-sequence-number:1 other:1 x-opt-partition-key:1]" {
		t.Errorf("numbers are %+v among %v", got, times)
	}
	shown := decodeEvent(event, false)
	if got := fmt.Sprint(shown.AMQP.MessageAnnotations, shown.PartitionKey); got != "map[com.microsoft:producer-idx:2 other:1]key" {
		t.Errorf("the application is shown %s", got)
	}
	if len(m.MessageAnnotations) != 5 {
		t.Error("the caller's map was changed")
	}
}

// writeTo sets the numbers of consecutive events.
func writeTo(n numbers, events [][]byte) {
	for i, encoded := range events {
		n.writeTo(encoded, i)
	}
}

func TestNumbersWrap(t *testing.T) {
	for _, tt := range []struct {
		after int32
		by    int
		want  int32
	}{
		{0, 1, 1}, {0, 0, 0}, {math.MaxInt32 - 1, 1, math.MaxInt32}, {math.MaxInt32, 1, 0}, {math.MaxInt32 - 1, 3, 1}, {math.MaxInt32, math.MaxInt32, math.MaxInt32 - 1},
	} {
		if got := follow(tt.after, tt.by); got != tt.want {
			t.Errorf("%d events after %d comes %d, want %d", tt.by, tt.after, got, tt.want)
		}
	}
	var events [][]byte
	for range 4 {
		events = append(events, encoded(t, &Event{}, ""))
	}
	writeTo(numbers{1, 2, math.MaxInt32 - 1}, events)
	var got []int32
	for _, e := range events {
		n, _ := numbersRead(t, e)
		got = append(got, n.first)
	}
	if fmt.Sprint(got) != "[2147483646 2147483647 0 1]" {
		t.Errorf("the events carry %v", got)
	}
	if b := (&batch{count: len(events), numbers: numbers{first: math.MaxInt32 - 1}}); b.lastNumber() != 1 {
		t.Errorf("the last number is %d, want 1", b.lastNumber())
	}
}

func TestNumbersCost120Bytes(t *testing.T) {
	plain := &wireEvent{}
	// An event with a key always has annotations.
	for key, want := range map[string]int{"": 120, "key": 114} {
		if err := plain.encode(event("body"), key); err != nil {
			t.Fatal(err)
		}
		if got := len(encoded(t, event("body"), key)) - plain.size(); got != want {
			t.Errorf("with the key %q numbers cost %d bytes, want %d", key, got, want)
		}
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add([]byte("body"), "key", "annotation", int64(1), int16(2), int32(3), true)
	f.Add(bytes.Repeat([]byte("b"), 300), "", strings.Repeat("a", 250), int64(-1), int16(math.MaxInt16), int32(math.MaxInt32), false)
	f.Fuzz(func(t *testing.T, body []byte, key, annotation string, id int64, epoch int16, first int32, header bool) {
		if partitionkey.Check(key) != nil || annotation == partitionKeyAnnotation || first < 0 {
			return
		}
		m := &AMQPMessage{MessageAnnotations: map[any]any{annotation: body}}
		if header {
			m.Header = &AMQPHeader{Durable: true}
			m.DeliveryAnnotations = map[any]any{"d": body}
		}
		w := &wireEvent{numbered: true}
		if w.encode(&Event{Body: body, AMQP: m}, key) != nil {
			return
		}
		events := [][]byte{slices.Concat(w.head, w.body), encoded(t, &Event{Body: body}, key)}
		want := numbers{id, epoch, first}
		writeTo(want, events)
		for i, e := range events {
			got, _ := numbersRead(t, e)
			if got != (numbers{id, epoch, follow(first, i)}) {
				t.Errorf("event %d carries %+v", i, got)
			}
		}
		if shown := decodeEvent(events[0], false); !bytes.Equal(shown.Body, body) {
			t.Error("the body is another one")
		}
	})
}
