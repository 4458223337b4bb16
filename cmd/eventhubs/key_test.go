package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzKeyOf compares keyOf with the plain way of finding a field, by encoding/json.
func FuzzKeyOf(f *testing.F) {
	for _, test := range badLines {
		f.Add([]byte(test.line), "id")
	}
	f.Add([]byte(`{"a":{"b":"x"}}`), "a.b")
	f.Add([]byte(` { "c" : [ { "a" : "}" } , "]" ] , "a" : { "b" : -1.5e3 } } `), "a.b")
	f.Add([]byte(`{"a":[{"b":1}]}`), "a.b")
	f.Add([]byte(`{"a":"\\","b":{},"c":[],"\u0064\"":true,"d\"":false}`), "d\"")
	f.Add([]byte(`{"a":1,"a":{"b":2},"a":{"b":3}}`), "a.b")
	f.Add([]byte(`{"":{"":"empty names"}}`), ".")
	f.Fuzz(func(t *testing.T, body []byte, dotted string) {
		if !utf8.Valid(body) {
			return // Such a line is refused before.
		}
		path := strings.Split(dotted, ".")
		key, err := keyOf(body, path)
		want, ok := decodedKey(body, path)
		if ok != (err == nil) || ok && key != want {
			t.Errorf("field %q of %q: got %q, %v; want %q, %v", dotted, body, key, err, want, ok)
		}
	})
}

func decodedKey(body []byte, path []string) (key string, ok bool) {
	value := json.RawMessage(body)
	for _, name := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(value, &object); err != nil {
			return "", false
		}
		if value, ok = object[name]; !ok {
			return "", false
		}
	}
	key = string(value)
	switch value[0] {
	case '"':
		if err := json.Unmarshal(value, &key); err != nil {
			return "", false
		}
	case '{', '[', 'n':
		return "", false
	}
	return key, key != "" && utf8.RuneCountInString(key) <= maxKeyLength
}

func BenchmarkKeyOf(b *testing.B) {
	content, err := os.ReadFile(earthquakes)
	if err != nil {
		b.Fatal(err)
	}
	body, _, _ := bytes.Cut(content, []byte("\n"))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keyOf(body, []string{"properties", "net"}); err != nil {
			b.Fatal(err)
		}
	}
}
