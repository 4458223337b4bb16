package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// readUndelivered returns the records of a file.
func readUndelivered(t *testing.T, name string) []undeliveredRecord {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var records []undeliveredRecord
	for line := range bytes.Lines(content) {
		var r undeliveredRecord
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		records = append(records, r)
	}
	return records
}

func TestWhatIsUndeliveredIsPublishedAgain(t *testing.T) {
	server := startServer(t)
	var broken atomic.Bool
	broken.Store(true)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.PartitionID == "2" && broken.Load() {
			return emulator.Reject("amqp:not-allowed", "not now")
		}
		return emulator.Pass()
	})
	var input strings.Builder
	var want []string
	for i := range 40 {
		line := fmt.Sprintf(`{"id":"key %d","n":%d}`, i%8, i)
		want = append(want, line)
		input.WriteString(line + "\n")
	}
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	got := p.run(t, "publish", "--key", "id", "--property", "source=test", "--content-type", "application/json", "--undelivered", lost, writeFile(t, input.String()))
	got.want(t, exitFailed, "events could not be published")
	records := readUndelivered(t, lost)
	if n := len(stored(server, "events")); len(records) == 0 || len(records)+n != 40 {
		t.Fatalf("%d events are undelivered and %d stored, want some and 40 in all", len(records), n)
	}
	for _, r := range records {
		if r.Outcome != "not stored" || !strings.Contains(r.Error, "not now") || r.Partition != "2" {
			t.Errorf("unexpected record %+v", r)
		}
	}
	if !strings.Contains(got.stdout, "eventhubs publish --format events "+lost) {
		t.Errorf("the report does not say how to publish them again:\n%s", got.stdout)
	}

	broken.Store(false)
	p.run(t, "publish", "--format", "events", "--undelivered", lost+".2", lost).want(t, exitOK)
	all := stored(server, "events")
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("stored are %q, want each line once", all)
	}
	// In the order of each key, in the key's partition, with what they had.
	partitions := map[string]string{}
	for _, id := range server.PartitionIDs("events") {
		last := map[string]int{}
		for e := range server.Events("events", id) {
			var body struct {
				ID string
				N  int
			}
			if err := json.Unmarshal(e.Body, &body); err != nil {
				t.Fatal(err)
			}
			if before, ok := partitions[body.ID]; ok && before != id || e.PartitionKey != body.ID || e.Properties["source"] != "test" {
				t.Errorf("%s in partition %s has key %q and properties %v", e.Body, id, e.PartitionKey, e.Properties)
			}
			partitions[body.ID] = id
			if n, ok := last[body.ID]; ok && n > body.N {
				t.Errorf("event %d of %s comes after %d", body.N, body.ID, n)
			}
			last[body.ID] = body.N
		}
	}
	if _, err := os.Stat(lost + ".2"); !os.IsNotExist(err) {
		t.Errorf("a file without events was left behind: %v", err)
	}
}

func TestInterruptSaysWhatIsPossiblyStoredAndKeepsIt(t *testing.T) {
	server := startServer(t)
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindTransfer {
			return emulator.Pass()
		}
		return emulator.Silence().Stored() // the acknowledgement gets lost
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdin, lines := io.Pipe()
	defer lines.Close() // Ends the goroutine that still reads.
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	var stdout, stderr bytes.Buffer
	status := make(chan int, 1)
	args := []string{"publish", "--output", "json", "--partition", "1", "--grace", "50ms", "--undelivered", lost, "--connection-string", server.ConnectionString(""), "-"}
	// It ends when ctx does; the test waits for its status.
	go func() { status <- program{stdin: stdin}.process(&stdout, &stderr).run(ctx, args) }()
	if _, err := io.WriteString(lines, "first\n"); err != nil {
		t.Fatal(err)
	}
	// The first is stored, alone; what comes now waits behind it.
	if err := server.WaitForEvents(t.Context(), "events", 1); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"second\n", "third\n"} {
		if _, err := io.WriteString(lines, text); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	got := result{<-status, stdout.String(), stderr.String()}
	got.want(t, exitFailed, "interrupted; 0 stored, ", "1 possibly stored; the last event that was read is standard input: line ")
	r := got.report(t)
	if r.Events != 0 || r.PossiblyStored != 1 || r.Undelivered != lost {
		t.Errorf("unexpected report %+v", r)
	}
	records := readUndelivered(t, lost)
	if len(records) != r.NotStored+r.PossiblyStored || len(records) == 0 {
		t.Fatalf("%d events are in the file, the report has %+v", len(records), r)
	}
	if first := records[0]; *first.Body != "first" || first.Outcome != "possibly stored" || first.Partition != "1" {
		t.Errorf("the first record is %+v", first)
	}

	for i, want := range []string{"first", "second", "third"}[:len(records)] {
		if *records[i].Body != want {
			t.Errorf("record %d is %q, want %q: the file is in the order of the input", i, *records[i].Body, want)
		}
	}
	server.SetHook(nil)
	program{}.run(t, "publish", "--format", "events", "--partition", "1", "--connection-string", server.ConnectionString(""), lost).want(t, exitOK)
	all := stored(server, "events")
	if len(all) != len(records)+1 || all[0] != "first" || all[1] != "first" {
		t.Errorf("stored are %q, want the first twice, as it was possibly stored, and the others once", all)
	}
}

func TestEventThatIsNotAcceptedIsUndelivered(t *testing.T) {
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	server, got := publishTo(t, "small\n"+strings.Repeat("x", maxEventBytes)+"\n", "--property", "large="+strings.Repeat("y", 2_000), "--undelivered", lost, "-")
	got.want(t, exitFailed, "1 of 2 events could not be published")
	records := readUndelivered(t, lost)
	if len(records) != 1 || len(*records[0].Body) != maxEventBytes || records[0].Outcome != "not stored" {
		t.Fatalf("%d records, want the one that is too large", len(records))
	}
	wantStored(t, server, "small")
}

func TestOnlyWhatIsInTheFileOfUndeliveredIsCounted(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lost.ndjson")
	u, err := createUndelivered(program{}.process(io.Discard, io.Discard), name)
	if err != nil {
		t.Fatal(err)
	}
	u.write(undeliveredRecord{Properties: map[string]any{"p": math.Inf(1)}}, []byte("not JSON"))
	u.write(undeliveredRecord{Properties: jsonProperties(map[string]any{"p": math.Inf(1)})}, []byte("x"))
	if n, err := u.close(); n != 1 || err == nil {
		t.Errorf("close returned %d, %v, want one event, and why another is not there", n, err)
	}
	if records := readUndelivered(t, name); len(records) != 1 || records[0].Properties["p"] != "+Inf" {
		t.Errorf("the file has %+v", records)
	}
}
