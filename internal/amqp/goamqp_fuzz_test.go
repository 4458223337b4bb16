package amqp_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// FuzzEncodingAgainstGoAMQP makes messages out of the fuzzer's bytes. It checks that go-amqp
// decodes our encoding as we do, and that we decode go-amqp's encoding of that to the same message.
func FuzzEncodingAgainstGoAMQP(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("any text at all makes some message, and a longer one a larger one"))
	seed := make([]byte, 256)
	for i := range seed {
		seed[i] = byte(i * 37)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := (&maker{b: b}).message()
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatalf("AppendTo: %v", err)
		}
		var theirs goamqp.Message
		if err := theirs.UnmarshalBinary(encoded); err != nil {
			t.Fatalf("go-amqp does not decode %x: %v", encoded, err)
		}
		want := ours(&m)
		if got := fromGoAMQP(&theirs); got != want {
			t.Fatalf("go-amqp decodes\n%s\nwant\n%s", got, want)
		}
		again, err := theirs.MarshalBinary()
		if err != nil {
			return // an empty array, whose type go-amqp does not keep
		}
		back, err := amqp.ParseMessage(again)
		if err != nil {
			t.Fatalf("ParseMessage of go-amqp's %x: %v", again, err)
		}
		if got := ours(&back); got != want {
			t.Fatalf("go-amqp's encoding is\n%s\nwant\n%s", got, want)
		}
	})
}

// maker makes values out of bytes.
type maker struct{ b []byte }

func (m *maker) byte() byte {
	if len(m.b) == 0 {
		return 0
	}
	c := m.b[0]
	m.b = m.b[1:]
	return c
}

func (m *maker) uint64() (v uint64) {
	for range m.byte() % 9 {
		v = v<<8 | uint64(m.byte())
	}
	return v
}

func (m *maker) text() string {
	n := int(m.byte())
	if n > 250 {
		n *= 3 // beyond the short form
	}
	runes := make([]rune, n)
	for i := range runes {
		runes[i] = rune(m.byte()%126) + 1
	}
	return string(runes)
}

func (m *maker) textPtr() *string {
	if m.byte()%2 == 0 {
		return nil
	}
	return new(m.text())
}

func (m *maker) time() *time.Time {
	if m.byte()%2 == 0 {
		return nil
	}
	return new(time.UnixMilli(int64(m.uint64() >> 20)).UTC())
}

// value makes a value of a type that go-amqp knows.
func (m *maker) value(depth int) any {
	kinds := byte(20)
	if depth > 3 {
		kinds = 16
	}
	switch m.byte() % kinds {
	case 1:
		return m.byte()%2 == 0
	case 2:
		return m.byte()
	case 3:
		return uint16(m.uint64())
	case 4:
		return uint32(m.uint64())
	case 5:
		return m.uint64()
	case 6:
		return int8(m.byte())
	case 7:
		return int16(m.uint64())
	case 8:
		return int32(m.uint64())
	case 9:
		return int64(m.uint64())
	case 10:
		return math.Float32frombits(uint32(m.uint64()))
	case 11:
		return math.Float64frombits(m.uint64())
	case 12:
		return amqp.Symbol(m.text())
	case 13:
		return []byte(m.text())
	case 14:
		return amqp.UUID{m.byte(), 15: m.byte()}
	case 15:
		return time.UnixMilli(int64(m.uint64() >> 20)).UTC()
	case 16:
		list := make(amqp.List, m.byte()%5)
		for i := range list {
			list[i] = m.value(depth + 1)
		}
		return list
	case 17:
		return m.mapping(depth, func(i int) any { return fmt.Sprint(i, m.text()) })
	case 18:
		return m.array()
	case 19:
		// An unknown descriptor: go-amqp fails on those of the specification where it does not
		// expect them.
		return amqp.Described{Descriptor: uint64(0x468C00000000) | m.uint64()>>32, Value: m.value(depth + 1)}
	}
	return m.text()
}

func (m *maker) array() any {
	n := int(m.byte()%4) + 1
	switch m.byte() % 4 {
	case 0:
		return repeat(n, m.text)
	case 1:
		// Not negative: go-amqp 1.7 encodes an array of ints below -128 in one byte each, and so
		// loses them.
		return repeat(n, func() int32 { return int32(m.uint64()) & math.MaxInt32 })
	case 2:
		return repeat(n, func() amqp.Symbol { return amqp.Symbol(m.text()) })
	}
	return repeat(n, m.uint64)
}

func repeat[T any](n int, f func() T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = f()
	}
	return s
}

func (m *maker) mapping(depth int, key func(i int) any) amqp.Map {
	x := make(amqp.Map, m.byte()%4)
	for i := range x {
		x[i] = amqp.Pair{Key: key(i), Value: m.value(depth + 1)}
	}
	return x
}

func (m *maker) message() amqp.Message {
	var msg amqp.Message
	sections := m.byte()
	annotation := func(i int) any { return amqp.Symbol(fmt.Sprint(i, m.text())) }
	if sections&1 != 0 {
		msg.Header = &amqp.Header{Durable: m.byte()%2 == 0, Priority: new(m.byte()), TTL: time.Duration(uint32(m.uint64())) * time.Millisecond, DeliveryCount: uint32(m.uint64())}
	}
	if sections&2 != 0 {
		msg.DeliveryAnnotations = m.mapping(0, annotation)
	}
	if sections&4 != 0 {
		msg.Annotations = m.mapping(0, annotation)
	}
	if sections&8 != 0 {
		msg.Properties = m.properties()
	}
	if sections&16 != 0 {
		msg.ApplicationProperties = m.mapping(0, func(i int) any { return fmt.Sprint(i, m.text()) })
	}
	if sections&32 != 0 {
		msg.Footer = m.mapping(0, annotation)
	}
	switch sections >> 6 {
	case 0:
		msg.Value, msg.HasValue = m.value(0), true
	case 1:
		msg.Sequences = []amqp.List{{m.value(0)}, {}}
	default:
		for range m.byte() % 6 {
			msg.Data = append(msg.Data, []byte(m.text()))
		}
	}
	return msg
}

