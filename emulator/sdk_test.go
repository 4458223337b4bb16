package emulator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// sdkDial is the way of Azure's Go client to the server: nil for TCP by the connection string, else
// Server.Dial.
type sdkDial func(context.Context, azeventhubs.WebSocketConnParams) (net.Conn, error)

func inMemory(server *emulator.Server) sdkDial {
	return func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
		return server.Dial(ctx)
	}
}

// overWebSocket dials as the examples of Azure's Go client do.
func overWebSocket(server *emulator.Server, transport emulator.Transport) sdkDial {
	return func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
		ws, _, err := websocket.Dial(ctx, server.URL(transport), &websocket.DialOptions{
			Subprotocols: []string{"AMQPWSB10"},
			HTTPClient:   &http.Client{Transport: &http.Transport{TLSClientConfig: server.TLSConfig(), DisableKeepAlives: true}},
		})
		if err != nil {
			return nil, err
		}
		return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
	}
}

// onEveryTransport runs a test over TCP, TLS, WebSocket with and without TLS, and in memory with
// virtual time. Each server allows only that transport, so the test cannot use another one by
// mistake.
func onEveryTransport(t *testing.T, options emulator.Options, test func(*testing.T, *emulator.Server, sdkDial)) {
	onEveryNetwork(t, options, test)
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			options := options
			options.Addr = emulator.InMemory
			server := emulatortest.New(t, &options)
			test(t, server, inMemory(server))
		})
	})
}

// onEveryNetwork does the same without the transport in memory, for tests in which goroutines of
// the client outlive it for a while.
func onEveryNetwork(t *testing.T, options emulator.Options, test func(*testing.T, *emulator.Server, sdkDial)) {
	for transport, name := range map[emulator.Transport]string{
		emulator.TransportPlain: "tcp", emulator.TransportTLS: "tls",
		emulator.TransportWebSocket: "websocket", emulator.TransportWebSocketTLS: "websocket with tls",
	} {
		t.Run(name, func(t *testing.T) {
			options := options
			options.Transports = transport
			server := emulatortest.New(t, &options)
			var dial sdkDial
			if transport == emulator.TransportWebSocket || transport == emulator.TransportWebSocketTLS {
				dial = overWebSocket(server, transport)
			}
			test(t, server, dial)
		})
	}
}

