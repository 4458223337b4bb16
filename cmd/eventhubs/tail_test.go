package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// decodeLines decodes tail's JSON output.
func decodeLines(t *testing.T, text string) []eventRecord {
	t.Helper()
	var records []eventRecord
	for line := range strings.Lines(text) {
		var r eventRecord
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		records = append(records, r)
	}
	return records
}

// byKey joins the lines with the same key.
func byKey(t *testing.T, lines [][]byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, line := range lines {
		key, err := keyOf(line, []string{"properties", "net"})
		if err != nil {
			t.Fatal(err)
		}
		all[key] += string(line) + "\n"
	}
	return all
}

func TestTailPrintsTheEarthquakesByteForByte(t *testing.T) {
	_, p := startEmulatorCommand(t)
	p.run(t, "publish", "--key", "properties.net", earthquakes).want(t, exitOK)
	got := p.run(t, "tail", "--from", "start", "--count", "1707", "--output", "json")
	got.want(t, exitOK, "Reading 8 partitions from start.")

	content, err := os.ReadFile(earthquakes)
	if err != nil {
		t.Fatal(err)
	}
	sent := bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
	var read [][]byte
	partitions := map[string]string{} // by key
	next := map[string]int64{}        // by partition
	for _, r := range decodeLines(t, got.stdout) {
		if r.Body == nil || r.Key == nil {
			t.Fatalf("an event without body or key: %+v", r)
		}
		read = append(read, []byte(*r.Body))
		if r.SequenceNumber != next[r.Partition] {
			t.Errorf("partition %s: sequence number %d comes where %d should", r.Partition, r.SequenceNumber, next[r.Partition])
		}
		next[r.Partition]++
		if p, ok := partitions[*r.Key]; ok && p != r.Partition {
			t.Errorf("key %q is in partitions %s and %s", *r.Key, p, r.Partition)
		}
		partitions[*r.Key] = r.Partition
	}
	if len(read) != 1707 || len(sent) != 1707 {
		t.Fatalf("%d events were read and %d sent, want 1707", len(read), len(sent))
	}
	// The order is that of the file within each key.
	want := byKey(t, sent)
	for key, got := range byKey(t, read) {
		if got != want[key] {
			t.Errorf("the events with key %q are not what was sent", key)
		}
		delete(want, key)
	}
	if len(want) != 0 {
		t.Errorf("of %d keys nothing was read", len(want))
	}
}

// seeded starts an emulator with five events in partition 1, stored a second apart. It returns a
// program with its connection string.
func seeded(t *testing.T) (*emulator.Server, program, []emulator.Event) {
	t.Helper()
	server := startServer(t)
	begin := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for i := range 5 {
		e := emulator.Event{Body: fmt.Appendf(nil, "event %d", i), EnqueuedTime: begin.Add(time.Duration(i) * time.Second)}
		if err := server.Seed("events", "1", e); err != nil {
			t.Fatal(err)
		}
	}
	events := slices.Collect(server.Events("events", "1"))
	return server, program{env: map[string]string{connectionEnv: server.ConnectionString("")}}, events
}

func TestTailStartsWhereItIsTold(t *testing.T) {
	_, p, events := seeded(t)
	for _, test := range []struct {
		from  string
		first int
	}{
		{"start", 0},
		{"sequence:0", 0},
		{"sequence:2", 2},
		{"offset:0", 0},
		{"offset:" + events[3].Offset, 3},
		{"time:2026-01-31T12:00:01Z", 1},
		{"time:2026-01-31T13:00:01.001+01:00", 2},
		{"time:2020-01-01T00:00:00Z", 0},
	} {
		t.Run(test.from, func(t *testing.T) {
			// All other partitions are empty; no position may disturb them.
			got := p.run(t, "tail", "--from", test.from, "--output", "json", "--count", fmt.Sprint(5-test.first))
			got.want(t, exitOK, "Reading 4 partitions from "+test.from+".")
			for i, r := range decodeLines(t, got.stdout) {
				if want := int64(test.first + i); r.Partition != "1" || r.SequenceNumber != want || *r.Body != fmt.Sprint("event ", want) {
					t.Errorf("event %d is %+v, want the one with sequence number %d", i, r, want)
				}
			}
		})
	}
}

