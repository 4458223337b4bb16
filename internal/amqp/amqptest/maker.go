// Package amqptest makes messages for tests, of every kind that azeventhubs can receive and
// distinguish. It also has a form in which two encoded messages can be compared.
package amqptest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Maker makes messages and values out of numbers.
//
// It makes nothing that go-amqp 1.7.0 cannot read. That excludes chars, decimals, arrays of lists,
// arrays and described values, and maps with a list for a key. It also excludes described values of
// the protocol where go-amqp does not expect them.
//
// Nor does it make values that a reader cannot distinguish from others. Symbols are read as
// strings, so they are only keys of annotations and descriptors. A null value is read as no body.
// Default values are not stated.
type Maker struct {
	next func() uint64
}

// Random makes a Maker from random numbers.
func Random(seed uint64) *Maker { return &Maker{rand.New(rand.NewPCG(seed, 0)).Uint64} }

// Fuzzed makes a Maker from a fuzzer's bytes, and zeros after them.
func Fuzzed(b []byte) *Maker {
	return &Maker{func() (n uint64) {
		if len(b) > 0 {
			n, b = uint64(b[0]), b[1:]
		}
		return n
	}}
}

// n is a number below limit.
func (m *Maker) n(limit int) int { return int(m.next() % uint64(limit)) }

func (m *Maker) some() bool { return m.n(2) == 1 }

// bits are small or large numbers.
func (m *Maker) bits() (v uint64) {
	for range m.n(9) {
		v = v<<8 | m.next()&0xff
	}
	if m.some() {
		return -v
	}
	return v
}

// ascii is text of any seven-bit characters, perhaps longer than an encoding's short form.
func (m *Maker) ascii() string {
	b := make([]byte, m.length())
	for i := range b {
		b[i] = byte(m.n(128))
	}
	return string(b)
}

func (m *Maker) length() int {
	if m.n(16) == 0 {
		return 250 + m.n(20)
	}
	return m.n(9)
}

// Text is text with characters of every encoded length.
func (m *Maker) Text() string {
	var s strings.Builder
	for range m.length() {
		s.WriteRune([]rune{rune(m.n(128)), 'é', '字', '🌋', '�', rune(m.n(0xd800))}[m.n(6)])
	}
	return s.String()
}

func (m *Maker) textPtr() *string {
	if m.some() {
		return nil
	}
	return new(m.Text())
}

func (m *Maker) binary() []byte { return []byte(m.ascii()) }

func (m *Maker) uuid() (u amqp.UUID) {
	for i := range u {
		u[i] = byte(m.next())
	}
	return u
}

// time is any time that a timestamp can hold, and often the first or the last one.
func (m *Maker) time() time.Time {
	switch ms := int64(m.bits()); m.n(8) {
	case 0:
		return time.UnixMilli(math.MinInt64)
	case 1:
		return time.UnixMilli(math.MaxInt64)
	case 2:
		return time.Time{}
	default:
		return time.UnixMilli(ms)
	}
}

func (m *Maker) timePtr() *time.Time {
	if m.some() {
		return nil
	}
	return new(m.time())
}

// Value is a value of any type, nested up to depth.
func (m *Maker) Value(depth int) any {
	kinds := 20
	if depth <= 0 {
		kinds = 16
	}
	switch m.n(kinds) {
	case 0:
		return nil
	case 1:
		return m.some()
	case 2:
		return uint8(m.bits())
	case 3:
		return uint16(m.bits())
	case 4:
		return uint32(m.bits())
	case 5:
		return m.bits()
	case 6:
		return int8(m.bits())
	case 7:
		return int16(m.bits())
	case 8:
		return int32(m.bits())
	case 9:
		return int64(m.bits())
	case 10:
		return math.Float32frombits(uint32(m.bits()))
	case 11:
		return math.Float64frombits(m.bits())
	case 12:
		return m.binary()
	case 13:
		return m.uuid()
	case 14:
		return m.time()
	case 15:
		return m.Text()
	case 16:
		return m.List(depth - 1)
	case 17:
		return m.mapping(depth - 1)
	case 18:
		return m.array(depth - 1)
	default:
		return m.described(depth - 1)
	}
}

