package main

import "testing"

func TestSlipsAreRecognised(t *testing.T) {
	for typed, want := range map[string]string{
		"publsh":    " (did you mean publish?)",
		"pubilsh":   " (did you mean publish?)",
		"publisher": " (did you mean publish?)",
		"tial":      " (did you mean tail?)",
		"chekc":     " (did you mean check?)",
		"plna":      " (did you mean plan?)",
		"send":      "",
		"p":         "",
		"":          "",
	} {
		if got := didYouMean("", typed, commandNames()); got != want {
			t.Errorf("%q: got %q want %q", typed, got, want)
		}
	}
}

func TestDistanceCountsSlips(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"key", "", 3}, {"key", "key", 0}, {"kye", "key", 1}, {"ky", "key", 1}, {"keys", "key", 1}, {"kex", "key", 1}, {"abcd", "badc", 2}, {"partition", "partitions", 1},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q to %q: got %d want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("%q to %q: got %d want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestWordsForAShell(t *testing.T) {
	for word, want := range map[string]string{"lost.ndjson": "lost.ndjson", "a b": "'a b'", "it's": `'it'\''s'`, "": "''", "$HOME/x": "'$HOME/x'"} {
		if got := forShell(word); got != want {
			t.Errorf("%q: got %s want %s", word, got, want)
		}
	}
}
