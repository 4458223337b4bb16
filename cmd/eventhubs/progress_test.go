package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBarShowsHowFarAndHowFast(t *testing.T) {
	begin := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name                            string
		stored, failed, buffered, total int
		want                            string
	}{
		{"nothing yet", 0, 0, 3, 10, "[....................] 0 of 10 events, 0/s, 3 buffered"},
		{"half", 5, 0, 2, 10, "[##########..........] 5 of 10 events, 2/s, 2 buffered, 2s left"},
		{"all", 10, 0, 0, 10, "[####################] 10 of 10 events, 5/s, 0 buffered"},
		{"more than expected", 12, 0, 0, 10, "[####################] 12 of 10 events, 6/s, 0 buffered"},
		{"failures fill the bar", 4, 1, 0, 10, "[##########..........] 4 of 10 events, 2/s, 0 buffered, 1 failed, 3s left"},
		{"long", 200, 0, 0, 1_000_000, "[....................] 200 of 1000000 events, 100/s, 0 buffered, 2h46m38s left"},
		{"stream", 7, 0, 1, 0, "7 events, 4/s, 1 buffered"},
		{"stream with failures", 7, 2, 0, 0, "7 events, 4/s, 0 buffered, 2 failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := situation{at: begin.Add(2 * time.Second), stored: test.stored, failed: test.failed, buffered: test.buffered}
			if got := s.text(test.total, situation{at: begin}); got != test.want {
				t.Errorf("got %q want %q", got, test.want)
			}
		})
	}
}

// The reason stands beside the bar, as much of it as the line has room for.
func TestTheBarShowsTheReasonOfTrouble(t *testing.T) {
	begin := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	s := situation{at: begin, buffered: 3, reason: "throttled: partition 0: com.microsoft:server-busy"}
	if got, want := s.text(0, situation{at: begin}), "0 events, 0/s, 3 buffered: throttled: partition 0: com.microsoft:server-busy"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
	var out strings.Builder
	pr := newProgress(&out, 10, nil)
	pr.show("12345678äx")
	if got, want := out.String(), eraseLine+"12345678"; got != want {
		t.Errorf("a character in two halves: got %q want %q", got, want)
	}
}

func TestProgressIsDrawnOnATerminalOnly(t *testing.T) {
	for width, want := range map[int]string{
		0:   "",
		80:  eraseLine + "[##..................] 100 of 1000 events, 1000/s, 7 buffered, 1s left" + eraseLine,
		100: eraseLine + "[##..................] 100 of 1000 events, 1000/s, 7 buffered, 1s left" + eraseLine,
		20:  eraseLine + "[##................" + eraseLine,
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var out strings.Builder
			pr := newProgress(&out, width, func() situation {
				now := time.Now()
				return situation{at: now, stored: int(now.Sub(begin) / time.Millisecond), buffered: 7}
			})
			pr.total = 1000
			pr.start()
			time.Sleep(drawEvery + time.Millisecond)
			pr.stop()
			if out.String() != want {
				t.Errorf("width %d: got %q want %q", width, out.String(), want)
			}
		})
	}
}

func TestLinesTakeTheBarAway(t *testing.T) {
	var out strings.Builder
	pr := newProgress(&out, 80, nil)
	pr.line("first")
	pr.drawn = true
	pr.line("second")
	pr.line("third")
	if got, want := out.String(), "first\n"+eraseLine+"second\nthird\n"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
}
