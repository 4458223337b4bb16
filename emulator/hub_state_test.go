package emulator_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	entityDisabled = "com.microsoft:entity-disabled"
	notFound       = "amqp:not-found"
)

func TestADisabledHubDetachesItsClients(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		if err := server.AddHub(emulator.Hub{Name: "other"}); err != nil {
			t.Fatal(err)
		}
		session := openClient(t, server)
		attach := func(name string, source, target string) *amqp.Link {
			role := amqp.RoleSender
			if source != "" {
				role = amqp.RoleReceiver
			}
			return mustAttach(t, session, &amqp.Attach{Name: name, Role: role, Source: &amqp.Source{Address: source}, Target: &amqp.Target{Address: target}})
		}
		links := []*amqp.Link{attach("a", "", "events"), attach("b", "", "EVENTS/Partitions/1"), attach("c", partition0, "")}
		spared := []*amqp.Link{attach("d", "", "other"), attach("e", "", "$management")}
		if err := server.SetDisabled("Events", true); err != nil {
			t.Fatal(err)
		}
		for i, link := range links {
			checkRefusal(t, fmt.Sprint("link ", i), end(t, link), entityDisabled, "The messaging entity 'sb://emulator-in-memory.invalid/events' is disabled.")
		}
		_, err := session.Attach(t.Context(), &amqp.Attach{Name: "f", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events"}})
		checkRefusal(t, "a new sender", err, entityDisabled, "is disabled")
		_, err = attachReceiver(t, server, partition0, "r", nil)
		checkRefusal(t, "a new receiver", err, entityDisabled, "is disabled")
		if !server.Snapshot().Hubs[0].Disabled || server.Snapshot().Hubs[1].Disabled {
			t.Errorf("the snapshot shows %+v, want only events disabled", server.Snapshot().Hubs)
		}
		if err := server.SetDisabled("events", false); err != nil {
			t.Fatal(err)
		}
		if got := heard(sendOne(t, mustSender(t, server, "events"))); got != "accepted" {
			t.Errorf("after it was enabled: %s, want accepted", got)
		}
		for _, link := range spared {
			select {
			case <-link.Done():
				t.Errorf("a link of no or another hub ended: %v", link.Err())
			default:
			}
		}
	})
}

func TestADeletedHubIsNotFound(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
		session := openClient(t, server)
		sender := mustAttach(t, session, &amqp.Attach{Name: "a", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events"}})
		asker := mustAttach(t, session, &amqp.Attach{Name: "b", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/$management"}})
		receiver, err := attachReceiver(t, server, partition0, "r", nil)
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() { waited <- server.WaitForEvents(t.Context(), "events", 5) }() // ends when the hub is deleted
		time.Sleep(time.Second)                                                  // virtual
		if err := server.Seed("events", "0", make([]emulator.Event, 3)...); err != nil {
			t.Fatal(err)
		}
		if err := server.DeleteHub("EVENTS"); err != nil {
			t.Fatal(err)
		}
		for name, link := range map[string]*amqp.Link{"sender": sender, "asker": asker, "receiver": receiver} {
			checkRefusal(t, name, end(t, link), notFound, "The messaging entity 'sb://emulator-in-memory.invalid/events' could not be found.")
		}
		if err := <-waited; err == nil || !strings.Contains(err.Error(), "has 3 of the 5 events waited for: the hub was deleted") {
			t.Errorf("WaitForEvents returns %v, want an error: nothing more can come", err)
		}
		_, err = session.Attach(t.Context(), &amqp.Attach{Name: "c", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events"}})
		checkRefusal(t, "a new sender", err, notFound, "could not be found")
		checkStatus(t, openNode(t, mustSession(t, server), "$cbs", "").call(t, putToken("amqp://localhost/events")), 404, "could not be found", notFound)
		checkStatus(t, openNode(t, mustSession(t, server), "$management", "").call(t, read(map[string]any{"name": "events", "type": "com.microsoft:eventhub"})), 404, "could not be found", notFound)
		for name, err := range map[string]error{
			"SetDisabled": server.SetDisabled("events", true), "DeleteHub": server.DeleteHub("events"), "AddPartitions": server.AddPartitions("events", 1),
		} {
			if err == nil || err.Error() != "emulator: "+name+`: there is no hub "events"` {
				t.Errorf("%s of a hub that is gone: %v, want an error that names it", name, err)
			}
		}
		if err := server.AddHub(emulator.Hub{Name: "events", Partitions: 1}); err != nil {
			t.Fatal(err)
		}
		if got := heard(sendOne(t, mustSender(t, server, "events"))); got != "accepted" || server.Counts("events", "").Events != 1 {
			t.Errorf("a new hub of the same name: %s, %d events, want accepted and 1", got, server.Counts("events", "").Events)
		}
	})
}

// A hub may be disabled or deleted while a link attaches: the link does not stay.
func TestNoLinkOutlivesItsHub(t *testing.T) {
	for want, change := range map[string]func(*emulator.Server) error{
		entityDisabled: func(s *emulator.Server) error { return s.SetDisabled("events", true) },
		notFound:       func(s *emulator.Server) error { return s.DeleteHub("events") },
	} {
		inBubble(t, nil, func(t *testing.T, server *emulator.Server) {
			server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindAttach { // the server has found the hub, and has not accepted the link
					if err := change(server); err != nil {
						t.Error(err)
					}
				}
				return emulator.Pass()
			})
			link, err := openClient(t, server).Attach(t.Context(), &amqp.Attach{Name: "a", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events"}})
			if err == nil {
				err = end(t, link)
			}
			checkRefusal(t, "the link", err, want, "The messaging entity")
		})
	}
}

// Azure's client reports both at once, without retries.
func TestTheSDKReportsDisabledAndDeletedHubs(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*emulator.Server) error
		want   string
	}{
		"disabled": {func(s *emulator.Server) error { return s.SetDisabled("events", true) }, entityDisabled},
		"deleted":  {func(s *emulator.Server) error { return s.DeleteHub("events") }, "could not be found"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, emulator.Options{})
			client := newProducer(t, server, "events", inMemory(server))
			mustPublish(t, client, nil, "before")
			if err := test.change(server); err != nil {
				t.Fatal(err)
			}
			err := publish(t.Context(), client, nil, "after")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("publishing: %v, want %s", err, test.want)
			}
			if e, ok := errors.AsType[*azeventhubs.Error](err); ok {
				t.Logf("code %s", e.Code)
			}
		})
	}
}