// List is a list of any values.
func (m *Maker) List(depth int) amqp.List {
	l := make(amqp.List, m.n(5))
	for i := range l {
		l[i] = m.Value(depth)
	}
	return l
}

// mapping is a map with string keys, or with keys of several types.
func (m *Maker) mapping(depth int) amqp.Map {
	strings := m.some()
	return m.pairs(m.n(4), depth, func(i int) any {
		if strings {
			return fmt.Sprint(i, m.Text())
		}
		switch m.n(8) {
		case 0:
			return uint64(i)
		case 1:
			return int32(-i)
		case 2:
			return amqp.UUID{byte(i)}
		case 3:
			return time.UnixMilli(int64(i))
		case 4:
			return amqp.Described{Descriptor: amqp.Symbol("key"), Value: int64(i)}
		case 5:
			return float32(i) + 0.5
		default:
			return fmt.Sprint(i, m.Text())
		}
	})
}

// pairs is a map of n entries with unique keys.
func (m *Maker) pairs(n, depth int, key func(i int) any) amqp.Map {
	x := make(amqp.Map, n)
	for i := range x {
		x[i] = amqp.Pair{Key: key(i), Value: m.Value(depth)}
	}
	return x
}

func (m *Maker) array(depth int) any {
	n := m.n(4)
	switch m.n(18) {
	case 0:
		return repeat(n, m.some)
	case 1:
		return amqp.Ubytes(m.binary())
	case 2:
		return repeat(n, func() uint16 { return uint16(m.bits()) })
	case 3:
		return repeat(n, func() uint32 { return uint32(m.bits()) })
	case 4:
		return repeat(n, m.bits)
	case 5:
		return repeat(n, func() int8 { return int8(m.bits()) })
	case 6:
		return repeat(n, func() int16 { return int16(m.bits()) })
	case 7:
		return repeat(n, func() int32 { return int32(m.bits()) })
	case 8:
		return repeat(n, func() int64 { return int64(m.bits()) })
	case 9:
		return repeat(n, func() float32 { return math.Float32frombits(uint32(m.bits())) })
	case 10:
		return repeat(n, func() float64 { return math.Float64frombits(m.bits()) })
	case 11:
		return repeat(n, m.Text)
	case 12:
		return repeat(n, func() amqp.Symbol { return amqp.Symbol(m.ascii()) })
	case 13:
		return repeat(n, m.binary)
	case 14:
		return repeat(n, m.time)
	case 15:
		return repeat(n, m.uuid)
	default:
		return repeat(n, func() amqp.Map { return m.mapping(depth) })
	}
}

func repeat[T any](n int, f func() T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = f()
	}
	return s
}

// described is a described value: .NET's, an arbitrary one, or one that go-amqp decodes wherever it
// is.
func (m *Maker) described(depth int) amqp.Described {
	failure := func() any {
		l := amqp.List{amqp.Symbol(m.ascii())}
		if m.some() {
			l = append(l, "why"+m.Text())
		}
		return amqp.Described{Descriptor: uint64(0x1d), Value: l}
	}
	switch m.n(12) {
	case 0:
		return amqp.Described{Descriptor: amqp.Symbol("com.microsoft:timespan"), Value: int64(m.bits())}
	case 1:
		return amqp.Described{Descriptor: amqp.Symbol("com.microsoft:uri"), Value: m.Text()}
	case 2:
		return amqp.Described{Descriptor: uint64(0x468C00000000) | m.bits()>>32, Value: m.Value(depth)}
	case 3:
		return amqp.Described{Descriptor: uint64(m.n(16)), Value: m.Value(depth)}
	case 4:
		return amqp.Described{Descriptor: int16(m.bits()), Value: m.Value(depth)}
	case 5:
		return failure().(amqp.Described)
	case 6:
		return amqp.Described{Descriptor: uint64(0x25), Value: amqp.List{failure()}}
	case 7:
		return amqp.Described{Descriptor: uint64(0x27), Value: amqp.List{nil, true, m.annotations(1, depth)}}
	case 8:
		return amqp.Described{Descriptor: []uint64{0x24, 0x26, 0x2b, 0x2c, 0x2d, 0x2e}[m.n(6)], Value: amqp.List{}}
	default:
		return amqp.Described{Descriptor: amqp.Symbol(m.ascii()), Value: m.Value(depth)}
	}
}

