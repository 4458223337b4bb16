package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/eventhubstest"
)

func writeTo(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// refuse makes the hub refuse each batch for good.
func refuse(server *emulator.Server) {
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Reject("amqp:not-allowed", "not this one")
		}
		return emulator.Pass()
	})
}

func TestResumeGoesOnAfterWhatIsStored(t *testing.T) {
	server, folder := startServer(t), t.TempDir()
	place, file, second := filepath.Join(folder, "place"), filepath.Join(folder, "a"), filepath.Join(folder, "b")
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	var want []string
	write := func(name string, from, to int) {
		var text strings.Builder
		for i := range to {
			fmt.Fprintf(&text, "%s %d\n", filepath.Base(name), i)
			if i >= from {
				want = append(want, fmt.Sprintf("%s %d", filepath.Base(name), i))
			}
		}
		writeTo(t, name, text.String())
	}
	write(file, 0, 200)
	p.run(t, "publish", "--resume", place, file).want(t, exitOK)
	p.run(t, "publish", "--resume", place, file).want(t, exitOK, "Going on after "+file+": line 200")
	write(file, 200, 300)
	p.run(t, "publish", "--resume", place, "--key", "no", file).want(t, exitBadInput, "line 201: not a JSON object")
	p.run(t, "publish", "--resume", place, file).want(t, exitOK, "line 200")
	write(second, 0, 5)
	p.run(t, "publish", "--resume", place, file, second).want(t, exitOK, "line 300")
	p.run(t, "publish", "--resume", place, file, second).want(t, exitOK, "Going on after "+second+": line 5; 1 file before it was accepted earlier")
	wantStored(t, server, want...)

	// Other inputs are refused, and the place stays.
	p.run(t, "publish", "--resume", place, file).want(t, exitBadInput, "--resume "+place+" goes on after "+second+": line 5, of another input: give that input, or give another file for --resume")
	writeTo(t, second, "another\n")
	p.run(t, "publish", "--resume", place, file, second).want(t, exitBadInput, second+" has changed since its line 5 was published", "give another file for --resume")
	writeTo(t, place, "no place\n")
	p.run(t, "publish", "--resume", place, file).want(t, exitBadInput, "is no file that this option has written")
	p.run(t, "publish", "--resume", filepath.Join(folder, "no", "place"), file).want(t, exitBadInput, "--resume: ", "no such file")
	wantStored(t, server, want...)
}

// Each event before the place is stored, whatever failed.
func TestResumePublishesAgainWhatWasNotStored(t *testing.T) {
	server, folder := startServer(t), t.TempDir()
	place := filepath.Join(folder, "place")
	var text strings.Builder
	lines := 20 * stretchEvents
	for i := range lines {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	file := writeFile(t, text.String())
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	var transfers atomic.Int32
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.PartitionID == "2" && transfers.Add(1) == 2 {
			return emulator.Reject("amqp:not-allowed", "not this one")
		}
		return emulator.Pass()
	})
	for runs := 1; ; runs++ {
		// At this rate a partition gets several batches.
		got := p.run(t, "publish", "--resume", place, "--rate", "2000", file)
		if got.status == exitOK {
			break
		}
		got.want(t, exitFailed)
		if runs == 5 {
			t.Fatal("five runs have failed")
		}
	}
	if transfers.Load() < 2 {
		t.Fatalf("partition 2 had %d transfers; want one that failed", transfers.Load())
	}
	times := map[string]int{}
	for _, body := range stored(server, "events") {
		times[body]++
	}
	if len(times) != lines {
		t.Errorf("%d different events are stored, want %d", len(times), lines)
	}
}

// An event in the file of --undelivered is not published by a later run, unless that file is.
func TestResumeLeavesUndeliveredEventsToTheirFile(t *testing.T) {
	for _, undelivered := range []bool{false, true} {
		server, folder := startServer(t), t.TempDir()
		place, lost, file := filepath.Join(folder, "place"), filepath.Join(folder, "lost"), writeFile(t, "a\nb\n")
		p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
		refuse(server)
		args := []string{"publish", "--resume", place}
		if undelivered {
			args = append(args, "--undelivered", lost)
		}
		p.run(t, append(args, file)...).want(t, exitFailed, "0 stored, 2 not stored")
		server.SetHook(nil)
		p.run(t, "publish", "--resume", place, file).want(t, exitOK)
		if undelivered {
			wantStored(t, server)
			p.run(t, "publish", "--format", "events", "--resume", filepath.Join(folder, "other"), lost).want(t, exitOK)
		}
		wantStored(t, server, "a", "b")
	}
}

