// Shutdown in Kubernetes: on SIGTERM the readiness endpoint fails and the work ends. Then Close has
// its own deadline, shorter than the pod's terminationGracePeriodSeconds. Events that it cannot
// deliver in time go to a file, one JSON object a line, with their outcome. An event that is not
// stored may be sent again. An event that is possibly stored may then exist twice. The program
// sends itself the signal (not on Windows), while the emulator acts as a service that no longer
// answers.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

// grace bounds Close. In a pod it is terminationGracePeriodSeconds, less the time for the rest of
// the shutdown, less 1 s for the handlers.
const grace = 100 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	left, err := os.CreateTemp("", "left-*.jsonl") // in a pod: on a volume that outlives it
	if err != nil {
		return err
	}
	defer func() { _, _ = left.Close(), os.Remove(left.Name()) }()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		MaxWaitTime:   eventhubs.SendAtOnce,
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) { keep(left, batch) },
	})
	if err != nil {
		return err
	}
	// In a pod: an http.Server at the readinessProbe's port.
	probe := httptest.NewServer(readiness(ctx, producer))
	defer probe.Close()

	if err := work(ctx, h, producer, probe.URL); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Println("got SIGTERM; ready:", ready(probe.URL))
	closing, cancel := context.WithTimeout(context.Background(), grace) // not ctx, which has ended
	defer cancel()
	fmt.Println("close:", producer.Close(closing))
	lines, err := os.ReadFile(left.Name())
	fmt.Printf("left:\n%s", lines)
	return err
}

// work publishes events, and then sends the signal itself.
func work(ctx context.Context, h *hub.Hub, producer *eventhubs.BufferedProducer, url string) error {
	for order := range 5 {
		if order == 2 {
			if err := producer.Flush(ctx); err != nil {
				return err
			}
			fmt.Println("two orders are stored; ready:", ready(url))
			h.OnTransfer(func(emulator.Operation) emulator.Action { return emulator.Silence() })
		}
		event := &eventhubs.Event{Body: fmt.Appendf(nil, "order %d", order), PartitionKey: "customer 7"}
		if err := producer.Enqueue(ctx, event); err != nil {
			return err
		}
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Signal(syscall.SIGTERM)
}
