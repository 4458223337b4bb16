package emulator

import (
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// enter registers the client of a link as one of a partition's receivers, or as one of its
// idempotent producers. It runs right before the reply, and returns the reply's properties.
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

// enterReceiver finds the client's start position and registers it as one of the partition's
// receivers.
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

// leave undoes the part of enter that ends with the link.
func (a *attach) leave() {
	if a.reader != nil {
		a.partition.receivers.leave(a.reader)
	}
}

// offered are the capabilities that the client both wants and gets: runtime metrics, idempotent
// publishing, and notice of geo-replication. The service grants the last one whether or not it ever
// sends a notice.
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

// metrics reports whether the client wants the partition's end with each event.
func (a *attach) metrics() bool {
	return a.receiver && a.address.node == "" && slices.Contains(a.remote.DesiredCapabilities, capabilityMetrics)
}
