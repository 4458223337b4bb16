// Package apptest is an application, and its tests without emulator and without network. A shop publishes its orders. It tells a customer when an order is
// stored, enqueues again what harms nobody twice, and keeps the rest. Its tests say what becomes of an event, by package eventhubstest: run them with go test ./examples/apptest.
package apptest

import (
	"context"
	"sync"

	"github.com/go-eventhubs/eventhubs"
)

// A Publisher is what the shop needs of a producer: *eventhubs.BufferedProducer is one, and a test has its own.
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

// Kept are the orders that could not be published.
func (s *Shop) Kept() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.kept...)
}
