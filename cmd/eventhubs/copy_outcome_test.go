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
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// sendEncoded sends an encoded event to the partition 0 of the source.
func (h *twoHubs) sendEncoded(t *testing.T, encoded string) {
	t.Helper()
	sendEncoded(t, h.source, "0", encoded)
}

func sendEncoded(t *testing.T, server *emulator.Server, partition, encoded string) {
	t.Helper()
	if result := open(t, server, partition).Send(t.Context(), connection.BatchOf([]byte(encoded))); result.Err != nil {
		t.Fatal(result.Err)
	}
}

// An event that is not valid AMQP ends the copy, or is named, counted and left out.
func TestCopyNamesAnEventThatCannotBeRead(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fill(t, "0", 0, 5)
	h.sendEncoded(t, "\x00\x53\x74\xc1\x05\x02\xa1\x01p\x9f") // a property of the type 0x9f
	h.fill(t, "0", 6, 10)
	place := filepath.Join(t.TempDir(), "place")
	got := h.program().run(t, "copy", "--resume", place)
	got.want(t, exitFailed, "partition 0: the event with sequence number 5 (offset ", " is not a valid AMQP message (--on-unreadable skip leaves it out): ")
	for range 2 {
		got = h.program().run(t, "copy", "--resume", place, "--on-unreadable", "skip", "--output", "json")
		got.want(t, exitOK)
		if r := got.copyReport(t); !r.Verified || r.LeftOut > 1 || r.LeftOut == 1 != (r.Events == 4) || r.Partitions[0].Gaps != 0 {
			t.Errorf("got the report %+v, want 4 events and one that is left out, then nothing", r)
		}
	}
	if got := len(bodiesIn(h.target, "0")); got != 9 {
		t.Errorf("%d events are there, want 9", got)
	}
}

// An event that is too large for the target, or that a producer cannot send, ends the copy before
// it. With --undelivered it is in the file, and the others are copied.
func TestCopyNamesAnEventThatTheTargetDoesNotTake(t *testing.T) {
	for name, test := range map[string]struct {
		encoded string
		want    string
	}{
		"too large":        {string(dataMessage(strings.Repeat("x", 70_000))), "bytes, and the target takes at most "},
		"two bodies":       {string(dataMessage("x")) + "\x00\x53\x77\x41", "its body has more than one of data, sequences and a value, which cannot be sent"},
		"a property twice": {"\x00\x53\x74\xc1\x09\x04\xa1\x01p\x41\xa1\x01p\x42" + string(dataMessage("x")), `its property "p" comes twice, which cannot be sent`},
	} {
		for _, journal := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " journal ", journal), func(t *testing.T) {
				h := newTwoHubs(t, 4)
				small, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, MaxMessageSize: 64 << 10})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { small.Close() })
				h.target = small
				h.fill(t, "0", 0, 5)
				h.sendEncoded(t, test.encoded)
				h.fill(t, "0", 6, 10)
				h.fill(t, "1", 0, 5)
				folder := t.TempDir()
				args := []string{"copy", "--resume", filepath.Join(folder, "place")}
				if journal {
					args = []string{"copy", "--journal", filepath.Join(folder, "kept")}
				}
				h.program().run(t, args...).want(t, exitFailed, "partition 0: the event with sequence number 5 ", " cannot be copied (--undelivered FILE leaves it out): ", test.want)
				file := filepath.Join(folder, "lost.ndjson")
				got := h.program().run(t, append(args, "--undelivered", file, "--output", "json")...)
				got.want(t, exitFailed, "cannot be copied and is written to "+file+": ", test.want)
				if r := got.copyReport(t); !r.Verified || r.NotStored != 1 || r.Undelivered != file {
					t.Errorf("got the report %+v, want all others verified, and one not stored", r)
				}
				if records := readUndelivered(t, file); len(records) != 1 || records[0].Partition != "0" || !strings.Contains(records[0].Error, test.want) {
					t.Errorf("got the records %+v, want one of partition 0", records)
				}
				want := slices.DeleteFunc(bodiesIn(h.source, "0"), func(body string) bool { return !strings.HasPrefix(body, "0 ") })
				if got := bodiesIn(h.target, "0"); !slices.Equal(got, want) {
					t.Errorf("partition 0 has %.200q, want %q", got, want)
				}
			})
		}
	}
}

