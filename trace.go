package eventhubs

import (
	"context"
	"maps"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// A Trace is a set of functions that are told of what happens, in the manner of net/http/httptrace. Any of them may be nil, which costs nothing. They are called
// by the goroutine on which it happens, at the same time for different partitions and callers, and must not block or call the
// producer.
type Trace struct {
	// Encoding is given each event before it is encoded, with Enqueue's context, and may add to its Properties: it is a copy, and so is
	// their map. This is where a trace's context gets into an event. EnqueueMessage does not call it.
	Encoding func(ctx context.Context, event *azeventhubs.EventData)

	// Accepted is told of each event that is in the buffer now.
	Accepted func(ctx context.Context, event AcceptedEvent)

	// Sealed is told of each batch that a sender has taken: no more events join it.
	Sealed func(batch TracedBatch)

	// Sent is told of each try of a batch, before it is sent.
	Sent func(batch TracedBatch)

	// Retrying is told of each failed try after which there will be another, and of the pause before it.
	Retrying func(batch TracedBatch, err error, pause time.Duration)

	// Throttled is told of each try that the service was too busy for, and of the pause before the next.
	Throttled func(batch TracedBatch, err error, pause time.Duration)

	// Settled is told of each batch that has its outcome, before the Deliveries and the handler are.
	Settled func(batch TracedBatch, outcome Outcome)

	// Connected and Disconnected are told of the connection. A shared Connection tells them nothing.
	Connected    func()
	Disconnected func(err error)
}

// An AcceptedEvent is what Trace.Accepted is told.
type AcceptedEvent struct {
	PartitionID  string // empty if it is not known yet, or left to the service
	PartitionKey string
	Bytes        int // encoded
}

// A TracedBatch is what a Trace is told of a batch.
type TracedBatch struct {
	PartitionID string
	Events      int
	Bytes       int       // encoded
	Try         int       // of the present or latest try, from 1; zero before the first
	First       time.Time // when its first event was accepted
}

func traced(partitionID string, b *batch) TracedBatch {
	return TracedBatch{PartitionID: partitionID, Events: len(b.events), Bytes: b.bytes, Try: b.tries, First: b.first}
}

// traceEncoding lets the trace add properties to a copy of the event, if it wants to.
func (p *BufferedProducer) traceEncoding(ctx context.Context, event *azeventhubs.EventData) *azeventhubs.EventData {
	if t := p.options.Trace; t != nil && t.Encoding != nil {
		c := *event
		if c.Properties = maps.Clone(event.Properties); c.Properties == nil {
			c.Properties = map[string]any{}
		}
		t.Encoding(ctx, &c)
		return &c
	}
	return event
}

func (p *BufferedProducer) traceAccepted(ctx context.Context, part *partition, key string, bytes int) {
	if t := p.options.Trace; t != nil && t.Accepted != nil {
		e := AcceptedEvent{PartitionKey: key, Bytes: bytes}
		if part != nil {
			e.PartitionID = part.id
		}
		t.Accepted(ctx, e)
	}
}

func (p *BufferedProducer) sealed(partitionID string, b *batch) {
	if t := p.options.Trace; t != nil && t.Sealed != nil {
		t.Sealed(traced(partitionID, b))
	}
}

func (p *BufferedProducer) sending(partitionID string, b *batch) {
	if t := p.options.Trace; t != nil && t.Sent != nil {
		t.Sent(traced(partitionID, b))
	}
}

func (p *BufferedProducer) retrying(partitionID string, b *batch, err error, pause time.Duration) {
	p.counts.retries.Add(1)
	if t := p.options.Trace; t != nil && t.Retrying != nil {
		t.Retrying(traced(partitionID, b), err, pause)
	}
}

func (p *BufferedProducer) throttled(partitionID string, b *batch, err error, pause time.Duration) {
	p.counts.throttled.Add(1)
	p.counts.throttledFor.Add(int64(pause))
	if t := p.options.Trace; t != nil && t.Throttled != nil {
		t.Throttled(traced(partitionID, b), err, pause)
	}
}

func (p *BufferedProducer) settled(partitionID string, b *batch, limit int, o Outcome) {
	p.counts.add(b, o, limit)
	if t := p.options.Trace; t != nil && t.Settled != nil {
		t.Settled(traced(partitionID, b), o)
	}
}
