package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// sequences returns the sequence numbers in tail's JSON output, with their partitions.
func sequences(t *testing.T, text string) (list []string) {
	t.Helper()
	for _, r := range decodeLines(t, text) {
		list = append(list, fmt.Sprint(r.Partition, ":", r.SequenceNumber))
	}
	return list
}

// The five events of partition 1 are stored at 12:00:00 to 12:00:04. The other partitions are
// empty, so each of these runs must end in all of them.
func TestTailEndsWhereItIsTold(t *testing.T) {
	_, p, _ := seeded(t)
	for _, test := range []struct{ args, want string }{
		{"--from start --until end", "[1:0 1:1 1:2 1:3 1:4]"},
		{"-n 2 --until end", "[1:3 1:4]"},
		{"-n 9 --until end", "[1:0 1:1 1:2 1:3 1:4]"},
		{"--from latest --until end", "[]"},
		{"--from sequence:9 --until end", "[]"},
		{"--from 2026-01-31T12:00:03Z --until end", "[1:3 1:4]"},
		{"--from -15m --until end", "[]"},
		{"--from start --until 2026-01-31T12:00:02Z", "[1:0 1:1]"},
		{"--from 2026-01-31T12:00:01Z --until 2026-01-31T12:00:03Z", "[1:1 1:2]"},
		{"--from start --until 2020-01-01T00:00:00Z", "[]"},
		{"--from start --until -1m --count 2", "[1:0 1:1]"},
		{"--partition 0,3 --from start --until end", "[]"},
		{"--partition 1,3 -n 1 --until end", "[1:4]"},
	} {
		got := p.run(t, append([]string{"tail", "--output", "json"}, strings.Fields(test.args)...)...)
		got.want(t, exitOK, "Reading ")
		if s := fmt.Sprint(sequences(t, got.stdout)); s != test.want {
			t.Errorf("%s: got %s, want %s", test.args, s, test.want)
		}
	}
}

// The end is a time to come, and no event comes.
func TestTailEndsAtATimeToCome(t *testing.T) {
	_, p, _ := seeded(t)
	p.run(t, "tail", "--until", "10ms").want(t, exitOK, "Reading 4 partitions from latest.\n")
}

// Events that were stored before the end are read after it too.
func TestATimeToComeIsFixedWhenItHasCome(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	extent := connection.PartitionProperties{LastEnqueuedSequenceNumber: 4}
	b := bound{until: until{time: now.Add(time.Hour)}, now: func() time.Time { return now }}
	b.extent = func(context.Context) (connection.PartitionProperties, error) { return extent, nil }
	b.start(extent, true)
	if over, err := b.look(t.Context(), 4); over || err != nil || b.wait() != time.Hour {
		t.Errorf("before the time: over %v, %v, and it waits %v, want false and 1h", over, err, b.wait())
	}
	now = now.Add(time.Hour)
	extent.LastEnqueuedSequenceNumber = 5
	if over, err := b.look(t.Context(), 4); over || err != nil {
		t.Errorf("with an event to read: over %v, %v", over, err)
	}
	if e := (&consumer.Event{Placed: true, SequenceNumber: 5, EnqueuedTime: now.Add(-1)}); b.ends(e) || !b.reached(e) {
		t.Errorf("the last event: it ends before it: %v, after it: %v, want after it", b.ends(e), b.reached(e))
	}
	if e := (&consumer.Event{Placed: true, SequenceNumber: 5, EnqueuedTime: now}); !b.ends(e) {
		t.Error("an event of that time is read")
	}
}

func TestAnInterruptBeforeTheEndIsAFailure(t *testing.T) {
	_, p, _ := seeded(t)
	tail := p.start(t, "tail", "--from", "start", "--until", "1h")
	for range 5 {
		tail.line(t)
	}
	status := tail.stop()
	said, _ := tail.stderr.get()
	result{status: status, stderr: said}.want(t, exitFailed, "interrupted before the end; 5 events were printed")
}

