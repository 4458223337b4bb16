package emulator_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

func TestASnapshotTellsWhatPartitionsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{ThroughputUnits: 3, Hubs: []emulator.Hub{
			{Name: "small", Partitions: 2, Retention: emulator.Retention{Events: 2}, ConsumerGroups: []string{"z", "a"}}, {Name: "Empty", Partitions: 1, Disabled: true},
		}})
		began := time.Now().UTC()
		for range 5 {
			if err := server.Seed("small", "1", emulator.Event{Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		s := server.Snapshot()
		if !s.Time.Equal(began.Add(5*time.Second)) || !s.Started.Equal(began) || s.ThroughputUnits != 3 || s.Hooked || len(s.Faults) != 0 || len(s.Connections) != 0 {
			t.Errorf("got %+v", s)
		}
		if len(s.Hubs) != 2 || s.Hubs[0].Name != "Empty" || !s.Hubs[0].Disabled || s.Hubs[1].Name != "small" || s.Hubs[1].Retention.Events != 2 || !s.Hubs[1].Created.Equal(began) {
			t.Fatalf("the hubs are %+v", s.Hubs)
		}
		if got, want := s.Hubs[1].ConsumerGroups, []string{"$Default", "a", "z"}; !slices.Equal(got, want) {
			t.Errorf("the groups are %q, want %q", got, want)
		}
		empty := s.Hubs[1].Partitions[0]
		if empty.ID != "0" || empty.First != -1 || empty.Last != -1 || !empty.Enqueued.IsZero() || empty.Total.Events != 0 || empty.Readers != nil {
			t.Errorf("the partition without events is %+v", empty)
		}
		p := s.Hubs[1].Partitions[1]
		each := p.Total.Bytes / 5
		if p.Total.Events != 5 || p.Held != (emulator.Counts{Events: 2, Batches: 2, Bytes: 2 * each}) || p.First != 3 || p.Last != 4 || !p.Enqueued.Equal(began.Add(4*time.Second)) {
			t.Errorf("the partition is %+v", p)
		}
		discarding := newServer(t, emulator.Options{Discard: true})
		if err := discarding.Seed("events", "0", emulator.Event{}); err != nil {
			t.Fatal(err)
		}
		if p := discarding.Snapshot().Hubs[0].Partitions[0]; p.Held.Events != 0 || p.Total.Events != 1 || p.First != 1 || p.Last != 0 {
			t.Errorf("the partition that discards is %+v", p)
		}
	})
}

func TestASnapshotTellsHowFarBehindReadersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1, ConsumerGroups: []string{"Other"}, Retention: emulator.Retention{Events: 8}}}})
		put := func(n int) {
			for range n {
				if err := server.Seed("events", "0", emulator.Event{Body: []byte("x")}); err != nil {
					t.Fatal(err)
				}
			}
		}
		readers := func() []emulator.ReaderSnapshot {
			synctest.Wait()
			return server.Snapshot().Hubs[0].Partitions[0].Readers
		}
		put(6)
		if got := readers(); got != nil {
			t.Errorf("before anybody reads: %+v", got)
		}
		client := newIdler(t, server)
		begin := client.attach(t, amqp.RoleReceiver, "events/ConsumerGroups/OTHER/Partitions/0")
		got := readers()
		if len(got) != 1 || got[0].Group != "Other" || got[0].Next != 0 || got[0].Behind != 6 {
			t.Errorf("a receiver without credit: %+v", got)
		}
		if r := got[0].Receivers; len(r) != 1 || r[0].Connection != 1 || r[0].Epoch != nil || r[0].Name != "events/ConsumerGroups/OTHER/Partitions/0" {
			t.Errorf("the receivers are %+v", r)
		}
		if err := begin.Credit(2); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := begin.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		// The credit is renewed by the engine when half of it is used.
		got = readers()
		next := got[0].Next
		if next < 2 || next > 5 || got[0].Behind != 6-next {
			t.Errorf("a receiver that got some: %+v", got)
		}
		_ = begin.Detach(nil)
		got = readers()
		if len(got) != 1 || got[0].Next != next || got[0].Receivers != nil {
			t.Errorf("a receiver that has left: %+v", got)
		}
		put(20)
		if got = readers(); got[0].Behind != 8 {
			t.Errorf("%d events are behind, want the 8 that are left", got[0].Behind)
		}
	})
}

func TestASnapshotTellsWhoIsConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{})
		silent, err := server.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = silent.Close() }()
		began := time.Now().UTC()
		producer := newProducer(t, server, "events", inMemory(server))
		mustPublish(t, producer, nil, "a", "b")
		client := newIdler(t, server)
		client.attach(t, amqp.RoleReceiver, "events/ConsumerGroups/$Default/Partitions/3")
		synctest.Wait()
		got := server.Snapshot().Connections
		if len(got) != 3 || got[0].Number != 1 || got[1].Number != 2 || got[2].Number != 3 {
			t.Fatalf("the connections are %+v", got)
		}
		if c := got[0]; c.Transport != 0 || c.Client != "" || c.Links != nil || !c.Opened.Equal(began) || c.Remote == "" {
			t.Errorf("who has said nothing yet is %+v", c)
		}
		c := got[1]
		if c.Transport != emulator.TransportPlain || !strings.HasPrefix(c.Client, "azsdk-go-azeventhubs/") || c.Container == "" {
			t.Errorf("Azure's client is %+v", c)
		}
		i := slices.IndexFunc(c.Links, func(l emulator.LinkSnapshot) bool { return l.Hub != "" })
		if i < 0 || c.Links[i].Address != "events" || c.Links[i].Receiver || c.Links[i].Events != 2 || c.Links[i].Messages != 1 || !c.Links[i].Attached.Equal(began) {
			t.Errorf("its links are %+v", c.Links)
		}
		if l := got[2].Links; len(l) != 1 || !l[0].Receiver || l[0].Hub != "events" || l[0].PartitionID != "3" || l[0].ConsumerGroup != "$Default" {
			t.Errorf("the receiver's links are %+v", l)
		}
		_ = producer.Close(t.Context())
		server.CutAll()
		synctest.Wait()
		if got := server.Snapshot().Connections; len(got) != 0 {
			t.Errorf("when all are gone: %+v", got)
		}
	})
}

func TestFaultsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		server := newServer(t, emulator.Options{ThroughputUnits: 1, Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind != emulator.KindTransfer {
				return emulator.Pass()
			}
			switch n++; n {
			case 1, 2:
				return emulator.Reject("com.microsoft:server-busy", fmt.Sprintf("number %d", n)).After(time.Duration(n) * time.Second)
			case 3:
				return emulator.Release()
			default:
				return emulator.Pass()
			}
		}})
		sender := mustSender(t, server, "events/Partitions/0")
		for range 4 + 1000 {
			_, _ = sendOne(t, sender)
		}
		var got []string
		for _, f := range server.Snapshot().Faults {
			got = append(got, fmt.Sprint(f.Kind, " ", f.Hub, " ", f.What, " ", f.Count))
		}
		slices.Sort(got)
		want := []string{"transfer events reject com.microsoft:server-busy, delay 2", "transfer events release 1", "transfer events throttled 1"}
		if !slices.Equal(got, want) || !server.Snapshot().Hooked {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

func TestCountedFaultsAreBounded(t *testing.T) {
	n := 0
	server := newServer(t, emulator.Options{Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			n++
			return emulator.Reject(fmt.Sprintf("com.example:%d", n), "no")
		}
		return emulator.Pass()
	}})
	sender := mustSender(t, server, "events/Partitions/0")
	for range 300 {
		_, _ = sendOne(t, sender)
	}
	faults := server.Snapshot().Faults
	if len(faults) != 201 || faults[0].What != "others" || faults[0].Count != 100 {
		t.Errorf("%d faults are told apart, the latest is %+v", len(faults), faults[0])
	}
}

