// Package apptest is an application with tests that need no emulator and no network. A shop
// publishes its orders. It confirms an order when it is stored. It enqueues an order again if a
// duplicate does no harm, and keeps the others. Its tests set the outcomes of events with package
// eventhubstest. Run them with go test ./examples/apptest.
package apptest

import (
	"context"
	"sync"

	"github.com/go-eventhubs/eventhubs"
)

// A Publisher is the shop's view of a producer. *eventhubs.BufferedProducer is one, and a test has
// its own.
type Publisher interface {
	Enqueue(context.Context, *eventhubs.Event) error
}

// A Shop publishes orders.
type Shop struct {
	Publisher Publisher

	mu   sync.Mutex
	kept []string
}

// Order returns a confirmation when the order is stored.
func (s *Shop) Order(ctx context.Context, customer, goods string) (confirmation string, err error) {
	event := &eventhubs.Event{Body: []byte(goods), PartitionKey: customer, Delivery: new(eventhubs.Delivery)}
	if err := s.Publisher.Enqueue(ctx, event); err != nil {
		return "", err
	}
	outcome, err := event.Delivery.Wait(ctx)
	if err != nil {
		return "", err
	}
	return goods + " for " + customer + ": " + outcome.Storage.String(), nil
}

// Failed is Options.OnBatchFailed.
func (s *Shop) Failed(ctx context.Context, batch *eventhubs.Batch) {
	if batch.Outcome.Storage == eventhubs.PossiblyStored {
		if _, err := batch.EnqueueAgain(ctx); err == nil {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for event := range batch.Events() {
		s.kept = append(s.kept, event.PartitionKey+": "+string(event.Body))
	}
}

// Kept returns the orders that could not be published.
func (s *Shop) Kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.kept...)
}
