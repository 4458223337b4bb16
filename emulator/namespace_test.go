package emulator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

func TestGoSDKSeesPartitionsThatAreAdded(t *testing.T) {
	onEveryTransport(t, emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		producer, consumer := newProducer(t, server, "events", dial), newConsumer(t, server, "events", dial)
		const key = "7"
		byKey := &azeventhubs.EventDataBatchOptions{PartitionKey: new(key)}
		mustPublish(t, producer, byKey, "before")
		if err := server.AddPartitions("EVENTS", 3); err != nil {
			t.Fatal(err)
		}
		properties, err := producer.GetEventHubProperties(t.Context(), nil)
		if err != nil || fmt.Sprint(properties.PartitionIDs) != "[0 1 2 3 4]" {
			t.Errorf("the partitions are %v, %v", properties.PartitionIDs, err)
		}
		if got := server.PartitionIDs("events"); fmt.Sprint(got) != "[0 1 2 3 4]" {
			t.Errorf("PartitionIDs() = %v", got)
		}
		// The attached link goes on, and the key maps as the service's hash does for five
		// partitions.
		mustPublish(t, producer, byKey, "after")
		if before, after := fmt.Sprint(partitionkey.Index(key, 2)), fmt.Sprint(partitionkey.Index(key, 5)); before == after ||
			fmt.Sprint(bodies(server, "events", before)) != "[before]" || fmt.Sprint(bodies(server, "events", after)) != "[after]" {
			t.Errorf("partition %s holds %q, partition %s %q", before, bodies(server, "events", before), after, bodies(server, "events", after))
		}
		mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: new("4")}, "new")
		if got := receive(t, consumer, "4", earliest, server.Counts("events", "4").Events); string(got[len(got)-1].Body) != "new" {
			t.Errorf("partition 4 holds %q", got[len(got)-1].Body)
		}
	})
}

func TestPartitionsThatCannotBeAdded(t *testing.T) {
	server := newServer(t, emulator.Options{})
	for want, err := range map[string]error{
		`no hub "nosuch"`:       server.AddPartitions("nosuch", 1),
		"0 partitions":          server.AddPartitions("events", 0),
		"between 1 and 32768":   server.AddPartitions("events", 32_765),
		"-1 partitions":         server.AddPartitions("events", -1),
		"there is a hub \"Even": server.AddHub(emulator.Hub{Name: "Events"}),
		"AddHub[0].Name":        server.AddHub(emulator.Hub{Name: "no spaces"}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	if got := len(server.PartitionIDs("events")); got != 4 {
		t.Errorf("the hub has %d partitions, want the 4 from before", got)
	}
}

func TestGoSDKUsesAHubThatIsAdded(t *testing.T) {
	onEveryTransport(t, emulator.Options{}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		if err := server.AddHub(emulator.Hub{Name: "late", ConsumerGroups: []string{"mine"}}); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, newProducer(t, server, "late", dial), &azeventhubs.EventDataBatchOptions{PartitionID: new("3")}, "a")
		if got := bodies(server, "late", "3"); fmt.Sprint(got) != "[a]" {
			t.Errorf("the hub holds %q", got)
		}
		if got := server.Counts("events", "").Events; got != 0 {
			t.Errorf("another hub holds %d events", got)
		}
	})
}

func TestServersInOneProcessShareNothing(t *testing.T) {
	var servers []*emulator.Server
	for range 3 {
		servers = append(servers, emulatortest.New(t, nil))
	}
	mustPublish(t, newProducer(t, servers[1], "events", nil), nil, "a")
	for i, server := range servers {
		if got := server.Counts("events", "").Events; (got == 1) != (i == 1) {
			t.Errorf("server %d holds %d events", i, got)
		}
	}
}