// A message id may be of four types. Of another one, the producer refuses it.
func TestCopyNamesAnEventThatTheProducerRefuses(t *testing.T) {
	for _, journal := range []bool{false, true} {
		h := newTwoHubs(t, 4)
		m := amqp.Message{Properties: &amqp.Properties{MessageID: int32(1)}, Data: [][]byte{[]byte("x")}}
		encoded, err := m.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		h.sendEncoded(t, string(encoded))
		h.fill(t, "0", 1, 9)
		folder := t.TempDir()
		args := []string{"copy", "--resume", filepath.Join(folder, "place")}
		if journal {
			args = []string{"copy", "--journal", filepath.Join(folder, "kept")}
		}
		const why = "Event.AMQP.Properties.MessageID is a int32"
		h.program().run(t, args...).want(t, exitFailed, "partition 0: the event with sequence number 0 ", "(--undelivered FILE leaves it out): ", why)
		h.program().run(t, append(args, "--undelivered", filepath.Join(folder, "lost"))...).want(t, exitFailed, " cannot be copied and is written to ", why)
		if got := bodiesIn(h.target, "0"); len(got) != 8 {
			t.Errorf("partition 0 has %q, want the eight others", got)
		}
		// A later run verifies what the others have copied.
		h.fill(t, "0", 9, 12)
		h.program().run(t, args...).want(t, exitOK, "Going on with copying")
	}
}

// --follow goes on until interrupted. Then everything is there and verified.
func TestCopyFollowsUntilInterrupted(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 50)
	run := h.program().start(t, "copy", "--follow", "--journal", filepath.Join(t.TempDir(), "kept"))
	if err := h.target.WaitForEvents(t.Context(), "events", 200); err != nil {
		t.Fatal(err)
	}
	h.fillAll(t, 50, 100)
	if err := h.target.WaitForEvents(t.Context(), "events", 400); err != nil {
		t.Fatal(err)
	}
	if status := run.stop(); status != exitOK {
		text, _ := run.stderr.get()
		t.Errorf("status after the interrupt: got %d, want %d: %s", status, exitOK, text)
	}
	h.wantCopied(t)
}

// An interrupted copy goes on with its places in a file, and no event is there twice.
func TestCopyGoesOnAfterAnInterrupt(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 1000)
	place := filepath.Join(t.TempDir(), "place")
	run := h.program().start(t, "copy", "--rate", "1000", "--resume", place)
	if err := h.target.WaitForEvents(t.Context(), "events", 300); err != nil {
		t.Fatal(err)
	}
	if status := run.stop(); status != exitFailed {
		t.Errorf("status after the interrupt: got %d, want %d", status, exitFailed)
	}
	run.stderr.await(t, "interrupted; ")
	got := h.program().run(t, "copy", "--resume", place, "--output", "json")
	got.want(t, exitOK)
	if r := got.copyReport(t); r.Events == 0 || r.Events >= 3800 || !r.Verified {
		t.Errorf("got the report %+v, want the rest, verified", r)
	}
	h.wantCopied(t)
}

// A batch that fails for good leaves no gap: nothing of its partition is stored after it. The next
// run goes on there.
func TestCopyLeavesNoGapWhereABatchFails(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.limit(t, 16<<10) // so that a partition has several batches, on a busy machine too
	h.fillAll(t, 0, 500)
	place := filepath.Join(t.TempDir(), "place")
	var n atomic.Int64
	h.target.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.PartitionID == "2" && n.Add(1) == 2 {
			return emulator.Reject("amqp:not-allowed", "not now")
		}
		return emulator.Pass()
	})
	h.program().run(t, "copy", "--rate", "4000", "--resume", place).want(t, exitFailed, "not now")
	h.target.SetHook(nil)
	if got, all := bodiesIn(h.target, "2"), bodiesIn(h.source, "2"); len(got) == 0 || len(got) == len(all) || !slices.Equal(got, all[:len(got)]) {
		t.Errorf("partition 2 has %d events, want the first ones of the source only", len(got))
	}
	h.program().run(t, "copy", "--resume", place).want(t, exitOK)
	h.wantCopied(t)
}

