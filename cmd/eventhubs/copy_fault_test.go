package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// addFaults makes a server act out faults.
func addFaults(t *testing.T, server *emulator.Server, rules ...string) {
	t.Helper()
	for _, text := range rules {
		rule, err := emulator.ParseFaultRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := server.AddFault(rule); err != nil {
			t.Fatal(err)
		}
	}
}

// Connections are cut, acknowledgements are lost, and both namespaces are busy. Each event is there
// once and in order.
func TestCopySurvivesFaultsOfBothHubs(t *testing.T) {
	for _, partitions := range []int{4, 6} {
		for _, args := range [][]string{{"copy"}, {"copy", "--journal"}} {
			t.Run(fmt.Sprint(partitions, args), func(t *testing.T) {
				t.Parallel()
				h := newTwoHubs(t, partitions)
				h.fillAll(t, 0, 1500)
				addFaults(t, h.source, "cut-before on=delivery every=1700", "detach on=delivery every=2100", "throttle on=attach count=1 role=receiver", "cut-before on=management count=1")
				addFaults(t, h.target, "cut-after on=transfer every=3", "cut-before on=transfer every=5", "throttle on=transfer count=1", "release on=transfer count=2", "cut-before on=delivery every=2000")
				if len(args) == 2 {
					args = append(slices.Clone(args), filepath.Join(t.TempDir(), "kept"))
				}
				got := h.program().run(t, append(args, "--output", "json")...)
				got.want(t, exitOK)
				if r := got.copyReport(t); r.Events != 6000 || !r.Verified {
					t.Errorf("got the report %+v, want 6000 verified events", r)
				}
				if partitions == 4 {
					h.wantCopied(t)
				}
			})
		}
	}
}

// A service that accepts events and does not store them is found out.
func TestCopyFindsEventsThatTheTargetHasLost(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 100)
	addFaults(t, h.target, "lose-event on=transfer partition=2 count=1")
	got := h.program().run(t, "copy", "--at-least-once", "--output", "json")
	got.want(t, exitFailed, "the target differs from the source:\n  partition 2: 0 of 100 events are in the target")
	if r := got.copyReport(t); r.Verified || len(r.Differences) != 1 {
		t.Errorf("got the report %+v, want one difference", r)
	}
}

// tamper changes what is in the target, after everything is stored there and before the command
// asks for it. Change gets the partition that has the event 41 of the source's partition 1. It also
// gets the places of the events 41 and 55, which have the same key.
func (h *twoHubs) tamper(t *testing.T, change func(events []emulator.Event, at, later int) []emulator.Event) {
	ids := h.target.PartitionIDs("events")
	want := 0
	for _, id := range h.source.PartitionIDs("events") {
		want += len(bodiesIn(h.source, id))
	}
	var done atomic.Bool
	h.target.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindManagement || done.Load() {
			return emulator.Pass()
		}
		all := map[string][]emulator.Event{}
		count := 0
		for _, id := range ids {
			for e := range h.target.Events("events", id) {
				all[id] = append(all[id], emulator.Event{Body: e.Body, PartitionKey: e.PartitionKey, Properties: e.Properties})
				count++
			}
		}
		if count < want || done.Swap(true) {
			return emulator.Pass()
		}
		place := func(events []emulator.Event, body string) int {
			return slices.IndexFunc(events, func(e emulator.Event) bool { return string(e.Body) == body })
		}
		for id, events := range all {
			if at := place(events, "1 41"); at >= 0 {
				all[id] = change(events, at, place(events, "1 55"))
			}
		}
		if err := h.target.DeleteHub("events"); err != nil {
			t.Error(err)
		}
		if err := h.target.AddHub(emulator.Hub{Name: "events", Partitions: len(ids)}); err != nil {
			t.Error(err)
		}
		for id, events := range all {
			if err := h.target.Seed("events", id, events...); err != nil {
				t.Error(err)
			}
		}
		return emulator.Pass()
	})
}

