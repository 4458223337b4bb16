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
		{`{"a":1,"a":{"b":2},"a":{"b":3}}`, "a.b", "3"}, // of members with one name the last counts
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
