package amqp

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// fullMessage is a message with every section and field, except those that exclude each other.
func fullMessage() Message {
	return Message{
		Header:              &Header{Durable: true, Priority: new(uint8(4)), TTL: time.Minute, FirstAcquirer: true, DeliveryCount: 3},
		DeliveryAnnotations: Map{{Symbol("d"), int64(1)}}, Annotations: Map{{Symbol("x-opt-partition-key"), "k"}, {uint64(7), true}},
		Properties: &Properties{
			MessageID: "id", UserID: []byte("u"), To: new("to"), Subject: new("s"), ReplyTo: new("r"), CorrelationID: UUID{1}, ContentType: new("t"), ContentEncoding: new("e"),
			AbsoluteExpiryTime: &testTime, CreationTime: &testTime, GroupID: new("g"), GroupSequence: new(uint32(0)), ReplyToGroupID: new("rg"),
		},
		ApplicationProperties: Map{{"a", int32(1)}, {"b", "x"}},
		Data:                  [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 300)},
		Footer:                Map{{Symbol("f"), []byte("sum")}},
	}
}

func TestMessagesSurviveEncoding(t *testing.T) {
	tests := map[string]Message{
		"full": fullMessage(), "empty": {}, "empty sections": {Header: &Header{}, Annotations: Map{}, Properties: &Properties{}, ApplicationProperties: Map{}},
		"value": {Value: Map{{"k", []string{"0", "1"}}}, HasValue: true}, "null value": {HasValue: true}, "null data": {Data: [][]byte{nil, {}, nil}}, "sequences": {Sequences: []List{{int32(1)}, {}}},
	}
	for name, m := range tests {
		b, err := m.AppendTo([]byte("x"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := ParseMessage(b[1:])
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: got %+v, error %v; want %+v", name, got, err, m)
		}
		var whole []byte
		for s, err := range Sections(b[1:]) {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			whole = append(whole, s.Raw...)
		}
		if !bytes.Equal(whole, b[1:]) {
			t.Errorf("%s: its sections are not the message", name)
		}
	}
}

func TestEmptyHeaderIsThreeBytesAndAList0(t *testing.T) {
	m := Message{Header: &Header{}}
	if b, err := m.AppendTo(nil); err != nil || !bytes.Equal(b, []byte{0, 0x53, 0x70, 0x45}) {
		t.Errorf("got %x, %v", b, err)
	}
}

func TestAnnotationKeysBecomeSymbols(t *testing.T) {
	m := Message{Annotations: Map{{"k", "v"}}}
	b, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseMessage(b)
	if err != nil || got.Annotations[0].Key != Symbol("k") {
		t.Errorf("got %+v, %v", got.Annotations, err)
	}
}

func TestMessagesThatCannotBeEncoded(t *testing.T) {
	bad := make(chan int)
	tests := map[string]Message{
		"annotation k":          {Annotations: Map{{"k", bad}}},
		"annotation key":        {Annotations: Map{{int32(1), ""}}},
		"application property":  {ApplicationProperties: Map{{"k", bad}}},
		"properties":            {Properties: &Properties{MessageID: bad}},
		"UTF-8":                 {Properties: &Properties{Subject: new("\xff")}},
		"value":                 {Value: bad},
		"sequence":              {Sequences: []List{{bad}}},
		"header TTL":            {Header: &Header{TTL: -1 * time.Second}},
		"between 0 and":         {Header: &Header{TTL: 1 << 62}},
		"TTL -1ns":              {Header: &Header{TTL: -1}},
		`key: amqp: symbol "é"`: {Footer: Map{{"é", 1}}},
		`symbol "ж" is not`:     {Properties: &Properties{ContentType: new("ж")}},
		"2^63 milliseconds":     {Properties: &Properties{CreationTime: new(time.UnixMilli(1<<63 - 1).Add(time.Second))}},
	}
	for want, m := range tests {
		if b, err := m.AppendTo([]byte("x")); err == nil || !strings.Contains(err.Error(), want) || string(b) != "x" {
			t.Errorf("got %q, error %v; want %q", b, err, want)
		}
	}
}

// Everything that can be encoded can be decoded: a producer decodes its own events.
func TestTheDeepestValueIsReadBack(t *testing.T) {
	for name, in := range map[string]func(any) Message{
		"delivery annotation":  func(v any) Message { return Message{DeliveryAnnotations: Map{{Symbol("k"), v}}} },
		"annotation":           func(v any) Message { return Message{Annotations: Map{{Symbol("k"), v}}} },
		"application property": func(v any) Message { return Message{ApplicationProperties: Map{{"k", v}}} },
		"message id":           func(v any) Message { return Message{Properties: &Properties{MessageID: v}} },
		"value":                func(v any) Message { return Message{Value: v} },
		"sequence":             func(v any) Message { return Message{Sequences: []List{{v}}} },
		"footer":               func(v any) Message { return Message{Footer: Map{{Symbol("k"), v}}} },
	} {
		for kind, wrap := range map[string]func(any) any{
			"list":      func(v any) any { return List{v} },
			"map":       func(v any) any { return Map{{"k", v}} },
			"key":       func(v any) any { return Map{{v, "v"}} },
			"described": func(v any) any { return Described{Symbol("d"), v} },
			"array":     func(v any) any { return Array{v} },
		} {
			value, levels := any([]string{"x"}), 0
			for ; levels < 2*maxDepth; levels++ {
				m := in(value)
				encoded, err := m.AppendTo(nil)
				if err != nil {
					break
				}
				got, err := ParseMessage(encoded)
				if err != nil {
					t.Fatalf("%s: %d levels of %s do not come back: %v", name, levels, kind, err)
				}
				if again, err := got.AppendTo(nil); err != nil || !bytes.Equal(again, encoded) {
					t.Fatalf("%s: %d levels of %s come back as %x, error %v; want %x", name, levels, kind, again, err, encoded)
				}
				value = wrap(value)
			}
			if levels < maxDepth-2 || levels == 2*maxDepth {
				t.Errorf("%s: %d levels of %s can be encoded", name, levels, kind)
			}
		}
	}
}

func TestMalformedMessages(t *testing.T) {
	for name, b := range map[string][]byte{
		"not a section":       {0, 0x53, 0x79, 0x45},
		"not described":       {0x45},
		"two headers":         {0, 0x53, 0x70, 0x45, 0, 0x53, 0x70, 0x45},
		"two values":          {0, 0x53, 0x77, 0x40, 0, 0x53, 0x77, 0x40},
		"data that is text":   {0, 0x53, 0x75, 0xa1, 0},
		"sequence that isn't": {0, 0x53, 0x76, 0x40},
		"annotations list":    {0, 0x53, 0x72, 0x45},
		"properties map":      {0, 0x53, 0x73, 0xc1, 1, 0},
		"priority text":       {0, 0x53, 0x70, 0xc0, 4, 2, 0x40, 0xa1, 0},
		"truncated data":      {0, 0x53, 0x75, 0xa0, 9, 'x'},
	} {
		if m, err := ParseMessage(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v", name, m, err)
		}
	}
}

func TestSectionsInOtherForms(t *testing.T) {
	forms := map[string][]byte{
		"ulong descriptor":  append([]byte{0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x75}, 0xb0, 0, 0, 0, 1, 'x'),
		"symbol descriptor": append(AppendSymbol([]byte{0}, "amqp:data:binary"), 0xa0, 1, 'x'),
	}
	for name, b := range forms {
		m, err := ParseMessage(b)
		if err != nil || len(m.Data) != 1 || string(m.Data[0]) != "x" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}
