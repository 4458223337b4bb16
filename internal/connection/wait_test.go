package connection

import (
	"testing"
	"time"
)

func TestWaitIsReadFromTheServicesText(t *testing.T) {
	for _, c := range []struct {
		description string
		want        time.Duration
	}{
		{"The request was terminated because the entity is being throttled. Error code : 50002. Sub error : 102. Please wait 4 seconds and try again. To know more visit https://aka.ms/sbResourceMgrExceptions", 4 * time.Second},
		{"Please wait 1 second and try again", time.Second},
		{"PLEASE WAIT 12 Seconds", 12 * time.Second},
		{"wait 7 second(s) before you try again", 7 * time.Second},
		{"wait for 10s", 10 * time.Second},
		{"please wait for at least 1.5 secs.", 1500 * time.Millisecond},
		{"wait 250 milliseconds", 250 * time.Millisecond},
		{"wait 20ms", 20 * time.Millisecond},
		{"wait 2 minutes", 2 * time.Minute},
		{"wait 999999999 seconds", maxWait},
		{"wait 0 seconds", 0},
		{"wait a moment", 0},
		{"wait 4", 0},
		{"await 4 seconds", 0},
		{"wait 4 sections", 0},
		{"", 0},
	} {
		if got := askedWait(c.description); got != c.want {
			t.Errorf("%q asks to wait %v, want %v", c.description, got, c.want)
		}
	}
}

func FuzzAskedWait(f *testing.F) {
	f.Add("Please wait 4 seconds and try again.")
	f.Add("wait 999999999.999999999 minutes")
	f.Fuzz(func(t *testing.T, description string) {
		if got := askedWait(description); got < 0 || got > maxWait {
			t.Errorf("%q asks to wait %v", description, got)
		}
	})
}
