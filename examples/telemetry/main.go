// Telemetry: what shoppers do on a web site becomes events, and nobody knows when or how many. A shopper who clicks away fills batches, and
// each leaves as soon as it is full; one who pauses to read leaves a batch that never fills, and it goes when its first event has waited
// MaxWaitTime. The code that enqueues is the same for both.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

const maxWait = 250 * time.Millisecond // the default, spelled out

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(1, 4096) // messages of 4 KB at most, so that a few clicks fill a batch; the service takes 1 MB
	if err != nil {
		return err
	}
	defer h.Close()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime:      maxWait,
		OnBatchSucceeded: tell,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	// Not needed, but with the link open it is known from the first event on how large a batch may be.
	if err := producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}); err != nil {
		return err
	}
	if err := click(ctx, producer, "ann", 120); err != nil {
		return err
	}
	return click(ctx, producer, "bob", 2)
}

// click publishes a shopper's clicks and waits until they are stored, so that the next shopper's have batches of their own.
func click(ctx context.Context, producer *eventhubs.BufferedProducer, shopper string, clicks int) error {
	var last eventhubs.Delivery
	for i := range clicks {
		event := &eventhubs.Event{
			Body:         fmt.Appendf(nil, `{"shopper":%q,"click":%d,"on":"suggested products"}`, shopper, i),
			PartitionKey: shopper, // one shopper's clicks stay in their order
		}
		if i == clicks-1 {
			event.Delivery = &last
		}
		if err := producer.Enqueue(ctx, event); err != nil {
			return err
		}
	}
	<-last.Done()
	return last.Err()
}

// tell says why a batch left.
func tell(_ context.Context, batch *eventhubs.Batch) {
	reason := "the batch was full"
	if batch.Outcome.Queued >= maxWait {
		reason = "the first had waited long enough"
	}
	for event := range batch.Events() {
		fmt.Printf("%s: %d clicks left together: %s\n", event.PartitionKey, batch.Count, reason)
		return
	}
}
