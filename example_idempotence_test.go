package eventhubs_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A batch is stored, and the connection breaks before its acknowledgement: it is sent again, and is there once.
func ExampleOptions_idempotentRetries() {
	broken := false
	server, err := emulator.New(&emulator.Options{
		Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 1}},
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer && !broken {
				broken = true
				return emulator.Cut().Stored()
			}
			return emulator.Pass()
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("telemetry"), "", &eventhubs.Options{
		EnableIdempotentRetries: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	defer producer.Close(ctx)

	// Whether the service offers idempotent retries is known now, not at the first event.
	if err := producer.Connect(ctx, nil); err != nil {
		log.Fatal(err)
	}
	for _, reading := range []string{"18.5", "18.7"} {
		if _, err := producer.Publish(ctx, &eventhubs.Event{Body: []byte(reading)}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("connections that broke before an acknowledgement:", producer.Stats().AmbiguousTries)
	for event := range server.Events("telemetry", "0") {
		fmt.Println("stored:", string(event.Body))
	}
	// Output:
	// connections that broke before an acknowledgement: 1
	// stored: 18.5
	// stored: 18.7
}

// An application whose source can be read again goes on, after a crash, behind what is stored.
func ExampleNewFileProducerStore() {
	text, stop := connectionString()
	defer stop()
	directory, err := os.MkdirTemp("", "producer-store")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	source := []string{"first", "second", "third", "fourth"} // of partition 0, and always the same
	ctx := context.Background()

	// run is one life of the application; it ends after so many events, in the middle of its work.
	run := func(events int) {
		producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", &eventhubs.Options{
			EnableIdempotentRetries: true,
			ProducerStore:           eventhubs.NewFileProducerStore(directory),
			StopPartitionOnFailure:  true, // an event that failed must not be skipped, or the numbers would not be the source's any more
		})
		if err != nil {
			log.Fatal(err)
		}
		defer producer.Abandon(ctx)
		// From here on nothing that a former life has still on its way is taken any more.
		if err := producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}); err != nil {
			log.Fatal(err)
		}
		stored := producer.Stats().Partitions[0].LastNumber
		fmt.Printf("%d are stored\n", stored)
		for _, body := range source[stored:min(int(stored)+events, len(source))] {
			if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(body), PartitionID: "0"}); err != nil {
				log.Fatal(err)
			}
		}
		if err := producer.Flush(ctx); err != nil {
			log.Fatal(err)
		}
	}
	run(1)
	run(2)
	run(100)
	run(100)
	// Output:
	// 0 are stored
	// 1 are stored
	// 3 are stored
	// 4 are stored
}