func (m *maker) properties() *amqp.Properties {
	ids := []func() any{func() any { return nil }, func() any { return m.text() }, func() any { return m.uint64() }, func() any { return amqp.UUID{m.byte()} }, func() any { return []byte(m.text()) }}
	return &amqp.Properties{
		MessageID: ids[m.byte()%5](), UserID: []byte(m.text()), To: m.textPtr(), Subject: m.textPtr(), ReplyTo: m.textPtr(), CorrelationID: ids[m.byte()%5](),
		ContentType: m.textPtr(), ContentEncoding: m.textPtr(), AbsoluteExpiryTime: m.time(), CreationTime: m.time(), GroupID: m.textPtr(),
		GroupSequence: new(uint32(m.uint64())), ReplyToGroupID: m.textPtr(),
	}
}

// ours and fromGoAMQP describe a message in a form that is the same for both packages.
func ours(m *amqp.Message) string {
	var s strings.Builder
	if h := m.Header; h != nil {
		priority := uint8(4) // go-amqp omits default values
		if h.Priority != nil {
			priority = *h.Priority
		}
		fmt.Fprintf(&s, "header %v %v %v %v %v\n", h.Durable, priority, h.TTL, h.FirstAcquirer, h.DeliveryCount)
	}
	fmt.Fprintf(&s, "annotations %s %s\n", normal(m.DeliveryAnnotations), normal(m.Annotations))
	if p := m.Properties; p != nil {
		s.WriteString(describe(p.MessageID, p.CorrelationID, p.UserID, p.To, p.Subject, p.ReplyTo, p.ContentType, p.ContentEncoding, p.AbsoluteExpiryTime, p.CreationTime, p.GroupID, p.GroupSequence, p.ReplyToGroupID))
	}
	fmt.Fprintf(&s, "application %s footer %s data %q value %s\n", normal(m.ApplicationProperties), normal(m.Footer), m.Data, normal(m.Value))
	for _, l := range m.Sequences {
		s.WriteString("sequence " + normal(l))
	}
	return s.String()
}

func fromGoAMQP(m *goamqp.Message) string {
	var s strings.Builder
	if h := m.Header; h != nil {
		fmt.Fprintf(&s, "header %v %v %v %v %v\n", h.Durable, h.Priority, h.TTL, h.FirstAcquirer, h.DeliveryCount)
	}
	fmt.Fprintf(&s, "annotations %s %s\n", normal(m.DeliveryAnnotations), normal(m.Annotations))
	if p := m.Properties; p != nil {
		s.WriteString(describe(p.MessageID, p.CorrelationID, p.UserID, p.To, p.Subject, p.ReplyTo, p.ContentType, p.ContentEncoding, p.AbsoluteExpiryTime, p.CreationTime, p.GroupID, p.GroupSequence, p.ReplyToGroupID))
	}
	fmt.Fprintf(&s, "application %s footer %s data %q value %s\n", normal(m.ApplicationProperties), normal(m.Footer), m.Data, normal(m.Value))
	for _, l := range m.Sequence {
		s.WriteString("sequence " + normal(l))
	}
	return s.String()
}

func describe(fields ...any) (s string) {
	for _, f := range fields {
		if v := reflect.ValueOf(f); v.Kind() == reflect.Pointer {
			if v.IsNil() {
				f = nil
			} else {
				f = v.Elem().Interface()
			}
		}
		s += normal(f) + " "
	}
	return s + "\n"
}

// normal describes a value: its AMQP type by the name of the Go type, and its content, maps in the
// order of their keys. Symbols look like strings, since go-amqp turns them into strings.
func normal(v any) string {
	rv := reflect.ValueOf(v)
	switch v := v.(type) {
	case nil:
		return "null"
	case amqp.Map:
		var pairs []string
		for _, p := range v {
			pairs = append(pairs, fmt.Sprintf("%q=%s", p.Key, normal(p.Value)))
		}
		slices.Sort(pairs)
		return fmt.Sprintf("map%q", pairs)
	case amqp.Described:
		return fmt.Sprintf("described(%s %s)", normal(v.Descriptor), normal(v.Value))
	case []byte:
		return fmt.Sprintf("binary(%q)", v)
	case time.Time:
		return fmt.Sprintf("time(%d)", v.UnixMilli())
	}
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	switch rv.Kind() {
	case reflect.Struct: // go-amqp's described type, which it does not export
		return fmt.Sprintf("described(%s %s)", normal(rv.FieldByName("Descriptor").Interface()), normal(rv.FieldByName("Value").Interface()))
	case reflect.Map:
		var pairs []string
		for k, e := range rv.Seq2() {
			pairs = append(pairs, fmt.Sprintf("%q=%s", k.Interface(), normal(e.Interface())))
		}
		slices.Sort(pairs)
		return fmt.Sprintf("map%q", pairs)
	case reflect.Slice:
		var s strings.Builder
		s.WriteString("list(")
		for i := range rv.Len() {
			s.WriteString(normal(rv.Index(i).Interface()) + " ")
		}
		return s.String() + ")"
	case reflect.Array:
		return fmt.Sprintf("uuid(%x)", rv.Interface())
	}
	if rv.Kind() == reflect.String {
		return fmt.Sprintf("text(%q)", rv.String())
	}
	return fmt.Sprintf("%s(%#v)", rv.Type().Name(), fmt.Sprint(v))
}
