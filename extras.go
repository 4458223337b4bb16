package eventhubs

import "time"

// An extra is what few events have besides their bytes.
type extra struct {
	delivery *Delivery
	tag      any
	expires  time.Time // zero: never
	message  bool      // it was enqueued as an AMQP message
	route    route     // in staging only
}

func (x *extra) empty() bool {
	return x.delivery == nil && x.tag == nil && x.expires.IsZero() && !x.message && x.route.open()
}

// Extras are those of a batch's events, in a column for each kind, since most batches have none of them and most others one kind. A column is as long as up to
// the last event that has something in it.
type extras struct {
	deliveries []*Delivery
	tags       []any
	expires    []time.Time
	messages   []bool
	routes     []route
}

// set gives the i-th event, the last so far, its extra.
func (e *extras) set(i int, x *extra) {
	e.deliveries = setAt(e.deliveries, i, x.delivery)
	e.tags = setAt(e.tags, i, x.tag)
	e.expires = setAt(e.expires, i, x.expires)
	e.messages = setAt(e.messages, i, x.message)
	e.routes = setAt(e.routes, i, x.route)
}

// of returns what the i-th event has.
func (e *extras) of(i int) extra {
	return extra{at(e.deliveries, i), at(e.tags, i), at(e.expires, i), at(e.messages, i), at(e.routes, i)}
}

// expired reports whether the i-th event has expired by now.
func (e *extras) expired(i int, now time.Time) bool {
	expires := at(e.expires, i)
	return !expires.IsZero() && !now.Before(expires)
}

// cut forgets what events from the n-th on have, and keeps the memory.
func (e *extras) cut(n int) {
	e.deliveries = cutAt(e.deliveries, n)
	e.tags = cutAt(e.tags, n)
	e.expires = cutAt(e.expires, n)
	e.messages = cutAt(e.messages, n)
	e.routes = cutAt(e.routes, n)
}

func setAt[T comparable](column []T, i int, value T) []T {
	var none T
	if value == none {
		return column
	}
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

func cutAt[T any](column []T, n int) []T {
	if len(column) <= n {
		return column
	}
	clear(column[n:])
	return column[:n]
}