// A part of a hub: some partitions, and a range of time or of numbers.
func TestCopyOfAPart(t *testing.T) {
	h := newTwoHubs(t, 4)
	middle := time.Now().Add(-time.Hour)
	h.enqueued = middle.Add(-time.Minute)
	h.fillAll(t, 0, 20)
	got := h.program().run(t, "copy", "--partition", "1,3", "--since", "sequence:15", "--output", "json")
	got.want(t, exitOK)
	if r := got.copyReport(t); r.Events != 10 || !r.Verified || len(r.Partitions) != 2 || *r.Partitions[0].First != 15 {
		t.Errorf("got the report %+v, want 10 events of two partitions", r)
	}
	h.enqueued = middle.Add(time.Minute)
	h.fill(t, "0", 20, 23)
	got = h.program().run(t, "copy", "--partition", "0", "--since", middle.Format(time.RFC3339Nano), "--output", "json")
	got.want(t, exitOK)
	if r := got.copyReport(t); r.Events != 3 || !r.Verified {
		t.Errorf("since %v: got the report %+v, want 3 events", middle, r)
	}
	got = h.program().run(t, "copy", "--partition", "2", "--until", middle.Format(time.RFC3339Nano), "--output", "json")
	got.want(t, exitOK)
	if r := got.copyReport(t); r.Events != 20 || !r.Verified {
		t.Errorf("until %v: got the report %+v, want 20 events", middle, r)
	}
}

// The source no longer has some events that an earlier run has copied. The rest is compared.
func TestCopyVerifiesWhatTheSourceStillHas(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.forget(t, 100)
	place := filepath.Join(t.TempDir(), "place")
	for run := range 4 {
		h.fillAll(t, run*60, run*60+60)
		got := h.program().run(t, "copy", "--resume", place, "--output", "json")
		got.want(t, exitOK)
		if r := got.copyReport(t); r.Events != 240 || !r.Verified {
			t.Errorf("run %d: got the report %+v, want 240 verified events", run, r)
		}
	}
	for _, id := range h.target.PartitionIDs("events") {
		if got := len(bodiesIn(h.target, id)); got != 240 {
			t.Errorf("partition %s has %d events, want 240", id, got)
		}
	}
}

// Events that the source has dropped between two runs are lost, and that is said.
func TestCopyNamesEventsThatTheSourceHasDropped(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.forget(t, 100)
	place := filepath.Join(t.TempDir(), "place")
	h.fillAll(t, 0, 60)
	h.program().run(t, "copy", "--resume", place).want(t, exitOK)
	h.fill(t, "2", 60, 300)
	got := h.program().run(t, "copy", "--resume", place)
	got.want(t, exitOK, "Partition 2: the source has dropped 140 events from sequence number 60 on before this copy came to them.")
	if n := strings.Count(got.stderr, "has dropped"); n != 1 {
		t.Errorf("%d partitions are named, want 1: %s", n, got.stderr)
	}
}

// The target no longer has the first events of the copy. That is no difference.
func TestCopySaysThatTheTargetHasDroppedEvents(t *testing.T) {
	h := newTwoHubs(t, 4)
	target, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4, Retention: emulator.Retention{Events: 100}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	h.target = target
	place := filepath.Join(t.TempDir(), "place")
	h.fillAll(t, 0, 60)
	h.program().run(t, "copy", "--resume", place).want(t, exitOK)
	h.fillAll(t, 60, 120)
	h.program().run(t, "copy", "--resume", place).want(t, exitFailed, "not verified: the target: partition ", " no longer has all events of the copy, which begin at sequence number 0: its retention has dropped some")
}

