package emulator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// Seed stores events as if a client had sent them one by one, for a test that needs existing
// events. With an empty partitionID each event goes where the service would put it: by its
// PartitionKey, else in turn.
//
// If [Event.Message] is set, it is the whole event, encoded. Otherwise Body, PartitionKey,
// Properties, MessageID and ContentType make the event. EnqueuedTime, if set, is kept to the
// millisecond, but is never earlier than that of the event before it in the partition. Seed ignores
// the other fields; the partition sets them.
//
// Hooks do not see these events, and throughput units do not bound them. The error names the first
// event that could not be stored; the events before it are stored.
func (s *Server) Seed(hub, partitionID string, events ...Event) error {
	h := s.hub(hub)
	if h == nil {
		return fmt.Errorf("emulator: Seed: there is no hub %q", hub)
	}
	p := h.partition(partitionID)
	if p == nil && partitionID != "" {
		return fmt.Errorf("emulator: Seed: hub %q has no partition %q, only 0 to %d", hub, partitionID, len(h.partitions())-1)
	}
	for i, e := range events {
		if _, _, err := h.seed(p, e); err != nil {
			return fmt.Errorf("emulator: Seed: event %d: %w", i, err)
		}
	}
	return nil
}

// Append stores one event as [Server.Seed] does, and returns the stored event: with its partition,
// sequence number, offset and time.
func (s *Server) Append(hub, partitionID string, event Event) (Event, error) {
	h := s.hub(hub)
	if h == nil {
		return Event{}, fmt.Errorf("emulator: Append: there is no hub %q", hub)
	}
	p := h.partition(partitionID)
	if p == nil && partitionID != "" {
		return Event{}, fmt.Errorf("emulator: Append: hub %q has no partition %q, only 0 to %d", hub, partitionID, len(h.partitions())-1)
	}
	p, b, err := h.seed(p, event)
	if err != nil {
		return Event{}, fmt.Errorf("emulator: Append: %w", err)
	}
	return b.event(p.id, 0), nil
}

// seed stores one event in p, or where the service would put it if p is nil. It returns the
// partition, and the stored batch of this event.
func (h *hub) seed(p *partition, e Event) (*partition, *batch, error) {
	message := slices.Clone(e.Message)
	if message == nil {
		var err error
		if message, err = e.encode(); err != nil {
			return nil, nil, err
		}
	}
	b, r, refused := splitMessage(message, 0)
	if refused != nil {
		return nil, nil, refused
	}
	if p == nil {
		p = h.choose(r.key, r.hasKey)
	}
	if !e.EnqueuedTime.IsZero() {
		b.enqueued = e.EnqueuedTime.UTC().Truncate(time.Millisecond)
		if !time.UnixMilli(b.enqueued.UnixMilli()).Equal(b.enqueued) {
			return nil, nil, fmt.Errorf("Event.EnqueuedTime is %v, which no AMQP timestamp holds: 64 bits of milliseconds from 1970", e.EnqueuedTime)
		}
	}
	if refused := h.store(p, b); refused != nil {
		return nil, nil, refused
	}
	return p, b, nil
}

// encode makes the event's message.
func (e *Event) encode() ([]byte, error) {
	if err := partitionkey.Check(e.PartitionKey); err != nil {
		return nil, fmt.Errorf("Event.PartitionKey %w", err)
	}
	m := amqp.Message{Data: [][]byte{append([]byte{}, e.Body...)}} // an event without a body has an empty section, not a null one
	if e.PartitionKey != "" {
		m.Annotations = amqp.Map{{Key: amqp.Symbol(annotationKey), Value: e.PartitionKey}}
	}
	if e.MessageID != nil || e.ContentType != "" {
		m.Properties = &amqp.Properties{MessageID: e.MessageID}
		if id, ok := e.MessageID.([16]byte); ok {
			m.Properties.MessageID = amqp.UUID(id)
		}
		if e.ContentType != "" {
			m.Properties.ContentType = &e.ContentType
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Properties)) {
		m.ApplicationProperties = append(m.ApplicationProperties, amqp.Pair{Key: key, Value: e.Properties[key]})
	}
	message, err := m.AppendTo(nil)
	if err != nil {
		return nil, fmt.Errorf("it cannot be encoded: %w", err)
	}
	return message, nil
}
