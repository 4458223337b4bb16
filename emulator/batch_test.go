package emulator

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// encode makes a message. It panics on values that AMQP does not have; tests do not use them.
func encode(m amqp.Message) []byte {
	b, err := m.AppendTo([]byte{})
	if err != nil {
		panic(err)
	}
	return b
}

// encodeBatch makes a batch of messages, with annotations on the envelope.
func encodeBatch(annotations amqp.Map, messages ...[]byte) []byte {
	return encode(amqp.Message{Annotations: annotations, Data: messages})
}

func text(s string) amqp.Message { return amqp.Message{Data: [][]byte{[]byte(s)}} }

// stored splits a message and stores it in a new, empty partition.
func stored(t *testing.T, payload []byte, format uint32) *batch {
	t.Helper()
	b, _, refused := splitMessage(payload, format)
	if refused != nil {
		t.Fatalf("splitMessage: %v", refused)
	}
	newPartition(0, settings{}).append(b)
	return b
}

func TestBatchesAreSplitIntoTheirEvents(t *testing.T) {
	long := strings.Repeat("x", 300) // a data section with a length of four bytes
	for _, test := range []struct {
		name    string
		payload []byte
		format  uint32
		want    []string
	}{
		{"one event, plain", encode(text("a")), 0, []string{"a"}},
		{"batch of one", encodeBatch(nil, encode(text("a"))), formatBatch, []string{"a"}},
		{"batch of three", encodeBatch(nil, encode(text("a")), encode(text(long)), encode(text(""))), formatBatch, []string{"a", long, ""}},
		{"envelope with sections of its own", encode(amqp.Message{
			Header: &amqp.Header{}, Annotations: amqp.Map{}, Properties: &amqp.Properties{MessageID: "m"},
			ApplicationProperties: amqp.Map{{Key: "k", Value: 1}}, Data: [][]byte{encode(text("a"))},
		}), formatBatch, []string{"a"}},
		{"body of two data sections", encode(amqp.Message{Data: [][]byte{[]byte("a"), []byte("b")}}), 0, []string{"ab"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := stored(t, test.payload, test.format)
			if len(b.events) != len(test.want) {
				t.Fatalf("%d events, want %d", len(b.events), len(test.want))
			}
			var sum int64
			for i, want := range test.want {
				if got := string(b.event("0", i).Body); got != want {
					t.Errorf("event %d is %q, want %q", i, got, want)
				}
				sum += int64(len(b.message(i)))
			}
			if b.bytes != sum {
				t.Errorf("the batch counts %d bytes, its events have %d", b.bytes, sum)
			}
		})
	}
}

func TestEveryKindOfBodyIsKept(t *testing.T) {
	for name, m := range map[string]amqp.Message{
		"value":     {Value: int64(7), HasValue: true},
		"null":      {HasValue: true},
		"sequences": {Sequences: []amqp.List{{"a", int32(1)}, {"b"}}},
		"footer":    {Data: [][]byte{[]byte("a")}, Footer: amqp.Map{{Key: amqp.Symbol("f"), Value: true}}},
		"no body":   {Annotations: amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}}},
		"null data": {Data: [][]byte{nil}},
		"nothing":   {},
	} {
		t.Run(name, func(t *testing.T) {
			message := encode(m)
			b := stored(t, encodeBatch(nil, message), formatBatch)
			if got := b.message(0); !bytes.Equal(got, message) {
				t.Errorf("stored % x, want % x", got, message)
			}
			delivered := b.appendMessage(nil, 0, nil)
			body := b.buffer[b.events[0].rest:b.events[0].end] // the service adds to the earlier annotations
			if !bytes.HasSuffix(delivered, body) {
				t.Errorf("delivered % x, which does not end in % x", delivered, body)
			}
		})
	}
}