func newProducer(t *testing.T, server *emulator.Server, hub string, dial sdkDial) *azeventhubs.ProducerClient {
	t.Helper()
	client, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString(hub), "", &azeventhubs.ProducerClientOptions{
		NewWebSocketConn: dial,
		TLSConfig:        server.TLSConfig(),
		RetryOptions:     azeventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

func newConsumer(t *testing.T, server *emulator.Server, hub string, dial sdkDial) *azeventhubs.ConsumerClient {
	t.Helper()
	client, err := azeventhubs.NewConsumerClientFromConnectionString(server.ConnectionString(hub), "", azeventhubs.DefaultConsumerGroup,
		&azeventhubs.ConsumerClientOptions{NewWebSocketConn: dial, TLSConfig: server.TLSConfig(), RetryOptions: azeventhubs.RetryOptions{MaxRetries: -1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	return client
}

// publish sends one batch.
func publish(ctx context.Context, client *azeventhubs.ProducerClient, options *azeventhubs.EventDataBatchOptions, bodies ...string) error {
	batch, err := client.NewEventDataBatch(ctx, options)
	if err != nil {
		return err
	}
	for _, body := range bodies {
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte(body)}, nil); err != nil {
			return err
		}
	}
	return client.SendEventDataBatch(ctx, batch, nil)
}

func mustPublish(t *testing.T, client *azeventhubs.ProducerClient, options *azeventhubs.EventDataBatchOptions, bodies ...string) {
	t.Helper()
	if err := publish(t.Context(), client, options, bodies...); err != nil {
		t.Fatalf("publishing %d events: %v", len(bodies), err)
	}
}

// receive reads n events of a partition.
func receive(t *testing.T, client *azeventhubs.ConsumerClient, partition string, start azeventhubs.StartPosition, n int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	link, err := client.NewPartitionClient(partition, &azeventhubs.PartitionClientOptions{StartPosition: start})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = link.Close(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all []*azeventhubs.ReceivedEventData
	for len(all) < n {
		events, err := link.ReceiveEvents(ctx, n-len(all), nil)
		if err != nil {
			t.Fatalf("received %d of %d events: %v", len(all), n, err)
		}
		all = append(all, events...)
	}
	return all
}

var earliest = azeventhubs.StartPosition{Earliest: new(true)}

// bodies are the bodies of a partition's events.
func bodies(server *emulator.Server, hub, partition string) []string {
	var all []string
	for e := range server.Events(hub, partition) {
		all = append(all, string(e.Body))
	}
	return all
}

func TestGoSDKPublishesByPartitionByKeyAndInTurn(t *testing.T) {
	options := emulator.Options{Hubs: []emulator.Hub{{Name: "hub", Partitions: 4}}}
	onEveryTransport(t, options, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		client := newProducer(t, server, "hub", dial)

		mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionID: new("2")}, "a", "b")
		if got := bodies(server, "hub", "2"); fmt.Sprint(got) != "[a b]" {
			t.Errorf("partition 2 holds %q, want a and b", got)
		}

		mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionKey: new("7")}, "keyed") // partition 3 of 4
		for e := range server.Events("hub", "3") {
			if string(e.Body) != "keyed" || e.PartitionKey != "7" || e.SequenceNumber != 0 || e.Offset != "0" {
				t.Errorf("partition 3 holds %+v", e)
			}
		}

		for i := range 4 {
			mustPublish(t, client, nil, fmt.Sprint(i))
		}
		for i, want := range []int{1, 1, 3, 2} {
			if got := server.Counts("hub", fmt.Sprint(i)).Events; got != want {
				t.Errorf("partition %d holds %d events, want %d", i, got, want)
			}
		}
		if got := server.Counts("hub", ""); got.Events != 7 || got.Batches != 6 || got.Bytes == 0 {
			t.Errorf("the hub counts %+v, want 7 events in 6 batches", got)
		}
	})
}

func TestGoSDKPublishesAFullBatchInManyFrames(t *testing.T) {
	onEveryTransport(t, emulator.Options{}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		client := newProducer(t, server, "events", dial)
		batch, err := client.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionID: new("0")})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		var sent [][]byte
		for {
			body := make([]byte, 1+random.IntN(20_000))
			for i := range body {
				body[i] = byte(random.Uint32())
			}
			err := batch.AddEventData(&azeventhubs.EventData{Body: body}, nil)
			if errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, body)
		}
		if err := client.SendEventDataBatch(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
		if n := batch.NumBytes(); n < 1_000_000 {
			t.Fatalf("the batch has %d bytes, too few to show anything", n)
		}
		i := 0
		for e := range server.Events("events", "0") {
			if i >= len(sent) || !bytes.Equal(e.Body, sent[i]) {
				t.Fatalf("event %d differs", i)
			}
			i++
		}
		if i != len(sent) {
			t.Errorf("%d events stored, want %d", i, len(sent))
		}
	})
}

