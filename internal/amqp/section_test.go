package amqp

import (
	"slices"
	"strings"
	"testing"
)

// propertiesMessage is a message with sections before and after its application properties.
func propertiesMessage(t testing.TB, m Map) []byte {
	t.Helper()
	message := Message{Annotations: Map{{Symbol("text"), "an annotation's"}}, Properties: &Properties{MessageID: "id"}, ApplicationProperties: m, Data: [][]byte{[]byte("text")}}
	b, err := message.AppendTo(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAMessageGivesOneOfItsTexts(t *testing.T) {
	long := strings.Repeat("x", 300) // wide forms of the string and the map
	for _, filler := range []string{"", long} {
		b := propertiesMessage(t, Map{{"number", int32(1)}, {"filler", filler}, {"text", "found"}, {"long", long}, {"text", "a second"}})
		for key, want := range map[string]string{"text": "found", "long": long, "filler": filler} {
			if got, ok := ApplicationText(b, key); !ok || string(got) != want {
				t.Errorf("%s: got %q, %v, want %q", key, got, ok, want)
			}
			// The same with the descriptor of the first section in its long form.
			wide := append([]byte{codeDescribed, codeUlong, 0, 0, 0, 0, 0, 0, 0, b[2]}, b[3:]...)
			if got, ok := ApplicationText(wide, key); !ok || string(got) != want {
				t.Errorf("%s, wide descriptor: got %q, %v, want %q", key, got, ok, want)
			}
		}
		for _, key := range []string{"", "number", "tex", "x-opt"} {
			if got, ok := ApplicationText(b, key); ok {
				t.Errorf("%s: got %q, want nothing", key, got)
			}
		}
	}
	for _, b := range [][]byte{nil, {codeDescribed}, propertiesMessage(t, nil), {codeDescribed, codeSmallUlong, SectionApplicationProperties, codeList0}} {
		if got, ok := ApplicationText(b, "text"); ok {
			t.Errorf("%x: got %q, want nothing", b, got)
		}
	}
}

// Binary counts as a text, since headers of Kafka producers arrive as that.
func TestAMessageGivesAllItsTexts(t *testing.T) {
	long := strings.Repeat("x", 300) // wide forms of the values and the map
	b := propertiesMessage(t, Map{{"a", "1"}, {"n", int64(5)}, {"b", []byte("2")}, {"l", Map{{"x", "y"}}}, {"long", []byte(long)}, {"s", Symbol("no")}, {"a", ""}})
	var got []string
	for name, text := range ApplicationTexts(b) {
		got = append(got, string(name)+"="+string(text))
	}
	if want := []string{"a=1", "b=2", "long=" + long, "a="}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range ApplicationTexts(b) {
		break
	}
	for _, b := range [][]byte{nil, {codeDescribed}, propertiesMessage(t, nil), {codeDescribed, codeSmallUlong, SectionApplicationProperties, codeList0}, b[:60]} {
		for name, text := range ApplicationTexts(b) {
			t.Errorf("%x: got %q, %q, want nothing", b, name, text)
		}
	}
}

// An annotation's key is a symbol. The depth of another annotation does not matter.
func TestAMessageGivesOneOfItsAnnotations(t *testing.T) {
	deep := any("x")
	for range maxDepth {
		deep = List{deep}
	}
	for name, m := range map[string]Message{
		"alone":            {Annotations: Map{{Symbol("key"), "k"}}},
		"behind a number":  {Header: &Header{}, Annotations: Map{{uint64(7), "a"}, {Symbol("ke"), "b"}, {Symbol("key"), "k"}}},
		"behind deep ones": {DeliveryAnnotations: Map{{Symbol("key"), "d"}}, Annotations: Map{{Symbol("deep"), deep}, {Symbol("key"), "k"}}, ApplicationProperties: Map{{"key", "a"}}},
	} {
		b, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := AnnotationText(b, "key"); !ok || string(got) != "k" {
			t.Errorf("%s: got %q, %v, want k", name, got, ok)
		}
	}
	for name, m := range map[string]Message{
		"no annotations": {ApplicationProperties: Map{{"key", "k"}}}, "another": {Annotations: Map{{Symbol("keys"), "k"}}}, "a symbol": {Annotations: Map{{Symbol("key"), Symbol("k")}}},
	} {
		b, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := AnnotationText(b, "key"); ok {
			t.Errorf("%s: got %q, want nothing", name, got)
		}
	}
}

// inOrder reports whether the sections before the body are there, once each and in AMQP's order.
// Decoding a whole message takes others, too; looking for a text ends at the body.
func inOrder(message []byte) bool {
	last := byte(0)
	for s, err := range Sections(message) {
		if err != nil || s.Code < last || s.Code == last && s.Code < SectionData {
			return false
		}
		last = s.Code
	}
	return true
}

// FuzzApplicationText checks that a text is found where decoding the whole message finds it, and
// that no message crashes it.
func FuzzApplicationText(f *testing.F) {
	for _, m := range []Map{nil, {{"a", "b"}}, {{"b", int64(1)}, {"a", "c"}}, {{"b", Map{{"a", "b"}}}, {"a", strings.Repeat("c", 300)}}, {{"a", Symbol("c")}}} {
		f.Add(propertiesMessage(f, m), "a")
	}
	f.Add([]byte{codeDescribed, codeSmallUlong, SectionApplicationProperties, codeMap8, 3, 4, codeNull, codeNull}, "a")
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		property, hasProperty := ApplicationText(b, key)
		annotation, hasAnnotation := AnnotationText(b, key)
		message, err := ParseMessage(b)
		if err != nil || !inOrder(b) {
			return
		}
		for _, c := range []struct {
			got   []byte
			found bool
			in    Map
		}{{property, hasProperty, message.ApplicationProperties}, {annotation, hasAnnotation, message.Annotations}} {
			value, _ := c.in.Get(key)
			if want, isText := value.(string); c.found != isText || string(c.got) != want {
				t.Errorf("%x: got %q, %v, want %q, %v", b, c.got, c.found, want, isText)
			}
		}
	})
}