func TestDeliveriesCarryTheServicesAnnotations(t *testing.T) {
	sent := amqp.Message{
		Header:              &amqp.Header{Durable: true},
		DeliveryAnnotations: amqp.Map{{Key: amqp.Symbol("hop"), Value: true}},
		Annotations: amqp.Map{
			{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"},
			{Key: amqp.Symbol("mine"), Value: int32(1)},
		},
		Properties:            &amqp.Properties{MessageID: uint64(5)},
		ApplicationProperties: amqp.Map{{Key: "p", Value: "v"}},
		Data:                  [][]byte{[]byte("body")},
	}
	b := stored(t, encodeBatch(nil, encode(text("first")), encode(sent)), formatBatch)
	got, err := amqp.ParseMessage(b.appendMessage(nil, 1, nil))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"x-opt-partition-key": "k", "mine": int32(1), "x-opt-sequence-number": int64(1), "x-opt-enqueued-time": b.enqueued,
	} {
		if v, ok := got.Annotations.Get(key); !ok || v != want {
			t.Errorf("annotation %s = %v (%T), want %v", key, v, v, want)
		}
	}
	if v, _ := got.Annotations.Get("x-opt-offset"); v != "10" {
		t.Errorf("offset = %v (%T), want the string 10: the size of the event before", v, v)
	}
	if len(got.Annotations) != 5 || got.Header == nil || !got.Header.Durable || got.DeliveryAnnotations != nil {
		t.Errorf("delivered %+v", got)
	}
	if got.Properties.MessageID != uint64(5) || string(got.Data[0]) != "body" {
		t.Errorf("delivered %+v", got)
	}
}

func TestTheServicesAnnotationsCannotBeForged(t *testing.T) {
	m := text("a")
	m.Annotations = amqp.Map{
		{Key: amqp.Symbol("x-opt-sequence-number"), Value: int64(99)},
		{Key: amqp.Symbol("x-opt-offset"), Value: "99"},
		{Key: amqp.Symbol("x-opt-enqueued-time"), Value: time.UnixMilli(99)},
		{Key: amqp.Symbol("mine"), Value: "x-opt-offset"},
	}
	b := stored(t, encode(m), 0)
	got, err := amqp.ParseMessage(b.appendMessage(nil, 0, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Annotations) != 4 {
		t.Errorf("annotations %v, want four", got.Annotations)
	}
	for key, want := range map[string]any{"x-opt-sequence-number": int64(0), "x-opt-offset": "0", "mine": "x-opt-offset"} {
		if v, _ := got.Annotations.Get(key); v != want {
			t.Errorf("annotation %s = %v, want %v", key, v, want)
		}
	}
}

// A client that sends on a received event sends the service's old annotations too. All other
// annotations must arrive unchanged.
func TestTheOtherAnnotationsOfAForwardedEventStayWhatTheyAre(t *testing.T) {
	deep := any("x")
	for range 32 {
		deep = amqp.List{deep}
	}
	m := text("a")
	m.Annotations = amqp.Map{
		{Key: amqp.Symbol("before"), Value: deep},
		{Key: amqp.Symbol("x-opt-sequence-number"), Value: int64(99)},
		{Key: uint64(7), Value: "wide"},
		{Key: amqp.Symbol("x-opt-offset"), Value: "99"},
	}
	encoded := encode(m)
	wide := []byte("\xb1\x00\x00\x00\x04wide") // in a form that our encoder does not choose
	if encoded[4] += 3; encoded[3] != 0xc1 {
		t.Fatal("the annotations are no short map")
	}
	encoded = bytes.Replace(encoded, []byte("\xa1\x04wide"), wide, 1)
	delivered := stored(t, encoded, 0).appendMessage(nil, 0, nil)
	want := amqp.AppendSymbol(nil, "before")
	want, _ = amqp.AppendValue(want, deep)
	want = append(amqp.AppendUlong(want, 7), wide...)
	if !bytes.Contains(delivered, want) {
		t.Errorf("delivered % x, without % x", delivered, want)
	}
	if bytes.Count(delivered, []byte("x-opt-sequence-number")) != 1 || bytes.Count(delivered, []byte("x-opt-offset")) != 1 {
		t.Errorf("delivered %q, which has the service's annotations twice", delivered)
	}
}

func TestManyAnnotationsNeedALongerMap(t *testing.T) {
	m := text("a")
	for range 200 {
		m.Annotations = append(m.Annotations, amqp.Pair{Key: amqp.Symbol("key"), Value: "value"})
	}
	b := stored(t, encode(m), 0)
	got, err := amqp.ParseMessage(b.appendMessage(nil, 0, nil))
	if err != nil || len(got.Annotations) != 203 {
		t.Errorf("%d annotations, %v; want 203", len(got.Annotations), err)
	}
}

func TestTheKeyOfTheEnvelopeRoutes(t *testing.T) {
	key := func(v any) amqp.Map { return amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: v}} }
	keyed := text("a")
	keyed.Annotations = key("inner")
	for _, test := range []struct {
		name    string
		payload []byte
		format  uint32
		want    route
	}{
		{"envelope", encodeBatch(key("outer"), encode(keyed)), formatBatch, route{"outer", true}},
		{"events only", encodeBatch(nil, encode(keyed)), formatBatch, route{}},
		{"plain", encode(keyed), 0, route{"inner", true}},
		{"empty key", encodeBatch(key(""), encode(text("a"))), formatBatch, route{"", true}},
		{"null key", encodeBatch(key(nil), encode(text("a"))), formatBatch, route{}},
		{"longest key", encodeBatch(key(strings.Repeat("ю", 128)), encode(text("a"))), formatBatch, route{strings.Repeat("ю", 128), true}},
	} {
		_, got, refused := splitMessage(test.payload, test.format)
		if refused != nil || got != test.want {
			t.Errorf("%s: route %+v, %v; want %+v", test.name, got, refused, test.want)
		}
	}
}

