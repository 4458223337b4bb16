// Shoppers' clicks on a web site become events, at unknown times and in unknown numbers. Fast
// clicks fill batches, and each batch leaves as soon as it is full. A pause leaves a batch that
// never fills. It leaves when its first event has waited MaxWaitTime. The code that enqueues is the
// same for both.
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

const maxWait = 250 * time.Millisecond // the default, written out

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	// Messages of at most 4 KB, so that a few clicks fill a batch; the service takes 1 MB.
	h, err := hub.Open(1, 4096)
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

	// This is optional. With the link open, the limit of a batch is known from the first event on.
	if err := producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}); err != nil {
		return err
	}
	if err := click(ctx, producer, "ann", 120); err != nil {
		return err
	}
	return click(ctx, producer, "bob", 2)
}

// click publishes a shopper's clicks and waits until they are stored. So the next shopper's clicks
// get their own batches.
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

// tell prints why a batch left.
func tell(_ context.Context, batch *eventhubs.Batch) {
	reason := "the batch was full"
	if batch.Outcome.Queued >= maxWait {
		reason = "the first click had waited long enough"
	}
	for event := range batch.Events() {
		fmt.Printf("%s: %d clicks left together: %s\n", event.PartitionKey, batch.Count, reason)
		return
	}
}
