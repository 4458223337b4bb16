// A state machine publishes the steps of its states. It enters the next state only when all steps
// of the last one are stored. Steps are sent as they come, long before the state ends. Flush says
// whether all of them are stored, and also reports a step that failed earlier. So the machine stops
// in the state with the missing step.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

var states = []string{"heating", "brewing", "pouring"}

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

	failed := make(chan struct{}, 1)
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		// The example causes the failures itself; otherwise leave this out, so that failures are
		// logged.
		Logger:      slog.New(slog.DiscardHandler),
		MaxWaitTime: eventhubs.SendAtOnce,
		Retry:       eventhubs.RetryOptions{MaxRetries: -1}, // one refusal is then a failure
		OnBatchFailed: func(context.Context, *eventhubs.Batch) {
			failed <- struct{}{} // Flush reports it too
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	for _, state := range states {
		for step := range 3 {
			if state == "brewing" && step == 0 {
				h.OnTransfer(func(emulator.Operation) emulator.Action {
					h.OnTransfer(nil) // once
					return emulator.Reject("amqp:internal-error", "the service is having a bad moment")
				})
			}
			event := &eventhubs.Event{Body: fmt.Appendf(nil, "%s, step %d", state, step)}
			if err := producer.Enqueue(ctx, event); err != nil {
				return err
			}
			if state == "brewing" && step == 0 {
				<-failed // before Flush is called
			}
		}
		err := producer.Flush(ctx)
		if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); ok {
			fmt.Printf("%s: %d of 3 steps failed; the machine stops here\n", state, undelivered.Failed())
			break
		}
		if err != nil {
			return err
		}
		fmt.Printf("%s: all stored\n", state)
	}
	for _, body := range h.Stored("0") {
		fmt.Println("  stored:", body)
	}
	return nil
}
