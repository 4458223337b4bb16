package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A dotnetBatch is the argument of a handler of the buffered producer.
type dotnetBatch struct {
	N      int
	Reason string // why it failed
}

// A dotnetTry is the result of one call.
type dotnetTry struct {
	OK            bool
	Type, Message string
}

// handledBy counts the events that handlers got as stored.
func handledBy(s said) (events int, err error) {
	succeeded, err := told[dotnetBatch](s, "succeeded")
	for _, b := range succeeded {
		events += b.N
	}
	return events, err
}

// judgeDotnetBuffered wants each event that the buffered producer accepted to be stored once, and
// handlers to get each. Only the event that is too large for any batch may fail.
func judgeDotnetBuffered(w *world, check string, s said) error {
	want := []string{"mutated", "keyed", "before", "after", "opens"}
	for i := range 64 {
		want = append(want, "m"+strconv.Itoa(i))
	}
	for range 17 {
		want = append(want, "f")
	}
	for range 3000 {
		want = append(want, strings.Repeat("\x00", 1024))
	}
	events, err := storedOnce(w, check, want)
	if err != nil {
		return err
	}
	in := make(map[string]int)
	for _, e := range events {
		switch body := string(e.Body); {
		case strings.HasPrefix(body, "m") && body != "mutated":
			in[e.PartitionID]++
		case body == "mutated" && (e.Properties["before"] != int32(1) || e.Properties["after"] != int32(2)):
			return fmt.Errorf("the event that was changed after Enqueue has the properties %v: the client sends its latest state", e.Properties)
		case body == "keyed":
			if err := routed([]emulator.Event{e}, checkNamed(check).partitions, func(emulator.Event) string { return "alphabet" }); err != nil {
				return err
			}
		}
	}
	if in["0"] != 16 || in["1"] != 16 || in["2"] != 16 || in["3"] != 16 {
		return fmt.Errorf("64 events without a key are in the partitions %v, want 16 in each", in)
	}
	n, err := handledBy(s)
	if err != nil {
		return err
	}
	handled, err := told[int](s, "handler done") // of the command's check "flush"
	if err != nil {
		return err
	}
	for _, count := range handled {
		n += count
	}
	if n != len(want) {
		return fmt.Errorf("handlers got %d events, want %d", n, len(want))
	}
	failed, err := once[dotnetBatch](s, "failed")
	if err == nil && failed != (dotnetBatch{1, "MessageSizeExceeded"}) {
		err = fmt.Errorf("failed is %+v, want the event that is too large", failed)
	}
	return err
}

// judgeDotnetKeys wants the buffered producer, the emulator and this project to choose the same
// partition for a key.
func judgeDotnetKeys(w *world, check string, s said) error {
	// The client also accepts a key of 200 characters, which then fails when it is sent.
	keys := []string{"alphabet", "TheBestParitionEver", "7", "131", "日本語", "😀", strings.Repeat("x", 128)}
	chosen, err := told[struct{ Key, PartitionID string }](s, "key")
	if err != nil {
		return err
	}
	var heard []string
	for _, c := range chosen {
		if c.Key == "" {
			continue // an empty key is none
		}
		heard = append(heard, c.Key)
		if want := partitionOf(c.Key, routedPartitions); c.PartitionID != want {
			return fmt.Errorf("the client chose partition %s for key %q, want %s", c.PartitionID, c.Key, want)
		}
	}
	if slices.Sort(heard); !slices.Equal(heard, slices.Sorted(slices.Values(keys))) {
		return fmt.Errorf("the client reported the keys %q, want %q", heard, keys)
	}
	for _, call := range []struct{ name, text string }{{"both", "partition key and a partition id"}, {"no such partition", "`99`"}, {"partition 00", "`00`"}} {
		got, err := once[dotnetTry](s, call.name)
		if err != nil {
			return err
		}
		if got.OK || got.Type != "InvalidOperationException" || !strings.Contains(got.Message, call.text) {
			return fmt.Errorf("%q ended as %+v, want it to be refused with %q", call.name, got, call.text)
		}
	}
	events, err := storedOnce(w, check, append(keys, ""))
	if err != nil {
		return err
	}
	events = slices.DeleteFunc(events, func(e emulator.Event) bool { return len(e.Body) == 0 })
	return routed(events, routedPartitions, func(e emulator.Event) string { return string(e.Body) })
}

// judgeDotnetIdempotent wants a hundred events to be stored once, in order, although connections
// were cut before and after storing. The client must number them as a producer whose identity never
// changes.
func judgeDotnetIdempotent(w *world, check string, s said) error {
	const events = 100
	transfers := len(w.transferConnections(hubOf(check)))
	if last := slices.Max(slices.Collect(maps.Keys(w.client.cuts))); transfers <= last {
		return fmt.Errorf("the client sent %d times, want more than %d, which is the last that was cut off", transfers, last)
	}
	n, err := handledBy(s)
	if err != nil {
		return err
	}
	failed, err := told[dotnetBatch](s, "failed")
	if err != nil {
		return err
	}
	if n != events || len(failed) > 0 {
		return fmt.Errorf("handlers got %d stored events and the failures %+v, want %d and none", n, failed, events)
	}
	holds := stored(w, check)
	if len(holds) != events {
		return fmt.Errorf("%d events are stored, want %d", len(holds), events)
	}
	id := holds[0].Annotations["com.microsoft:producer-id"]
	for i, e := range holds {
		if want := "h" + strconv.Itoa(i); string(e.Body) != want {
			return fmt.Errorf("event %d is %q, want %q", i, e.Body, want)
		}
		if e.Annotations["com.microsoft:producer-id"] != id || id == nil || e.Annotations["com.microsoft:producer-sequence-number"] != int32(i+1) {
			return fmt.Errorf("event %d has the annotations %v, want number %d of producer %v", i, e.Annotations, i+1, id)
		}
	}
	return nil
}

// judgeDotnetProcessor wants two processors to share a hub's partitions, and each event to be
// processed.
func judgeDotnetProcessor(w *world, check string, s said) error {
	ids := w.serverOf(check).PartitionIDs(hubOf(check))
	for _, name := range []string{"a alone", "b alone"} {
		got, err := once[map[string]int](s, name)
		if err != nil {
			return err
		}
		if len(got) != len(ids) {
			return fmt.Errorf("%s: events of the partitions %v, want of all %d", name, got, len(ids))
		}
	}
	both, err := once[struct{ A, B []string }](s, "both")
	if err != nil {
		return err
	}
	shared := slices.Sorted(slices.Values(slices.Concat(both.A, both.B)))
	if len(both.A) != len(ids)/2 || !slices.Equal(shared, slices.Sorted(slices.Values(ids))) {
		return fmt.Errorf("two processors share the partitions as %+v, want half of them each", both)
	}
	counts, err := once[struct{ Sent, Seen, Twice int }](s, "counts")
	if err != nil {
		return err
	}
	held := w.serverOf(check).Counts(hubOf(check), "").Events
	// A partition that changes its processor may be read again from its last checkpoint. So some
	// events may come twice.
	if counts.Sent < 1000 || counts.Seen != counts.Sent || held != counts.Sent || counts.Twice > counts.Sent/10 {
		return fmt.Errorf("the processors counted %+v, and %d events are stored: want each sent event seen, and few twice", counts, held)
	}
	return nil
}