func TestCopyFindsEachDifference(t *testing.T) {
	const begins = "; the first 41 events are equal, up to the event with sequence number 41 of the source"
	for name, test := range map[string]struct {
		change func(events []emulator.Event, at, later int) []emulator.Event
		want   string // in a partition
		byKey  string // among the events of a key
	}{
		"nothing": {func(events []emulator.Event, _, _ int) []emulator.Event { return events }, "", ""},
		"missing": {func(events []emulator.Event, at, _ int) []emulator.Event { return slices.Delete(events, at, at+1) },
			"99 of 100 events are in the target" + begins + "; from there 1 missing", "8 of 9 events are in the target"},
		"twice": {func(events []emulator.Event, at, _ int) []emulator.Event {
			return slices.Insert(events, at, events[at])
		},
			"101 events are in the target, and 100 in the source: some are stored twice, or another program has published; the first 42 events are equal, up to the event with sequence number 42 of the source; from there 1 there twice",
			"10 events are in the target, and 9 in the source: some are stored twice"},
		"foreign": {func(events []emulator.Event, at, _ int) []emulator.Event {
			return slices.Insert(events, at, emulator.Event{Body: []byte("x"), PartitionKey: events[at].PartitionKey})
		}, begins + "; from there 1 not of the source", "10 events are in the target, and 9 in the source"},
		"swapped": {func(events []emulator.Event, at, later int) []emulator.Event {
			events[at], events[later] = events[later], events[at]
			return events
		}, "the same 100 events, in another order" + begins + "; the event with sequence number 42 comes too late", "the same 9 events, in another order"},
		"another body": {func(events []emulator.Event, at, _ int) []emulator.Event {
			events[at].Body = []byte("1 41!")
			return events
		}, "100 events are in both, and the contents differ" + begins + "; from there 1 missing; from there 1 not of the source", "9 events are in both, and the contents differ"},
		"another type of a property": {func(events []emulator.Event, at, _ int) []emulator.Event {
			events[at].Properties = map[string]any{"n": int32(41)}
			return events
		}, "100 events are in both, and the contents differ", "9 events are in both, and the contents differ"},
		"another key": {func(events []emulator.Event, at, _ int) []emulator.Event {
			events[at].PartitionKey += "!"
			return events
		}, "100 events are in both, and the contents differ", `key "device 1 6!": 1 event is in the target, and 0 in the source`},
	} {
		for _, partitions := range []int{4, 6} {
			t.Run(fmt.Sprint(name, " ", partitions), func(t *testing.T) {
				h := newTwoHubs(t, partitions)
				h.fillAll(t, 0, 100)
				h.tamper(t, test.change)
				group, want := "partition 1: ", test.want
				if partitions != 4 {
					group, want = `key "device 1 6`, test.byKey
				}
				got := h.program().run(t, "copy")
				if want == "" {
					got.want(t, exitOK)
					return
				}
				got.want(t, exitFailed, "the target differs from the source:\n  "+group, want)
				if !strings.Contains(got.stdout, "The target differs from the source; standard error says where.") {
					t.Errorf("the report is\n%s", got.stdout)
				}
			})
		}
	}
}

// The differences are named, even if the source cannot be read again to find where they begin.
func TestCopyNamesDifferencesThatItCannotLocate(t *testing.T) {
	h := newTwoHubs(t, 4)
	h.fillAll(t, 0, 100)
	h.tamper(t, func(events []emulator.Event, at, _ int) []emulator.Event { return slices.Delete(events, at, at+1) })
	var readers atomic.Int64
	h.source.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.ConsumerGroup != "" && readers.Add(1) > 4 {
			return emulator.Reject("amqp:unauthorized-access", "no longer")
		}
		return emulator.Pass()
	})
	h.program().run(t, "copy").want(t, exitFailed, "the target differs from the source:\n  partition 1: 99 of 100 events are in the target", "where a difference begins was not found: partition 1: ", "no longer")
}