func TestTailPrintsOnlyWhatIsAskedFor(t *testing.T) {
	server := startServer(t)
	send(t, server, "0",
		amqp.Message{Annotations: amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k1"}, {Key: amqp.Symbol("iothub-connection-device-id"), Value: "device-7"}},
			ApplicationProperties: amqp.Map{{Key: "source", Value: "shop"}, {Key: "n", Value: int64(9007199254740993)}, {Key: "a.b", Value: true}}, Data: [][]byte{[]byte(`{"total":99.5,"items":[{"id":"x"}],"note":null}`)}},
		amqp.Message{Annotations: amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "k2"}}, Properties: &amqp.Properties{MessageID: "m-2", Subject: new("s")},
			ApplicationProperties: amqp.Map{{Key: "source", Value: "web"}, {Key: "n", Value: int64(9007199254740992)}, {Key: "took", Value: amqp.Described{Descriptor: eventjson.SymbolTimespan, Value: int64(1)}}}, Data: [][]byte{[]byte(`{"total":1000}`)}},
		amqp.Message{Data: [][]byte{[]byte("no JSON = yes")}},
		amqp.Message{HasValue: true, Value: amqp.Map{{Key: "total", Value: int64(7)}}},
	)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--key", "k2"}, "[0:1]"},
		{[]string{"--key", "none"}, "[]"},
		{[]string{"--filter", "properties.source=shop"}, "[0:0]"},
		{[]string{"--filter", "properties.source != shop"}, "[0:1 0:2 0:3]"},
		{[]string{"--filter", "properties.source"}, "[0:0 0:1]"},
		{[]string{"--filter", "properties.a.b=true"}, "[0:0]"},
		{[]string{"--filter", "properties.n=9007199254740993"}, "[0:0]"},
		{[]string{"--filter", "properties.n<9007199254740993"}, "[0:1]"},
		{[]string{"--filter", "properties.took=100ns"}, "[0:1]"},
		{[]string{"--filter", "annotations.iothub-connection-device-id==device-7"}, "[0:0]"},
		{[]string{"--filter", "body.total>=99.50"}, "[0:0 0:1]"},
		{[]string{"--filter", "body.total>100"}, "[0:1]"},
		{[]string{"--filter", "body.total<100"}, "[0:0 0:3]"},
		{[]string{"--filter", "body.items.0.id=x"}, "[0:0]"},
		{[]string{"--filter", "body.items.1.id"}, "[]"},
		{[]string{"--filter", "body.note=null"}, "[0:0]"},
		{[]string{"--filter", "body~^no JSON = "}, "[0:2]"},
		{[]string{"--filter", "body!~total"}, "[0:2]"},
		{[]string{"--filter", "messageId=m-2"}, "[0:1]"},
		{[]string{"--filter", "subject"}, "[0:1]"},
		{[]string{"--filter", "sequenceNumber>0", "--filter", "key"}, "[0:1]"},
	} {
		got := p.run(t, append([]string{"tail", "--from", "start", "--until", "end", "--output", "json"}, test.args...)...)
		got.want(t, exitOK)
		if s := fmt.Sprint(sequences(t, got.stdout)); s != test.want {
			t.Errorf("%q: got %s, want %s", test.args, s, test.want)
		}
	}
	for _, test := range []struct{ format, want string }{
		{`{{.Partition}}:{{.SequenceNumber}}\t{{.Key}}`, "0:0\tk1\n0:1\tk2\n0:2\t\n0:3\t\n"},
		{`{{with .JSON}}{{.total}}{{end}}`, "99.5\n1000\n\n7\n"},
		{`{{.Properties.source}} {{json .Properties.n}}`, "shop 9007199254740993\nweb 9007199254740992\n<no value> null\n<no value> null\n"},
		{`{{.Body}}`, `{"total":99.5,"items":[{"id":"x"}],"note":null}` + "\n" + `{"total":1000}` + "\nno JSON = yes\n" + `{"total":7}` + "\n"},
	} {
		got := p.run(t, "tail", "--from", "start", "--until", "end", "--format", test.format)
		got.want(t, exitOK)
		if got.stdout != test.want {
			t.Errorf("%s: got\n%s\nwant\n%s", test.format, got.stdout, test.want)
		}
	}
	got := p.run(t, "tail", "--from", "start", "--count", "1", "--output", "pretty")
	got.want(t, exitOK)
	if !strings.Contains(got.stdout, "\n  \"body\": {\n    \"total\": 99.5,\n") || !json.Valid([]byte(got.stdout)) {
		t.Errorf("pretty: got\n%s", got.stdout)
	}
}