func TestHubsAndTheirStatesSurvive(t *testing.T) {
	store := newMemoryStore()
	start := func(hubs ...emulator.Hub) *emulator.Server {
		t.Helper()
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory, Store: store, Hubs: hubs})
		if err != nil {
			t.Fatal(err)
		}
		return server
	}
	do := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	kept, gone := emulator.Hub{Name: "Kept", Partitions: 2}, emulator.Hub{Name: "gone", Partitions: 2}
	server := start(kept, gone)
	do(server.Seed("kept", "0", make([]emulator.Event, 3)...), server.Seed("gone", "1", make([]emulator.Event, 1500)...))
	if _, err := attachProducer(t, server, "gone/Partitions/0", identity{}); err != nil {
		t.Fatal(err)
	}
	do(server.SetDisabled("kept", true), server.AddPartitions("kept", 3), server.AddHub(emulator.Hub{Name: "added", Partitions: 1}), server.DeleteHub("gone"))
	do(server.Close())
	for key := range store.values {
		if strings.Contains(key, "gone") {
			t.Fatalf("the store still has %q", key)
		}
	}
	for log := range store.logs {
		if strings.Contains(log, "gone") {
			t.Fatalf("the store still has the log %q", log)
		}
	}

	server = start(kept, gone)
	var got []string
	for _, h := range server.Snapshot().Hubs {
		got = append(got, fmt.Sprint(h.Name, " ", len(h.Partitions), " ", h.Disabled, " ", server.Counts(h.Name, "").Events))
	}
	if got, want := strings.Join(got, ", "), "Kept 5 true 3, added 1 false 0, gone 2 false 0"; got != want {
		t.Errorf("after a restart: %s, want %s", got, want)
	}
	do(server.SetDisabled("kept", false), server.DeleteHub("added"), server.Close())

	kept.Disabled = true // the latest SetDisabled counts, whatever the options say
	server = start(kept)
	if h := server.Snapshot().Hubs; len(h) != 2 || h[0].Name != "Kept" || h[0].Disabled || h[1].Name != "gone" {
		t.Errorf("after the second restart: %+v, want Kept enabled, and gone", h)
	}
	do(server.Close())
}

// A failingStore is a memoryStore whose updates can fail.
type failingStore struct {
	*memoryStore
	before func() error // asked before each update; nil: no error
}

func (s *failingStore) Update(changes ...emulator.Change) error {
	if s.before != nil {
		if err := s.before(); err != nil {
			return err
		}
	}
	return s.memoryStore.Update(changes...)
}

