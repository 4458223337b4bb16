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
	record  *eventhubs.Event // with all types, of a record or a copy; nil otherwise
	stretch *stretch         // nil without --resume
}

// A notebook makes notes, many at a time. Events about which only their size is noted share one.
type notebook struct {
	free  []note
	sizes []*note // by the bytes of the body
}

// plain returns the note of a body of that many bytes.
func (n *notebook) plain(bytes int) *note {
	const most = 64 << 10
	if bytes >= most {
		return &note{bytes: bytes}
	}
	if bytes >= len(n.sizes) {
		n.sizes = append(n.sizes, make([]*note, bytes+1-len(n.sizes))...)
	}
	if n.sizes[bytes] == nil {
		n.sizes[bytes] = &note{bytes: bytes}
	}
	return n.sizes[bytes]
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
