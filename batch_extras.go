package eventhubs

import (
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// An extra holds what few events have besides their bytes.
type extra struct {
	delivery *Delivery
	tag      any
	expires  time.Time        // zero: never
	named    bool             // its sender named the partition, by id
	route    route            // in staging only
	position journal.Position // in the journal; zero without one
	parent   TraceParent      // zero: none, or no Trace asks for it
}

func (x *extra) empty() bool {
	return x.delivery == nil && x.tag == nil && x.expires.IsZero() && !x.named && x.route.open() && x.position == 0 && !x.parent.IsValid()
}

// Extras hold the extras of a batch's events, in a column for each kind. Most batches have none,
// and most others only one kind. A column ends with the last event that has something in it.
type extras struct {
	deliveries []*Delivery
	tags       []any
	expires    []time.Time
	named      []bool
	routes     []route
	positions  []journal.Position
	parents    []TraceParent
}

// set stores the extra of the i-th event, the last so far.
func (e *extras) set(i int, x *extra) {
	if x.named {
		e.named = setAt(e.named, i, true)
	}
	if x.delivery != nil {
		e.deliveries = setAt(e.deliveries, i, x.delivery)
	}
	if x.tag != nil {
		e.tags = setAt(e.tags, i, x.tag)
	}
	if !x.expires.IsZero() {
		e.expires = setAt(e.expires, i, x.expires)
	}
	if !x.route.open() {
		e.routes = setAt(e.routes, i, x.route)
	}
	if x.position != 0 {
		e.positions = setAt(e.positions, i, x.position)
	}
	if x.parent.IsValid() {
		e.parents = setAt(e.parents, i, x.parent)
	}
}

// of returns the extra of the i-th event.
func (e *extras) of(i int) extra {
	return extra{at(e.deliveries, i), at(e.tags, i), at(e.expires, i), at(e.named, i), at(e.routes, i), at(e.positions, i), at(e.parents, i)}
}

// expired reports whether the i-th event has expired at now.
func (e *extras) expired(i int, now time.Time) bool {
	expires := at(e.expires, i)
	return !expires.IsZero() && !now.Before(expires)
}

// truncate forgets the extras of the events from the n-th on, and keeps the memory.
func (e *extras) truncate(n int) {
	e.deliveries = truncateAt(e.deliveries, n)
	e.tags = truncateAt(e.tags, n)
	e.expires = truncateAt(e.expires, n)
	e.named = truncateAt(e.named, n)
	e.routes = truncateAt(e.routes, n)
	e.positions = truncateAt(e.positions, n)
	e.parents = truncateAt(e.parents, n)
}

func setAt[T any](column []T, i int, value T) []T {
	var none T
	for len(column) < i {
		column = append(column, none)
	}
	return append(column, value)
}

func at[T any](column []T, i int) (value T) {
	if i < len(column) {
		value = column[i]
	}
	return value
}

func truncateAt[T any](column []T, n int) []T {
	if len(column) <= n {
		return column
	}
	clear(column[n:])
	return column[:n]
}