// The process may end while a large hub is removed from the store. The next start goes on.
func TestAnInterruptedDeletionIsFinished(t *testing.T) {
	store := &failingStore{memoryStore: newMemoryStore()}
	options := &emulator.Options{Addr: emulator.InMemory, Store: store, Hubs: []emulator.Hub{{Name: "a", Partitions: 1200}}}
	server, err := emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	for _, partition := range []string{"0", "1100"} {
		if err := server.Seed("a", partition, make([]emulator.Event, 3)...); err != nil {
			t.Fatal(err)
		}
	}
	var updates int
	full := errors.New("the disk is full")
	store.before = func() error {
		if updates++; updates == 3 { // after the mark and the first thousand logs
			return full
		}
		return nil
	}
	if err := server.DeleteHub("a"); !errors.Is(err, full) || !strings.Contains(err.Error(), `hub "a" is gone, and the next start removes the rest`) {
		t.Errorf("DeleteHub: %v, want the store's error and what it means", err)
	}
	if server.PartitionIDs("a") != nil {
		t.Error("the hub is still there")
	}
	_ = server.Close()
	if n := store.batches(); n != 3 {
		t.Errorf("%d batches are left of the deleted hub, want the 3 of the partition that was not reached", n)
	}
	store.before = nil
	server, err = emulator.New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if n := server.Counts("a", "").Events; n != 0 {
		t.Errorf("the hub of the same name has %d events of the deleted one", n)
	}
	if got := heard(sendOne(t, mustSender(t, server, "a/Partitions/0"))); got != "accepted" {
		t.Errorf("a send: %s, want accepted", got)
	}

	store.before = func() error { return full }
	before := server.Snapshot().Hubs[0]
	for name, err := range map[string]error{"DeleteHub": server.DeleteHub("a"), "SetDisabled": server.SetDisabled("a", true)} {
		if after := server.Snapshot().Hubs; !errors.Is(err, full) || len(after) != 1 || after[0].Disabled != before.Disabled {
			t.Errorf("%s: %v, and the hub is %+v; want the store's error and no change", name, err, after)
		}
	}
	store.before = nil
	if err := errors.Join(server.AddPartitions("a", 1), server.Close()); err != nil { // writes the hub's record
		t.Fatal(err)
	}
	if again := newServer(t, emulator.Options{Store: store}); again.Snapshot().Hubs[0].Disabled {
		t.Error("a SetDisabled that failed has disabled the hub at the next start")
	}
}

// A hub may come back before the next start, after its removal from the store has failed.
func TestAHubThatComesBackIsEmpty(t *testing.T) {
	store := &failingStore{memoryStore: newMemoryStore()}
	hub := emulator.Hub{Name: "a", Partitions: 1}
	server := newServer(t, emulator.Options{Store: store, Hubs: []emulator.Hub{hub}})
	if err := server.Seed("a", "0", make([]emulator.Event, 3)...); err != nil {
		t.Fatal(err)
	}
	var updates int
	full := errors.New("the disk is full")
	store.before = func() error {
		if updates++; updates > 1 { // after the mark
			return full
		}
		return nil
	}
	for name, err := range map[string]error{"DeleteHub": server.DeleteHub("a"), "AddHub": server.AddHub(hub)} {
		if !errors.Is(err, full) || server.PartitionIDs("a") != nil {
			t.Errorf("%s: %v, with the partitions %v; want the store's error and no hub", name, err, server.PartitionIDs("a"))
		}
	}
	store.before = nil
	if err := errors.Join(server.AddHub(hub), server.Seed("a", "0", emulator.Event{Body: []byte("new")})); err != nil {
		t.Fatal(err)
	}
	for name, server := range map[string]*emulator.Server{"this one": server, "the next one": newServer(t, emulator.Options{Store: store, Hubs: []emulator.Hub{hub}})} {
		if got := bodies(server, "a", "0"); len(got) != 1 || got[0] != "new" {
			t.Errorf("%s: the hub has %q, want the new event alone", name, got)
		}
	}
	if err := errors.Join(server.DeleteHub("a"), server.AddHub(hub)); err != nil {
		t.Errorf("deleting it again and adding it: %v", err)
	}
}

