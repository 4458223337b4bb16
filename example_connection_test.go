package eventhubs_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// guardedServer is an emulator that verifies tokens, and the options with which a production name
// reaches it over TLS.
func guardedServer() (*emulator.Server, eventhubs.ConnectionOptions) {
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 4}},
		Authentication: &emulator.Authentication{Keys: []emulator.Key{
			{Name: "send", Value: "old key", Rights: emulator.RightSend}, {Name: "send-too", Value: "new key", Rights: emulator.RightSend}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return server, eventhubs.ConnectionOptions{CustomEndpoint: server.Addr(), TLSConfig: server.TLSConfig()}
}

// In production the credential comes from azidentity, for example DefaultAzureCredential, and
// Options.Connection stays empty.
func ExampleNewBufferedProducer() {
	ctx := context.Background()
	server, connection := guardedServer()
	defer server.Close()
	producer, err := eventhubs.NewBufferedProducer("name.servicebus.windows.net", "telemetry", server.Credential(emulator.RightSend),
		&eventhubs.Options{Connection: connection})
	if err != nil {
		log.Fatal(err)
	}
	outcome, err := producer.Publish(ctx, &eventhubs.Event{Body: []byte("a")})
	fmt.Println(outcome.Storage, err)
	fmt.Println(producer.Close(ctx))
	// Output:
	// stored <nil>
	// <nil>
}

// Keys are rotated while the program runs: the connection signs with the new one from its next
// token on.
func ExampleConnection_ReplaceKey() {
	ctx := context.Background()
	server, options := guardedServer()
	defer server.Close()
	connection, err := eventhubs.NewConnectionFromKey("name.servicebus.windows.net", "send", "old key", &options)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close(ctx)
	producer, err := connection.NewBufferedProducer("telemetry", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close(ctx)
	outcome, err := producer.Publish(ctx, &eventhubs.Event{})
	fmt.Println(outcome.Storage, err)
	fmt.Println(connection.ReplaceKey("send-too", "new key"))
	outcome, err = producer.Publish(ctx, &eventhubs.Event{})
	fmt.Println(outcome.Storage, err)
	// Output:
	// stored <nil>
	// <nil>
	// stored <nil>
}

// The application's own context is over when it shuts down, so Close is given another, with the
// time that is left.
func ExampleBufferedProducer_Close() {
	text, stop := connectionString()
	defer stop()
	application, shutDown := context.WithCancel(context.Background())
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		fmt.Println("closed:", producer.Close(ctx))
	}()
	if err := producer.Enqueue(application, &eventhubs.Event{}); err != nil {
		log.Fatal(err)
	}
	shutDown()
	// Output: closed: <nil>
}

func ExampleBufferedProducer_EventHubProperties() {
	ctx := context.Background()
	producer, stop := exampleProducer(3, nil, nil)
	defer stop()
	if _, err := producer.Publish(ctx, &eventhubs.Event{PartitionID: "2"}); err != nil {
		log.Fatal(err)
	}
	hub, err := producer.EventHubProperties(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, id := range hub.PartitionIDs {
		partition, err := producer.PartitionProperties(ctx, id)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s/%s empty: %v\n", hub.Name, id, partition.IsEmpty)
	}
	// Output:
	// telemetry/0 empty: true
	// telemetry/1 empty: true
	// telemetry/2 empty: false
}

func ExampleBufferedProducer_ClearPartition() {
	ctx := context.Background()
	producer, stop := exampleProducer(2, &eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}}, nil)
	defer stop()
	if err := producer.Connect(ctx, nil); err != nil {
		log.Fatal(err)
	}
	for i := range 4 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{PartitionID: fmt.Sprint(i % 2)}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(producer.ClearPartition(ctx, "1"))
	fmt.Println("still buffered:", producer.BufferedEvents())
	// Output:
	// 2 <nil>
	// still buffered: 2
}
