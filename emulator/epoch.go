package emulator

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	propertyEpoch        = "com.microsoft:epoch"
	propertyReceiverName = "com.microsoft:receiver-name"

	// maxReceivers is how many receivers without epoch a partition allows in each consumer group.
	maxReceivers = 5

	textStolen = "New receiver '%s' with higher epoch of '%d' is created hence current receiver '%s' with epoch '%d' is getting disconnected. " +
		"If you are recreating the receiver, make sure a higher epoch is used."
	textHigherEpoch = "Receiver '%s' with a higher epoch '%d' already exists. Receiver '%s' with epoch %d cannot be created. " +
		"Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected."
	textEpochExists = "At least one receiver for the endpoint is created with epoch of '%d', and so non-epoch receiver is not allowed. " +
		"Either reconnect with a higher epoch, or make sure all epoch receivers are closed or disconnected."
	textTooManyReceivers = "Exceeded the maximum number of allowed receivers per partition in a consumer group which is %d. List of connected receivers - %s."
)

// A receiver is a client's link that reads a partition, as the other receivers of its consumer
// group see it.
type receiver struct {
	// Immutable.
	link     *amqp.Link
	number   int    // of its connection
	group    string // in lower case
	name     string
	epoch    int64
	hasEpoch bool

	next atomic.Int64 // sequence number of its next event
}

// receivers are the receivers of a partition.
type receivers struct {
	mu   sync.Mutex // guards the fields below
	all  []*receiver
	left map[string]int64 // by group, the position of the receiver that left last
}

// enter admits a receiver or refuses it. Receivers that it displaces are detached.
func (rs *receivers) enter(r *receiver) *refusal {
	stolen, refused := rs.admit(r)
	for _, old := range stolen {
		_ = old.link.Detach(refuse(conditionStolen, textStolen, r.name, r.epoch, old.name, old.epoch).amqp())
	}
	return refused
}

// admit adds a receiver, in place of those that it returns.
func (rs *receivers) admit(r *receiver) (stolen []*receiver, refused *refusal) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	// A client may come back before its last link's goroutine has noticed that link's end.
	rs.all = slices.DeleteFunc(rs.all, func(old *receiver) bool { return ended(old.link) })
	var names []string
	for _, old := range rs.all {
		switch {
		case old.group != r.group:
		case r.hasEpoch && old.hasEpoch && old.epoch > r.epoch:
			return nil, refuse(conditionStolen, textHigherEpoch, old.name, old.epoch, r.name, r.epoch)
		case r.hasEpoch:
			stolen = append(stolen, old)
		case old.hasEpoch:
			return nil, refuse(conditionStolen, textEpochExists, old.epoch)
		default:
			names = append(names, old.name)
		}
	}
	if len(names) >= maxReceivers {
		return nil, refuse(conditionLimit, textTooManyReceivers, maxReceivers, strings.Join(names, ", "))
	}
	rs.all = slices.DeleteFunc(rs.all, func(old *receiver) bool { return slices.Contains(stolen, old) })
	rs.all = append(rs.all, r)
	return stolen, nil
}

// leave removes a receiver.
func (rs *receivers) leave(r *receiver) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.all = slices.DeleteFunc(rs.all, func(other *receiver) bool { return other == r })
	if rs.left == nil {
		rs.left = make(map[string]int64)
	}
	rs.left[r.group] = r.next.Load()
}

// newReceiver reads the link properties that identify a receiver.
func (a *attach) newReceiver() (*receiver, *refusal) {
	r := &receiver{link: a.link, number: a.connection.number, group: strings.ToLower(a.address.group), name: a.remote.Name}
	if v, _ := a.remote.Properties.Get(propertyReceiverName); v != nil {
		if name, ok := v.(string); ok {
			r.name = name
		}
	}
	switch epoch, _ := a.remote.Properties.Get(propertyEpoch); epoch := epoch.(type) {
	case nil:
		return r, nil
	case int64:
		r.epoch, r.hasEpoch = epoch, true
	case int32: // the wire has a long; a client that sends an int means the same
		r.epoch, r.hasEpoch = int64(epoch), true
	default:
		return nil, refuse(conditionArgument, "The link property '%s' has the type %s; it must be a long.", propertyEpoch, amqp.TypeName(epoch))
	}
	if r.epoch < 0 {
		return nil, refuse(conditionArgumentRange, "The link property '%s' is %d; it cannot be negative.", propertyEpoch, r.epoch)
	}
	return r, nil
}