// A hub may be deleted while the store writes a batch of it.
func TestADeletionWaitsForTheBatchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingStore{memoryStore: newMemoryStore()}
		server := newServer(t, emulator.Options{Store: store, Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}})
		var begun atomic.Bool
		store.before = func() error {
			if !begun.Swap(true) {
				time.Sleep(time.Second) // virtual: only the batch is slow
			}
			return nil
		}
		seeded := make(chan error, 1)
		go func() { seeded <- server.Seed("events", "0", emulator.Event{}) }() // ends when the batch is stored
		synctest.Wait()
		if err := server.DeleteHub("events"); err != nil {
			t.Fatal(err)
		}
		if err := <-seeded; err != nil {
			t.Errorf("the batch: %v, want it stored before the hub was deleted", err)
		}
		if len(store.values) != 0 || store.batches() != 0 {
			t.Errorf("the store still has %d keys and %d batches", len(store.values), store.batches())
		}
	})
}

// A receiver reads what is not in memory, slowed down by a rule, when the hub is deleted. It ends,
// nothing is left, and the rule is for the next hub of the name.
func TestAHubIsDeletedWhileItIsReadFromTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, book := newLogbook()
		store := newMemoryStore()
		hub := emulator.Hub{Name: "events", Partitions: 1, Retention: emulator.Retention{Events: 150}}
		server := newServer(t, emulator.Options{
			Store: store, MaxMemory: 1 << 20, Logger: logger, Idle: neverIdle, Hubs: []emulator.Hub{hub},
			Faults: []emulator.FaultRule{mustRule(t, "delay on=delivery hub=events lasting=1s")},
		})
		for range 200 {
			if err := server.Seed("events", "0", emulator.Event{Body: make([]byte, 20_000)}); err != nil {
				t.Fatal(err)
			}
		}
		receive := func(n int) *amqp.Link {
			t.Helper()
			link, err := attachReceiver(t, server, partition0, "r", nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := link.Credit(100); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for range n {
				if _, err := link.Receive(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := time.Since(began); got != time.Duration(n)*time.Second {
				t.Errorf("%d events came after %v, want one each second", n, got)
			}
			return link
		}
		link := receive(20)
		if err := server.DeleteHub("events"); err != nil {
			t.Fatal(err)
		}
		checkRefusal(t, "the receiver", end(t, link), notFound, "could not be found")
		time.Sleep(time.Minute) // virtual; the event under way finds no link
		if lines := book.lines(); len(lines) > 0 {
			t.Errorf("the log has %q, want nothing", lines)
		}
		if len(store.values) != 0 || store.batches() != 0 {
			t.Errorf("the store still has %d keys and %d batches", len(store.values), store.batches())
		}
		before := server.Faults()[0].Hits
		if err := server.AddHub(hub); err != nil {
			t.Fatal(err)
		}
		if err := server.Seed("events", "0", emulator.Event{}); err != nil {
			t.Fatal(err)
		}
		receive(1)
		if got := server.Faults()[0].Hits; got != before+1 {
			t.Errorf("the rule hit %d events of the next hub, want 1", got-before)
		}
	})
}

// A hub may be deleted while a batch or a producer of it is about to be stored. Neither comes back
// with the next hub of the name.
func TestADeletedHubStoresNothingMore(t *testing.T) {
	for _, kind := range []emulator.Kind{emulator.KindTransfer, emulator.KindAttach} {
		t.Run(kind.String(), func(t *testing.T) {
			store := newMemoryStore()
			server := newServer(t, emulator.Options{Store: store})
			server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == kind {
					if err := server.DeleteHub("events"); err != nil {
						t.Error(err)
					}
				}
				return emulator.Pass()
			})
			if kind == emulator.KindAttach {
				_, err := attachProducer(t, server, "events/Partitions/0", identity{})
				checkRefusal(t, "the producer", err, notFound, "The messaging entity")
			} else {
				link := mustAttach(t, openClient(t, server), &amqp.Attach{Name: "a", Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/Partitions/0"}})
				event := amqp.AppendBinary(amqp.AppendSectionHeader(nil, amqp.SectionData), []byte("x"))
				if err := link.Send(t.Context(), &amqp.Delivery{Payload: event, Settled: true}); err != nil {
					t.Fatal(err)
				}
				checkRefusal(t, "the link", end(t, link), notFound, "The messaging entity")
			}
			if err := server.Close(); err != nil { // waits for what is about to be stored
				t.Fatal(err)
			}
			if len(store.values) != 0 || store.batches() != 0 {
				t.Errorf("the store has %d batches and %d keys after the only hub was deleted, want none: %q",
					store.batches(), len(store.values), slices.Collect(maps.Keys(store.values)))
			}
		})
	}
}