func TestTailStartsAtTheEndWhereAPartitionDoesNotReachFarther(t *testing.T) {
	for _, from := range []string{"latest", "sequence:5", "sequence:77", "offset:123456789", "time:2030-01-01T00:00:00Z"} {
		t.Run(from, func(t *testing.T) {
			server, p, _ := seeded(t)
			tail := p.start(t, "tail", "--from", from, "--output", "json", "--count", "2")
			defer tail.stop()
			tail.stderr.await(t, "Reading 4 partitions from "+from+".\n")
			// One goes to a partition that had events, one to a partition that had none.
			for _, partition := range []string{"1", "3"} {
				e := emulator.Event{Body: []byte("new"), EnqueuedTime: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
				if err := server.Seed("events", partition, e); err != nil {
					t.Fatal(err)
				}
			}
			got := decodeLines(t, tail.line(t)+"\n"+tail.line(t))
			slices.SortFunc(got, func(a, b eventRecord) int { return strings.Compare(a.Partition, b.Partition) })
			if got[0].Partition != "1" || got[0].SequenceNumber != 5 || got[1].Partition != "3" || got[1].SequenceNumber != 0 {
				t.Errorf("got %+v, want the new events", got)
			}
			if status := tail.stop(); status != exitOK {
				t.Errorf("status: got %d want 0", status)
			}
		})
	}
}

func TestTailReadsOnePartitionOfOneGroup(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "other", Partitions: 3, ConsumerGroups: []string{"audit"}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	for _, partition := range []string{"0", "2"} {
		if err := server.Seed("other", partition, emulator.Event{Body: []byte(partition)}, emulator.Event{Body: []byte(partition)}); err != nil {
			t.Fatal(err)
		}
	}
	groups := make(chan string, 10)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" {
			groups <- op.ConsumerGroup + " " + op.PartitionID
		}
		return emulator.Pass()
	})
	for _, connectionString := range []string{server.ConnectionString("other"), server.ConnectionString("")} {
		got := program{}.run(t, "tail", "--connection-string", connectionString, "--hub", "other",
			"--from", "start", "--partition", "2", "--group", "audit", "--count", "2", "--output", "json")
		got.want(t, exitOK, "Reading partition 2 from start.")
		for _, r := range decodeLines(t, got.stdout) {
			if r.Partition != "2" || *r.Body != "2" {
				t.Errorf("got %+v, want an event of partition 2", r)
			}
		}
		if g := <-groups; g != "audit 2" {
			t.Errorf("it reads as %q, want audit 2", g)
		}
	}
}

func TestTailTellsThatItsHubWasDeleted(t *testing.T) {
	for group, want := range map[string]string{
		"$Default": "eventhubs: the event hub is gone: amqp:not-found: ",
		"own":      `eventhubs: there is no consumer group "own", or the event hub is gone: `,
	} {
		server := startServer(t)
		if err := server.AddHub(emulator.Hub{Name: "orders", Partitions: 4, ConsumerGroups: []string{"own"}}); err != nil {
			t.Fatal(err)
		}
		tail := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}.start(t, "tail", "--hub", "orders", "--group", group)
		tail.stderr.await(t, "Reading 4 partitions from latest.\n")
		if err := server.DeleteHub("orders"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, tail.stdout) // until it ends by itself
		status := tail.stop()
		said, _ := tail.stderr.get()
		result{status: status, stderr: said}.want(t, exitBadInput, want)
	}
}

func TestTailTellsWhatIsNotThere(t *testing.T) {
	server := startServer(t)
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	p.run(t, "tail", "--hub", "nowhere").want(t, exitBadInput, `event hub "nowhere" was not found`)
	p.run(t, "tail", "--partition", "4").want(t, exitBadInput, `event hub "events" has no partition "4"; it has 0, 1, 2, 3`)
	p.run(t, "tail", "--group", "nobody").want(t, exitBadInput, `there is no consumer group "nobody"`)
	server.Close()
	p.run(t, "tail").want(t, exitFailed, "connection refused", "go through port 443 with --websocket")
}

func TestTailEndsWhenItIsInterrupted(t *testing.T) {
	_, p, _ := seeded(t)
	for count, want := range map[string]struct {
		status int
		says   string
	}{
		"":            {exitOK, "Reading"},
		"--count=100": {exitFailed, "interrupted after 5 of 100 events"},
	} {
		args := []string{"tail", "--from", "start"}
		if count != "" {
			args = append(args, count)
		}
		tail := p.start(t, args...)
		for range 5 {
			tail.line(t)
		}
		status := tail.stop()
		said, _ := tail.stderr.get()
		result{status: status, stderr: said}.want(t, want.status, want.says)
		if n := strings.Count(said, "\n"); count == "" && n != 1 {
			t.Errorf("standard error has %d lines, want 1: %s", n, said)
		}
	}
}

