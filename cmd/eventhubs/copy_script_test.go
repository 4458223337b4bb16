package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/rogpeppe/go-internal/testscript"
)

// fill puts N more events into each partition of the hub events. Each key is in one partition, as
// the service does it, except that the partition is not the one of the key's hash.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	server := ts.Value("server").(*emulator.Server)
	for _, id := range server.PartitionIDs("events") {
		next := len(slices.Collect(server.Events("events", id)))
		events := make([]emulator.Event, n)
		for i := range events {
			events[i] = emulator.Event{Body: fmt.Appendf(nil, "%s %d %s", id, next+i, strings.Repeat("x", i%200))}
			if i%4 > 0 {
				events[i].PartitionKey = fmt.Sprintf("device %s %d", id, i%11)
			}
		}
		ts.Check(server.Seed("events", id, events...))
	}
}

// hubCopied fails unless a hub has each event of the hub events once, and in the order of its source.
// With "partition" that is the order of the partition, with "key" that of the key, or of the events
// of a partition without a key. With "twice", events may be there again.
func hubCopied(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || args[1] != "partition" && args[1] != "key" {
		ts.Fatalf("usage: copied HUB partition|key [twice]")
	}
	server := ts.Value("server").(*emulator.Server)
	groups := func(hub string, ofTarget bool) map[string][]string {
		all := map[string][]string{}
		for _, id := range server.PartitionIDs(hub) {
			for e := range server.Events(hub, id) {
				source, _, _ := strings.Cut(string(e.Body), " ")
				group := "of partition " + source
				switch {
				case args[1] == "key" && e.PartitionKey != "":
					group = e.PartitionKey
				case args[1] == "partition" && ofTarget:
					group = "of partition " + id
				}
				all[group] = append(all[group], e.PartitionKey+" "+string(e.Body))
			}
		}
		return all
	}
	want, got := groups("events", false), groups(args[0], true)
	total := 0
	for group, events := range got {
		if total += len(events); len(args) == 3 {
			events = firstOfEach(events)
		}
		if !slices.Equal(events, want[group]) {
			ts.Fatalf("%s: %d events, want the %d of the source in their order", group, len(events), len(want[group]))
		}
	}
	if len(got) != len(want) {
		ts.Fatalf("%d groups, want %d", len(got), len(want))
	}
	ts.Logf("%d events in %d groups", total, len(got))
}

// firstOfEach returns the events without repetitions.
func firstOfEach(events []string) (list []string) {
	seen := map[string]bool{}
	for _, e := range events {
		if !seen[e] {
			list = append(list, e)
		}
		seen[e] = true
	}
	return list
}