func TestSeededEventsAreThereForEverybody(t *testing.T) {
	onEveryTransport(t, emulator.Options{}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		long := time.Date(2020, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
		err := server.Seed("events", "1",
			emulator.Event{Body: []byte("a"), EnqueuedTime: long, PartitionKey: "k", MessageID: "m", ContentType: "text/plain", Properties: map[string]any{"n": int64(1)}},
			emulator.Event{Body: []byte("b"), EnqueuedTime: long.Add(-time.Hour)}, // time does not go back
			emulator.Event{Body: []byte("c"), EnqueuedTime: long.Add(time.Hour)},
			emulator.Event{},
		)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.WaitForEvents(t.Context(), "events", 4); err != nil {
			t.Error(err)
		}
		got := receive(t, newConsumer(t, server, "events", dial), "1", earliest, 4)
		first := got[0]
		if string(first.Body) != "a" || *first.PartitionKey != "k" || *first.MessageID != "m" || *first.ContentType != "text/plain" || first.Properties["n"] != int64(1) || !first.EnqueuedTime.Equal(long) {
			t.Errorf("the first event is %+v", first)
		}
		for i, want := range []time.Time{long, long, long.Add(time.Hour)} {
			if !got[i].EnqueuedTime.Equal(want) || got[i].SequenceNumber != int64(i) {
				t.Errorf("event %d: %v, %d", i, got[i].EnqueuedTime, got[i].SequenceNumber)
			}
		}
		if took := time.Since(*got[3].EnqueuedTime); took > time.Minute {
			t.Errorf("an event without a time was enqueued %v ago", took)
		}
		// The results of Events can be seeded elsewhere, also by key.
		for e := range server.Events("events", "1") {
			if err := server.Seed("events", "", e); err != nil {
				t.Fatal(err)
			}
		}
		home := fmt.Sprint(partitionkey.Index("k", 4))
		found := 0
		for e := range server.Events("events", home) {
			if e.PartitionKey == "k" && string(e.Body) == "a" {
				found++
			}
		}
		if found == 0 || server.Counts("events", "").Events != 8 {
			t.Errorf("the event with a key is not in partition %s", home)
		}
	})
}

func TestEventsThatCannotBeSeeded(t *testing.T) {
	server := newServer(t, emulator.Options{})
	good := emulator.Event{Body: []byte("a")}
	for want, err := range map[string]error{
		`no hub "nosuch"`:             server.Seed("nosuch", "0"),
		`no partition "4"`:            server.Seed("events", "4", good),
		"event 1: Event.PartitionKey": server.Seed("events", "0", good, emulator.Event{PartitionKey: strings.Repeat("k", 129)}),
		"event 0: it cannot be":       server.Seed("events", "0", emulator.Event{Properties: map[string]any{"f": func() {}}}),
		"event 0: amqp:decode-error":  server.Seed("events", "0", emulator.Event{Message: []byte("garbage")}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want an error with %q", err, want)
		}
	}
	if got := server.Counts("events", "").Events; got != 1 {
		t.Errorf("%d events stored, want the one in front of a bad one", got)
	}
}

func TestGoSDKStartsFromTheOldestEventThatIsLeft(t *testing.T) {
	options := emulator.Options{Hubs: []emulator.Hub{{Name: "events", Retention: emulator.Retention{Events: 3}}}}
	onEveryTransport(t, options, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		for i := range 10 {
			if err := server.Seed("events", "0", emulator.Event{Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
		consumer := newConsumer(t, server, "events", dial)
		for name, start := range map[string]azeventhubs.StartPosition{
			"the start": earliest, "a number that is gone": {SequenceNumber: new(int64(2))}, "an offset that is gone": {Offset: new("6"), Inclusive: true},
		} {
			if got := receive(t, consumer, "0", start, 3); got[0].SequenceNumber != 7 || string(got[2].Body) != "9" {
				t.Errorf("from %s the first is %d", name, got[0].SequenceNumber)
			}
		}
		properties, err := newProducer(t, server, "events", dial).GetPartitionProperties(t.Context(), "0", nil)
		if err != nil || properties.BeginningSequenceNumber != 7 || properties.LastEnqueuedSequenceNumber != 9 || properties.IsEmpty {
			t.Errorf("the partition is %+v, %v", properties, err)
		}
	})
}

func TestGoSDKFillsABatchOfTheBasicTier(t *testing.T) {
	onEveryTransport(t, emulator.Options{MaxMessageSize: emulator.BasicMessageSize}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		client := newProducer(t, server, "events", dial)
		batch, err := client.NewEventDataBatch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		add := func(size int) error {
			return batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, size), MessageID: new("m")}, nil)
		}
		for add(1000) == nil {
		}
		for size := 1000; size >= 0; size-- { // what is left, to the byte
			if add(size) == nil {
				break
			}
		}
		if got := batch.NumBytes(); got < emulator.BasicMessageSize-100 || got > emulator.BasicMessageSize {
			t.Errorf("the batch has %d bytes", got)
		}
		if err := client.SendEventDataBatch(t.Context(), batch, nil); err != nil {
			t.Error(err)
		}
		if _, err := client.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{MaxBytes: emulator.BasicMessageSize + 1}); err == nil {
			t.Error("a batch may be larger than the tier's")
		}
	})
}
