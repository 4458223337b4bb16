// Package testseam is how package eventhubstest reaches what only package eventhubs can touch, without making that public. Package eventhubs sets the functions before
// anything runs. Their types are said in their comments, since neither package can be imported here.
package testseam

var (
	// Settle tells an *eventhubs.Delivery its eventhubs.Outcome.
	Settle func(delivery, outcome any) error
	// Accept makes of an *eventhubs.Event what a handler would get of it, or says why Enqueue would refuse it.
	Accept func(event any) (accepted any, err error)
	// NewBatch makes an *eventhubs.Batch of an eventhubs.Outcome and a []*eventhubs.Event.
	NewBatch func(outcome, events any) (batch any, err error)
	// EnqueuedAgain returns the []*eventhubs.Event that such a batch was to enqueue again.
	EnqueuedAgain func(batch any) any
)
