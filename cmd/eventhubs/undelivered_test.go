package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
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
	// In the order of each key, in the key's partition, with all properties.
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
	// The goroutine ends when ctx does; the test waits for its status.
	go func() { status <- program{stdin: stdin}.process(&stdout, &stderr).run(ctx, args) }()
	if _, err := io.WriteString(lines, "first\n"); err != nil {
		t.Fatal(err)
	}
	// The first is stored, alone; later events wait after it.
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
	// JSON has no such number.
	u.write(undeliveredRecord{Message: eventjson.Message{Properties: map[string]any{"p": math.Inf(1)}}})
	infinite := &eventhubs.Event{Body: []byte("x"), Properties: map[string]any{"p": math.Inf(1)}}
	u.write(newUndeliveredRecord(infinite, eventhubs.NotStored, "why"))
	if n, err := u.close(); n != 1 || err == nil {
		t.Errorf("close returned %d, %v, want one event, and why the other one is not there", n, err)
	}
	if records := readUndelivered(t, name); len(records) != 1 || records[0].Properties["p"] != "+Inf" {
		t.Errorf("the file has %+v", records)
	}
}

// A file in the place of --undelivered must stay as it is. A link could lead to anybody's file.
func TestUndeliveredIsWrittenOverNothing(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, name string) error
		says string
	}{
		"a file with something in it": {func(_ *testing.T, name string) error { return os.WriteFile(name, []byte("precious"), 0o600) }, "a file has that name already"},
		"an empty file":               {func(_ *testing.T, name string) error { return os.WriteFile(name, nil, 0o600) }, "an empty file has that name already"},
		"a directory":                 {func(_ *testing.T, name string) error { return os.Mkdir(name, 0o700) }, "a directory has that name already"},
		"a link to a file":            {func(t *testing.T, name string) error { return os.Symlink(writeFile(t, ""), name) }, "a link has that name already"},
		"a link that leads nowhere":   {func(_ *testing.T, name string) error { return os.Symlink(name+".elsewhere", name) }, "a link has that name already"},
		"a link to itself":            {func(_ *testing.T, name string) error { return os.Symlink(name, name) }, "a link has that name already"},
		"a pipe without a reader": {func(t *testing.T, name string) error {
			if _, err := exec.LookPath("mkfifo"); err != nil {
				t.Skip("this system has no named pipes that a program can make:", err)
			}
			return exec.Command("mkfifo", name).Run()
		}, "a pipe, socket or device has that name already"},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			lost := filepath.Join(directory, "lost.ndjson")
			if err := test.make(t, lost); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(lost)
			if err != nil {
				t.Fatal(err)
			}
			server, got := publishTo(t, "a\n", "--undelivered", lost, "-")
			got.want(t, exitBadInput, "--undelivered "+lost+": "+test.says+" and is not overwritten; give the name of a new file, or move it away")
			wantStored(t, server)
			after, err := os.Lstat(lost)
			if err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() || after.Size() != before.Size() {
				t.Errorf("the file that was there is now %v, %v", after, err)
			}
			if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
				t.Errorf("the directory has %v, %v, want only the earlier content", entries, err)
			}
		})
	}
}

func TestUndeliveredIsForNobodyElse(t *testing.T) {
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	u, err := createUndelivered(program{}.process(io.Discard, io.Discard), lost)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	if info, err := os.Stat(lost); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("got %v, %v, want a file with mode 0600", info.Mode(), err)
	}
}

