package emulator_test

import (
	"bytes"
	"errors"
	"fmt"
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
	failure error // of Update
	changes int   // of the latest Update
}

func newMemoryStore() *memoryStore { return &memoryStore{values: make(map[string][]byte)} }

func (s *memoryStore) Update(changes ...emulator.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	s.changes = len(changes)
	for _, c := range changes {
		if c.Value == nil {
			delete(s.values, string(c.Key))
		} else {
			s.values[string(c.Key)] = bytes.Clone(c.Value)
		}
	}
	return nil
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

// batches counts the batches that the store has.
func (s *memoryStore) batches() (n int) {
	_ = s.Scan([]byte("batch"), func([]byte, []byte) error { n++; return nil })
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
		if store.changes != 2 {
			t.Errorf("the last update had %d changes; want the event that came and one that went", store.changes)
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

func TestDamagedStoreIsRefused(t *testing.T) {
	for name, damage := range map[string]func(key string, value []byte) (string, []byte){
		"a batch is missing":       func(key string, value []byte) (string, []byte) { return "x" + key, value },
		"a batch is cut off":       func(key string, value []byte) (string, []byte) { return key, value[:10] },
		"a batch holds garbage":    func(key string, value []byte) (string, []byte) { return key, append(value[:21:21], "garbage"...) },
		"another version":          func(key string, value []byte) (string, []byte) { return key, append([]byte{9}, value[1:]...) },
		"a key is too long":        func(key string, value []byte) (string, []byte) { return key + "x", value },
		"a batch is another one's": func(key string, value []byte) (string, []byte) { return key[:len(key)-1] + "\x09", value },
	} {
		store := newMemoryStore()
		server := newServer(t, emulator.Options{Store: store})
		if err := server.Seed("events", "2", emulator.Event{Body: []byte("a")}, emulator.Event{Body: []byte("b")}, emulator.Event{Body: []byte("c")}); err != nil {
			t.Fatal(err)
		}
		key := "batch\x00events\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01"
		value, ok := store.values[key]
		if !ok {
			t.Fatalf("the store has no %q", key)
		}
		delete(store.values, key)
		key, value = damage(key, bytes.Clone(value))
		store.values[key] = value
		_, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store})
		if err == nil || !strings.Contains(err.Error(), `hub "events": partition 2:`) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
