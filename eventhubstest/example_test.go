package eventhubstest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/eventhubstest"
)

// A publisher is the application's view of a producer. *eventhubs.BufferedProducer is one.
type publisher interface {
	Enqueue(context.Context, *eventhubs.Event) error
}

// Orders is the application. It publishes orders, and keeps the failed ones for the night.
type Orders struct {
	publisher publisher
	tonight   []string
}

func (o *Orders) place(ctx context.Context, customer, order string) error {
	return o.publisher.Enqueue(ctx, &eventhubs.Event{Body: []byte(order), PartitionKey: customer})
}

// failed is its Options.OnBatchFailed.
func (o *Orders) failed(ctx context.Context, batch *eventhubs.Batch) {
	if batch.Outcome.Storage == eventhubs.PossiblyStored {
		_, _ = batch.EnqueueAgain(ctx) // a duplicate does no harm here
		return
	}
	for event := range batch.Events() {
		o.tonight = append(o.tonight, event.PartitionKey+": "+string(event.Body))
	}
}

// A fakePublisher keeps the events that a producer would accept.
type fakePublisher struct{ accepted []*eventhubs.Event }

func (f *fakePublisher) Enqueue(_ context.Context, event *eventhubs.Event) error {
	e, err := eventhubstest.Accept(event)
	if err == nil {
		f.accepted = append(f.accepted, e)
	}
	return err
}

// Handlers are tested without an emulator and without a network. A fake accepts the application's
// events, and the test decides their outcomes.
func Example() {
	ctx := context.Background()
	fake := new(fakePublisher)
	orders := &Orders{publisher: fake}
	fmt.Println("placed:", orders.place(ctx, "ann", "tea"), orders.place(ctx, "bob", "milk"))

	refused := eventhubs.Outcome{Storage: eventhubs.NotStored, Err: errors.New("switched off")}
	orders.failed(ctx, eventhubstest.NewBatch(refused, fake.accepted...))
	fmt.Println("tonight:", orders.tonight)

	unknown := eventhubstest.NewBatch(eventhubs.Outcome{Storage: eventhubs.PossiblyStored, Err: errors.New("cut")}, fake.accepted[1])
	orders.failed(ctx, unknown)
	for _, event := range eventhubstest.EnqueuedAgain(unknown) {
		fmt.Printf("again: %s\n", event.Body)
	}
	// Output:
	// placed: <nil> <nil>
	// tonight: [ann: tea bob: milk]
	// again: milk
}

// The test gives the outcome to the code that waits for a Delivery.
func ExampleSettle() {
	event := &eventhubs.Event{Body: []byte("tea"), Delivery: new(eventhubs.Delivery)}
	go eventhubstest.Settle(event.Delivery, eventhubs.Outcome{Storage: eventhubs.Stored, Tries: 1})
	<-event.Delivery.Done()
	fmt.Println(event.Delivery.Outcome().Storage)
	// Output: stored
}
