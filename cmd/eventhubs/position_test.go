package main

import (
	"reflect"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func TestPositionsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "end", "Start", "start:", "latest:1", "offset", "offset:", "offset:1'", "sequence", "sequence:", "sequence:-1",
		"sequence:1.5", "sequence:99999999999999999999", "time:", "time:now", "time:2026-01-31", "time:2026-01-31T12:00:00",
	} {
		if from, err := parsePosition(text); err == nil {
			t.Errorf("%q is taken for %+v", text, from)
		}
	}
}

// The service and the emulator write a position in an empty partition in different ways.
func TestWhereNothingEverWasReadingStartsWithTheFirstEvent(t *testing.T) {
	empty := azeventhubs.PartitionProperties{IsEmpty: true, BeginningSequenceNumber: -1, LastEnqueuedSequenceNumber: -1, LastEnqueuedOffset: "-1"}
	for _, text := range []string{"start", "latest", "offset:5", "sequence:5"} {
		from, err := parsePosition(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := from.in(empty), (azeventhubs.StartPosition{Earliest: new(true)}); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want the earliest", text, got)
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
