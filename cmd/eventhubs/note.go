package main

import "github.com/go-eventhubs/eventhubs"

// A note is the Tag of an event: what the handlers need to know of it. Decoding the event for them
// would cost more than reading its line. With a journal events have no notes, which would fill the
// memory while the hub cannot be reached.
type note struct {
	// Immutable once the event is offered.
	bytes   int              // of the body
	keyed   bool             // the event has a key
	key     uint64           // hash of the key
	record  *eventhubs.Event // of a record, with all types; nil otherwise
	stretch *stretch         // nil without --resume
}

// A notebook makes notes, many at a time.
type notebook struct {
	free []note
}

func (n *notebook) next() *note {
	const page = 64
	if len(n.free) == 0 {
		n.free = make([]note, page)
	}
	first := &n.free[0]
	n.free = n.free[1:]
	return first
}