// A hub that was made again under the same name is not gone on with.
func TestCopyRefusesASourceThatIsAnother(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 5)
	place := filepath.Join(t.TempDir(), "place")
	h.program().run(t, "copy", "--resume", place).want(t, exitOK)
	if err := h.source.DeleteHub("events"); err != nil {
		t.Fatal(err)
	}
	if err := h.source.AddHub(emulator.Hub{Name: "events", Partitions: 4}); err != nil {
		t.Fatal(err)
	}
	h.program().run(t, "copy", "--resume", place).want(t, exitBadInput, "it is another hub of this name now; begin another copy")
}

// Connection strings come from files too, with the hub in them.
func TestCopyReadsItsConnectionStringsFromFiles(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 5)
	folder := t.TempDir()
	from, to := filepath.Join(folder, "from"), filepath.Join(folder, "to")
	for name, text := range map[string]string{from: h.source.ConnectionString("events"), to: h.target.ConnectionString("events")} {
		if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program{}.run(t, "copy", "--from-file", from, "--to-file", to).want(t, exitOK)
	h.wantCopied(t)
	empty := h.program()
	empty.env[fromNames.variable] = ""
	empty.run(t, "copy").want(t, exitBadInput, "the environment variable EVENTHUBS_FROM_CONNECTION_STRING is set and empty")
}

// Partitions that the source has got since the copy began are copied too.
func TestCopyTakesPartitionsThatHaveComeSince(t *testing.T) {
	for _, kept := range []string{"--resume", "--journal"} {
		h := newTwoHubs(t, 4)
		h.fillAll(t, 0, 20)
		place := filepath.Join(t.TempDir(), "kept")
		h.program().run(t, "copy", kept, place).want(t, exitOK)
		if err := h.source.AddPartitions("events", 2); err != nil {
			t.Fatal(err)
		}
		h.fill(t, "5", 0, 20)
		h.program().run(t, "copy", kept, place).want(t, exitBadInput, "the target has no partition 4, only 4 partitions")
		if err := h.target.AddPartitions("events", 2); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			h.program().run(t, "copy", kept, place).want(t, exitOK)
			h.wantCopied(t)
			h.fill(t, "4", 0, 5)
		}
	}
}

// The target gets a partition between two runs. The events without a key stay together.
func TestCopyByKeyKeepsItsPartitionsWhenTheTargetGrows(t *testing.T) {
	h := newTwoHubs(t, 2)
	place := filepath.Join(t.TempDir(), "place")
	for run := range 2 {
		for _, id := range h.source.PartitionIDs("events") {
			if err := h.source.Seed("events", id, emulator.Event{Body: []byte(id)}, emulator.Event{Body: []byte(id)}); err != nil {
				t.Fatal(err)
			}
		}
		h.program().run(t, "copy", "--resume", place).want(t, exitOK, "by key.")
		if run == 0 {
			if err := h.target.AddPartitions("events", 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	where := map[string]string{}
	for _, id := range h.target.PartitionIDs("events") {
		for _, source := range bodiesIn(h.target, id) {
			if at, known := where[source]; known && at != id {
				t.Errorf("events of partition %s are in the partitions %s and %s", source, at, id)
			}
			where[source] = id
		}
	}
}

// A namespace without idempotent publishing is named, with what to do.
func TestCopySaysThatTheTargetHasNoIdempotence(t *testing.T) {
	h := newTwoHubs(t, 4)
	basic, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 4}}, Idempotence: emulator.Idempotence{Off: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { basic.Close() })
	h.target = basic
	h.fillAll(t, 0, 5)
	h.program().run(t, "copy").want(t, exitFailed, "the target: the namespace does not offer idempotent publishing, as in the Basic tier: add --at-least-once")
	h.program().run(t, "copy", "--at-least-once").want(t, exitOK, "At least once: ")
	h.wantCopied(t)
}
