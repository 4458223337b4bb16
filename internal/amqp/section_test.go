package amqp

import (
	"bytes"
	"testing"
)

func section(t testing.TB, code byte, m Map) Section {
	t.Helper()
	b, err := AppendValue(AppendSectionHeader(nil, code), m)
	if err != nil {
		t.Fatal(err)
	}
	s, rest, err := readSection(b)
	if err != nil || len(rest) != 0 {
		t.Fatalf("%d bytes left, error %v", len(rest), err)
	}
	return s
}

func TestASectionGivesOneOfItsTexts(t *testing.T) {
	long := string(bytes.Repeat([]byte("x"), 300)) // wide forms of the string and the map
	s := section(t, SectionApplicationProperties, Map{{"number", int32(1)}, {"map", Map{{"text", "inner"}}}, {Symbol("symbol"), "of a symbol"}, {"text", "found"}, {"long", long}, {"text", "a second"}})
	for key, want := range map[string]string{"text": "found", "long": long} {
		if got, ok := s.Text(key); !ok || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", key, got, ok, want)
		}
	}
	for _, key := range []string{"", "number", "map", "inner", "symbol", "tex"} {
		if got, ok := s.Text(key); ok {
			t.Errorf("%s: got %q, want nothing", key, got)
		}
	}
	if got, ok := (Section{Code: SectionData, Value: []byte{codeBinary8, 1, 'x'}}).Text("x"); ok {
		t.Errorf("of data: got %q, want nothing", got)
	}
	if got, ok := (Section{}).Text("x"); ok {
		t.Errorf("of an empty section: got %q, want nothing", got)
	}
}

// FuzzSectionText checks that a text is found where decoding finds it, and that nothing that cannot be decoded makes it fail.
func FuzzSectionText(f *testing.F) {
	for _, m := range []Map{nil, {{"a", "b"}}, {{"b", int64(1)}, {"a", "c"}}, {{Symbol("a"), "b"}}} {
		f.Add(section(f, SectionApplicationProperties, m).Value, "a")
	}
	f.Add([]byte{codeMap8, 3, 4, codeNull, codeNull}, "a")
	f.Fuzz(func(t *testing.T, value []byte, key string) {
		got, found := Section{Code: SectionApplicationProperties, Value: value}.Text(key)
		decoded, _, err := ReadValue(value)
		m, isMap := decoded.(Map)
		if err != nil || !isMap {
			return
		}
		want, isText := "", false
		for _, pair := range m {
			if pair.Key == key {
				want, isText = pair.Value.(string)
				break
			}
		}
		if found != isText || string(got) != want {
			t.Errorf("%x: got %q, %v, want %q, %v", value, got, found, want, isText)
		}
	})
}
