package emulator_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A memoryStore is a store that outlives servers, but not the process.
type memoryStore struct {
	mu      sync.Mutex // guards the fields below
	values  map[string][]byte
	logs    map[string]*memoryLog
	failure error // of Update
	lost    error // of Read
	changes []emulator.Change
	reads   int
	entries int // that the latest Read visited
	largest int // bytes of the messages that one Read visited
}

type memoryLog struct {
	entries []emulator.Entry
	newest  emulator.Entry
}

func newMemoryStore() *memoryStore {
	return &memoryStore{values: make(map[string][]byte), logs: make(map[string]*memoryLog)}
}

func (s *memoryStore) Update(changes ...emulator.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	s.changes = changes
	for _, c := range changes {
		switch {
		case c.Log != "" && c.Drop:
			delete(s.logs, c.Log)
		case c.Log != "":
			s.changeLog(c)
		case c.Value == nil:
			delete(s.values, string(c.Key))
		default:
			s.values[string(c.Key)] = bytes.Clone(c.Value)
		}
	}
	return nil
}

func (s *memoryStore) changeLog(c emulator.Change) {
	l := s.logs[c.Log]
	if l == nil {
		l = &memoryLog{}
		s.logs[c.Log] = l
	}
	l.entries = l.entries[c.Removed:]
	if c.Removed > 0 && len(l.entries) > 0 && l.entries[0].First != c.Oldest.First {
		panic(fmt.Sprintf("the oldest entry is %d, not %d", l.entries[0].First, c.Oldest.First))
	}
	if c.Entry != nil {
		l.entries, l.newest = append(l.entries, *c.Entry), *c.Entry
		l.newest.Message = nil
	}
}

func (s *memoryStore) Scan(prefix []byte, visit func(key, value []byte) error) error {
	s.mu.Lock()
	values := maps.Clone(s.values)
	s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(key, string(prefix)) {
			if err := visit([]byte(key), values[key]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *memoryStore) Log(name string) emulator.LogState {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.logs[name]
	if l == nil {
		return emulator.LogState{}
	}
	state := emulator.LogState{Entries: len(l.entries), Newest: l.newest}
	if len(l.entries) > 0 {
		state.Oldest = l.entries[0]
		state.Oldest.Message = nil
	}
	return state
}

func (s *memoryStore) Read(name string, before func(emulator.Entry) bool, visit func(emulator.Entry) bool) error {
	s.mu.Lock()
	s.reads++
	var entries []emulator.Entry
	if l := s.logs[name]; l != nil {
		entries = slices.Clone(l.entries)
	}
	lost := s.lost
	s.mu.Unlock()
	visited, bytes := 0, 0
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.entries, s.largest = visited, max(s.largest, bytes)
	}()
	for _, e := range entries {
		head := e
		head.Message = nil
		if before(head) {
			continue
		}
		visited, bytes = visited+1, bytes+len(e.Message)
		if lost != nil || !visit(e) {
			return lost
		}
	}
	return nil
}

// batches counts the batches that the store has.
func (s *memoryStore) batches() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.logs {
		n += len(l.entries)
	}
	return n
}

func (s *memoryStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// dump is everything visible of a partition.
func dump(server *emulator.Server, hub, partition string) string {
	var b strings.Builder
	for e := range server.Events(hub, partition) {
		fmt.Fprintf(&b, "%+v\n", e)
	}
	return b.String()
}

func TestRestartedServerHasEverythingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		options := emulator.Options{Store: store, Hubs: []emulator.Hub{{Name: "Events", Partitions: 2}}}
		first := newServer(t, options)
		client := newProducer(t, first, "events", inMemory(first))
		for i := range 10 {
			mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionID: new("1")}, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
			time.Sleep(time.Second)
		}
		if err := first.AddPartitions("events", 1); err != nil {
			t.Fatal(err)
		}
		if err := first.AddHub(emulator.Hub{Name: "late", Partitions: 1, ConsumerGroups: []string{"mine"}}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(first.Seed("late", "0", emulator.Event{Body: []byte("x")}), first.Seed("events", "2", emulator.Event{})); err != nil {
			t.Fatal(err)
		}
		created, err := client.GetEventHubProperties(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(client.Close(t.Context()), first.Close()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)

		second := newServer(t, options)
		for _, p := range []string{"0", "1", "2"} {
			if got, want := dump(second, "events", p), dump(first, "events", p); got != want {
				t.Errorf("partition %s holds\n%s\nand held\n%s", p, got, want)
			}
		}
		if got := second.Counts("events", ""); got != first.Counts("events", "") {
			t.Errorf("the hub counts %+v, and counted %+v", got, first.Counts("events", ""))
		}
		if err := second.WaitForEvents(t.Context(), "events", 21); err != nil {
			t.Error(err)
		}
		if got := bodies(second, "late", "0"); fmt.Sprint(got) != "[x]" {
			t.Errorf("the hub that was added holds %q", got)
		}
		if _, err := attachReceiver(t, second, "late/ConsumerGroups/mine/Partitions/0", "r", nil); err != nil {
			t.Errorf("its consumer group: %v", err)
		}
		// An earlier checkpoint still refers to its event, and numbers go on.
		client = newProducer(t, second, "events", inMemory(second))
		mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionID: new("1")}, "next")
		got := receive(t, newConsumer(t, second, "events", inMemory(second)), "1", azeventhubs.StartPosition{SequenceNumber: new(int64(18))}, 2)
		if string(got[0].Body) != "9b" || string(got[1].Body) != "next" || got[1].SequenceNumber != 20 || got[1].Offset <= got[0].Offset {
			t.Errorf("behind the checkpoint: %q, %q with sequence number %d", got[0].Body, got[1].Body, got[1].SequenceNumber)
		}
		again, err := client.GetEventHubProperties(t.Context(), nil)
		if err != nil || !again.CreatedOn.Equal(created.CreatedOn) {
			t.Errorf("the hub was created at %v, %v; before it said %v", again.CreatedOn, err, created.CreatedOn)
		}
	})
}

