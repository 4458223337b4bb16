package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// Partition 1 does not answer, or the service where it chooses the partition. So a program leaves
// its events in the journal. The command exports these, whatever the program's options are, and
// says where it cannot know.
func TestJournalExportsWhatAProgramLeaves(t *testing.T) {
	const events = 1000
	for _, test := range []struct {
		name    string
		options eventhubs.Options
		keys    bool
		unclear bool
	}{
		{name: "round robin"},
		{name: "sticky", options: eventhubs.Options{Partitioning: eventhubs.Sticky}},
		{name: "service assigned", options: eventhubs.Options{Partitioning: eventhubs.ServiceAssigned}},
		{name: "keys", keys: true},
		{name: "keys of a KeyPartitioner", keys: true, unclear: true,
			options: eventhubs.Options{KeyPartitioner: func(k eventhubs.KeyPlacement) int { return len(k.Key) % k.Partitions }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := startServer(t)
			assigned := test.options.Partitioning == eventhubs.ServiceAssigned
			server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				silent := op.PartitionID == "1"
				if assigned {
					silent = op.Address == "events" // the service chooses the partition
				}
				if op.Kind == emulator.KindTransfer && silent {
					return emulator.Silence()
				}
				return emulator.Pass()
			})
			kept := filepath.Join(t.TempDir(), "kept")
			o := test.options
			o.Journal, o.EnableIdempotentRetries = &eventhubs.JournalOptions{Directory: kept, Sync: eventhubs.SyncOS}, !assigned
			producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &o)
			if err != nil {
				t.Fatal(err)
			}
			left := make(map[string]bool)
			for i := range events {
				e := &eventhubs.Event{Body: fmt.Append(nil, i)}
				if test.keys || assigned && i%2 == 0 {
					e.PartitionKey = strings.Repeat("k", 1+i%7)
				}
				left[fmt.Sprint(i)] = true
				if err := producer.Enqueue(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			closed := producer.Close(ctx)
			for _, body := range stored(server, "events") {
				delete(left, body)
			}
			if u, ok := errors.AsType[*eventhubs.UndeliveredError](closed); !ok || u.Kept != len(left) || len(left) < 100 || len(left) > events/2 {
				t.Fatalf("Close returns %v, and the hub lacks %d events, want that those of one partition are kept", closed, len(left))
			}
			got := program{}.run(t, "journal", "export", kept)
			got.want(t, exitOK)
			missing, unclear := len(left), 0
			for line := range strings.Lines(got.stdout) {
				var r keptRecord
				if err := json.Unmarshal([]byte(line), &r); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				switch body := *r.Body; {
				case left[body]:
					missing--
				case r.Unclear:
					unclear++
				default:
					t.Errorf("event %s is stored, and exported", body)
				}
				if test.keys != (r.Key != nil) || len(r.Annotations) > 0 || r.Outcome != "pending" {
					t.Errorf("unexpected record %s", line)
				}
			}
			if missing > 0 || unclear > 0 != test.unclear {
				t.Errorf("%d events are left and not exported, %d stored ones are exported as unclear, want 0 and some: %v", missing, unclear, test.unclear)
			}
			if shown := showKept(t, kept); shown.Events != len(left)+unclear || test.unclear != (shown.Unclear > 0) {
				t.Errorf("the journal shows %d events, %d of them unclear, want %d", shown.Events, shown.Unclear, len(left)+unclear)
			}
		})
	}
}

// A wrong directory is named, and nothing is made in it.
func TestJournalTakesOnlyTheDirectoryOfAJournal(t *testing.T) {
	empty, file := t.TempDir(), writeFile(t, "x")
	for _, action := range [][]string{{"journal"}, {"journal", "export"}, {"journal", "repair"}} {
		program{}.run(t, append(action, empty)...).want(t, exitBadInput, "there is no journal in "+empty)
		program{}.run(t, append(action, filepath.Join(empty, "none"))...).want(t, exitBadInput, "there is no journal in "+empty)
		program{}.run(t, append(action, file)...).want(t, exitBadInput, file+" is no directory; give that of a journal")
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("the empty directory has %v, error %v, want nothing", left, err)
	}
}