func TestGoSDKReadsEverythingBack(t *testing.T) {
	onEveryTransport(t, emulator.Options{}, func(t *testing.T, server *emulator.Server, dial sdkDial) {
		producer := newProducer(t, server, "events", dial)
		const batches, each = 10, 100 // more than three times the client's credit
		for i := range batches {
			var all []string
			for j := range each {
				all = append(all, fmt.Sprint(i*each+j))
			}
			mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: new("1")}, all...)
		}
		consumer := newConsumer(t, server, "events", dial)
		events := receive(t, consumer, "1", earliest, batches*each)
		stored := 0
		for want := range server.Events("events", "1") {
			got := events[stored]
			if string(got.Body) != fmt.Sprint(stored) || !bytes.Equal(got.Body, want.Body) {
				t.Fatalf("event %d has body %q", stored, got.Body)
			}
			if got.SequenceNumber != want.SequenceNumber || got.Offset != want.Offset || !got.EnqueuedTime.Equal(want.EnqueuedTime) || got.PartitionKey != nil {
				t.Fatalf("event %d is %+v, stored %+v", stored, got, want)
			}
			stored++
		}
		if stored != len(events) {
			t.Errorf("received %d events of %d", len(events), stored)
		}
	})
}

func TestGoSDKStartsWhereItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		producer, consumer := newProducer(t, server, "events", inMemory(server)), newConsumer(t, server, "events", inMemory(server))
		for _, body := range []string{"0", "1", "2", "3", "4", "5"} {
			mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: new("0")}, body)
			time.Sleep(time.Second)
		}
		var third emulator.Event
		for e := range server.Events("events", "0") {
			if e.SequenceNumber == 2 {
				third = e
			}
		}
		for _, test := range []struct {
			name  string
			start azeventhubs.StartPosition
			want  string
		}{
			{"earliest", earliest, "0"},
			{"behind a sequence number", azeventhubs.StartPosition{SequenceNumber: new(int64(2))}, "3"},
			{"at a sequence number", azeventhubs.StartPosition{SequenceNumber: new(int64(2)), Inclusive: true}, "2"},
			{"behind an offset", azeventhubs.StartPosition{Offset: &third.Offset}, "3"},
			{"at an offset", azeventhubs.StartPosition{Offset: &third.Offset, Inclusive: true}, "2"},
			{"behind a time", azeventhubs.StartPosition{EnqueuedTime: &third.EnqueuedTime}, "3"},
			{"at a time", azeventhubs.StartPosition{EnqueuedTime: &third.EnqueuedTime, Inclusive: true}, "2"},
		} {
			if got := string(receive(t, consumer, "0", test.start, 1)[0].Body); got != test.want {
				t.Errorf("%s: the first event is %q, want %q", test.name, got, test.want)
			}
		}
	})
}

func TestGoSDKReceiverAtTheEndGetsOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		producer, consumer := newProducer(t, server, "events", inMemory(server)), newConsumer(t, server, "events", inMemory(server))
		toFirst := &azeventhubs.EventDataBatchOptions{PartitionID: new("0")}
		mustPublish(t, producer, toFirst, "old")
		link, err := consumer.NewPartitionClient("0", nil)
		if err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if events, err := link.ReceiveEvents(short, 1, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("received %v, %v; want nothing", events, err)
		}
		mustPublish(t, producer, toFirst, "new")
		events, err := link.ReceiveEvents(t.Context(), 1, nil)
		if err != nil || string(events[0].Body) != "new" {
			t.Errorf("received %v, %v; want the new event", events, err)
		}
		if err := link.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestGoSDKReadsProperties(t *testing.T) {
	// Not in a bubble: for management calls the SDK starts a goroutine that its Close does not end.
	options := emulator.Options{Hubs: []emulator.Hub{{Name: "Hub", Partitions: 12}}}
	onEveryNetwork(t, options, checkProperties)
}

