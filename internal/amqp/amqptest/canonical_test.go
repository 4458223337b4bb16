package amqptest

import (
	"bytes"
	"slices"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

func encoded(t *testing.T, m amqp.Message) []byte {
	t.Helper()
	b, err := m.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reversed is a value with the entries of all its maps in reverse order.
func reversed(v any) any {
	switch v := v.(type) {
	case amqp.Map:
		out := make(amqp.Map, len(v))
		for i, p := range v {
			out[len(v)-1-i] = amqp.Pair{Key: p.Key, Value: reversed(p.Value)}
		}
		return out
	case amqp.List:
		out := make(amqp.List, len(v))
		for i, e := range v {
			out[i] = reversed(e)
		}
		return out
	case []amqp.Map:
		out := make([]amqp.Map, len(v))
		for i, m := range v {
			out[i] = reversed(m).(amqp.Map)
		}
		return out
	case amqp.Described:
		return amqp.Described{Descriptor: v.Descriptor, Value: reversed(v.Value)}
	}
	return v
}

func TestTheOrderOfAMapDoesNotCount(t *testing.T) {
	m := Random(1)
	for range 2000 {
		value := m.Value(5)
		b, r := encoded(t, amqp.Message{Value: value}), encoded(t, amqp.Message{Value: reversed(value)})
		if got, want := Canonical(r), Canonical(b); !bytes.Equal(got, want) {
			t.Fatalf("%x is told from the same in another order,\n %x", b, r)
		}
	}
}

// Changing any byte makes another message, or none.
func TestEveryOtherByteCounts(t *testing.T) {
	m := Random(2)
	for range 200 {
		made := m.Message()
		made.DeliveryAnnotations = nil
		b := encoded(t, made)
		want := Canonical(b)
		for i := range b {
			other := slices.Clone(b)
			other[i] ^= 1
			if got := canonicalOrNil(other); bytes.Equal(got, want) {
				t.Fatalf("byte %d of %x does not count", i, b)
			}
		}
	}
}

func canonicalOrNil(b []byte) (c []byte) {
	defer func() {
		if recover() != nil {
			c = nil
		}
	}()
	return append([]byte{0}, Canonical(b)...)[1:]
}

func TestAnnotationsCanBeLeftOut(t *testing.T) {
	with := encoded(t, amqp.Message{Annotations: amqp.Map{{Key: amqp.Symbol("a"), Value: 1}, {Key: amqp.Symbol("b"), Value: 2}}, Footer: amqp.Map{{Key: amqp.Symbol("a"), Value: 1}}})
	rest := encoded(t, amqp.Message{Annotations: amqp.Map{{Key: amqp.Symbol("b"), Value: 2}}, Footer: amqp.Map{{Key: amqp.Symbol("a"), Value: 1}}})
	none := encoded(t, amqp.Message{Footer: amqp.Map{{Key: amqp.Symbol("a"), Value: 1}}})
	for _, test := range []struct {
		message []byte
		without []string
		want    []byte
		as      []string
	}{{with, []string{"a"}, rest, []string{"a"}}, {with, []string{"a", "b"}, none, nil}} {
		if got, want := Canonical(test.message, test.without...), Canonical(test.want, test.as...); !bytes.Equal(got, want) {
			t.Errorf("without %v it is %x, want %x", test.without, got, want)
		}
	}
}
