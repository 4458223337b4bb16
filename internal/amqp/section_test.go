package amqp

import (
	"bytes"
	"strings"
	"testing"
)

// propertiesMessage is a message with sections before and behind its application properties.
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

// FuzzApplicationText checks that a text is found where decoding the whole message finds it, and that no message makes it fail.
func FuzzApplicationText(f *testing.F) {
	for _, m := range []Map{nil, {{"a", "b"}}, {{"b", int64(1)}, {"a", "c"}}, {{"b", Map{{"a", "b"}}}, {"a", strings.Repeat("c", 300)}}} {
		f.Add(propertiesMessage(f, m), "a")
	}
	f.Add([]byte{codeDescribed, codeSmallUlong, SectionApplicationProperties, codeMap8, 3, 4, codeNull, codeNull}, "a")
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		got, found := ApplicationText(b, key)
		message, err := ParseMessage(b)
		if err != nil || bytes.Count(b, []byte{SectionApplicationProperties}) > 1 { // a second such section replaces the first
			return
		}
		want, isText := "", false
		for _, pair := range message.ApplicationProperties {
			if pair.Key == key {
				want, isText = pair.Value.(string)
				break
			}
		}
		if found != isText || string(got) != want {
			t.Errorf("%x: got %q, %v, want %q, %v", b, got, found, want, isText)
		}
	})
}
