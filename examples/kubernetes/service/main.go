// This service runs in Kubernetes at 5,000 events a second. deployment.yaml has the matching
// numbers. On SIGTERM its readiness endpoint fails, it accepts no more work, and Close gets its own
// deadline, well within the pod's grace. The last log line counts the accepted events by outcome:
// stored, not stored, possibly stored. The status is 0 if all are stored, and otherwise 1.
//
// The service publishes to the hub in EVENTHUBS_CONNECTION_STRING, with its EntityPath.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-eventhubs/eventhubs"
)

// The numbers for 5,000 events of 1 KB a second, in a pod with 30 s of grace.
const (
	eventsPerSecond = 5000
	// 10 s of events: no caller waits during an outage of that length.
	bufferedEvents = 50_000
	bufferedBytes  = 64 << 20 // their bytes
	// 30 s of grace, less 4 s for load balancers to notice, less 1 s for handlers after Close's
	// deadline, and a reserve.
	closeDeadline = 20 * time.Second
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, log); err != nil {
		log.Error("ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger) (err error) {
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(os.Getenv("EVENTHUBS_CONNECTION_STRING"), "", &eventhubs.Options{
		MaxBufferedEvents: bufferedEvents,
		MaxBufferedBytes:  bufferedBytes,
		Logger:            log,
		// Your service should keep the events: see examples/shutdown.
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			log.Error("events failed", "partition", batch.PartitionID, "events", batch.Count, "storage", batch.Outcome.Storage, "error", batch.Outcome.Err)
		},
	})
	if err != nil {
		return err
	}
	var accepted atomic.Uint64
	defer func() {
		// The deadline does not come from ctx, which has ended.
		closing, cancel := context.WithTimeout(context.Background(), closeDeadline)
		defer cancel()
		closeErr := producer.Close(closing)
		s := producer.Stats()
		log.Info("closed", "accepted", accepted.Load(), "stored", s.StoredEvents, "notStored", s.NotStoredEvents, "possiblyStored", s.PossiblyStoredEvents)
		err = errors.Join(err, closeErr)
	}()
	if err := producer.Connect(ctx, nil); err != nil {
		return fmt.Errorf("the event hub cannot be reached: %w", err)
	}
	probe := &http.Server{Addr: os.Getenv("READINESS_ADDRESS"), Handler: readiness(ctx, producer), ReadHeaderTimeout: time.Second}
	if probe.Addr != "" {
		go probe.ListenAndServe() // ends with Close below
		defer probe.Close()
	}
	log.Info("publishing", "eventsPerSecond", eventsPerSecond)
	err = work(ctx, producer, &accepted)
	log.Info("got SIGTERM", "buffered", producer.BufferedEvents(), "health", producer.Health().State)
	return err
}

// work enqueues in ticks of 10 ms until ctx ends. A full buffer slows it down.
func work(ctx context.Context, producer *eventhubs.BufferedProducer, accepted *atomic.Uint64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	body := make([]byte, 1000)
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for range eventsPerSecond / 100 {
			err := producer.Enqueue(ctx, &eventhubs.Event{Body: body, PartitionKey: fmt.Sprint("device-", n%1000)})
			switch {
			case ctx.Err() != nil && err != nil:
				return nil // the event was not accepted, and its sender gets the error
			case err != nil:
				return err
			}
			accepted.Add(1)
			n++
		}
	}
}

// readiness fails from the signal on, so that no new work arrives. It also fails after a minute of
// failed publishing.
func readiness(ctx context.Context, producer *eventhubs.BufferedProducer) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if health := producer.Health(); ctx.Err() != nil || health.Err != nil && time.Since(health.Since) > time.Minute {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
}
