package wire

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// This file shows eight troubles to an engineer on call: the log, Health, Stats and Close's error.
// The program is the one that a newcomer writes first.

const (
	troublesDocument = "docs/operations.md"
	troublesBegins   = "<!-- Made by the tests: go test -run TestTheTroublesOfTheDocumentAreTheTests ./internal/trial/wire -update -->\n"
)

// A sight is a trouble as an engineer sees it.
type sight struct {
	title   string
	hub     string // "hub", unless the name is the trouble
	strike  func(f *firstProgram)
	handle  bool // there is a handler, and it hangs for partition 1
	retried bool // so that chance decides whether a try is in flight at the end
	// The trouble concerns all partitions. Then only 1 gets events, or chance would decide which
	// one is named.
	all bool
}

var sights = []sight{
	{title: "Throttled: the throughput is used up", retried: true, strike: meets(emulator.KindTransfer, emulator.Reject("com.microsoft:server-busy", textBusy))},
	{title: "A revoked key: a policy was changed while the program runs", all: true, strike: func(f *firstProgram) {
		f.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindPutToken {
				return emulator.Reject("amqp:unauthorized-access", "InvalidSignature: The token has an invalid signature. TrackingId:3_G0, SystemTracker:t").WithStatus(401)
			}
			return emulator.Pass()
		})
		f.server.CutAll()
	}},
	{title: "A deleted event hub", all: true, strike: func(f *firstProgram) {
		f.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindAttach && strings.HasPrefix(op.Address, "hub/") || op.Kind == emulator.KindManagement {
				return emulator.Reject("amqp:not-found", "The messaging entity 'sb://name.servicebus.windows.net/hub' could not be found. TrackingId:4_G0, SystemTracker:t").WithStatus(404)
			}
			return emulator.Pass()
		})
		f.server.CutAll()
	}},
	{title: "A silent partition: nothing is acknowledged", strike: meets(emulator.KindTransfer, emulator.Silence())},
	{title: "No credit: the link is open, but no message is allowed", strike: func(f *firstProgram) {
		meets(emulator.KindAttach, emulator.WithholdCredit(forEver))(f)
		f.server.CutAll()
	}},
	{title: "A half-open network: a firewall has forgotten the connection, and lets no new one in", all: true, strike: func(f *firstProgram) {
		f.network.Swallow()
		f.network.Block(fmt.Errorf("dial tcp 10.0.0.4:5671: connect: connection timed out"))
	}},
	{title: "A wrong name of the event hub", hub: "hubb"},
	{title: "A handler that hangs", handle: true},
}

func TestTheTroublesOfTheDocumentAreTheTests(t *testing.T) {
	var text strings.Builder
	for _, s := range sights {
		synctest.Test(t, func(t *testing.T) { s.see(t, &text) })
	}
	world.WantTable(t, troublesDocument, troublesBegins, text.String())
}

func (s sight) see(t *testing.T, text *strings.Builder) {
	f := newFirstProgram(t, "hub", "", s.handle)
	if s.hub != "" {
		f = newFirstProgram(t, s.hub, "", false)
	}
	stop := make(chan struct{})
	partitions := []string{"0", "1"}
	if s.all {
		partitions = partitions[1:]
	}
	for _, id := range partitions {
		// This goroutine ends when stop is closed, or with the event that is refused then.
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					_ = f.p.Enqueue(context.Background(), &eventhubs.Event{Body: []byte("event"), PartitionID: id})
				}
			}
		}()
	}
	began := time.Now()
	if s.strike != nil {
		time.Sleep(2 * time.Second)
		f.tty.read()
		began = time.Now()
		s.strike(f)
	}
	fmt.Fprintf(text, "\n#### %s\n\n```\n", s.title)
	// The moment lies between two events, so that chance does not decide how many there are.
	time.Sleep(15*time.Second + 150*time.Millisecond)
	health, stats := f.p.Health(), f.p.Stats()
	s.tell(text, began, f.tty.read())
	fmt.Fprintf(text, "%8s  Health %v, partitions %v: %v\n", "+15 s", health.State, health.Partitions, plain(fmt.Sprint(health.Err)))
	for _, part := range stats.Partitions {
		name := "partition " + part.ID
		if part.ID == "" {
			name = "no partition yet"
		}
		waiting := part.Waiting
		if s.retried && waiting == eventhubs.WaitingForService {
			waiting = eventhubs.WaitingThrottled // chance decides whether a try is on its way
		}
		if part.BufferedEvents > 10 {
			fmt.Fprintf(text, "%8s  Stats  %s: more than %d00 events, waiting %v, the oldest for %v\n", "+15 s", name, part.BufferedEvents/100, waiting, part.OldestEventAge.Round(time.Second))
		}
	}
	time.Sleep(60 * time.Second)
	s.tell(text, began, f.tty.read())
	close(stop)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := f.p.Close(ctx)
	said := plain(fmt.Sprint(err))
	if s.retried {
		// Chance decides whether a try is in flight.
		said = strings.Replace(said, "not stored, … events possibly stored", "not stored", 1)
	}
	fmt.Fprintf(text, "%8s  Close  %v\n```\n", "+75 s", said)
	close(f.hold)
	if err == nil {
		t.Errorf("%s: Close returned nil, want the error of the trouble", s.title)
	}
}

// tell writes lines of the log with the time since the trouble began. It leaves out the number of
// tries, which chance decides.
func (s sight) tell(text *strings.Builder, began time.Time, lines []string) {
	for _, line := range lines {
		stamp, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		at, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			continue
		}
		level, rest, _ := strings.Cut(strings.TrimPrefix(rest, "level="), " ")
		fmt.Fprintf(text, "%8s  %-5s  %s\n", fmt.Sprintf("+%.0f s", at.Sub(began).Seconds()), level, plain(rest))
	}
}

var chance = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`since=\S+`), "since=…"},
	{regexp.MustCompile(`tries=\d+`), "tries=…"},
	{regexp.MustCompile(`\d+ tries`), "… tries"},
	{regexp.MustCompile(`buffered=\d+`), "buffered=…"},
	{regexp.MustCompile(`oldest=\S+`), "oldest=…"},
	{regexp.MustCompile(`failed for [^:]+:`), "failed for …:"},
	{regexp.MustCompile(`\d+ events?`), "… events"},
	{regexp.MustCompile(`emulator-in-memory\.invalid(:\d+)?`), "name.servicebus.windows.net"},
	{regexp.MustCompile(`tracking id [^)]+`), "tracking id …"},
	{regexp.MustCompile(`memnet client->server`), "tcp"},
}

func plain(text string) string {
	for _, c := range chance {
		text = c.what.ReplaceAllString(text, c.is)
	}
	return text
}
