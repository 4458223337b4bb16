package eventhubs_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// connectionString returns the connection string of a new emulator, which has one hub of one
// partition.
func connectionString() (text string, stop func()) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "telemetry", Partitions: 1}}})
	if err != nil {
		log.Fatal(err)
	}
	return server.ConnectionString("telemetry"), func() { _ = server.Close() }
}

func Example() {
	text, stop := connectionString()
	defer stop()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "telemetry", &eventhubs.Options{
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			for event := range batch.Events() {
				fmt.Printf("stored in partition %s: %s\n", batch.PartitionID, event.Body)
			}
		},
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			log.Printf("%d events %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, reading := range []string{"18.5", "18.7", "19.1"} {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(reading)}); err != nil {
			log.Fatal(err)
		}
	}
	if err := producer.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// stored in partition 0: 18.5
	// stored in partition 0: 18.7
	// stored in partition 0: 19.1
}

func ExampleBufferedProducer_Enqueue() {
	text, stop := connectionString()
	defer stop()
	ctx := context.Background()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close(ctx)

	// Events of one device share a key, and so a partition, where they keep their order. A Delivery
	// reports the outcome of this one event.
	var delivery eventhubs.Delivery
	err = producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(`{"celsius":18.5}`), Properties: map[string]any{"unit": "celsius"}, PartitionKey: "device-42", Delivery: &delivery})
	if err != nil {
		log.Fatal(err)
	}
	<-delivery.Done()
	fmt.Println(delivery.Outcome().Storage)
	// Output: stored
}

func ExampleBufferedProducer_EnqueueAll() {
	text, stop := connectionString()
	defer stop()
	ctx := context.Background()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close(ctx)

	file := strings.NewReader("one\ntwo\nthree\n")
	accepted, err := producer.EnqueueAll(ctx, func(yield func(*eventhubs.Event, error) bool) {
		var event eventhubs.Event // one for all: EnqueueAll copies it
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			event.Body = lines.Bytes()
			if !yield(&event, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(nil, err)
		}
	})
	fmt.Println(accepted, err)
	// Output: 3 <nil>
}

func ExampleBufferedProducer_Flush() {
	text, stop := connectionString()
	defer stop()
	ctx := context.Background()
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", &eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
	if err != nil {
		log.Fatal(err)
	}
	defer producer.Close(ctx)

	// A state machine publishes its events, and waits until they are stored before it enters the
	// next state.
	for i := range 10 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: fmt.Append(nil, i)}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("buffered:", producer.BufferedEvents())
	if err := producer.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("buffered:", producer.BufferedEvents())
	// Output:
	// buffered: 10
	// buffered: 0
}

func ExampleNewBufferedProducerFromConnectionString() {
	_, err := eventhubs.NewBufferedProducerFromConnectionString(
		"Endpoint=sb://name.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0;EntityPath=orders", "telemetry", nil)
	fmt.Println(err)
	// Output:
	// eventhubs: invalid argument: the connection string is for the event hub "orders" (EntityPath) and the argument names "telemetry": give one of them, or the same
}
