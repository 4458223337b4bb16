package eventhubs

import (
	"context"
	"log/slog"
	"time"
)

// A Trace is a set of functions that are told of what happens, in the manner of net/http/httptrace. Any of them may be nil, which costs nothing. They are called
// where it happens, which waits for them, at the same time for different partitions and callers, and must not block or call the
// producer. Encoding and Accepted run on the goroutine that calls Enqueue, the others each on one of its own. Nothing guards against their
// panics, as it does with handlers. One that ends its goroutine (runtime.Goexit) is logged, and what it was told of goes on.
type Trace struct {
	// Encoding may add to the properties of each event before it is encoded, with Enqueue's context: this is where a trace's context gets into
	// an event. The caller's event is not changed. What EnqueueAgain enqueues keeps the properties that it has.
	Encoding func(ctx context.Context, properties *Properties)

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
	MaxBytes    int       // what it might have had; for Settled only, else zero

	batch *batch // while the function that is told runs
}

func traced(partitionID string, b *batch) TracedBatch {
	return TracedBatch{PartitionID: partitionID, Events: b.count, Bytes: b.bytes, Try: b.tries, First: b.first, batch: b}
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

// disconnected returns what a connection tells that it has ended; nil for nobody.
func (t *Trace) disconnected() func(error) {
	if t.Disconnected == nil {
		return nil
	}
	return func(err error) { t.Disconnected(failure(err, "", 1)) }
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

// retrying tells everybody of a failed try of a batch, and of the pause before the next.
func (p *BufferedProducer) retrying(b TracedBatch, reason error, pause time.Duration) {
	p.counts.retries.Add(1)
	p.logBatch("eventhubs: a try failed", b, "pause", pause, "error", reason)
	if t := p.options.Trace; t != nil && t.Retrying != nil {
		t.Retrying(b, reason, pause)
	}
}

// throttled tells everybody of a try that the service was too busy for.
func (p *BufferedProducer) throttled(b TracedBatch, reason error, pause time.Duration) {
	p.counts.throttled.Add(1)
	p.counts.throttledFor.Add(int64(pause))
	p.logBatch("eventhubs: throttled", b, "pause", pause, "error", reason)
	if t := p.options.Trace; t != nil && t.Throttled != nil {
		t.Throttled(b, reason, pause)
	}
}

func (p *BufferedProducer) settled(partitionID string, b *batch, limit int, o Outcome) {
	p.counts.add(b, o, limit)
	told := traced(partitionID, b)
	told.MaxBytes = limit
	if o.Err == nil {
		p.logBatch("eventhubs: batch stored", told, "queued", o.Queued, "onWire", o.OnWire)
	} else {
		p.logBatch("eventhubs: batch failed", told, "queued", o.Queued, "onWire", o.OnWire, "storage", o.Storage.String(), "error", o.Err)
	}
	if t := p.options.Trace; t != nil && t.Settled != nil {
		t.Settled(told, o)
	}
}

// logBatch says what became of a batch or a try of it, for whoever wants to know it all: health logs what everybody should.
func (p *BufferedProducer) logBatch(message string, b TracedBatch, more ...any) {
	if !p.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	p.logger.With("hub", p.hubName, "partition", b.PartitionID, "events", b.Events, "bytes", b.Bytes, "try", b.Try).Debug(message, more...)
}
