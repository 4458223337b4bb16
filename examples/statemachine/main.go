// A state machine that publishes in bursts, one for each state, and enters the next state only when the burst is stored. UntilFull: nothing leaves
// before it is full or flushed, so that a state's events share a batch however slowly they come. Flush says whether all of them are
// stored; if not, the machine stays where it is, with the producer as good as before.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
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

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		Logger:        slog.New(slog.DiscardHandler), // the trouble is of our own making; otherwise leave this out, and hear of it at once
		MaxWaitTime:   eventhubs.UntilFull,
		RetryOptions:  eventhubs.RetryOptions{MaxRetries: -1},     // so that one refusal is a failure
		OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, // Flush tells it too, and here that is enough
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	for i := 0; i < len(states); {
		if states[i] == "brewing" && producer.Stats().FailedBatches == 0 {
			h.OnTransfer(func(emulator.Operation) emulator.Action { // once
				h.OnTransfer(nil)
				return emulator.Reject("amqp:internal-error", "the service is having a bad moment")
			})
		}
		for step := range 3 {
			event := &azeventhubs.EventData{Body: fmt.Appendf(nil, "%s, step %d", states[i], step)}
			if err := producer.Enqueue(ctx, event, nil); err != nil {
				return err
			}
		}
		fmt.Printf("%s: %d events buffered; flush: ", states[i], producer.BufferedEventCount())
		err := producer.Flush(ctx)
		if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); ok {
			fmt.Printf("%d failed; once more\n", undelivered.Failed)
			continue
		}
		if err != nil {
			return err
		}
		fmt.Println("all stored")
		i++
	}
	for _, body := range h.Stored("0") {
		fmt.Println("  stored:", body)
	}
	return nil
}
