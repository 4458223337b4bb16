package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/amqp/amqptest"
)

// twoHubs are two namespaces, as a move has them: a source with four partitions and a target.
type twoHubs struct {
	source, target *emulator.Server
	enqueued       time.Time // of the events that fill adds; zero: now
}

func newTwoHubs(t *testing.T, partitions int) *twoHubs {
	t.Helper()
	return &twoHubs{
		source: serverWith(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}}),
		target: serverWith(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: partitions}}}),
	}
}

// forget has another source, which keeps the newest events of each partition.
func (h *twoHubs) forget(t *testing.T, kept int) {
	t.Helper()
	h.source = serverWith(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4, Retention: emulator.Retention{Events: kept}}}})
}

// limit has another target, which takes no larger messages.
func (h *twoHubs) limit(t *testing.T, bytes int) {
	t.Helper()
	h.target = serverWith(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, MaxMessageSize: bytes})
}

// program has the two connection strings in its environment.
func (h *twoHubs) program() program {
	return program{env: map[string]string{fromNames.variable: h.source.ConnectionString(""), toNames.variable: h.target.ConnectionString("")}}
}

// fill gives each partition of the source so many events. Every third has no key. The body names the
// partition and the number.
func (h *twoHubs) fill(t *testing.T, partition string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		e := emulator.Event{Body: fmt.Appendf(nil, "%s %d", partition, i), Properties: map[string]any{"n": int64(i)}, EnqueuedTime: h.enqueued}
		if i%3 > 0 {
			e.PartitionKey = fmt.Sprintf("device %s %d", partition, i%7)
		}
		if err := h.source.Seed("events", partition, e); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *twoHubs) fillAll(t *testing.T, from, to int) {
	t.Helper()
	for _, id := range h.source.PartitionIDs("events") {
		h.fill(t, id, from, to)
	}
}

// bodiesIn returns the bodies in a partition, in order.
func bodiesIn(server *emulator.Server, id string) (list []string) {
	for e := range server.Events("events", id) {
		list = append(list, string(e.Body))
	}
	return list
}

// wantCopied fails unless each partition of the target is that of the source.
func (h *twoHubs) wantCopied(t *testing.T) {
	t.Helper()
	for _, id := range h.source.PartitionIDs("events") {
		want, got := bodiesIn(h.source, id), bodiesIn(h.target, id)
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("partition %s has %d events, want the %d of the source in their order", id, len(got), len(want))
		}
	}
}

func (r result) copyReport(t *testing.T) copyReport {
	t.Helper()
	var got copyReport
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("standard output is not a JSON object: %v\n%s\n%s", err, r.stdout, r.stderr)
	}
	return got
}

// The partition of each event is kept, whatever its key.
func TestCopyKeepsThePartition(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 500)
	got := h.program().run(t, "copy", "--output", "json")
	got.want(t, exitOK, "Copying 4 partitions of ", "each partition into the one with its number.")
	if r := got.copyReport(t); r.Events != 2000 || !r.Verified || r.By != routePartition || len(r.Partitions) != 4 || *r.Partitions[3].Last != 499 {
		t.Errorf("got the report %+v, want 2000 verified events", r)
	}
	h.wantCopied(t)
	for _, id := range h.target.PartitionIDs("events") {
		for e := range h.target.Events("events", id) {
			var want string
			if n := e.SequenceNumber; n%3 > 0 {
				want = fmt.Sprintf("device %s %d", id, n%7)
			}
			if e.PartitionKey != want || e.Properties["n"] != e.SequenceNumber {
				t.Fatalf("partition %s: event %d has the key %q and the properties %v, want the key %q", id, e.SequenceNumber, e.PartitionKey, e.Properties, want)
			}
		}
	}
}

