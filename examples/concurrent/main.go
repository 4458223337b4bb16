// Concurrent sends shorten the wait for answers. By default there is one send for each partition:
// the next batch waits for the answer to the last one, and the order is kept. If events do not
// depend on each other, several batches of a partition may be in flight. That hides the round trip
// to the service. It gives up the order within the partition, and idempotent retries.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

func main() {
	for _, sends := range []int{1, 4} {
		if err := run(context.Background(), sends); err != nil {
			log.Fatal(err)
		}
	}
}

func run(ctx context.Context, sends int) (err error) {
	h, err := hub.Open(1, 1024)
	if err != nil {
		return err
	}
	defer h.Close()
	h.OnTransfer(func(emulator.Operation) emulator.Action { return emulator.Pass().AnswerAfter(40 * time.Millisecond) })

	var inFlight, most atomic.Int32
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxConcurrentSendsPerPartition: sends,
		MaxWaitTime:                    eventhubs.UntilFull,
		Trace: &eventhubs.Trace{
			Sending: func(eventhubs.TracedBatch) {
				now := inFlight.Add(1)
				for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
				}
			},
			Settled: func(eventhubs.TracedOutcome) { inFlight.Add(-1) },
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()
	if err := producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}); err != nil {
		return err
	}
	for range 16 { // two of these fill a message of 1 KB
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: make([]byte, 400)}); err != nil {
			return err
		}
	}
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	stats := producer.Stats()
	fmt.Printf("MaxConcurrentSendsPerPartition %d: %d events in %d batches, at most %d in flight\n", sends, stats.StoredEvents, stats.StoredBatches, most.Load())
	return nil
}
