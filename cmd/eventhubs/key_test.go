package main

import (
	"strings"
	"testing"
)

func TestKeyOfFollowsThePath(t *testing.T) {
	for _, test := range []struct{ body, path, want string }{
		{`{"a":{"b":"x"}}`, "a.b", "x"},
		{` { "c" : [ { "a" : "}" } , "]" ] , "a" : { "b" : -1.5e3 } } `, "a.b", "-1.5e3"},
		{`{"a":true,"b":false}`, "b", "false"},
		{`{"a":"\u0064 \"quoted\""}`, "a", `d "quoted"`},
		// Of members with the same name the last one counts.
		{`{"a":1,"a":{"b":2},"a":{"b":3}}`, "a.b", "3"},
		{`{"":{"":"empty names"}}`, ".", "empty names"},
	} {
		if got, err := keyOf([]byte(test.body), strings.Split(test.path, ".")); got != test.want || err != nil {
			t.Errorf("keyOf(%s, %s) = %q, %v, want %q", test.body, test.path, got, err, test.want)
		}
	}
	for _, test := range []struct{ body, path, why string }{
		{`{"a":[{"b":1}]}`, "a.b", `no field "a.b"`},
		{`{"a":"text"}`, "a.b", `no field "a.b"`},
		{`{"a":null}`, "a", "null"},
		{`[1]`, "a", "not a JSON object"},
		{`null`, "a", "not a JSON object"},
		{`{"a":`, "a", "not a JSON object"},
	} {
		if got, err := keyOf([]byte(test.body), strings.Split(test.path, ".")); err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("keyOf(%s, %s) = %q, %v, want an error that says %q", test.body, test.path, got, err, test.why)
		}
	}
}

func TestAKeyIsAsLongAsTheServiceCounts(t *testing.T) {
	for units, key := range map[int]string{127: strings.Repeat("🎉", 63) + "a", 128: strings.Repeat("🎉", 64), 129: strings.Repeat("🎉", 64) + "a"} {
		_, err := keyOf([]byte(`{"k":"`+key+`"}`), []string{"k"})
		asRecord := (&entry{body: []byte(`{"body":"b","key":"` + key + `"}`)}).fromRecord(maxEventBytes)
		for what, err := range map[string]error{"a field": err, "a record": asRecord} {
			if (err != nil) != (units > 128) || err != nil && !strings.Contains(err.Error(), "129 characters") {
				t.Errorf("%s with a key of %d UTF-16 units: %v", what, units, err)
			}
		}
	}
}

// The decoder would put U+FFFD for each, and so send the events of many keys to one partition.
func TestAKeyThatIsNoTextIsBad(t *testing.T) {
	for body, why := range map[string]string{
		"{\"k\":\"a\xff\"}":          "not valid UTF-8",
		`{"k":"\ud83c"}`:             `\ud83c without its other half`,
		`{"k":"a\udf0b\ud83c"}`:      `\udf0b without its other half`,
		`{"k":"\ud83c\ud83c\udf0b"}`: `\ud83c without its other half`,
		`{"k":"\ud83c\\udf0b"}`:      `\ud83c without its other half`,
		`{"k":"\ud83c\u"}`:           "not a JSON object",
	} {
		if key, err := keyOf([]byte(body), []string{"k"}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("keyOf(%q) = %q, %v, want an error with %q", body, key, err, why)
		}
	}
	for body, want := range map[string]string{`{"k":"\ud83c\udf0b"}`: "🌋", `{"k":"\\ud83c"}`: `\ud83c`, `{"k":"\ufffd�"}`: "��"} {
		if key, err := keyOf([]byte(body), []string{"k"}); key != want || err != nil {
			t.Errorf("keyOf(%s) = %q, %v, want %q", body, key, err, want)
		}
	}
}