func TestTheFileOfUndeliveredHasOneOwner(t *testing.T) {
	const processes = 32
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	var made atomic.Int32
	var all sync.WaitGroup
	for range processes {
		all.Go(func() {
			u, err := createUndelivered(program{}.process(io.Discard, io.Discard), lost)
			if err != nil {
				if !strings.Contains(err.Error(), "has that name already") {
					t.Error(err)
				}
				return
			}
			made.Add(1)
			u.write(undeliveredRecord{})
			if _, err := u.close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("%d of %d made the file, want one", n, processes)
	}
	if records := readUndelivered(t, lost); len(records) != 1 {
		t.Errorf("the file has %d records, want those of its one owner", len(records))
	}
}

func TestWhatTookTheNameOfUndeliveredIsNotDeleted(t *testing.T) {
	for name, replace := range map[string]func(name string) error{
		"another file": func(name string) error {
			return errors.Join(os.Rename(name, name+".moved"), os.WriteFile(name, nil, 0o600))
		},
		"a link": func(name string) error {
			return errors.Join(os.Rename(name, name+".moved"), os.Symlink(name+".moved", name))
		},
		"text from another program in it": func(name string) error { return os.WriteFile(name, []byte("precious"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			lost := filepath.Join(t.TempDir(), "lost.ndjson")
			u, err := createUndelivered(program{}.process(io.Discard, io.Discard), lost)
			if err != nil {
				t.Fatal(err)
			}
			if err := replace(lost); err != nil {
				t.Fatal(err)
			}
			if n, err := u.close(); n != 0 || err != nil {
				t.Errorf("close returned %d, %v, want that there is nothing", n, err)
			}
			if _, err := os.Lstat(lost); err != nil {
				t.Errorf("it was deleted: %v", err)
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		lost := filepath.Join(t.TempDir(), "lost.ndjson")
		u, err := createUndelivered(program{}.process(io.Discard, io.Discard), lost)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(lost); err != nil {
			t.Fatal(err)
		}
		if n, err := u.close(); n != 0 || err != nil {
			t.Errorf("close returned %d, %v, want that there is nothing", n, err)
		}
	})
}

// A Go type in Batch.Events may stand for several AMQP types. The file must have the original type.
func TestWhatIsUndeliveredKeepsItsTypes(t *testing.T) {
	const record = `{"key":"k","messageId":7,"correlationId":"AQ==","properties":{"c":"ü","d":"30400000000000000000000000000001","n":5,"s":"sym","took":"100ns"},` +
		`"contentType":"text/plain","annotations":{"iothub-connection-device-id":"device-7"},"bodyValue":[{"uint":7}],` +
		`"types":{"messageId":"ulong","correlationId":"binary","properties":{"c":"char","d":"decimal128","n":"int","s":"symbol","took":"timespan"},"body":"list"}`
	server := startServer(t)
	refuse(server)
	lost := filepath.Join(t.TempDir(), "lost.ndjson")
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}, stdin: strings.NewReader(record + "}\n")}
	p.run(t, "publish", "--format", "events", "--undelivered", lost, "-").want(t, exitFailed, "1 of 1 events could not be published")
	content, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(content); !strings.HasPrefix(got, record+",") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s\nwant it to begin with %s", got, record)
	}
}

// An event of a journal has no note. Its record is made of what a handler gets, with all parts.
func TestWhatAJournalCannotDeliverKeepsItsParts(t *testing.T) {
	const record = `{"key":"k","messageId":7,"properties":{"d":"30400000000000000000000000000001","n":5,"took":"100ns"},"contentType":"text/plain","subject":"s",` +
		`"annotations":{"iothub-connection-device-id":"device-7"},"bodyValue":[{"uint":7}],` +
		`"types":{"messageId":"ulong","properties":{"d":"decimal128","n":"int","took":"timespan"},"body":"list"}`
	server, folder := startServer(t), t.TempDir()
	refuse(server)
	lost := filepath.Join(folder, "lost.ndjson")
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("events")}, stdin: strings.NewReader(record + "}\n")}
	p.run(t, "publish", "--format", "events", "--journal", filepath.Join(folder, "kept"), "--undelivered", lost, "-").want(t, exitFailed, "1 of 1 events could not be published")
	content, err := os.ReadFile(lost)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(content); !strings.HasPrefix(got, record+",") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s\nwant it to begin with %s", got, record)
	}
}

// An event that the file of --undelivered cannot hold ends the copy, and the place stays before it.
func TestCopyEndsWhereUndeliveredCannotBeWritten(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "lost"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil { // so that nothing can be written
		t.Fatal(err)
	}
	plan := &copyPlan{Partitions: []planPartition{{ID: "0"}}}
	c := &copying{process: &process{}, plan: plan, options: &copyOptions{publish: &publishOptions{undelivered: "lost"}}}
	c.pub = &publication{tally: newTally(), progress: newProgress(io.Discard, 0, nil), undelivered: &undelivered{file: file, encoder: json.NewEncoder(file)}}
	keeper := newCopyPlaces(filepath.Join(t.TempDir(), "place"), plan)
	c.keeper.Store(keeper)
	f := &feeding{copying: c}
	err = f.leaveOut(&copiedPartition{id: "0", last: -1}, &consumer.Event{Placed: true, SequenceNumber: 7}, errors.New("too large"))
	if err == nil || !strings.Contains(err.Error(), "the copy ends before partition 0, the event with sequence number 7 ") {
		t.Errorf("got the error %v, want one that names the event", err)
	}
	if got := keeper.parts[0].place; got != -1 {
		t.Errorf("the place is after event %d, which is nowhere", got)
	}
}
