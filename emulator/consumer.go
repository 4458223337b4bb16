package emulator

import (
	"context"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// filterKey is the name under which clients put the start position into the source's filters. The value is
// described, by a number or by a symbol depending on the client, so the key is what counts.
const filterKey = "apache.org:selector-filter:string"

// serveConsumer sends a partition's events, from where the client wants to start, until the link is detached.
// Deliveries are settled: go-amqp replenishes its credit for those only, and the service does the same.
func (a *attach) serveConsumer(ctx context.Context) {
	pos, refused := a.startPosition()
	if refused != nil {
		a.connection.log.Debug("attach refused", "address", a.address.text, "error", refused)
		_ = a.link.Refuse(refused.amqp())
		return
	}
	if a.accept() != nil {
		return
	}
	a.link.SetAvailable(1)
	var message []byte // reused: Send copies it
	for {
		b, index, changed := a.partition.read(pos)
		if b == nil {
			a.link.SetAvailable(0) // a client that drains the link gets its credit back at once
			select {
			case <-changed:
				a.link.SetAvailable(1)
				continue
			case <-a.link.Done():
				return
			case <-ctx.Done():
				return
			}
		}
		for i := index; i < len(b.events); i++ {
			message = b.appendMessage(message[:0], i)
			if err := a.link.Send(ctx, &amqp.Delivery{Payload: message, Settled: true}); err != nil {
				a.connection.log.Debug("receiver gone", "address", a.address.text, "error", err)
				return
			}
		}
		pos = position(b.first + int64(len(b.events)))
	}
}

// startPosition reads the filter of the source.
func (a *attach) startPosition() (position, *refusal) {
	expression := ""
	if value, ok := a.remote.Source.Filter.Get(filterKey); ok {
		if described, ok := value.(amqp.Described); ok {
			value = described.Value
		}
		text, ok := value.(string)
		if !ok {
			return 0, refuse(conditionInvalidField, "The filter '%s' is a %T instead of a string.", filterKey, value)
		}
		expression = text
	}
	f, err := parseFilter(expression)
	if err != nil {
		return 0, refuse(conditionArgument, "%v.", err)
	}
	return f.start(a.partition)
}