func TestRestartedServerKnowsItsProducers(t *testing.T) {
	store := newMemoryStore()
	first := newServer(t, emulator.Options{Store: store})
	p := mustAttachProducer(t, first, identity{int64(7), int16(1), nil})
	for i := range int32(3) {
		p.send(t, 2*i+1, "a", fmt.Sprint(i))
	}
	mustAttachProducer(t, first, identity{int64(8), int16(5), int32(50)}) // sends nothing
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newServer(t, emulator.Options{Store: store})
	p = mustAttachProducer(t, second, identity{id: int64(7)})
	if p.got != (identity{int64(7), int16(1), int32(6)}) {
		t.Errorf("the producer is told %v", p.got)
	}
	if got := p.send(t, 5, "a", "2"); got != "" {
		t.Errorf("sending the last batch again: %s", got)
	}
	if got := p.send(t, 5, "a", "x"); got != outOfOrder {
		t.Errorf("sending others under its numbers: %q", got)
	}
	if got := p.send(t, 7, "b"); got != "" {
		t.Errorf("sending the next: %s", got)
	}
	if got := second.Counts("events", "0").Events; got != 7 {
		t.Errorf("%d events stored, want 7", got)
	}
	if _, err := attachProducer(t, second, "events/Partitions/0", identity{int64(8), int16(4), nil}); refusedWith(err) != stolen {
		t.Errorf("attaching with a lower epoch than before the restart: %v", err)
	}
}

