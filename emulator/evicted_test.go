package emulator_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A server with a store and little memory shows the same as one with much memory, whatever is
// asked.
func TestAServerWithLittleMemoryAndAStoreShowsEverything(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 5))
			retention := []emulator.Retention{{}, {Events: 300}, {Bytes: 3 << 20}, {Time: 40 * time.Minute}}[random.IntN(4)]
			hubs := []emulator.Hub{{Name: "events", Partitions: 2, Retention: retention}}
			var log bytes.Buffer
			store := newMemoryStore()
			small := newServer(t, emulator.Options{Store: store, MaxMemory: 1 << 20, Hubs: hubs, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			large := newServer(t, emulator.Options{Hubs: hubs, MaxMemory: -1})
			for i := range 500 {
				e := emulator.Event{Body: bytes.Repeat([]byte{byte(i)}, random.IntN(20_000)), MessageID: fmt.Sprint(i)}
				p := fmt.Sprint(random.IntN(2))
				for _, server := range []*emulator.Server{small, large} {
					if err := server.Seed("events", p, e); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Duration(random.IntN(20)) * time.Second)
				if i == 250 {
					time.Sleep(20 * time.Minute)
				}
			}
			compareServers(t, seed, small, large)
			if got := store.reads; got == 0 {
				t.Error("nothing was read from the store: everything fits in memory")
			}
			if log.Len() > 0 {
				t.Errorf("seed %d: the log says %s", seed, &log)
			}
			time.Sleep(30 * time.Minute)
			compareServers(t, seed, small, large)
			if err := small.Close(); err != nil {
				t.Fatal(err)
			}
			compareServers(t, seed, newServer(t, emulator.Options{Store: store, MaxMemory: 1 << 20, Hubs: hubs}), large)
		})
	}
}

func compareServers(t *testing.T, seed uint64, got, want *emulator.Server) {
	t.Helper()
	all := func(server *emulator.Server, p string) string {
		sum := crc32.NewIEEE()
		n := 0
		for e := range server.Events("events", p) {
			n++
			fmt.Fprint(sum, e.SequenceNumber, e.Offset, e.EnqueuedTime, e.MessageID)
			_, _ = sum.Write(e.Message)
		}
		return fmt.Sprintf("%d events with the checksum %x", n, sum.Sum32())
	}
	newest := func(server *emulator.Server, p string) (all []string) {
		for e := range server.Newest("events", p) {
			all = append(all, fmt.Sprint(e.PartitionID, e.SequenceNumber, e.Offset, e.EnqueuedTime, e.MessageID, len(e.Body)))
		}
		return all
	}
	later := func(server *emulator.Server, p string) (all []string) {
		begin := server.Snapshot().Hubs[0].Partitions[0].Enqueued.Add(-30 * time.Minute)
		for e := range server.EventsFrom("events", p, emulator.StartAtTime(begin)) {
			all = append(all, fmt.Sprint(e.PartitionID, e.SequenceNumber, e.Offset, e.EnqueuedTime, e.MessageID, len(e.Body)))
		}
		return all
	}
	for _, p := range []string{"", "0", "1"} {
		if g, w := later(got, p), later(want, p); len(w) == 0 || fmt.Sprint(g) != fmt.Sprint(w) {
			t.Fatalf("seed %d: partition %q: of the last half hour there are %d events, want %d, the same", seed, p, len(g), len(w))
		}
	}
	for _, p := range []string{"0", "1"} {
		if g, w := all(got, p), all(want, p); g != w {
			t.Fatalf("seed %d: partition %s has %s, want %s", seed, p, g, w)
		}
		if g, w := newest(got, p), newest(want, p); fmt.Sprint(g) != fmt.Sprint(w) {
			t.Fatalf("seed %d: partition %s: the newest differ", seed, p)
		}
	}
	if g, w := newest(got, ""), newest(want, ""); len(g) != len(w) {
		t.Fatalf("seed %d: %d events, want %d", seed, len(g), len(w))
	}
	g, w := got.Snapshot().Hubs[0].Partitions, want.Snapshot().Hubs[0].Partitions
	for i := range w {
		if g[i].First != w[i].First || g[i].Last != w[i].Last || g[i].Held != w[i].Held || !g[i].Enqueued.Equal(w[i].Enqueued) {
			t.Errorf("seed %d: partition %d is %+v, want %+v", seed, i, g[i], w[i])
		}
	}
}

// A partition waits while the store is read, so no read has many bytes, and none brings batches
// that are not wanted.
func TestTheStoreIsReadInSmallParts(t *testing.T) {
	store := newMemoryStore()
	hubs := []emulator.Hub{{Name: "events", Partitions: 1, Retention: emulator.Retention{Bytes: 20 << 20}}}
	server := newServer(t, emulator.Options{Store: store, MaxMemory: 1 << 20, Hubs: hubs})
	for range 30 {
		if err := server.Seed("events", "0", emulator.Event{Body: make([]byte, 1_000_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if store.reads == 0 || store.largest == 0 || store.largest > 6<<20 {
		t.Errorf("retention has read up to %d bytes at once, in %d reads; want about 4 MiB", store.largest, store.reads)
	}
	if _, ok := server.Event("events", "0", 20); !ok || store.entries != 1 {
		t.Errorf("one event was found %v by reading %d batches, want 1", ok, store.entries)
	}
	n := 0
	for range server.Newest("events", "0") {
		n++
	}
	if n != 20 {
		t.Errorf("%d events are kept, want the 20 that fit", n)
	}
}

// Clients start anywhere in a partition whose events are not in memory, and go on to its end.
func TestReceiversReadEventsThatAreNotInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{Store: newMemoryStore(), MaxMemory: 1 << 20, Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}})
		begin := time.Now()
		for i := range 200 {
			if err := server.Seed("events", "0", emulator.Event{Body: bytes.Repeat([]byte{byte(i)}, 20_000)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		event, ok := server.Event("events", "0", 17)
		if !ok || event.SequenceNumber != 17 || event.Body[0] != 17 {
			t.Fatalf("event 17 is %d, %v", event.SequenceNumber, ok)
		}
		consumer := newConsumer(t, server, "events", inMemory(server))
		for what, start := range map[string]struct {
			from  azeventhubs.StartPosition
			first int64
		}{
			"the beginning":   {azeventhubs.StartPosition{Earliest: new(true)}, 0},
			"a number":        {azeventhubs.StartPosition{SequenceNumber: new(int64(17))}, 18},
			"an offset":       {azeventhubs.StartPosition{Offset: &event.Offset}, 18},
			"a time":          {azeventhubs.StartPosition{EnqueuedTime: new(begin.Add(29500 * time.Millisecond))}, 30},
			"a recent number": {azeventhubs.StartPosition{SequenceNumber: new(int64(190)), Inclusive: true}, 190},
		} {
			got := receive(t, consumer, "0", start.from, int(200-start.first))
			for i, e := range got {
				if e.SequenceNumber != start.first+int64(i) || e.Body[0] != byte(e.SequenceNumber) || len(e.Body) != 20_000 {
					t.Fatalf("from %s: event %d has the number %d, want %d", what, i, e.SequenceNumber, start.first+int64(i))
				}
			}
		}
	})
}
