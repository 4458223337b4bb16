package eventjson

import (
	"testing"
	"unicode/utf8"
)

// IsText must agree with package utf8, wherever a byte beyond ASCII is.
func FuzzIsText(f *testing.F) {
	line := "a line of text that is longer than one step, and then longer than two of them"
	for i := range len(line) {
		for _, middle := range []string{"ü", "\xff", "\xc3", "€", "\xed\xa0\x80"} {
			f.Add([]byte(line[:i] + middle + line[i:]))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, want := IsText(text), utf8.Valid(text); got != want {
			t.Errorf("IsText(%q) is %v, want %v", text, got, want)
		}
	})
}