func checkProperties(t *testing.T, server *emulator.Server, dial sdkDial) {
	producer := newProducer(t, server, "hub", dial)
	hub, err := producer.GetEventHubProperties(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if hub.Name != "Hub" || len(hub.PartitionIDs) != 12 || hub.PartitionIDs[11] != "11" || hub.GeoReplicationEnabled || hub.CreatedOn.IsZero() {
		t.Errorf("hub properties %+v", hub)
	}
	empty, err := producer.GetPartitionProperties(t.Context(), "4", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !empty.IsEmpty || empty.LastEnqueuedSequenceNumber != -1 || empty.LastEnqueuedOffset != "-1" || empty.PartitionID != "4" || empty.EventHubName != "Hub" {
		t.Errorf("empty partition's properties %+v", empty)
	}
	mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: new("4")}, "a", "b", "c")
	full, err := newConsumer(t, server, "hub", dial).GetPartitionProperties(t.Context(), "4", nil)
	if err != nil {
		t.Fatal(err)
	}
	if full.IsEmpty || full.BeginningSequenceNumber != 0 || full.LastEnqueuedSequenceNumber != 2 || full.LastEnqueuedOffset == "-1" || full.LastEnqueuedOn.IsZero() {
		t.Errorf("full partition's properties %+v", full)
	}
}

func TestGoSDKKeysLandWhereTheHashSays(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "hub", Partitions: 7}}})
	client := newProducer(t, server, "hub", nil)
	random := rand.New(rand.NewPCG(3, 4))
	want := make(map[string][]string)
	for range 200 {
		key := randomKey(random)
		mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionKey: &key}, key)
		id := fmt.Sprint(partitionkey.Index(key, 7))
		want[id] = append(want[id], key)
	}
	for _, id := range server.PartitionIDs("hub") {
		i := 0
		for e := range server.Events("hub", id) {
			if i >= len(want[id]) || e.PartitionKey != want[id][i] {
				t.Fatalf("partition %s holds key %q at %d; want keys %q", id, e.PartitionKey, i, want[id])
			}
			i++
		}
		if i != len(want[id]) {
			t.Errorf("partition %s holds %d events, want %d", id, i, len(want[id]))
		}
	}
}

func randomKey(random *rand.Rand) string {
	letters := []rune("abcXYZ019-_/ éжд漢🎉")
	key := make([]rune, 1+random.IntN(40))
	for i := range key {
		key[i] = letters[random.IntN(len(letters))]
	}
	return string(key)
}

func TestGoSDKIsToldWhatDoesNotExist(t *testing.T) {
	onEveryNetwork(t, emulator.Options{}, checkWhatDoesNotExist)
}

func checkWhatDoesNotExist(t *testing.T, server *emulator.Server, dial sdkDial) {
	err := publish(t.Context(), newProducer(t, server, "nosuch", dial), nil, "a")
	if err == nil || !strings.Contains(err.Error(), "could not be found") {
		t.Errorf("publishing to an unknown hub: %v", err)
	}
	err = publish(t.Context(), newProducer(t, server, "events", dial), &azeventhubs.EventDataBatchOptions{PartitionID: new("9")}, "a")
	if err == nil || !strings.Contains(err.Error(), "com.microsoft:argument-out-of-range") || !strings.Contains(err.Error(), "between 0 and 3") {
		t.Errorf("publishing to an unknown partition: %v", err)
	}
	_, err = newProducer(t, server, "events", dial).GetPartitionProperties(t.Context(), "9", nil)
	if err == nil {
		t.Error("an unknown partition has properties")
	}
	_, err = newProducer(t, server, "nosuch", dial).GetEventHubProperties(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "could not be found") {
		t.Errorf("properties of an unknown hub: %v", err)
	}
}