// Another number of partitions: the order is kept in each key, and among the events without a key of
// each partition.
func TestCopyByKeyKeepsTheOrderOfKeys(t *testing.T) {
	for _, partitions := range []int{2, 6} {
		h := newTwoHubs(t, partitions)
		h.fillAll(t, 0, 500)
		got := h.program().run(t, "copy", "--output", "json")
		got.want(t, exitOK, "by key.")
		if r := got.copyReport(t); r.Events != 2000 || !r.Verified || r.By != routeKey {
			t.Errorf("got the report %+v, want 2000 verified events", r)
		}
		place, last, count := map[string]string{}, map[string]int{}, 0
		for _, id := range h.target.PartitionIDs("events") {
			for e := range h.target.Events("events", id) {
				var source string
				var n int
				fmt.Sscan(string(e.Body), &source, &n)
				key := e.PartitionKey
				if key == "" {
					key = "none of " + source
				}
				if at, known := place[key]; known && (at != id || last[key] >= n) {
					t.Errorf("%s: event %d is in partition %s after %d in %s", key, n, id, last[key], at)
				}
				place[key], last[key] = id, n
				count++
			}
		}
		if count != 2000 {
			t.Errorf("%d events are there, want 2000", count)
		}
	}
}

// Every AMQP type and every section is copied.
func TestCopyKeepsEveryType(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	h := newTwoHubs(t, 4)
	const count = 400
	maker := amqptest.Random(seed)
	messages := make([]amqp.Message, count)
	for i := range messages {
		m := maker.Message()
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: number, Value: int64(i)},
			amqp.Pair{Key: "odd", Value: randomValue(rand.New(rand.NewPCG(seed, uint64(i))), 3)})
		messages[i] = m
	}
	send(t, h.source, "0", messages...)
	h.program().run(t, "copy").want(t, exitOK)
	whole := func(server *emulator.Server) (list []string) {
		for e := range server.Events("events", "0") {
			m, err := amqp.ParseMessage(e.Message)
			if err != nil {
				t.Fatal(err)
			}
			// The numbers of an idempotent producer are of its own hub.
			if m.Annotations = slices.DeleteFunc(m.Annotations, func(p amqp.Pair) bool { return isLeft(p.Key) }); len(m.Annotations) == 0 {
				m.Annotations = nil
			}
			out, err := m.AppendTo(nil)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(amqptest.Canonical(out)))
		}
		return list
	}
	want, got := whole(h.source), whole(h.target)
	if len(got) != count {
		t.Fatalf("%d of %d events were copied", len(got), count)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("event %d is\n%.2000q\nwant\n%.2000q", i, got[i], want[i])
		}
	}
}

func TestCopyNamesTheSourceInProperties(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fill(t, "2", 0, 3)
	h.program().run(t, "copy", "--source-properties").want(t, exitOK)
	var source []emulator.Event
	for e := range h.source.Events("events", "2") {
		source = append(source, e)
	}
	for e := range h.target.Events("events", "2") {
		from := source[e.SequenceNumber]
		p := e.Properties
		if p[sourcePartition] != "2" || p[sourceSequence] != from.SequenceNumber || p[sourceOffset] != from.Offset || p["n"] != from.SequenceNumber {
			t.Errorf("event %d has the properties %v", e.SequenceNumber, p)
		}
		if at, ok := p[sourceEnqueued].(time.Time); !ok || !at.Equal(from.EnqueuedTime) {
			t.Errorf("event %d: enqueued at %v, want %v", e.SequenceNumber, p[sourceEnqueued], from.EnqueuedTime)
		}
	}
}

// The report counts the replaced properties of its own run, also when it verifies those of others.
func TestCopyCountsReplacedPropertiesOnce(t *testing.T) {
	h := newTwoHubs(t, 4)
	place := filepath.Join(t.TempDir(), "place")
	for _, count := range []int{40, 3} {
		for _, id := range h.source.PartitionIDs("events") {
			events := make([]emulator.Event, count)
			for i := range events {
				events[i] = emulator.Event{Body: []byte("x"), Properties: map[string]any{sourceOffset: "of another hub"}}
			}
			if err := h.source.Seed("events", id, events...); err != nil {
				t.Fatal(err)
			}
		}
		got := h.program().run(t, "copy", "--source-properties", "--resume", place)
		got.want(t, exitOK)
		if want := fmt.Sprintf("which was replaced: %d.", 4*count); !strings.Contains(got.stdout, want) {
			t.Errorf("got the report\n%s, want %q", got.stdout, want)
		}
	}
}

