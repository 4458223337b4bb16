// This is the README's first program, to the letter. It publishes readings until it is interrupted,
// and reports a wrong setting at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := publish(ctx, os.Getenv("EVENTHUBS_CONNECTION_STRING"), readings(ctx)); err != nil {
		log.Fatal(err)
	}
}

// publish returns nil when every reading is stored.
func publish(ctx context.Context, connectionString string, readings iter.Seq[Reading]) (err error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "telemetry", &eventhubs.Options{
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			log.Printf("%d readings are %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
		},
	})
	if err != nil {
		return err
	}
	defer func() { // sends what is buffered; ctx may be over by then, so the deadline is one of its own
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		err = errors.Join(err, producer.Close(closing))
	}()

	connecting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := producer.Connect(connecting, nil); err != nil {
		return err // a wrong name, a wrong key, no way to the service: the text says what to check
	}
	for r := range readings {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: r.JSON(), PartitionKey: r.Device}); err != nil {
			return fmt.Errorf("the reading of %s was not accepted: %w", r.Device, err)
		}
	}
	return nil
}
