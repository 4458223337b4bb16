package eventhubs_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A batch is stored, and the connection breaks before its acknowledgement. The producer sends it
// again, and the service stores it once.
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

	// Connect shows now, and not at the first event, whether the service offers idempotent retries.
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

// After a crash, an application whose source can be read again goes on after the last stored event.
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

	// run is one life of the application. It ends in the middle of its work, after that many
	// events.
	run := func(events int) {
		producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", &eventhubs.Options{
			EnableIdempotentRetries: true,
			ProducerStore:           eventhubs.NewFileProducerStore(directory),
			// A skipped event would shift the numbers against the source.
			StopPartitionOnFailure: true,
		})
		if err != nil {
			log.Fatal(err)
		}
		defer producer.Abandon(ctx)
		// From here on, the service takes nothing that a former life still has on its way.
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
