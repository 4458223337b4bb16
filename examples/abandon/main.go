// Abandon closes a producer quickly, without sending what it holds. What is in flight is awaited, as long as the context allows, since it may be
// stored; everything else fails with ErrAbandoned, and nothing is dropped unheard: each event is told to the handler.
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

	sent := make(chan struct{}, 10) // one for each batch, of which there are no more than events
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime: eventhubs.SendAtOnce,
		Trace:       &eventhubs.Trace{Sending: func(eventhubs.TracedBatch) { sent <- struct{}{} }},
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			fmt.Printf("%d event(s) in flight: %v\n", batch.Count, batch.Outcome.Storage)
		},
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			fmt.Printf("%d event(s) behind it: %v, %v\n", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
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
			<-sent // the first is on its way; the others wait behind it
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	fmt.Println("abandon:", producer.Abandon(ctx))
	fmt.Println("enqueue:", producer.Enqueue(ctx, &eventhubs.Event{}))
	return nil
}
