package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

func TestPositionsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "end", "Start", "start:", "latest:1", "offset", "offset:", "offset:1'", "sequence", "sequence:", "sequence:-1",
		"sequence:1.5", "sequence:99999999999999999999", "time:", "time:now", "time:2026-01-31", "time:2026-01-31T12:00:00",
	} {
		if from, err := parsePosition("--from", text, time.Unix(0, 0)); err == nil {
			t.Errorf("%q is taken for %+v", text, from)
		}
	}
}

// A missing minus sign would mean a time at which nothing is stored yet.
func TestAPositionIsNoTimeToCome(t *testing.T) {
	for text, want := range map[string]string{
		"15m":       `--from is "15m", a time to come; the time before now is -15m`,
		"time:2d1h": `--from is "time:2d1h", a time to come; the time before now is -2d1h`,
		"+1h":       `--from is "+1h", a time to come; the time before now is -1h`,
		"-15m":      "<nil>", "0s": "<nil>", "2026-01-31T12:00:00Z": "<nil>",
	} {
		if _, err := parsePosition("--from", text, time.Unix(0, 0)); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// The service and the emulator write a position in an empty partition in different ways.
func TestWhereNothingEverWasReadingStartsWithTheFirstEvent(t *testing.T) {
	empty := connection.PartitionProperties{IsEmpty: true, BeginningSequenceNumber: -1, LastEnqueuedSequenceNumber: -1, LastEnqueuedOffset: "-1"}
	for _, text := range []string{"start", "latest", "offset:5", "sequence:5"} {
		from, err := parsePosition("--from", text, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if got, beyond := from.in(empty); got != consumer.Start() || !beyond {
			t.Errorf("%s: got %v, beyond the last event: %v, want the start, and true", text, got, beyond)
		}
	}
}

func TestOffsetsAreComparedOnlyIfTheyAreNumbers(t *testing.T) {
	for _, test := range []struct {
		offset, last string
		want         bool
	}{
		{"10", "9", true}, {"9", "10", false}, {"10", "10", false}, {"1:10", "9", false}, {"10", "opaque", false},
	} {
		if got := behind(test.offset, test.last); got != test.want {
			t.Errorf("behind(%q, %q) = %v", test.offset, test.last, got)
		}
	}
}

func TestMomentsAreTimesOrDurationsFromNow(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"-15m": "2026-01-31T11:45:00Z", "-2d": "2026-01-29T12:00:00Z", "-1d12h": "2026-01-30T00:00:00Z", "1h30m": "2026-01-31T13:30:00Z", "0s": "2026-01-31T12:00:00Z",
		"2020-01-01T00:00:00+01:00": "2019-12-31T23:00:00Z",
	} {
		if got, ok := parseMoment(text, now); !ok || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%s: got %v, %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "15", "-15", "d", "-d", "1h2d", "999999d", "yesterday", "2026-01-31"} {
		if got, ok := parseMoment(text, now); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
