// Failure recovery where the order does not matter: the handler of failures enqueues the batch again, behind everything that is buffered by
// now, if the failure may pass. It passes the handler's context on, so that this never waits for room and cannot deadlock. When the producer
// is being closed it gets ErrClosed, which ends it. Mostly more retries (Options.Retry) are the better way.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		Logger:        slog.New(slog.DiscardHandler),          // the trouble is of our own making; otherwise leave this out, and hear of it at once
		Retry:         eventhubs.RetryOptions{MaxRetries: -1}, // so that the handler sees each failure
		OnBatchFailed: onFailed,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	var messages atomic.Int32
	h.OnTransfer(func(emulator.Operation) emulator.Action {
		if messages.Add(1) <= 2 {
			return emulator.Reject("amqp:internal-error", "the service is having a bad moment")
		}
		return emulator.Pass()
	})
	for i := range 5 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: fmt.Appendf(nil, "event %d", i)}); err != nil {
			return err
		}
	}
	for producer.BufferedEvents() > 0 {
		// Flush is about what was accepted before it: what a handler enqueues again meanwhile is for the next one, and has not failed.
		err := producer.Flush(ctx)
		fmt.Printf("flush: %v, %d are in the buffer again\n", err, producer.BufferedEvents())
	}
	fmt.Println("stored:", h.Stored("0"))
	return nil
}

func onFailed(ctx context.Context, batch *eventhubs.Batch) {
	if failure, ok := errors.AsType[*eventhubs.Error](batch.Outcome.Err); ok && failure.Transient {
		accepted, err := batch.EnqueueAgain(ctx) // each event with its key or its partition
		fmt.Printf("handler: %s, %v: %d of %d enqueued again\n", failure.Code, batch.Outcome.Storage, accepted, batch.Count)
		if err == nil {
			return
		}
		// errors.Is(err, eventhubs.ErrClosed): the program is going down. What was not accepted is lost, like what could not pass.
		log.Printf("the rest is lost: %v", err)
		return
	}
	log.Printf("lost: %d events, %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
}