func TestResumeKeepsThePlaceOfAnInterrupt(t *testing.T) {
	server, folder := startServer(t), t.TempDir()
	place, file := filepath.Join(folder, "place"), writeFile(t, strings.Repeat("line\n", 1000))
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	ctx, cancel := context.WithCancel(t.Context())
	server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			cancel()
		}
		return emulator.Pass()
	})
	var stdout, stderr bytes.Buffer
	status := p.process(&stdout, &stderr).run(ctx, []string{"publish", "--resume", place, "--rate", "500", file})
	result{status, stdout.String(), stderr.String()}.want(t, exitFailed, "interrupted")
	server.SetHook(nil)
	before := len(stored(server, "events"))
	if before == 0 || before == 1000 {
		t.Fatalf("%d events are stored at the interrupt", before)
	}
	p.run(t, "publish", "--resume", place, file).want(t, exitOK, fmt.Sprintf("line %d", before))
	if n := len(stored(server, "events")); n != 1000 {
		t.Errorf("%d events are stored, want 1000", n)
	}
}

func TestPublishBeginsAtALine(t *testing.T) {
	for from, want := range map[string][]string{"1": {"1", "3", "4"}, "2": {"3", "4"}, "3": {"3", "4"}, "4": {"4"}, "5": nil} {
		server, got := publishTo(t, "", "--from-line", from, writeFile(t, "1\n\n3\r\n4"))
		got.want(t, exitOK)
		wantStored(t, server, want...)
		server, got = publishTo(t, zipped("1\n\n3\n4\n"), "--from-line", from, "-")
		got.want(t, exitOK)
		wantStored(t, server, want...)
	}
	server, got := publishTo(t, "", "--from-line", "2", "--format", "ndjson", writeFile(t, "bad "+strings.Repeat("x", 2*maxEventBytes)+"\n2\nbad\n"))
	got.want(t, exitBadInput, "line 3: not JSON")
	wantStored(t, server)
}

func TestNoCheckPublishesWhatIsBeforeABadLine(t *testing.T) {
	file := writeFile(t, "1\n2\nbad\n4\n")
	server, got := publishTo(t, "", "--format", "ndjson", "--no-check", file)
	got.want(t, exitBadInput, file+": line 3: not JSON")
	wantStored(t, server, "1", "2")
}

func TestADirectoryStandsForItsFiles(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"b", "a", ".hidden", "sub/c"} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		writeTo(t, path, name+"\n")
	}
	server, got := publishTo(t, "", "--partition", "0", folder, filepath.Join(folder, "sub"))
	got.want(t, exitOK, folder+": 2 files (left out: 1 directory, 1 name that begins with a dot)\n")
	var bodies []string
	for e := range server.Events("events", "0") {
		bodies = append(bodies, string(e.Body))
	}
	if got, want := strings.Join(bodies, " "), "a b sub/c"; got != want {
		t.Errorf("got %q want %q", got, want)
	}
	_ = os.Remove(filepath.Join(folder, "a"))
	_ = os.Remove(filepath.Join(folder, "b"))
	_, got = publishTo(t, "", folder)
	got.want(t, exitBadInput, "the directory "+folder+" has no file (left out: 1 directory, 1 name that begins with a dot); give files")
}

// The file of --resume may be in the directory that is published.
func TestTheFileOfResumeIsNoInput(t *testing.T) {
	server, folder := startServer(t), t.TempDir()
	writeTo(t, filepath.Join(folder, "b"), "one\n")
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	for _, place := range []string{"c", "a"} { // after and before the input
		for range 2 {
			p.run(t, "publish", "--resume", filepath.Join(folder, place), folder).want(t, exitOK)
		}
		_ = os.Remove(filepath.Join(folder, place))
	}
	wantStored(t, server, "one", "one")
}

// A file may take minutes to check. The bar says how far that is.
func TestTheCheckHasABar(t *testing.T) {
	file := writeFile(t, strings.Repeat("line\n", 1000))
	s, err := openSource(t.Context(), nil, &publishOptions{files: []string{file}, format: formatLines, repeat: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.checking(), "[....................] 0 bytes of 4.88 KiB checked"; got != want {
		t.Errorf("before: got %q want %q", got, want)
	}
	if _, err := s.check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := s.checking(), "[####################] 4.88 KiB of 4.88 KiB checked"; got != want {
		t.Errorf("after: got %q want %q", got, want)
	}
}

// An outcome may come before the producer's acceptance is noted. The place must not stay behind.
func TestResumeKeepsThePlaceOfAnEarlyOutcome(t *testing.T) {
	name := filepath.Join(t.TempDir(), "place")
	for _, stored := range []bool{true, false} {
		r := newResume(&publishOptions{resume: name})
		for line := 1; line <= stretchEvents; line++ {
			s := r.offer(0)
			r.outcome(eventhubstest.NewBatch(eventhubs.Outcome{Storage: eventhubs.Stored}, &eventhubs.Event{Tag: &note{stretch: s}}), stored || line < stretchEvents)
			r.accepted(0, s, checkpoint{name: "input", line: line})
		}
		want := 0 // an event is neither stored nor kept
		if stored {
			want = stretchEvents
		}
		if got := &r.parts[0]; got.place.line != want || len(got.stretches) > 0 == stored {
			t.Errorf("stored %v: the place is line %d, with %d stretches left, want line %d", stored, got.place.line, len(got.stretches), want)
		}
		if err := r.close(); err != nil {
			t.Fatal(err)
		}
	}
}
