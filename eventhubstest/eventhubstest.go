// Package eventhubstest makes a producer's values for tests without a network: batches for
// handlers, outcomes of Deliveries, and the parts of a fake producer. For a whole Event Hubs inside
// a test, use package emulatortest.
package eventhubstest

import (
	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// Settle gives a Delivery its outcome, as the producer does. It panics if the Delivery already has
// one, since each event has one outcome. It also panics for an outcome that no producer reports:
// pending, failed without an Err, or stored with an Err.
func Settle(delivery *eventhubs.Delivery, outcome eventhubs.Outcome) {
	if err := testseam.Settle(delivery, outcome); err != nil {
		panic("eventhubstest: Settle: " + err.Error())
	}
}

// Accept does to an event what Enqueue does, without a producer. It returns the event as a handler
// gets it: a copy with the types for handlers. The copy has the Tag, ExpiresAt, and the partition
// id or key that the sender chose. It does not have the Delivery, which is taken.
//
// Accept returns Enqueue's error for an event that cannot be encoded, or that has expired. The same
// holds for an event with both an id and a key, or with the Delivery of another event. Accept does
// not check what only a producer knows: its bounds, the hub's partitions, and whether it is closed.
func Accept(event *eventhubs.Event) (*eventhubs.Event, error) {
	accepted, err := testseam.Accept(event)
	if err != nil {
		return nil, err
	}
	return accepted.(*eventhubs.Event), nil
}

// NewBatch makes a batch of events with this outcome, for a handler. Its partition is the one in
// the outcome, otherwise that of the first event. The test may set it. NewBatch panics for an event
// whose content Enqueue would refuse, and for an outcome that [Settle] panics for. It neither takes
// nor settles a Delivery: see Settle.
//
// The batch's EnqueueAgain accepts every event, and EnqueuedAgain returns them.
func NewBatch(outcome eventhubs.Outcome, events ...*eventhubs.Event) *eventhubs.Batch {
	batch, err := testseam.NewBatch(outcome, events)
	if err != nil {
		panic("eventhubstest: NewBatch: " + err.Error())
	}
	return batch.(*eventhubs.Batch)
}

// EnqueuedAgain returns the events passed to EnqueueAgain of a batch from NewBatch, in order.
func EnqueuedAgain(batch *eventhubs.Batch) []*eventhubs.Event {
	return testseam.EnqueuedAgain(batch).([]*eventhubs.Event)
}