// annotations are a section whose keys are symbols.
func (m *Maker) annotations(n, depth int) amqp.Map {
	return m.pairs(n, depth, func(i int) any { return amqp.Symbol(fmt.Sprint("x-", i, m.ascii())) })
}

// section is nil or an annotations section, which may be empty. Some keys are numbers.
func (m *Maker) section(least int) amqp.Map {
	n := m.n(5) - 1
	if n < least {
		return nil
	}
	x := m.annotations(n, 3)
	for i := range x {
		if m.n(8) == 0 {
			x[i].Key = uint64(i)
		}
	}
	return x
}

// Message is a message with any sections and any body. Its key, if any, is an annotation.
func (m *Maker) Message() amqp.Message {
	var out amqp.Message
	if m.some() {
		out.Header = m.header()
	}
	out.DeliveryAnnotations = m.section(0)
	out.Annotations = m.section(1) // a received event has the service's annotations there, so none is as good as empty
	if m.n(3) == 0 {
		key := []string{"", fmt.Sprint("key", m.n(10)), strings.Repeat("🌋", 64), strings.Repeat("字", 128)}[m.n(4)]
		out.Annotations = append(out.Annotations, amqp.Pair{Key: amqp.Symbol("x-opt-partition-key"), Value: key})
	}
	if m.some() {
		out.Properties = m.properties()
	}
	if m.some() {
		out.ApplicationProperties = m.pairs(m.n(4), 3, func(i int) any { return fmt.Sprint(i, m.Text()) })
	}
	switch m.n(8) {
	case 0:
	case 1:
		out.Value, out.HasValue = "a value"+m.Text(), true
	case 2:
		if v := m.Value(4); v != nil {
			out.Value, out.HasValue = v, true
		}
	case 3:
		for range 1 + m.n(3) {
			out.Sequences = append(out.Sequences, m.List(3))
		}
	case 4:
		for range 1 + m.n(3) {
			out.Data = append(out.Data, m.binary())
		}
		if m.some() {
			out.Data[m.n(len(out.Data))] = nil
		}
	default:
		out.Data = [][]byte{m.binary()}
	}
	out.Footer = m.section(0)
	return out
}

// Messages returns n messages and their encodings.
func (m *Maker) Messages(t testing.TB, n int) (messages []amqp.Message, encoded [][]byte) {
	t.Helper()
	for range n {
		message := m.Message()
		b, err := message.AppendTo([]byte{})
		if err != nil {
			t.Fatal(err)
		}
		messages, encoded = append(messages, message), append(encoded, b)
	}
	return messages, encoded
}

func (m *Maker) header() *amqp.Header {
	h := &amqp.Header{Durable: m.some(), TTL: time.Duration(uint32(m.bits())) * time.Millisecond, FirstAcquirer: m.some(), DeliveryCount: uint32(m.bits())}
	if p := uint8(m.bits()); p != 4 {
		h.Priority = &p
	}
	return h
}

func (m *Maker) properties() *amqp.Properties {
	id := func() any {
		return []any{nil, m.Text(), m.bits(), m.uuid(), m.binary()}[m.n(5)]
	}
	symbol := func() *string {
		if m.some() {
			return nil
		}
		return new(m.ascii())
	}
	p := &amqp.Properties{
		MessageID: id(), To: m.textPtr(), Subject: m.textPtr(), ReplyTo: m.textPtr(), CorrelationID: id(), ContentType: symbol(), ContentEncoding: symbol(),
		AbsoluteExpiryTime: m.timePtr(), CreationTime: m.timePtr(), GroupID: m.textPtr(), ReplyToGroupID: m.textPtr(),
	}
	if m.some() {
		p.UserID = m.binary()
	}
	if m.some() {
		p.GroupSequence = new(uint32(m.bits()))
	}
	return p
}
