package emulator

import (
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// enter makes the client of a link what it wants to be, as far as others are concerned: one of a partition's
// receivers, or of its idempotent producers. It comes right before the reply, for which it returns the properties.
func (a *attach) enter() (properties amqp.Map, refused *refusal) {
	switch {
	case a.address.node != "":
		return nil, nil
	case a.receiver:
		return nil, a.enterReceiver()
	case a.wantsIdempotence():
		if properties, refused = a.enroll(); refused == nil {
			a.idempotent = true
		}
		return properties, refused
	default:
		return nil, nil
	}
}

// enterReceiver finds where the client wants to start and makes it one of the partition's receivers.
func (a *attach) enterReceiver() *refusal {
	start, refused := a.startPosition()
	if refused != nil {
		return refused
	}
	r, refused := a.newReceiver()
	if refused != nil {
		return refused
	}
	if refused := a.partition.receivers.enter(r); refused != nil {
		return refused
	}
	r.next.Store(int64(start))
	a.start, a.reader = start, r
	return nil
}

// leave undoes what enter did that ends with the link.
func (a *attach) leave() {
	if a.reader != nil {
		a.partition.receivers.leave(a.reader)
	}
}

// offered are the capabilities that the client gets of those that it wants: to be told of geo-replication, which
// the service grants whatever it does about it, runtime metrics, and idempotent publishing.
func (a *attach) offered() (all []amqp.Symbol) {
	const geo = "com.microsoft:georeplication"
	if slices.Contains(a.remote.DesiredCapabilities, geo) {
		all = append(all, geo)
	}
	if a.metrics() {
		all = append(all, capabilityMetrics)
	}
	if a.idempotent {
		all = append(all, capabilityIdempotent)
	}
	return all
}

// metrics tells whether the client wants each event to tell how far the partition's end is.
func (a *attach) metrics() bool {
	return a.receiver && a.address.node == "" && slices.Contains(a.remote.DesiredCapabilities, capabilityMetrics)
}
