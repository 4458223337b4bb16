package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestEventsFromAnyStart(t *testing.T) {
	for name, store := range map[string]emulator.Store{"memory": nil, "store": newMemoryStore()} {
		synctest.Test(t, func(t *testing.T) {
			server := newServer(t, emulator.Options{Store: store, MaxMemory: 1 << 20, Hubs: []emulator.Hub{{Name: "events", Partitions: 3, Retention: emulator.Retention{Events: 4}}}})
			begin := time.Now()
			for i, partition := range []string{"0", "2", "0", "0", "2", "0", "0"} {
				stored, err := server.Append("EVENTS", partition, emulator.Event{Body: fmt.Append(nil, i), PartitionKey: "k"})
				if err != nil {
					t.Fatal(err)
				}
				if want, ok := server.Event("events", partition, stored.SequenceNumber); !ok || string(want.Body) != fmt.Sprint(i) || stored.PartitionID != partition ||
					stored.Offset != want.Offset || !stored.EnqueuedTime.Equal(want.EnqueuedTime) || stored.PartitionKey != "k" {
					t.Errorf("%s: stored is %+v, the partition has %+v, %v", name, stored, want, ok)
				}
				time.Sleep(time.Second)
			}
			offset := func(partition string, sequence int64) int64 {
				e, _ := server.Event("events", partition, sequence)
				var n int64
				_, _ = fmt.Sscan(e.Offset, &n)
				return n
			}
			// Partition 0 has 2, 3, 5 and 6 with the sequence numbers 1 to 4, and partition 2 has 1
			// and 4.
			for _, test := range []struct {
				partition string
				start     emulator.Start
				want      string
			}{
				{"0", emulator.Start{}, "2 3 5 6"},
				{"", emulator.Start{}, "1 2 3 4 5 6"},
				{"1", emulator.Start{}, ""},
				{"3", emulator.Start{}, ""},
				{"x", emulator.Start{}, ""},
				{"0", emulator.StartAtSequenceNumber(-7), "2 3 5 6"},
				{"0", emulator.StartAtSequenceNumber(0), "2 3 5 6"}, // retention took it
				{"0", emulator.StartAtSequenceNumber(3), "5 6"},
				{"0", emulator.StartAtSequenceNumber(5), ""},
				{"0", emulator.StartAtSequenceNumber(1 << 60), ""},
				{"", emulator.StartAtSequenceNumber(1), "2 3 4 5 6"},
				{"0", emulator.StartAtOffset(offset("0", 3)), "5 6"},
				{"0", emulator.StartAtOffset(offset("0", 3) - 1), "5 6"},
				{"0", emulator.StartAtOffset(offset("0", 3) + 1), "6"},
				{"0", emulator.StartAtOffset(1 << 60), ""},
				{"0", emulator.StartAtOffset(-1), "2 3 5 6"},
				{"0", emulator.StartAtTime(begin.Add(3 * time.Second)), "3 5 6"},
				{"0", emulator.StartAtTime(begin.Add(3*time.Second + time.Millisecond)), "5 6"},
				{"", emulator.StartAtTime(begin.Add(4 * time.Second)), "4 5 6"},
				{"", emulator.StartAtTime(begin.Add(time.Hour)), ""},
				{"", emulator.StartAtTime(time.Time{}), "1 2 3 4 5 6"},
			} {
				var got []string
				for e := range server.EventsFrom("events", test.partition, test.start) {
					got = append(got, string(e.Body))
				}
				if strings.Join(got, " ") != test.want {
					t.Errorf("%s: partition %q from %+v: got %q, want %q", name, test.partition, test.start, got, test.want)
				}
			}
			later := server.EventsFrom("events", "", emulator.Start{})
			seedOne(t, server, "events", "1")
			n := 0
			for range later {
				n++
			}
			if n != 6 {
				t.Errorf("%s: %d events, want the 6 that existed at the call", name, n)
			}
			for range server.EventsFrom("events", "", emulator.Start{}) {
				break // nothing happens
			}
			for range server.EventsFrom("nowhere", "", emulator.Start{}) {
				t.Error("an event of a hub that does not exist")
			}
		})
	}
}

func seedOne(t *testing.T, server *emulator.Server, hub, partition string) {
	t.Helper()
	if err := server.Seed(hub, partition, emulator.Event{}); err != nil {
		t.Fatal(err)
	}
}

func TestAppendRefusesWhatItCannotStore(t *testing.T) {
	server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	for _, test := range []struct {
		hub, partition string
		event          emulator.Event
		want           string
	}{
		{"x", "", emulator.Event{}, `emulator: Append: there is no hub "x"`},
		{"events", "2", emulator.Event{}, `emulator: Append: hub "events" has no partition "2", only 0 to 1`},
		{"events", "", emulator.Event{PartitionKey: "\xff"}, "emulator: Append: Event.PartitionKey "},
		{"events", "", emulator.Event{Message: []byte("no message")}, "emulator: Append: "},
	} {
		if _, err := server.Append(test.hub, test.partition, test.event); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%q, %q: got %v, want %s…", test.hub, test.partition, err, test.want)
		}
	}
	if n := server.Counts("events", "").Events; n != 0 {
		t.Errorf("%d events are stored, want none", n)
	}
}

func TestASnapshotSaysWhereEventsAreKept(t *testing.T) {
	for _, test := range []struct {
		options          emulator.Options
		durable, discard bool
		memory           int64
	}{
		{emulator.Options{MaxMemory: 2 << 20}, false, false, 2 << 20},
		{emulator.Options{MaxMemory: -1, Store: newMemoryStore()}, true, false, -1},
		{emulator.Options{MaxMemory: -1, Discard: true}, false, true, -1},
	} {
		got := newServer(t, test.options).Snapshot()
		if got.Durable != test.durable || got.Discard != test.discard || got.MaxMemory != test.memory {
			t.Errorf("durable %v, discard %v, memory %d; want %v, %v, %d", got.Durable, got.Discard, got.MaxMemory, test.durable, test.discard, test.memory)
		}
	}
	if got := newServer(t, emulator.Options{}).Snapshot(); got.MaxMemory <= 0 {
		t.Errorf("the default bound is %d, want a number of bytes", got.MaxMemory)
	}
}
