package main

import (
	"strings"
	"testing"
)

func TestBarShowsStoredAndFailed(t *testing.T) {
	for _, test := range []struct {
		name                  string
		stored, failed, total int
		want                  string
	}{
		{"nothing yet", 0, 0, 10, "[..............................] 0 of 10 events"},
		{"half", 5, 0, 10, "[###############...............] 5 of 10 events"},
		{"all", 10, 0, 10, "[##############################] 10 of 10 events"},
		{"more than expected", 12, 0, 10, "[##############################] 12 of 10 events"},
		{"failures fill the bar", 4, 1, 10, "[###############...............] 4 of 10 events, 1 failed"},
		{"stream", 7, 0, 0, "7 events"},
		{"stream with failures", 7, 2, 0, "7 events, 2 failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := bar(test.stored, test.failed, test.total); got != test.want {
				t.Errorf("got %q want %q", got, test.want)
			}
		})
	}
}

func TestLinesTakeTheBarAway(t *testing.T) {
	var out strings.Builder
	pr := newProgress(&out, newTally())
	pr.line("first")
	pr.drawn = true
	pr.line("second")
	pr.line("third")
	if got, want := out.String(), "first\n"+eraseLine+"second\nthird\n"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
}
