package emulator

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// An Event is an event in a partition.
type Event struct {
	// PartitionID is its partition.
	PartitionID string
	// SequenceNumber counts the events of a partition from 0.
	SequenceNumber int64
	// Offset is the opaque position of the event, as consumers see it.
	Offset string
	// EnqueuedTime is when it was stored, in UTC, to the millisecond.
	EnqueuedTime time.Time
	// PartitionKey is the event's own key; empty if it has none.
	PartitionKey string
	// Body is the concatenation of the event's data sections. It is nil if the event has no body, a
	// null one, a value or a sequence. It must not be changed.
	Body []byte
	// Annotations are the client's message annotations, including those of an idempotent producer;
	// nil if there are none.
	Annotations map[string]any
	// Properties are the event's application properties; nil if there are none.
	Properties map[string]any
	// MessageID is the event's message-id: nil, string, uint64, []byte or [16]byte.
	MessageID any
	// ContentType is the event's content-type.
	ContentType string
	// Message is the whole event as the client encoded it, an AMQP message. It must not be changed.
	Message []byte
}

// Counts says how much was ever stored. It includes events that [Retention] or [Options.MaxMemory]
// has dropped, and those that [Options.Discard] did not keep.
type Counts struct {
	// Events stored.
	Events int
	// Batches that contained them: one for each message of a client.
	Batches int
	// Bytes of the encoded events, without their envelopes.
	Bytes int64
}

// Events yields the events that a partition holds at the time of the call, oldest first. It yields
// nothing if there is no such hub or partition. It does not disturb clients and may run while they
// send.
func (s *Server) Events(hub, partitionID string) iter.Seq[Event] {
	if partitionID == "" {
		return func(func(Event) bool) {}
	}
	return s.EventsFrom(hub, partitionID, Start{})
}

// Counts says how much a partition has stored, or the whole hub if partitionID is empty. It
// includes events that the server found in its Store. It is zero if there is no such hub or
// partition.
func (s *Server) Counts(hub, partitionID string) Counts {
	if partitionID != "" {
		if p := s.lookup(hub, partitionID); p != nil {
			return p.counts()
		}
		return Counts{}
	}
	var sum Counts
	if h := s.hub(hub); h != nil {
		for _, p := range h.partitions() {
			c := p.counts()
			sum.Events += c.Events
			sum.Batches += c.Batches
			sum.Bytes += c.Bytes
		}
	}
	return sum
}

// PartitionIDs are the ids of a hub's partitions, in order; nil if there is no such hub.
func (s *Server) PartitionIDs(hub string) []string {
	h := s.hub(hub)
	if h == nil {
		return nil
	}
	return append([]string(nil), h.layout.Load().ids...)
}

// WaitForEvents returns nil as soon as a hub has stored at least n events in all its partitions, as
// Counts counts them. If ctx ends earlier, the error wraps its cause and states the number of
// events. It waits without polling.
func (s *Server) WaitForEvents(ctx context.Context, hub string, n int) error {
	h := s.hub(hub)
	if h == nil {
		return fmt.Errorf("emulator: WaitForEvents: there is no hub %q", hub)
	}
	if got, err := h.wait(ctx, int64(n)); err != nil {
		return fmt.Errorf("emulator: hub %q has %d of the %d events waited for: %w", hub, got, n, err)
	}
	return nil
}

// lookup finds a partition; nil if there is none.
func (s *Server) lookup(hub, partitionID string) *partition {
	h := s.hub(hub)
	if h == nil {
		return nil
	}
	return h.partition(partitionID)
}