func TestGoSDKEventsKeepTheirProperties(t *testing.T) {
	server := emulatortest.New(t, nil)
	producer := newProducer(t, server, "events", nil)
	batch, err := producer.NewEventDataBatch(t.Context(), &azeventhubs.EventDataBatchOptions{PartitionKey: new("a")})
	if err != nil {
		t.Fatal(err)
	}
	sent := &azeventhubs.EventData{
		Body: []byte("body"), ContentType: new("text/plain"), MessageID: new("id-1"), CorrelationID: "c-1",
		Properties: map[string]any{"text": "t", "number": int64(7), "yes": true},
	}
	if err := batch.AddEventData(sent, nil); err != nil {
		t.Fatal(err)
	}
	if err := producer.SendEventDataBatch(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	for e := range server.Events("events", "0") {
		if e.MessageID != "id-1" || e.ContentType != "text/plain" || e.PartitionKey != "a" || e.Properties["number"] != int64(7) || len(e.Properties) != 3 {
			t.Errorf("stored %+v", e)
		}
	}
	got := receive(t, newConsumer(t, server, "events", nil), "0", earliest, 1)[0]
	if *got.ContentType != "text/plain" || *got.MessageID != "id-1" || got.CorrelationID != "c-1" || *got.PartitionKey != "a" ||
		fmt.Sprint(got.Properties) != fmt.Sprint(sent.Properties) {
		t.Errorf("received %+v", got)
	}
}

func TestIdleConnectionStaysAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		connections := 0
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Idle: neverIdle, Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindConnection {
				connections = op.Connection
			}
			return emulator.Pass()
		}})
		client := newProducer(t, server, "events", inMemory(server))
		mustPublish(t, client, nil, "before")
		time.Sleep(3 * time.Hour)
		mustPublish(t, client, nil, "after")
		if connections != 1 {
			t.Errorf("%d connections; the first one did not last", connections)
		}
	})
}

func TestCloseWithClientsAttachedLeavesNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a leaked goroutine fails the test
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
		if err != nil {
			t.Fatal(err)
		}
		producer, consumer := newProducer(t, server, "events", inMemory(server)), newConsumer(t, server, "events", inMemory(server))
		mustPublish(t, producer, nil, "a")
		receive(t, consumer, "0", earliest, 1)
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := publish(t.Context(), producer, nil, "b"); err == nil {
			t.Error("a closed server takes events")
		}
		if got := bodies(server, "events", "0"); len(got) != 1 {
			t.Errorf("a closed server shows events %q, want the one it stored", got)
		}
	})
}

func optionsWithKey(key string) *azeventhubs.EventDataBatchOptions {
	return &azeventhubs.EventDataBatchOptions{PartitionKey: &key}
}

func TestGoSDKPublishesToManyPartitionsOverOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 100
		connections := 0
		server := emulatortest.New(t, &emulator.Options{
			Addr: emulator.InMemory,
			Hubs: []emulator.Hub{{Name: "hub", Partitions: partitions}},
			Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == emulator.KindConnection {
					connections = op.Connection
				}
				return emulator.Pass()
			},
		})
		client := newProducer(t, server, "hub", inMemory(server))
		for round := range 2 {
			for i := range partitions {
				mustPublish(t, client, &azeventhubs.EventDataBatchOptions{PartitionID: new(fmt.Sprint(i))}, fmt.Sprint(round))
			}
		}
		for _, id := range server.PartitionIDs("hub") {
			if got := fmt.Sprint(bodies(server, "hub", id)); got != "[0 1]" {
				t.Errorf("partition %s holds %s, want [0 1]", id, got)
			}
		}
		if connections != 1 {
			t.Errorf("%d connections, want 1", connections)
		}
	})
}

func TestGoSDKReceiversDoNotDisturbEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		producer, consumer := newProducer(t, server, "events", inMemory(server)), newConsumer(t, server, "events", inMemory(server))
		var receivers []*azeventhubs.PartitionClient
		for _, level := range []*int64{nil, nil, new(int64(0)), new(int64(7))} { // owner levels are taken and have no effect yet
			receiver, err := consumer.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{StartPosition: earliest, OwnerLevel: level})
			if err != nil {
				t.Fatal(err)
			}
			receivers = append(receivers, receiver)
		}
		mustPublish(t, producer, &azeventhubs.EventDataBatchOptions{PartitionID: new("0")}, "a", "b", "c")
		for i, receiver := range receivers {
			events, err := receiver.ReceiveEvents(t.Context(), 3, nil)
			if err != nil || string(events[2].Body) != "c" {
				t.Errorf("receiver %d got %v, %v", i, events, err)
			}
			if err := receiver.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
