// Poison events can never be published. Each fails alone, in its place in the order, and its
// neighbours are stored. Enqueue refuses an event that is wrong in itself. An event that is too
// large for the service, or too old, goes to the handler.
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

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(1, 4096)
	if err != nil {
		return err
	}
	defer h.Close()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime:      eventhubs.UntilFull, // otherwise all of them would share a batch
		MaxBufferedBytes: 1 << 20,
		OnBatchFailed:    triage,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	enqueue := func(name string, event *eventhubs.Event) {
		event.Tag = name
		switch err := producer.Enqueue(ctx, event); {
		case errors.Is(err, eventhubs.ErrInvalidArgument), errors.Is(err, eventhubs.ErrEventTooLarge), errors.Is(err, eventhubs.ErrExpired):
			fmt.Printf("%s, refused at once: %v\n", name, err)
		case err != nil:
			log.Print(err)
		}
	}
	expires := time.Now().Add(100 * time.Millisecond)
	enqueue("first", &eventhubs.Event{Body: []byte("first")})
	enqueue("larger than a message", &eventhubs.Event{Body: make([]byte, 10_000)})
	enqueue("second", &eventhubs.Event{Body: []byte("second")})
	enqueue("soon too old", &eventhubs.Event{Body: []byte("news"), ExpiresAt: expires})
	enqueue("third", &eventhubs.Event{Body: []byte("third")})

	enqueue("larger than the buffer", &eventhubs.Event{Body: make([]byte, 2<<20)})
	enqueue("not encodable", &eventhubs.Event{Properties: map[string]any{"reply": make(chan int)}})

	time.Sleep(time.Until(expires))
	fmt.Println("flush:", producer.Flush(ctx))
	fmt.Println("stored:", h.Stored("0"))
	return nil
}

// triage decides about each event that could not be published.
func triage(_ context.Context, batch *eventhubs.Batch) {
	for event := range batch.Events() {
		switch err := batch.Outcome.Err; {
		case errors.Is(err, eventhubs.ErrEventTooLarge):
			sizes, _ := errors.AsType[*eventhubs.EventTooLargeError](err)
			fmt.Printf("%s: put aside, %d bytes and %d allowed\n", event.Tag, sizes.Size, sizes.Limit)
		case errors.Is(err, eventhubs.ErrExpired):
			fmt.Printf("%s: dropped, it is too old to be useful\n", event.Tag)
		default:
			fmt.Printf("%s: not poison, worth another try later: %v\n", event.Tag, err)
		}
	}
}
