// Failure recovery where the order does not matter: if a failure may pass, the handler enqueues the
// batch again, at the end of the buffer. It passes on its own context. So EnqueueAgain never waits
// for room, and cannot deadlock. While the producer is closing, it returns ErrClosed, which ends
// the repetition. Mostly more retries (Options.Retry) are the better way.
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
		// The example causes the failures itself; otherwise leave this out, so that failures are
		// logged.
		Logger:        slog.New(slog.DiscardHandler),
		Retry:         eventhubs.RetryOptions{MaxRetries: -1}, // the handler then sees each failure
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
		// Flush covers the events accepted before it. Events that a handler enqueues again
		// meanwhile belong to the next Flush, and have not failed.
		err := producer.Flush(ctx)
		fmt.Printf("flush: %v, %d are in the buffer again\n", err, producer.BufferedEvents())
	}
	fmt.Println("stored:", h.Stored("0"))
	return nil
}

func onFailed(ctx context.Context, batch *eventhubs.Batch) {
	if failure, ok := errors.AsType[*eventhubs.Error](batch.Outcome.Err); ok && failure.Transient {
		accepted, err := batch.EnqueueAgain(ctx) // each event keeps its key or its partition
		fmt.Printf("handler: %s, %v: %d of %d enqueued again\n", failure.Code, batch.Outcome.Storage, accepted, batch.Count)
		if err == nil {
			return
		}
		// errors.Is(err, eventhubs.ErrClosed): the program is ending. Events that were not accepted
		// are lost, like those whose failure cannot pass.
		log.Printf("the rest is lost: %v", err)
		return
	}
	log.Printf("lost: %d events, %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
}