func TestEventThatCannotBeKeptIsNotStored(t *testing.T) {
	store := newMemoryStore()
	server := newServer(t, emulator.Options{Store: store})
	p := mustAttachProducer(t, server, identity{})
	p.send(t, 1, "a")
	store.fail(errors.New("disk full"))
	if got := p.send(t, 2, "b"); got != "amqp:internal-error" {
		t.Errorf("sending: %q, want amqp:internal-error", got)
	}
	for what, err := range map[string]error{
		"AddHub": server.AddHub(emulator.Hub{Name: "late"}), "AddPartitions": server.AddPartitions("events", 1), "Seed": server.Seed("events", "0", emulator.Event{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := len(server.PartitionIDs("events")); got != 4 || server.PartitionIDs("late") != nil {
		t.Errorf("the hub has %d partitions, want 4, and the other one %v, want none", got, server.PartitionIDs("late"))
	}
	store.fail(nil)
	if got := p.send(t, 2, "b"); got != "" {
		t.Errorf("sending again: %s", got)
	}
	if got := bodies(server, "events", "0"); fmt.Sprint(got) != "[a b]" {
		t.Errorf("stored are %q", got)
	}
}

// TestAnEpochThatCannotBeKeptFencesNoOne attaches a second producer while the store fails.
func TestAnEpochThatCannotBeKeptFencesNoOne(t *testing.T) {
	store := newMemoryStore()
	server := newServer(t, emulator.Options{Store: store})
	working := mustAttachProducer(t, server, identity{int64(7), int16(1), nil})
	working.send(t, 1, "a")
	store.fail(errors.New("disk full"))
	for _, want := range []identity{{int64(7), int16(2), nil}, {int64(8), int16(0), nil}} {
		if _, err := attachProducer(t, server, "events/Partitions/0", want); refusedWith(err) != "amqp:internal-error" || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("attaching %v while the store fails: %v", want, err)
		}
	}
	store.fail(nil)
	if got := working.send(t, 2, "b"); got != "" {
		t.Errorf("the working producer is refused: %s", got)
	}
	if p := mustAttachProducer(t, server, identity{int64(7), int16(1), nil}); p.got.epoch != int16(1) {
		t.Errorf("the epoch is %v, want 1", p.got.epoch)
	}
	stranger := producer{working.link, identity{id: int64(8), epoch: int16(0)}}
	if got := stranger.send(t, 1, "c"); got != outOfOrder {
		t.Errorf("a producer that could not be kept sends: %q, want %s", got, outOfOrder)
	}
	if got := bodies(server, "events", "0"); fmt.Sprint(got) != "[a b]" {
		t.Errorf("stored are %q", got)
	}
}

func TestWhatRetentionTakesGoesFromTheStoreToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		options := emulator.Options{Store: store, Hubs: []emulator.Hub{{Name: "events", Partitions: 1, Retention: emulator.Retention{Time: time.Hour, Events: 3}}}}
		first := newServer(t, options)
		for i := range 10 {
			if err := first.Seed("events", "0", emulator.Event{Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
		if got := store.batches(); got > 4 { // the excess is dropped with the next write
			t.Errorf("the store has %d batches of the 3 that are kept", got)
		}
		if c := store.changes; len(c) != 1 || c[0].Removed != 1 || c[0].Entry.First != 9 {
			t.Errorf("the last update was %+v; want the event that came and one that went", c)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second := newServer(t, options)
		if got := bodies(second, "events", "0"); fmt.Sprint(got) != "[7 8 9]" {
			t.Errorf("after a restart the partition holds %q", got)
		}
		if err := second.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		third := newServer(t, options)
		if got := bodies(third, "events", "0"); len(got) != 0 {
			t.Errorf("after two hours the partition holds %q", got)
		}
		if err := third.Seed("events", "0", emulator.Event{Body: []byte("10")}); err != nil {
			t.Fatal(err)
		}
		for e := range third.Events("events", "0") {
			if e.SequenceNumber != 10 {
				t.Errorf("the next event has sequence number %d, want 10", e.SequenceNumber)
			}
		}
		if got := store.batches(); got != 1 {
			t.Errorf("the store has %d batches, want the one that is there", got)
		}
	})
}

func TestADamagedLogIsRefused(t *testing.T) {
	for name, damage := range map[string]func(*memoryLog){
		"its newest entry has a negative number": func(l *memoryLog) { l.newest.First = -5 },
		"its oldest is beyond its end":           func(l *memoryLog) { l.entries[0].First = 10 },
		"its offsets go back":                    func(l *memoryLog) { l.entries[0].Offset = 1 << 40 },
	} {
		store := newMemoryStore()
		server := newServer(t, emulator.Options{Store: store})
		if err := server.Seed("events", "2", emulator.Event{Body: []byte("a")}, emulator.Event{Body: []byte("b")}, emulator.Event{Body: []byte("c")}); err != nil {
			t.Fatal(err)
		}
		damage(store.logs["events\x002"])
		_, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store})
		if err == nil || !strings.Contains(err.Error(), `hub "events": partition 2:`) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
	store := newMemoryStore()
	store.values["producer\x00events\x00short"] = []byte{1}
	if _, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a producer's key is too short: %v", err)
	}
}

// A reader meets damage of the store where it is. It gets an error, and nothing wrong.
func TestAnEventThatCannotBeReadEndsItsReceiver(t *testing.T) {
	for name, damage := range map[string]func(*memoryStore, *memoryLog){
		"the disk fails":            func(s *memoryStore, _ *memoryLog) { s.lost = errors.New("input/output error") },
		"the message is garbage":    func(_ *memoryStore, l *memoryLog) { l.entries[1].Message = []byte("garbage") },
		"the message is another":    func(_ *memoryStore, l *memoryLog) { l.entries[1].Message = l.entries[2].Message },
		"a batch is missing":        func(_ *memoryStore, l *memoryLog) { l.entries = slices.Delete(l.entries, 1, 2) },
		"a batch has other numbers": func(_ *memoryStore, l *memoryLog) { l.entries[1].Events = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemoryStore()
			server := newServer(t, emulator.Options{Store: store})
			for _, body := range []string{"a", "bb", "ccc"} {
				if err := server.Seed("events", "2", emulator.Event{Body: []byte(body)}); err != nil {
					t.Fatal(err)
				}
			}
			damage(store, store.logs["events\x002"])
			var log bytes.Buffer
			again := newServer(t, emulator.Options{Store: store, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			got := bodies(again, "events", "2")
			if len(got) > 1 || len(got) == 1 && got[0] != "a" || !strings.Contains(log.String(), "events cannot be read") {
				t.Errorf("the events are %q, want at most the first one; log: %s", got, &log)
			}
			link, err := attachReceiver(t, again, "events/ConsumerGroups/$Default/Partitions/2", "r", nil)
			if err == nil {
				err = link.Credit(10)
			}
			for n := 0; err == nil; n++ {
				if n > 1 {
					t.Fatal("the receiver gets more than the first event")
				}
				_, err = link.Receive(t.Context())
			}
			if !strings.Contains(err.Error(), "amqp:internal-error") {
				t.Errorf("the receiver ends with %v, want amqp:internal-error", err)
			}
		})
	}
}
