package emulator

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

const (
	// filterKey is the name under which the official clients put the start position into the
	// source's filters, with a descriptor or without. Other AMQP clients choose a name of their own
	// for a selector, as qpid-proton's "selector", and describe it by this name or filterCode.
	filterKey  = "apache.org:selector-filter:string"
	filterCode = 0x0000468c_00000004
)

const capabilityMetrics = "com.microsoft:enable-receiver-runtime-metric"

// serveConsumer sends a partition's events from the client's start position until the link is
// detached. Deliveries are settled, as the service's are: go-amqp renews its credit only for those.
func (a *attach) serveConsumer(ctx context.Context) {
	metrics := a.metrics() // accept forgets the client's request
	if a.accept() != nil {
		return
	}
	a.link.SetAvailable(1)
	var message []byte // reused: Send copies it
	log := reader{partition: a.partition, together: readAhead}
	for pos := a.start; ; {
		b, index, changed, err := log.read(pos)
		if err != nil {
			a.connection.server.log.Warn("events cannot be read", "address", a.address.text, "error", err)
			_ = a.link.Detach(unreadable(err).amqp())
			return
		}
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
			var before []byte
			if metrics {
				before = a.partition.appendMetrics(nil)
			}
			message = b.appendMessage(message[:0], i, before)
			if !a.deliver(ctx, b.first+int64(i), message) {
				return
			}
		}
		pos = position(b.after())
	}
}

// deliver sends an event, unless the hook's action is another; false if the link is over.
func (a *attach) deliver(ctx context.Context, sequence int64, message []byte) bool {
	action, ok := a.decide(ctx, Operation{
		Kind:          KindDelivery,
		Connection:    a.connection.number,
		Address:       a.address.text,
		Hub:           a.hub.name,
		PartitionID:   a.partition.id,
		ConsumerGroup: a.address.group,
		Receiver:      true,
		Events:        1,
		Bytes:         len(message),
	})
	if !ok || action.performs() && !a.sendEvent(ctx, sequence, message) {
		return false
	}
	switch action.answer {
	case answerNormal:
		return true
	case answerSilence:
		select {
		case <-a.link.Done():
		case <-ctx.Done():
		}
	case answerCut:
		a.connection.amqp.Cut()
	case answerDetach:
		_ = a.link.Detach(action.refusal().amqp())
	case answerClose:
		_ = a.connection.close(action.refusal())
	}
	return false
}

// sendEvent sends an event; false if the link is over.
func (a *attach) sendEvent(ctx context.Context, sequence int64, message []byte) bool {
	if err := a.link.Send(ctx, &amqp.Delivery{Payload: message, Settled: true}); err != nil {
		a.connection.log.Debug("receiver gone", "address", a.address.text, "error", err)
		if e, ok := errors.AsType[*amqp.Error](err); ok && e.Condition == conditionSize {
			// The client takes no message of this size. Without a detach it would wait forever.
			_ = a.link.Detach(e)
		}
		return false
	}
	a.reader.next.Store(sequence + 1)
	a.messages.Add(1)
	a.events.Add(1)
	return true
}

// appendMetrics appends the delivery annotations with the partition's end.
func (p *partition) appendMetrics(dst []byte) []byte {
	e := p.end()
	dst, mark := amqp.BeginMap(amqp.AppendSectionHeader(dst, amqp.SectionDeliveryAnnotations))
	dst = amqp.AppendLong(amqp.AppendSymbol(dst, "last_enqueued_sequence_number"), e.last)
	dst = amqp.AppendString(amqp.AppendSymbol(dst, "last_enqueued_offset"), strconv.FormatInt(e.offset, 10))
	dst = amqp.AppendTimestamp(amqp.AppendSymbol(dst, "last_enqueued_time_utc"), e.enqueued)
	dst = amqp.AppendTimestamp(amqp.AppendSymbol(dst, "runtime_info_retrieval_time_utc"), time.Now().UTC())
	return amqp.EndMap(dst, mark, 4)
}

// startPosition reads the filters of the source.
func (a *attach) startPosition() (position, *refusal) {
	expression, found := "", false
	for _, p := range a.remote.Source.Filter {
		value := p.Value
		described, _ := value.(amqp.Described)
		if described.Descriptor != nil {
			value = described.Value
		}
		name := filterName(p.Key)
		switch {
		case value == nil:
			continue
		case name != filterKey && described.Descriptor != amqp.Symbol(filterKey) && described.Descriptor != uint64(filterCode):
			return 0, refuse(conditionNotImplemented, "The filter '%s' is not supported: only a selector of the start position is.", name)
		case found:
			return 0, refuse(conditionInvalidField, "The filter '%s' is a second selector; a receiver has one start position.", name)
		}
		if expression, found = value.(string); !found {
			return 0, refuse(conditionInvalidField, "The filter '%s' has the type %s; it must be a string.", name, amqp.TypeName(value))
		}
	}
	f, err := parseFilter(expression)
	if err != nil {
		return 0, refuse(conditionArgument, "%v.", err)
	}
	return f.start(a.partition)
}

// filterName is the key of a filter as text.
func filterName(key any) string {
	switch key := key.(type) {
	case string:
		return key
	case amqp.Symbol:
		return string(key)
	default:
		return fmt.Sprint(key)
	}
}