func TestUnreadableBatchesAreRefused(t *testing.T) {
	key := func(v any) amqp.Map { return amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: v}} }
	good := encode(text("a"))
	for _, test := range []struct {
		name            string
		payload         []byte
		condition, text string
	}{
		{"no event", encodeBatch(amqp.Map{}), conditionArgument, "no event"},
		{"nothing at all", nil, conditionArgument, "no event"},
		{"a value instead of data", encode(amqp.Message{HasValue: true}), conditionDecode, "data sections only"},
		{"cut off", encodeBatch(nil, good)[:6], conditionDecode, "could not be read"},
		{"second event is garbage", encodeBatch(nil, good, []byte("garbage")), conditionDecode, "Event 1"},
		{"a section twice", encodeBatch(nil, append(encode(amqp.Message{Header: &amqp.Header{}, Data: [][]byte{nil}}), 0, 0x53, amqp.SectionHeader, 0x45)), conditionDecode, "section 0x70 twice"},
		{"a value twice", encodeBatch(nil, bytes.Repeat(encode(amqp.Message{HasValue: true}), 2)), conditionDecode, "section 0x77 twice"},
		{"delivery annotations after the body that are a list", encodeBatch(nil, append(bytes.Clone(good), 0, 0x53, amqp.SectionDeliveryAnnotations, 0x45)), conditionDecode, "not a map"},
		{"annotations are a list", encodeBatch(nil, []byte{0, 0x53, amqp.SectionMessageAnnotations, 0x45}), conditionDecode, "not a map"},
		{"annotations with bytes behind their entries", encodeBatch(nil, []byte{0, 0x53, amqp.SectionMessageAnnotations, 0xc1, 2, 0, 0x40}), conditionDecode, "not a map"},
		{"annotations with fewer entries than they say", encodeBatch(nil, []byte{0, 0x53, amqp.SectionMessageAnnotations, 0xc1, 2, 2, 0x40}), conditionDecode, "not a map"},
		{"annotations with a key and no value", encodeBatch(nil, []byte{0, 0x53, amqp.SectionMessageAnnotations, 0xc1, 2, 1, 0x40}), conditionDecode, "not a map"},
		{"key is a number", encodeBatch(key(int32(1)), good), conditionArgument, "has the type int; it must be a string"},
		{"key too long", encodeBatch(key(strings.Repeat("x", 129)), good), conditionArgument, "129 characters"},
		{"key too long as UTF-16 counts", encodeBatch(key(strings.Repeat("🎉", 64)+"x"), good), conditionArgument, "129 characters"},
		{"key that is no text", bytes.Replace(encodeBatch(key("?"), good), []byte("\xa1\x01?"), []byte("\xa1\x01\xff"), 1), conditionArgument, "not valid UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, refused := splitMessage(test.payload, formatBatch)
			if refused == nil || refused.condition != test.condition || !strings.Contains(refused.text, test.text) {
				t.Errorf("refusal %v; want %s with %q", refused, test.condition, test.text)
			}
		})
	}
}