func TestTailOutputs(t *testing.T) {
	server := startServer(t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 250e6, time.UTC)
	events := []emulator.Event{
		{Body: []byte("a <b> \"c\"\tü\n"), PartitionKey: "k", Properties: map[string]any{"n": int64(1 << 60), "at": at, "raw": []byte{1}}, EnqueuedTime: at},
		{Body: []byte("\x00\xff"), EnqueuedTime: at},
		{EnqueuedTime: at},
	}
	if err := server.Seed("events", "0", events...); err != nil {
		t.Fatal(err)
	}
	var offsets []any
	for e := range server.Events("events", "0") {
		offsets = append(offsets, e.Offset)
	}
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got := p.run(t, "tail", "--from", "start", "--partition", "0", "--count", "3", "--output", "json")
	got.want(t, exitOK)
	want := fmt.Sprintf(`{"partition":"0","sequenceNumber":0,"offset":"%s","enqueuedTime":"2026-01-31T12:00:00.25Z","key":"k",`+
		`"properties":{"at":"2026-01-31T12:00:00.25Z","n":1152921504606846976,"raw":"AQ=="},"body":"a <b> \"c\"\tü\n","types":{"properties":{"at":"timestamp","raw":"binary"}}}
{"partition":"0","sequenceNumber":1,"offset":"%s","enqueuedTime":"2026-01-31T12:00:00.25Z","key":null,"properties":{},"bodyBase64":"AP8="}
{"partition":"0","sequenceNumber":2,"offset":"%s","enqueuedTime":"2026-01-31T12:00:00.25Z","key":null,"properties":{},"body":""}
`, offsets...)
	if got.stdout != want {
		t.Errorf("json: got:\n%s\nwant:\n%s", got.stdout, want)
	}
	got = p.run(t, "tail", "--from", "start", "--partition", "0", "--count", "3")
	got.want(t, exitOK)
	want = "0\t0\t2026-01-31T12:00:00.25Z\tk\ta <b> \"c\"\\tü\\n\n" +
		"0\t1\t2026-01-31T12:00:00.25Z\t-\t\"\\x00\\xff\"\n" +
		"0\t2\t2026-01-31T12:00:00.25Z\t-\t\n"
	if got.stdout != want {
		t.Errorf("text: got:\n%s\nwant:\n%s", got.stdout, want)
	}
}

func TestAnyBodyComesBackFromTheJSON(t *testing.T) {
	server := startServer(t)
	var bodies [][]byte
	for b := range 256 {
		bodies = append(bodies, []byte{byte(b)}, []byte(string(rune(b))))
	}
	bodies = append(bodies, []byte("\u2028\ufffd\U0010ffff"), bytes.Repeat([]byte("x"), 100_000))
	for _, body := range bodies {
		if err := server.Seed("events", "0", emulator.Event{Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got := p.run(t, "tail", "--from", "start", "--count", fmt.Sprint(len(bodies)), "--output", "json")
	got.want(t, exitOK)
	for i, r := range decodeLines(t, got.stdout) {
		body := r.BodyBase64
		if r.Body != nil {
			body = []byte(*r.Body)
		}
		if !bytes.Equal(body, bodies[i]) {
			t.Errorf("body %q came back as %q (%s)", bodies[i], body, base64.StdEncoding.EncodeToString(r.BodyBase64))
		}
	}
}

func TestClientsTrustTheEmulatorsAuthority(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	command, p := startEmulatorCommand(t, "--tls", "--tls-ca", file, "--auth")
	if cs := p.env[connectionEnv]; strings.Contains(cs, "UseDevelopmentEmulator") {
		t.Errorf("connection string %q, want one for TLS", cs)
	}
	said, _ := command.stderr.get()
	if !strings.Contains(said, file) {
		t.Errorf("standard error does not name %s: %s", file, said)
	}
	lines := writeFile(t, "a\nb\n")
	p.run(t, "publish", lines).want(t, exitFailed, "certificate")
	p.run(t, "publish", "--tls-ca", file, lines).want(t, exitOK)
	got := p.run(t, "tail", "--tls-ca", file, "--from", "start", "--count", "2", "--output", "json")
	got.want(t, exitOK)
	if n := len(decodeLines(t, got.stdout)); n != 2 {
		t.Errorf("%d events came back, want 2", n)
	}
	if command.stop() != exitOK {
		t.Error("the emulator failed")
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file that was asked for is gone: %v", err)
	}
}
