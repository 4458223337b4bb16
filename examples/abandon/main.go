// Abandon closes a producer quickly, without sending its buffered events. It waits for batches in
// flight as long as the context allows, since they may be stored. All other events fail with
// ErrAbandoned. The handler gets every event, so none is lost silently.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	h.OnTransfer(func(emulator.Operation) emulator.Action { return emulator.Pass().AnswerAfter(20 * time.Millisecond) })

	sent := make(chan struct{}, 10) // room for one value for each batch; there are at most 10
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime: eventhubs.SendAtOnce,
		Trace:       &eventhubs.Trace{Sending: func(eventhubs.TracedBatch) { sent <- struct{}{} }},
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			fmt.Printf("%d event(s) in flight: %v\n", batch.Count, batch.Outcome.Storage)
		},
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			fmt.Printf("%d event(s) after it: %v, %v\n", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
		},
	})
	if err != nil {
		return err
	}
	for i := range 10 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: fmt.Appendf(nil, "event %d", i)}); err != nil {
			return err
		}
		if i == 0 {
			<-sent // the first event is in flight; the others wait after it
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println("abandon:", producer.Abandon(ctx))
	fmt.Println("enqueue:", producer.Enqueue(ctx, &eventhubs.Event{}))
	return nil
}
