//go:build linux

package main

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestLinesAreJSONOfTheirSize(t *testing.T) {
	for _, i := range []int{0, 7, 123_456_789} {
		b := line(i, 1000)
		var v struct{ Sequence int }
		if err := json.Unmarshal(b, &v); err != nil || v.Sequence != i || len(b) != 1000 || slices.Contains(b, '\n') {
			t.Errorf("line %d is %q, %d bytes, %v; want JSON of 1000 bytes", i, b, len(b), err)
		}
	}
}

// A reader that prints too little is an error, not a fast reader.
func TestAReaderThatPrintsTooLittleFails(t *testing.T) {
	r := &reader{title: "printf", command: []string{"printf", `a\nb\n`}}
	if _, err := r.read(t.Context(), nil, 2); err != nil {
		t.Error(err)
	}
	if _, err := r.read(t.Context(), nil, 3); err == nil {
		t.Error("2 lines passed for 3 events")
	}
}

func TestTheMedianIsTheMiddle(t *testing.T) {
	turns := []turn{{wall: 3}, {wall: 1}, {wall: 2}}
	if got := median(turns, func(t turn) time.Duration { return t.wall }); got != 2 {
		t.Errorf("got %v, want 2", got)
	}
}
