// Package testseam gives packages eventhubstest and internal/trial access to internals of package
// eventhubs without making them public. Package eventhubs sets the functions before anything runs.
// Comments give the types, since package eventhubs cannot be imported here.
package testseam

var (
	// Settle reports an eventhubs.Outcome to an *eventhubs.Delivery.
	Settle func(delivery, outcome any) error
	// Accept turns an *eventhubs.Event into what a handler would get for it, or says why Enqueue
	// would refuse it.
	Accept func(event any) (accepted any, err error)
	// NewBatch makes an *eventhubs.Batch of an eventhubs.Outcome and a []*eventhubs.Event.
	NewBatch func(outcome, events any) (batch any, err error)
	// EnqueuedAgain returns the []*eventhubs.Event that a batch of NewBatch was to enqueue again.
	EnqueuedAgain func(batch any) any
	// JournalOn lets an *eventhubs.JournalOptions use another file system (a journal.Files) and
	// segments of that size.
	JournalOn func(options, files any, segmentBytes int64)
)