// A later run copies what has come since.
func TestCopyGoesOnWhereItWas(t *testing.T) {
	for _, kept := range []string{"--resume", "--journal"} {
		h := newTwoHubs(t, 4)
		place := filepath.Join(t.TempDir(), "kept")
		total := 0
		for run := range 3 {
			h.fillAll(t, run*100, run*100+100)
			got := h.program().run(t, "copy", kept, place, "--output", "json")
			got.want(t, exitOK)
			if run > 0 && !strings.Contains(got.stderr, "Going on with copying") {
				t.Errorf("%s: a later run says %q", kept, got.stderr)
			}
			r := got.copyReport(t)
			if total += r.Events; r.Events != 400 || !r.Verified {
				t.Errorf("%s: run %d: got the report %+v, want 400 verified events", kept, run, r)
			}
		}
		h.wantCopied(t)
		h.program().run(t, "copy", kept, place, "--by", "key").want(t, exitBadInput, "is of a copy with --by partition, not key")
		h.program().run(t, "copy", kept, place, "--since", "-1h").want(t, exitBadInput, "is of a copy with --since start, not -1h")
		h.program().run(t, "copy", kept, place, "--partition", "1").want(t, exitBadInput, "is of a copy with --partition 0,1,2,3, not 1")
	}
}

func TestCopyRefusesWhatCannotWork(t *testing.T) {
	h := newTwoHubs(t, 2)
	h.fillAll(t, 0, 3)
	p := h.program()
	file := filepath.Join(t.TempDir(), "string")
	if err := os.WriteFile(file, []byte(h.source.ConnectionString("events")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"the same hub":         {[]string{"--to", h.source.ConnectionString("EVENTS")}, "the source and the target are the same event hub"},
		"the same hub by file": {[]string{"--to-file", file}, "the source and the target are the same event hub"},
		"two sources":          {[]string{"--from", "x", "--from-file", file}, "--from and --from-file are given together"},
		"fewer partitions":     {[]string{"--by", "partition"}, "the target has no partition 2, only 2 partitions: --by key spreads the events"},
		"no such partition":    {[]string{"--partition", "9"}, `event hub "events" has no partition "9"; it has 0, 1, 2, 3`},
		"two ends":             {[]string{"--follow", "--until", "end"}, "--follow and --until are given together"},
		"two places":           {[]string{"--resume", "a", "--journal", "b"}, "--resume and --journal are given together"},
		"no way":               {[]string{"--by", "hash"}, `--by is "hash"; it must be partition or key`},
		"no such position":     {[]string{"--since", "yesterday"}, `--since is "yesterday"; it must be start`},
		"no such source":       {[]string{"--from-hub", "none"}, `the source: event hub "none" was not found`},
		"no such target":       {[]string{"--to-hub", "none"}, `the target: event hub "none" was not found`},
		"no such group":        {[]string{"--group", "none"}, `there is no consumer group "none"`},
		"of another":           {[]string{"--resume", file}, "--resume: " + file + " is no file that this command has written"},
	} {
		t.Run(name, func(t *testing.T) {
			p.run(t, append([]string{"copy"}, test.args...)...).want(t, exitBadInput, test.want)
		})
	}
	program{env: map[string]string{toNames.variable: "x", connectionEnv: "y"}}.run(t, "copy").want(t, exitBadInput,
		"no --from; give a connection string in EVENTHUBS_FROM_CONNECTION_STRING, with --from or with --from-file, or --from-namespace and --from-hub")
	got := program{}.run(t, "copy", "--from", "Endpoint=sb://a.example;SharedAccessKeyName=n;SharedAccessKey=firstsecret=", "--to", "Endpoint=sb://b.example;SharedAccessKey=secondsecret=")
	if got.want(t, exitBadInput, "--to: "); strings.Contains(got.stderr, "secret=") {
		t.Errorf("a key is shown: %s", got.stderr)
	}
}
