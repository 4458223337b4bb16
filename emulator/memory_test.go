package emulator

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// boundedServer has a hub with 2 partitions and a bound of 1 MiB.
func boundedServer(t *testing.T, retention Retention) (server *Server, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	server, err := New(&Options{
		Addr: InMemory, MaxMemory: 1 << 20, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Hubs: []Hub{{Name: "events", Partitions: 2, Retention: retention}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, log
}

func seedBytes(t *testing.T, server *Server, partition string, size int) {
	t.Helper()
	if err := server.Seed("events", partition, Event{Body: make([]byte, size)}); err != nil {
		t.Fatal(err)
	}
}

func TestEventsThatDoNotFitInMemoryAreForgottenOldestFirst(t *testing.T) {
	server, log := boundedServer(t, Retention{})
	seedBytes(t, server, "0", 90_000)
	fits := int(int64(1<<20) / server.namespace.settings.memory.bytes)
	for range fits - 2 {
		seedBytes(t, server, "0", 90_000)
	}
	seedBytes(t, server, "1", 90_000)
	for id, want := range map[string]int64{"0": 0, "1": 0} {
		if got := server.lookup("events", id).end().first; got != want || log.Len() > 0 {
			t.Fatalf("partition %s begins with %d, want %d, before the bound; log: %s", id, got, want, log)
		}
	}
	for range 4 {
		seedBytes(t, server, "1", 90_000)
	}
	snapshot := server.Snapshot().Hubs[0]
	for i, want := range []PartitionSnapshot{
		{First: 4, Last: int64(fits) - 2, Held: Counts{Events: fits - 5}}, {First: 0, Last: 4, Held: Counts{Events: 5}},
	} {
		if got := snapshot.Partitions[i]; got.First != want.First || got.Last != want.Last || got.Held.Events != want.Held.Events {
			t.Errorf("partition %d holds %d events, %d to %d; want %d, %d to %d", i, got.Held.Events, got.First, got.Last, want.Held.Events, want.First, want.Last)
		}
	}
	if got := snapshot.Partitions[0].Total.Events; got != fits-1 {
		t.Errorf("partition 0 counts %d events, want the %d that were ever stored", got, fits-1)
	}
	for range 20 {
		seedBytes(t, server, "1", 90_000)
	}
	end := server.lookup("events", "0").end()
	if !end.empty() || end.first != int64(fits)-1 || end.last != int64(fits)-2 {
		t.Errorf("the partition whose events are all forgotten has the end %+v, want it empty with the numbers %d and %d", end, fits-1, fits-2)
	}
	if got := strings.Count(log.String(), "forgotten"); got != 1 || !strings.Contains(log.String(), "bound=1048576") {
		t.Errorf("the log has %d lines about it, want one with the bound: %s", got, log)
	}
}

func TestAReaderThatFellBehindTheMemoryGoesOnAtTheOldest(t *testing.T) {
	server, _ := boundedServer(t, Retention{})
	p := server.lookup("events", "0")
	seedBytes(t, server, "0", 100)
	if b, index, _, _ := p.read(0); b == nil || b.first != 0 || index != 0 {
		t.Fatalf("reading from the beginning finds %+v", b)
	}
	for range 30 {
		seedBytes(t, server, "0", 90_000)
	}
	oldest := p.end().first
	if oldest < 15 {
		t.Fatalf("the partition begins with %d, want most events forgotten", oldest)
	}
	for _, from := range []position{1, 5, position(oldest)} {
		if b, index, _, _ := p.read(from); b == nil || b.first != oldest || index != 0 {
			t.Errorf("a reader that wants %d finds %+v, want %d", from, b, oldest)
		}
	}
	if _, ok := server.Event("events", "0", 3); ok {
		t.Error("an event that was forgotten is still there")
	}
	for e := range server.Events("events", "0") {
		if e.SequenceNumber != oldest {
			t.Errorf("the events begin with %d, want %d", e.SequenceNumber, oldest)
		}
		break
	}
}

func TestTheNewestBatchStaysInMemoryHoweverLarge(t *testing.T) {
	server, _ := boundedServer(t, Retention{})
	for range 3 {
		seedBytes(t, server, "0", 3<<20)
	}
	if got := server.lookup("events", "0").end(); got.first != 2 || got.last != 2 {
		t.Errorf("the partition holds %d to %d, want the newest event alone", got.first, got.last)
	}
}

func TestWithoutABoundNothingIsForgotten(t *testing.T) {
	server, err := New(&Options{Addr: InMemory, MaxMemory: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for range 30 {
		seedBytes(t, server, "0", 1<<20)
	}
	if got := server.lookup("events", "0").end().first; got != 0 {
		t.Errorf("the partition begins with %d, want 0", got)
	}
}

func TestTheEventsOfADeletedHubTakeNoMemory(t *testing.T) {
	server, _ := boundedServer(t, Retention{})
	p := server.lookup("events", "0")
	for range 5 {
		seedBytes(t, server, "0", 10_000)
	}
	if err := server.DeleteHub("events"); err != nil {
		t.Fatal(err)
	}
	if got := server.namespace.settings.memory.bytes; got != 0 {
		t.Errorf("%d bytes are in memory, want 0", got)
	}
	if b, _, _, err := p.read(0); b != nil || err != nil || !p.end().empty() || p.end().last != 4 {
		t.Errorf("its partition holds %v, %v and ends with %+v; want it empty after number 4", b, err, p.end())
	}
}

// The list of the memory and the partitions always have the same batches.
func TestTheMemoryCountsWhatThePartitionsHold(t *testing.T) {
	const seed = 1
	synctest.Test(t, func(t *testing.T) {
		server, _ := boundedServer(t, Retention{Time: time.Hour, Events: 400})
		random := rand.New(rand.NewPCG(seed, 0))
		for i := range 3000 {
			seedBytes(t, server, fmt.Sprint(random.IntN(2)), random.IntN(1000))
			if random.IntN(100) == 0 {
				time.Sleep(20 * time.Minute)
			}
			if err := audit(server); err != nil {
				t.Fatalf("seed %d, event %d: %v", seed, i, err)
			}
		}
		time.Sleep(2 * time.Hour)
		server.Snapshot() // applies the retention
		if err := audit(server); err != nil || server.namespace.settings.memory.bytes != 0 {
			t.Errorf("when all events are gone: %v, %d bytes", err, server.namespace.settings.memory.bytes)
		}
	})
}

// audit compares the memory with the partitions.
func audit(server *Server) error {
	m := server.namespace.settings.memory
	held, sum := 0, int64(0)
	for _, p := range server.hub("events").partitions() {
		for i, b := range p.batches {
			held, sum = held+1, sum+b.memory()
			if i > 0 && b.older == nil {
				return fmt.Errorf("partition %s: batch %d is not behind another one in the list", p.id, i)
			}
		}
	}
	listed := 0
	for b := m.oldest; b != nil; b = b.newer {
		if listed++; b.newer == nil && b != m.newest || b.newer != nil && b.newer.older != b {
			return fmt.Errorf("the list is broken at its batch %d", listed)
		}
	}
	if held != listed || sum != m.bytes || m.bytes > m.bound {
		return fmt.Errorf("%d batches of %d bytes are held, the list has %d of %d, with a bound of %d", held, sum, listed, m.bytes, m.bound)
	}
	return nil
}

func TestManyWritersShareTheMemory(t *testing.T) {
	server, _ := boundedServer(t, Retention{Events: 500})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { // ends after its events
			for range 300 {
				if err := server.Seed("events", fmt.Sprint(i%2), Event{Body: make([]byte, 5000)}); err != nil {
					t.Error(err)
				}
				server.Snapshot()
			}
		})
	}
	wg.Wait()
	if err := audit(server); err != nil {
		t.Error(err)
	}
	if got := server.Counts("events", "").Events; got != 2400 {
		t.Errorf("%d events were stored, want 2400", got)
	}
}