func TestTailRefusesOptionsThatCannotWork(t *testing.T) {
	for _, test := range []struct{ args, want string }{
		{"-n 0", "-n is 0"},
		{"-n 5 --from start", "-n and --from are given together"},
		{"--until now", `--until is "now"`},
		{"--from -5m --until -10m", "--from -5m is not before --until -10m"},
		{"--from time:x", "want a time as in time:2026-01-31T12:00:00Z or time:-15m"},
		{"--partition 0,,1", `--partition is "0,,1"`},
		{"--partition 1,1", "names 1 twice"},
		{"--filter =x", `eventhubs: --filter is "=x"; want PATH`},
		{"--filter source=x", `eventhubs: --filter is "source=x"; there is no field "source"`},
		{"--filter properties=x", "name one of the properties"},
		{"--filter key.x=1", `"key.x" is no path`},
		{"--filter body~(", "is no regular expression"},
		{"--format {{.Nothing}}", "--format is"},
		{"--format {{", "--format is"},
		{"--format x --output json", "--format and --output are given together"},
		{"--on-unreadable retry", `--on-unreadable is "retry"`},
	} {
		got := program{}.run(t, append([]string{"tail", "--connection-string", "x"}, strings.Fields(test.args)...)...)
		got.want(t, exitBadInput, test.want)
	}
}

// A terminal obeys control characters. A template's result is escaped there.
func TestATemplatesResultIsSafeOnATerminal(t *testing.T) {
	template, err := parseTemplate(`a\t{{.Body}}\nb`)
	if err != nil {
		t.Fatal(err)
	}
	for safe, want := range map[bool]string{true: "a\t\\x1b[2J\nb\n", false: "a\t\x1b[2J\nb\n"} {
		p := newPrinter(&layout{kind: layoutTemplate, template: template, safe: safe}, "0")
		e := &consumer.Event{Message: amqp.Message{Data: [][]byte{[]byte("\x1b[2J")}}}
		if got, err := p.appendEvent(nil, e, new(tailOptions)); err != nil || string(got) != want {
			t.Errorf("safe %v: got %q, %v, want %q", safe, got, err, want)
		}
	}
}

// A partition may end at an event that cannot be read, and the others go on.
func TestTailStopsAtAnUnreadableEventIfAsked(t *testing.T) {
	p := withUnreadable(t)
	got := p.run(t, "tail", "--from", "start", "--until", "end", "--output", "json", "--on-unreadable", "stop")
	got.want(t, exitFailed, "partition 0: the event with sequence number 1 (offset ", "is not a valid AMQP message (--on-unreadable skip leaves it out)")
	if s := fmt.Sprint(sequences(t, got.stdout)); s != "[0:0]" {
		t.Errorf("got %s, want [0:0]", s)
	}
	got = p.run(t, "tail", "--from", "start", "--until", "end", "--output", "json")
	got.want(t, exitOK, "Partition 0: the event with sequence number 1 ")
	if s := fmt.Sprint(sequences(t, got.stdout)); s != "[0:0 0:2]" {
		t.Errorf("got %s, want [0:0 0:2]", s)
	}
}

// The end of a partition may be deleted while it is read. Then a silent partition asks again.
func TestABoundLooksAgainWhenAPartitionIsSilent(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	extent := connection.PartitionProperties{BeginningSequenceNumber: 3, LastEnqueuedSequenceNumber: 9}
	b := bound{until: until{end: true}, now: func() time.Time { return now }}
	b.start(extent, false)
	for _, test := range []struct {
		answer connection.PartitionProperties
		err    error
		read   int64
		want   bool
	}{
		{extent, nil, 5, false},
		{extent, nil, 9, true},
		{connection.PartitionProperties{BeginningSequenceNumber: 10, LastEnqueuedSequenceNumber: 12}, nil, 5, true},
		{connection.PartitionProperties{IsEmpty: true}, nil, 5, true},
		{extent, &connection.Error{Transient: true, Err: io.EOF}, 5, false},
	} {
		b.extent = func(context.Context) (connection.PartitionProperties, error) { return test.answer, test.err }
		if got, err := b.look(t.Context(), test.read); got != test.want || err != nil {
			t.Errorf("%+v after %d: got %v, %v, want %v", test.answer, test.read, got, err, test.want)
		}
	}
}