func TestActionsHaveWords(t *testing.T) {
	for want, action := range map[string]emulator.Action{
		"pass": emulator.Pass(), "accept without effect": emulator.Accept(), "no answer, but stored": emulator.Silence().Stored(), "cut": emulator.Cut(),
		"modify": emulator.Modify(), "detach x": emulator.Detach("x", "y"), "close x": emulator.CloseConnection("x", "y"), "withhold credit": emulator.WithholdCredit(time.Second),
		"answer late": emulator.Pass().AnswerAfter(1), "stop reading, close the window, ignore the detach, ignore the close": emulator.Pass().StallReading(0).CloseWindow(0).IgnoreDetach().IgnoreClose(),
	} {
		if got := action.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNewestEventsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 3, Retention: emulator.Retention{Events: 5}}}})
		producer := newProducer(t, server, "events", inMemory(server))
		for i, partition := range []string{"0", "2", "0", "0", "2"} {
			mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: &partition}, fmt.Sprint(i, "a"), fmt.Sprint(i, "b"))
			time.Sleep(time.Second)
		}
		for partition, want := range map[string]string{"": "4b 4a 3b 3a 2b 2a 1b 1a", "0": "3b 3a 2b 2a", "1": "", "2": "4b 4a 1b 1a", "3": "", "x": ""} {
			var got []string
			for e := range server.Newest("events", partition) {
				got = append(got, string(e.Body))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("partition %q: got %q, want %q", partition, got, want)
			}
		}
		for range server.Newest("events", "") {
			break // nothing happens
		}
		for range server.Newest("nowhere", "") {
			t.Error("an event of a hub that does not exist")
		}
		for sequence, want := range map[int64]string{-1: "", 0: "", 1: "", 2: "2a", 5: "3b", 6: ""} {
			e, ok := server.Event("events", "0", sequence)
			if string(e.Body) != want || ok != (want != "") || ok && e.SequenceNumber != sequence {
				t.Errorf("event %d is %+v, %v, want %q", sequence, e, ok, want)
			}
		}
	})
}

func TestLookingInsideWhileClientsWork(t *testing.T) {
	server := newServer(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2, Retention: emulator.Retention{Events: 50}}}})
	done := make(chan struct{})
	sender := mustSender(t, server, "events")
	go func() { // ends below, when everything is published
		defer close(done)
		for range 500 {
			_, _ = sendOne(t, sender)
		}
	}()
	for looking := true; looking; {
		select {
		case <-done:
			looking = false
		default:
		}
		last := int64(1 << 40)
		for e := range server.Newest("events", "0") {
			if e.SequenceNumber >= last || len(e.Body) == 0 {
				t.Fatalf("event %d comes after %d", e.SequenceNumber, last)
			}
			last = e.SequenceNumber
		}
		for _, p := range server.Snapshot().Hubs[0].Partitions {
			if p.Last-p.First+1 != int64(p.Held.Events) && p.First >= 0 || p.Held.Events > 50 {
				t.Fatalf("a partition does not fit together: %+v", p)
			}
		}
	}
	<-done
}

func ExampleServer_Snapshot() {
	server, err := emulator.New(nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()
	_ = server.Seed("events", "", emulator.Event{Body: []byte("a")}, emulator.Event{Body: []byte("b")})
	for _, hub := range server.Snapshot().Hubs {
		for _, p := range hub.Partitions {
			fmt.Printf("%s/%s: %d events\n", hub.Name, p.ID, p.Held.Events)
		}
	}
	// Output:
	// events/0: 1 events
	// events/1: 1 events
	// events/2: 0 events
	// events/3: 0 events
}

func ExampleServer_Newest() {
	server, err := emulator.New(nil)
	if err != nil {
		panic(err)
	}
	defer func() { _ = server.Close() }()
	_ = server.Seed("events", "0", emulator.Event{Body: []byte("old")}, emulator.Event{Body: []byte("new")})
	for event := range server.Newest("events", "") {
		fmt.Printf("%s\n", event.Body)
	}
	// Output:
	// new
	// old
}
