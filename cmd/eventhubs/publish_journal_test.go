package main

import (
	"context"
	"encoding/json"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// offlineHub returns a connection string to a port of this machine where nothing listens.
func offlineHub(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "Endpoint=sb://" + listener.Addr().String() + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true"
}

// showKept returns what the command journal says about a directory.
func showKept(t *testing.T, directory string) journalReport {
	t.Helper()
	got := program{}.run(t, "journal", "--output", "json", directory)
	got.want(t, exitOK)
	var r journalReport
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	return r
}

// The hub cannot be reached in the first run. The journal is shown beside it, a second process is
// refused, and an interrupt leaves the events there. The second run sends them, and the new line.
func TestPublishKeepsLinesWithoutAHub(t *testing.T) {
	to := offlineHub(t)
	p := program{env: map[string]string{connectionEnv: to}}
	r := newJournalRun(t)
	r.write("input", "1\n2\n3\n")
	input, kept := filepath.Join(r.folder, "input"), filepath.Join(r.folder, "kept")
	offline := p.start(t, "publish", "--grace", "1ms", "--partition", "1", "--journal", kept, input)
	offline.stderr.await(t, "The hub cannot be reached yet; lines are kept in "+kept+", and sent later: ")
	offline.stderr.await(t, "All of the input is in "+kept+"; the command waits for the hub.")
	if got := showKept(t, kept); got.Events != 3 || got.Hub != "events" || len(got.Checkpoint) == 0 || got.Oldest == nil || len(got.Lanes)+len(got.Damage) > 0 {
		t.Errorf("beside the run the journal shows %+v, want 3 events, a checkpoint, no lane and no damage", got)
	}
	p.run(t, "publish", "--journal", kept, input).want(t, exitFailed, "--journal: directory "+kept+" is in use by process ")
	p.run(t, "journal", "repair", kept).want(t, exitFailed, "is in use by process ")
	if status := offline.stop(); status != exitFailed {
		t.Errorf("status after the interrupt: got %d want %d", status, exitFailed)
	}
	offline.stderr.await(t, "3 events stay in "+kept+"; with the same namespace and hub, run eventhubs publish --journal "+kept+" to send them")

	server, err := emulator.New(&emulator.Options{Addr: strings.TrimPrefix(strings.Split(to, ";")[0], "Endpoint=sb://"), Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r.write("input", "1\n2\n3\n4\n")
	got := p.run(t, "publish", "--output", "json", "--partition", "1", "--journal", kept, input)
	got.want(t, exitOK, "3 events are of earlier runs in "+kept+"; they are sent first", "Going on after "+input+": line 3")
	if report := got.report(t); report.Events != 4 || report.Kept != 0 {
		t.Errorf("got the report %+v, want 4 events", report)
	}
	if got := stored(server, "events"); strings.Join(got, " ") != "1 2 3 4" {
		t.Errorf("stored: got %q want each line once, in order", got)
	}
	if got := showKept(t, kept); got.Events != 0 || len(got.Lanes) != 2 || got.Lanes[1].Partition != "1" || got.Lanes[1].Outcomes != 4 || got.Lanes[1].Number != 4 || got.Lanes[1].Producer == 0 {
		t.Errorf("at the end the journal shows %+v, want no event, and 4 outcomes of partition 1 with the number 4", got)
	}
}

// The journal is full, since no event leaves. The command says that reading waits.
func TestPublishSaysThatTheJournalIsFull(t *testing.T) {
	p := program{env: map[string]string{connectionEnv: offlineHub(t)}}
	kept, input := filepath.Join(t.TempDir(), "kept"), writeFile(t, strings.Repeat(strings.Repeat("x", 1000)+"\n", 5000))
	offline := p.start(t, "publish", "--grace", "1ms", "--journal", kept, "--journal-max", "4194304", input)
	offline.stderr.await(t, "Reading waits: "+kept+" is full (4 MiB of --journal-max 4 MiB; the disk has ")
	if status := offline.stop(); status != exitFailed {
		t.Errorf("status after the interrupt: got %d want %d", status, exitFailed)
	}
	got := showKept(t, kept)
	offline.stderr.await(t, thousands(got.Events)+" events stay in "+kept)
	if got.Events < 1000 || got.Events > 4000 {
		t.Errorf("%d events are in the journal, want as many as 4 MiB hold", got.Events)
	}
}

// Standard input has no place to go on at: a later run takes all that it reads for new.
func TestPublishKeepsStandardInputOnceForEachRun(t *testing.T) {
	r := newJournalRun(t)
	kept := filepath.Join(r.folder, "kept")
	for range 2 {
		p := program{stdin: strings.NewReader("a\n"), env: map[string]string{connectionEnv: r.server.ConnectionString("")}}
		p.run(t, "publish", "--journal", kept, "-").want(t, exitOK)
	}
	wantStored(t, r.server, "a", "a")
	if got := showKept(t, kept); len(got.Checkpoint) > 0 {
		t.Errorf("standard input has the checkpoint %q, want none", got.Checkpoint)
	}
}

func TestPublishSaysThatANamespaceHasNoIdempotence(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, Idempotence: emulator.Idempotence{Off: true}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := program{env: map[string]string{connectionEnv: server.ConnectionString("")}}
	kept, input := filepath.Join(t.TempDir(), "kept"), writeFile(t, "a\nb\n")
	p.run(t, "publish", "--journal", kept, input).want(t, exitFailed, "does not offer idempotent publishing, as in the Basic tier: add --at-least-once")
	got := p.run(t, "publish", "--at-least-once", "--journal", kept, input)
	got.want(t, exitOK, "At least once (--at-least-once): events that were on their way when a run ended may be stored twice.")
	wantStored(t, server, "a", "b")
}

// An event that the service refuses for what it is has its outcome: it leaves the journal.
func TestPublishWithAJournalWritesRefusedEventsToAFile(t *testing.T) {
	r := newJournalRun(t, "--format", "events", "--undelivered", filepath.Join(t.TempDir(), "lost.ndjson"))
	r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Reject("amqp:not-allowed", "not such ones")
		}
		return emulator.Pass()
	})
	r.write("input", `{"key":"k","body":"bad","subject":"s","properties":{"n":7},"types":{"properties":{"n":"uint"}}}`+"\n")
	r.publish("input").want(t, exitFailed, "1 of 1 events could not be published")
	records := readUndelivered(t, r.args[3])
	if len(records) != 1 || records[0].Body == nil || *records[0].Body != "bad" || *records[0].Key != "k" || records[0].Subject == nil || records[0].Types.Properties["n"] != "uint" {
		t.Errorf("undelivered: got %+v want the bad event with its key, subject and types", records)
	}
	if got := showKept(t, filepath.Join(r.folder, "kept")); got.Events != 0 {
		t.Errorf("%d events stay in the journal, want none", got.Events)
	}
}
