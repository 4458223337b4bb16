package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// hubAndCopy starts an emulator with the hub events, of four partitions, and the hub copy. In events,
// each partition has events without a key, with a key of its own, and with a key that all have. A
// client of Kafka chooses partitions in such a way.
func hubAndCopy(t *testing.T, partitions int) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}, {Name: "copy", Partitions: partitions}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	key := amqp.Symbol(eventjson.KeyAnnotation)
	for _, id := range server.PartitionIDs("events") {
		var messages []amqp.Message
		for i := range 6 {
			m := amqp.Message{Data: [][]byte{fmt.Append(nil, id, " ", i)}}
			if i%3 > 0 {
				m.Annotations = amqp.Map{{Key: key, Value: []string{"", "all", "only " + id}[i%3]}}
			}
			messages = append(messages, m)
		}
		send(t, server, id, messages...)
	}
	return server
}

// inPartition returns a partition's events without what belongs to one hub.
func inPartition(t *testing.T, server *emulator.Server, hub, id string) (list []string) {
	t.Helper()
	for e := range server.Events(hub, id) {
		_, canonical := copied(t, e.Message)
		list = append(list, canonical)
	}
	return list
}

// printedEvents prints a hub's events as tail does.
func printedEvents(t *testing.T, p program, hub string) string {
	t.Helper()
	printed := p.run(t, "tail", "--hub", hub, "--from", "start", "--until", "end", "--output", "json")
	printed.want(t, exitOK)
	return printed.stdout
}

// With --keep-partition each event goes to the partition of its record, with its key, in order.
func TestACopyKeepsPartitions(t *testing.T) {
	server := hubAndCopy(t, 5)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	records := printedEvents(t, p, "events")
	p.stdin = strings.NewReader(records)
	p.run(t, "publish", "--hub", "copy", "--format", "events", "--keep-partition", "-").want(t, exitOK)
	for _, id := range server.PartitionIDs("events") {
		want, got := inPartition(t, server, "events", id), inPartition(t, server, "copy", id)
		if len(got) != 6 || !slices.Equal(got, want) {
			t.Errorf("partition %s has %q, want %q", id, got, want)
		}
	}

	// The emulator inside the command reads everything back and compares.
	verified := program{stdin: strings.NewReader(records)}.run(t, "publish", "--format", "events", "--keep-partition", "--partitions", "4", "-")
	verified.want(t, exitOK)
	if want := "All read back: each event once, byte for byte, in its partition and in order."; !strings.Contains(verified.stdout, want) {
		t.Errorf("got\n%s\nwant %q", verified.stdout, want)
	}
	if want := "total      24"; !strings.Contains(verified.stdout, want) || !strings.Contains(verified.stdout, "    5\n\n") {
		t.Errorf("got\n%s\nwant 24 events and 5 keys in all, although each partition has the key all", verified.stdout)
	}
}

// Nothing is sent if the hub lacks a partition, or if a record names none. The error names the line.
func TestPartitionsThatCannotBeKept(t *testing.T) {
	server := hubAndCopy(t, 3)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	for _, test := range []struct {
		name, text, want string
	}{
		{"missing in the hub", `{"partition":"1","body":"a"}` + "\n" + `{"partition":"3","body":"b"}` + "\n", `line 2: its partition is "3", and the hub has 0, 1, 2; without --keep-partition, the key or the turn chooses`},
		{"missing in the record", `{"body":"a"}` + "\n", "line 1: it names no partition, and --keep-partition is given"},
		{"no text", `{"partition":1,"body":"a"}` + "\n", "line 1: not a record of an event"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := writeFile(t, test.text)
			p.run(t, "publish", "--hub", "copy", "--format", "events", "--keep-partition", file).want(t, exitBadInput, test.want)
			if n := len(stored(server, "copy")); n != 0 {
				t.Errorf("%d events were sent, want none", n)
			}
		})
	}
	file := writeFile(t, `{"partition":"1","body":"a"}`+"\n"+`{"partition":"3","body":"b"}`+"\n")
	p.run(t, "publish", "--hub", "copy", "--format", "events", "--keep-partition", "--skip-bad", file).want(t, exitOK, "1 bad line")
	if got := stored(server, "copy"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q, want a alone", got)
	}
}

// Events that are not stored keep their partitions too, in the file of --undelivered.
func TestUndeliveredEventsKeepTheirPartitions(t *testing.T) {
	server := hubAndCopy(t, 4)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	records := printedEvents(t, p, "events")
	var broken atomic.Bool
	broken.Store(true)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && broken.Load() {
			return emulator.Reject("amqp:not-allowed", "not now")
		}
		return emulator.Pass()
	})
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	p.stdin = strings.NewReader(records)
	got := p.run(t, "publish", "--hub", "copy", "--format", "events", "--keep-partition", "--undelivered", lost, "-")
	got.want(t, exitFailed, "24 of 24 events")
	if want := "eventhubs publish --format events --keep-partition " + lost; !strings.Contains(got.stdout, want) {
		t.Errorf("got\n%s\nwant %q", got.stdout, want)
	}
	broken.Store(false)
	p.run(t, "publish", "--hub", "copy", "--format", "events", "--keep-partition", lost).want(t, exitOK)
	for _, id := range server.PartitionIDs("events") {
		want, got := inPartition(t, server, "events", id), inPartition(t, server, "copy", id)
		if len(got) != 6 || !slices.Equal(got, want) {
			t.Errorf("partition %s has %q, want %q", id, got, want)
		}
	}
	if _, err := os.Stat(lost); err != nil {
		t.Error(err)
	}
}

func TestKeepPartitionIsForRecordsAlone(t *testing.T) {
	file := writeFile(t, "a\n")
	program{}.run(t, "publish", "--keep-partition", file).want(t, exitBadInput, "--keep-partition is for --format events only")
	program{}.run(t, "publish", "--keep-partition", "--partition", "0", "--format", "events", file).
		want(t, exitBadInput, "--partition and --keep-partition are given together")
}

func TestVerifyFindsAnEventInAnotherPartition(t *testing.T) {
	l := newLedger(true)
	for _, body := range []string{"a", "b", "c"} {
		l.sent(l.ordered("k", "0"), []byte(body))
	}
	for _, e := range []received{{"0", "k", []byte("b")}, {"0", "k", []byte("a")}, {"1", "k", []byte("c")}} {
		l.received(e)
	}
	want := "1 events for partition 0 did not come back, the first is event 3\n" +
		"events for partition 0 came back out of order, the first is event 1\n" +
		"1 events for partition 1 came back that were never sent"
	if got := strings.Join(l.differences(), "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
