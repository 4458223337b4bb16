package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A tampering changes six events on their way back. They were sent as a0 b1 a2 b3 a4 b5. With keys,
// the key is their letter: a goes to partition 0 and b to partition 1. Without keys all go to
// partition 0.
type tampering struct {
	name    string
	tamper  func([]received) []received
	keyed   string // the differences when events have keys
	unkeyed string // and when they have none
}

var tamperings = []tampering{
	{"nothing", func(e []received) []received { return e }, "", ""},
	{"one lost", func(e []received) []received { return slices.Delete(e, 2, 3) },
		`1 events with key "a" did not come back, the first is event 5`,
		"1 events without a key did not come back, the first is event 5"},
	{"the first lost", func(e []received) []received { return e[1:] },
		`1 events with key "a" did not come back, the first is event 1`,
		"1 events without a key did not come back, the first is event 1"},
	{"all lost", func([]received) []received { return nil },
		`3 events with key "a" did not come back, the first is event 1` + "\n" +
			`3 events with key "b" did not come back, the first is event 2`,
		"6 events without a key did not come back, the first is event 1"},
	{"one duplicated at once", func(e []received) []received { return slices.Insert(e, 1, e[0]) },
		`1 events with key "a" came back more than once`,
		"1 events without a key came back more than once"},
	{"one duplicated at the end", func(e []received) []received { return append(e, e[5]) },
		`1 events with key "b" came back more than once`,
		"1 events without a key came back more than once"},
	{"one changed", func(e []received) []received { e[1].body = []byte("a2 "); return e },
		`1 events with key "a" did not come back, the first is event 3` + "\n" +
			`1 events with key "a" came back that were never sent`,
		"1 events without a key did not come back, the first is event 3\n" +
			"1 events without a key came back that were never sent"},
	{"two swapped", func(e []received) []received { e[0], e[1] = e[1], e[0]; return e },
		`events with key "a" came back out of order, the first is event 1`, ""},
	{"the last two swapped", func(e []received) []received { e[4], e[5] = e[5], e[4]; return e },
		`events with key "b" came back out of order, the first is event 4`, ""},
	{"one lost and two swapped", func(e []received) []received { e[1], e[2] = e[2], e[1]; return e[1:] },
		`1 events with key "a" did not come back, the first is event 1` + "\n" +
			`events with key "a" came back out of order, the first is event 3`,
		"1 events without a key did not come back, the first is event 1"},
	{"one in another partition", func(e []received) []received { e[5].partition = "0"; return e },
		`events with key "b" came back from partition 1 and from 0`, ""},
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	for _, test := range tamperings {
		for _, keyed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s keyed=%v", test.name, keyed), func(t *testing.T) {
				l := newLedger(false)
				var a, b []received
				for _, body := range []string{"a0", "b1", "a2", "b3", "a4", "b5"} {
					key := ""
					if keyed {
						key = body[:1]
					}
					l.sent(key, []byte(body))
					e := received{partition: "0", key: key, body: []byte(body)}
					if body[0] == 'a' {
						a = append(a, e)
					} else {
						e.partition = "1"
						b = append(b, e)
					}
				}
				for _, e := range test.tamper(slices.Concat(a, b)) {
					l.received(e)
				}
				want := test.unkeyed
				if keyed {
					want = test.keyed
				}
				if got := strings.Join(l.differences(), "\n"); got != want {
					t.Errorf("got:\n%s\nwant:\n%s", got, want)
				}
			})
		}
	}
}

func TestVerifyTellsEqualBodiesApart(t *testing.T) {
	l := newLedger(false)
	for range 3 {
		l.sent("k", []byte("same"))
	}
	for range 3 {
		l.received(received{partition: "0", key: "k", body: []byte("same")})
	}
	if got := l.differences(); len(got) != 0 {
		t.Errorf("differences where there are none: %q", got)
	}
	l.received(received{partition: "0", key: "k", body: []byte("same")})
	if got := l.differences(); len(got) != 1 || !strings.Contains(got[0], "more than once") {
		t.Errorf("got %q, want one event that came back more than once", got)
	}
}

func TestVerifyFindsAKeyThatWasNeverSent(t *testing.T) {
	l := newLedger(false)
	l.sent("k", []byte("x"))
	l.received(received{partition: "0", key: "other", body: []byte("x")})
	got := strings.Join(l.differences(), "\n")
	want := `1 events with key "k" did not come back, the first is event 1` + "\n" +
		`1 events with key "other" came back that were never sent`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestPublishFailsWhenTheHubLosesEvents runs publish against an emulator that acknowledges one
// batch and loses it.
func TestPublishFailsWhenTheHubLosesEvents(t *testing.T) {
	server := startServer(t)
	var lost atomic.Int64
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && lost.CompareAndSwap(0, int64(op.Events)) {
			return emulator.Accept()
		}
		return emulator.Pass()
	})
	to := &target{clientOptions{connectionString: server.ConnectionString(""), hub: "events"}, server}
	if err := to.read(nil); err != nil {
		t.Fatal(err)
	}
	p := &process{stdin: strings.NewReader(strings.Repeat("line\n", 40)), stdout: new(strings.Builder), stderr: new(strings.Builder)}
	pub, err := newPublication(p, to, &publishOptions{files: []string{"-"}, format: formatLines, repeat: 1, grace: closeTimeout})
	if err != nil {
		t.Fatal(err)
	}
	src, err := pub.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.publish(t.Context(), src); err != nil {
		t.Fatal(err)
	}
	err = pub.verify(t.Context())
	if err == nil || pub.verified || lost.Load() == 0 {
		t.Fatalf("%d events were lost, and verify returned %v", lost.Load(), err)
	}
	for _, text := range []string{
		fmt.Sprintf("%d events without a key did not come back", lost.Load()),
		fmt.Sprintf("the producer reports %d events", lost.Load()),
	} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
}
