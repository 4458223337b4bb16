// Package eventhubstest makes what a producer gives to an application, for tests without a network: batches for handlers, outcomes of Deliveries, and what a fake
// producer needs. A test that wants the whole of it takes package emulatortest instead, an Event Hubs inside the test.
package eventhubstest

import (
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// Settle tells a Delivery its outcome, as the producer does. It panics if the Delivery has been told one before, since each event has one outcome, and for an outcome that no
// producer tells: one that is pending, has failed without an Err, or is stored with one.
func Settle(delivery *eventhubs.Delivery, outcome eventhubs.Outcome) {
	if err := testseam.Settle(delivery, outcome); err != nil {
		panic("eventhubstest: Settle: " + err.Error())
	}
}

// Accept does to an event what Enqueue does, without a producer. It returns the event as a handler would get it: a copy, with the types that handlers get, with its Tag, its
// ExpiresAt and where its sender has asked for it to go, and without its Delivery, which is taken. Or it returns the error with which Enqueue would refuse the event: one that
// cannot be encoded, has expired, names both an id and a key, or has the Delivery of another event.
//
// What only a producer knows is left out: its bounds, the hub's partitions, whether it is closed.
func Accept(event *eventhubs.Event) (*eventhubs.Event, error) {
	accepted, err := testseam.Accept(event)
	if err != nil {
		return nil, err
	}
	return accepted.(*eventhubs.Event), nil
}

// NewBatch makes a batch of events with that outcome, for a handler. Its partition is the one that the outcome names, or else its first event, and may be set. It panics if an event is one that
// Enqueue would refuse for what is in it, and for an outcome that [Settle] panics for. A Delivery is neither taken nor told: see Settle.
//
// Its EnqueueAgain accepts every event, and EnqueuedAgain returns them.
func NewBatch(outcome eventhubs.Outcome, events ...*eventhubs.Event) *eventhubs.Batch {
	batch, err := testseam.NewBatch(outcome, events)
	if err != nil {
		panic("eventhubstest: NewBatch: " + err.Error())
	}
	return batch.(*eventhubs.Batch)
}

// EnqueuedAgain returns the events for which EnqueueAgain of a batch of NewBatch was called, in order.
func EnqueuedAgain(batch *eventhubs.Batch) []*eventhubs.Event {
	return testseam.EnqueuedAgain(batch).([]*eventhubs.Event)
}