func FuzzSplitMessage(f *testing.F) {
	annotated := text("b")
	annotated.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k"}, {Key: amqp.Symbol("x-opt-offset"), Value: "1"}}
	f.Add(encodeBatch(nil, encode(text("a")), encode(annotated)), true)
	f.Add(encodeBatch(annotated.Annotations, encode(text("a"))), true)
	f.Add(encodeBatch(nil, []byte{}, encode(text("a"))), true)
	f.Add(encode(annotated), false)
	python := append(encode(annotated), 0, 0x53, amqp.SectionDeliveryAnnotations, 0xc1, 6, 2, 0xa3, 1, 'h', 0xa3, 1, 'v')
	f.Add(python, false)
	f.Add(encodeBatch(nil, python), true)
	f.Add([]byte{0, 0x53, 0x72, 0xd1, 0, 0, 0, 4, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, payload []byte, isBatch bool) {
		format := uint32(0)
		if isBatch {
			format = formatBatch
		}
		b, _, refused := splitMessage(payload, format)
		if refused != nil {
			return
		}
		newPartition(0, settings{}).append(b)
		offset := int64(-1)
		for i := range b.events {
			if got := b.offsetOf(i); got <= offset {
				t.Fatalf("offset %d behind %d", got, offset)
			} else {
				offset = got
			}
			checkDelivery(t, b, i)
		}
	})
}

// checkDelivery checks that everything readable in a stored event is readable in its delivery.
func checkDelivery(t *testing.T, b *batch, i int) {
	t.Helper()
	_ = b.event("0", i)
	in, err := amqp.ParseMessage(b.message(i))
	if err != nil {
		return
	}
	delivered := b.appendMessage(nil, i, newPartition(0, settings{}).appendMetrics(nil))
	out, err := amqp.ParseMessage(delivered)
	if err != nil {
		t.Fatalf("% x can be read, but not its delivery % x: %v", b.message(i), delivered, err)
	}
	if got, _ := out.DeliveryAnnotations.Get("last_enqueued_sequence_number"); got != int64(-1) {
		t.Fatalf("the delivery of % x has no metrics: % x", b.message(i), delivered)
	}
	if got, _ := out.Annotations.Get(annotationSequence); got != b.first+int64(i) {
		t.Fatalf("sequence number %v in the delivery, want %d", got, b.first+int64(i))
	}
	if len(in.Data) != len(out.Data) || len(in.ApplicationProperties) != len(out.ApplicationProperties) {
		t.Fatalf("delivery % x is not the event % x", delivered, b.message(i))
	}
}

func BenchmarkIngest(b *testing.B) {
	const events = 1000
	var messages [][]byte
	m := text(strings.Repeat("x", 100))
	m.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "device-1"}}
	for range events {
		messages = append(messages, encode(m))
	}
	payload := encodeBatch(nil, messages...)
	p := newPartition(0, settings{})
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		split, _, refused := splitMessage(payload, formatBatch)
		if refused != nil {
			b.Fatal(refused)
		}
		p.append(split)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}

func BenchmarkDeliver(b *testing.B) {
	m := text(strings.Repeat("x", 100))
	m.Annotations = amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "device-1"}}
	split, _, _ := splitMessage(encode(m), 0)
	newPartition(0, settings{}).append(split)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = split.appendMessage(dst[:0], 0, nil)
	}
}
