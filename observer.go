package eventhubs

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// An observer reports what happens to events, batches and connections: to the counts, to the
// health, to the log and to the application's Trace. Staged events go through it like those of a
// partition.
type observer struct {
	// Immutable after newObserver.
	producer *BufferedProducer // only for the Trace, which is given it
	hubName  string
	logger   *slog.Logger        // discards without Options.Logger
	urgent   func() *slog.Logger // for lines that must not be lost: slog.Default without Options.Logger
	trace    *Trace              // never nil
	parents  bool                // the Trace gets batches, and may ask for their TraceParents

	counts  counts
	health  health
	batches atomic.Uint64 // that have an ID
	history atomic.Pointer[history]
}

func newObserver(p *BufferedProducer, hubName string, o *Options) *observer {
	v := &observer{producer: p, hubName: hubName, logger: o.Logger, urgent: o.unheard, trace: o.Trace}
	if v.logger == nil {
		v.logger = slog.New(slog.DiscardHandler)
	}
	if v.trace == nil {
		v.trace = new(Trace)
	}
	v.parents = v.trace.getsBatches()
	v.health.log = v.logHealth
	return v
}

// created reports the producer itself, before its constructor returns.
func (v *observer) created() {
	if f := v.trace.Created; f != nil {
		f(TracedProducer{Producer: v.producer})
	}
}

// closed reports that the first Close is about to return that error.
func (v *observer) closed(err error) {
	if f := v.trace.Closed; f != nil {
		f(TracedProducer{Producer: v.producer, Err: err})
	}
}

// connected reports that the producer's own connection is open.
func (v *observer) connected() {
	if f := v.trace.Connected; f != nil {
		f(TracedConnection{Producer: v.producer})
	}
}

// disconnected reports that the producer's own connection has ended.
func (v *observer) disconnected(err error) {
	if f := v.trace.Disconnected; f != nil {
		f(TracedConnection{Producer: v.producer, Err: failure(err, "", 1)})
	}
}

// encoding lets the Trace add properties to an event that is about to be encoded.
func (v *observer) encoding(ctx context.Context, w *wireEvent, own map[string]any) {
	f := v.trace.Encoding
	if f == nil && !v.parents {
		return
	}
	w.added.reset(own)
	if f != nil {
		f(ctx, TracedEncoding{Producer: v.producer, Properties: &w.added})
	}
}

// parentOf sets t to the TraceParent of an event after encoding, if the Trace may ask for it.
func (v *observer) parentOf(w *wireEvent, t *TraceParent) {
	if v.parents && w.added.seek() {
		*t = w.added.parent
	}
}

// parentIn is parentOf for an encoded event.
func (v *observer) parentIn(encoded []byte, t *TraceParent) {
	if v.parents {
		*t = parentIn(encoded)
	}
}

// accepted reports an event that is in the buffer. The partition is nil if it is not known yet.
func (v *observer) accepted(ctx context.Context, part *partition, key string, bytes int) {
	if f := v.trace.Accepted; f != nil {
		e := TracedEvent{Producer: v.producer, PartitionKey: key, Bytes: bytes}
		if part != nil {
			e.PartitionID = part.id
		}
		f(ctx, e)
	}
}

// traced is a batch as the Trace is given it. Its caller owns the batch.
func (v *observer) traced(partitionID string, b *batch) TracedBatch {
	if b.id == 0 {
		b.id = v.batches.Add(1)
	}
	return TracedBatch{Producer: v.producer, ID: b.id, PartitionID: partitionID, Events: b.count, Bytes: b.bytes, Try: b.tries, First: b.first, batch: b}
}

// sealed reports a batch that a sender has taken.
func (v *observer) sealed(partitionID string, b *batch) {
	if f := v.trace.Sealed; f != nil {
		f(v.traced(partitionID, b))
	}
}

// sending reports a try that is about to be sent.
func (v *observer) sending(partitionID string, b *batch) {
	if f := v.trace.Sending; f != nil {
		f(v.traced(partitionID, b))
	}
}

// ambiguous reports a try that ended without saying whether the batch was stored.
func (v *observer) ambiguous() { v.counts.ambiguousTries.Add(1) }

// retrying reports a failed try of a batch, and the pause before the next one.
func (v *observer) retrying(b TracedBatch, err error, pause time.Duration) {
	v.note()
	v.counts.retries.Add(1)
	v.logBatch("eventhubs: a try failed", b, "pause", pause, "error", err)
	if f := v.trace.Retrying; f != nil {
		f(TracedFailure{TracedBatch: b, Err: err, Pause: pause})
	}
}

// throttled reports a try for which the service was too busy, and the pause before the next one.
func (v *observer) throttled(b TracedBatch, err error, pause time.Duration) {
	v.note()
	v.counts.throttled.Add(1)
	v.counts.throttledFor.Add(int64(pause))
	v.logBatch("eventhubs: throttled", b, "pause", pause, "error", err)
	if f := v.trace.Throttled; f != nil {
		f(TracedFailure{TracedBatch: b, Err: err, Pause: pause})
	}
}

// settled reports the outcome of a batch, which could have had limit bytes.
func (v *observer) settled(partitionID string, b *batch, limit int, o Outcome) {
	v.note()
	v.counts.add(b, o, limit)
	t := v.traced(partitionID, b)
	if o.Err == nil {
		v.logBatch("eventhubs: batch stored", t, "queued", o.Queued, "onWire", o.OnWire)
	} else {
		v.logBatch("eventhubs: batch failed", t, "queued", o.Queued, "onWire", o.OnWire, "storage", o.Storage.String(), "error", o.Err)
	}
	if f := v.trace.Settled; f != nil {
		f(TracedOutcome{TracedBatch: t, Outcome: o, MaxBytes: limit})
	}
}

// unheard reports failed events that have neither a handler nor a Delivery.
func (v *observer) unheard(partitionID string, events int, o Outcome) {
	v.counts.unheard.Add(uint64(events))
	v.urgent().Error("eventhubs: events failed without a handler or a Delivery: set Options.OnBatchFailed, or a Delivery for each event",
		"hub", v.hubName, "partition", partitionID, "events", events, "storage", o.Storage.String(), "tries", o.Tries, "error", o.Err)
}

// panicked reports a handler's panic. It runs on the panicking goroutine.
func (v *observer) panicked(partitionID string, reason any) {
	v.counts.panics.Add(1)
	v.urgent().Error("eventhubs: a handler panicked", "hub", v.hubName, "partition", partitionID,
		"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
}

// handled reports a handler that has ended. The error says that it ended its goroutine.
func (v *observer) handled(partitionID string, b *batch, o Outcome, began time.Time, ended error) {
	if f := v.trace.Handled; f != nil {
		f(TracedHandler{TracedBatch: v.traced(partitionID, b), Outcome: o, Ran: time.Since(began)})
	}
	if ended != nil {
		v.counts.panics.Add(1)
		v.urgent().Error("eventhubs: a handler did not return", "hub", v.hubName, "partition", partitionID, "error", ended)
	}
}

// logBatch logs every step of a batch at level DEBUG. Health logs the lines that everybody should
// see.
func (v *observer) logBatch(message string, b TracedBatch, more ...any) {
	if !v.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	v.logger.With("hub", v.hubName, "partition", b.PartitionID, "events", b.Events, "bytes", b.Bytes, "try", b.Try).Debug(message, more...)
}

// shrinks logs that the batches of a partition become smaller, since the service refuses a size
// that its link takes.
func (v *observer) shrinks(partitionID string, refused int, linkTakes int64) {
	v.logger.Warn("eventhubs: the service refused a batch for its size, although the link takes it; later batches are smaller",
		"hub", v.hubName, "partition", partitionID, "bytes", refused, "linkTakes", linkTakes)
}

// becameNew logs that an idempotent producer goes on under a new id.
func (v *observer) becameNew(partitionID string, n numbers, err error) {
	v.logger.Warn("eventhubs: the service refused an idempotent producer's higher epoch; it goes on as a new producer",
		"hub", v.hubName, "partition", partitionID, "producer", n.id, "epoch", n.epoch, "error", err)
}

// fenced logs that another producer has taken a partition over.
func (v *observer) fenced(partitionID string, n numbers) {
	v.logger.Error("eventhubs: another producer with the same identity took over this partition; this producer sends nothing more to it",
		"hub", v.hubName, "partition", partitionID, "producer", n.id, "epoch", n.epoch)
}

// notRefreshed logs that the list of partitions could not be asked for again.
func (v *observer) notRefreshed(err error) {
	v.logger.Info("eventhubs: the list of partitions could not be refreshed; the previous list stays in use", "hub", v.hubName, "error", err)
}

// journalFailed is the line about a journal that takes nothing more.
const journalFailed = "eventhubs: the journal failed; events in it that were not sent yet stay there"

// unread logs that the journal cannot be read, or kept, any further.
func (v *observer) unread(err error) {
	v.urgent().Error(journalFailed, "hub", v.hubName, "error", err)
}

// closedBadly logs that the connection did not close as Close wanted it to.
func (v *observer) closedBadly(err error) {
	v.logger.Warn("eventhubs: the connection did not close cleanly", "hub", v.hubName, "error", err)
}

// cut logs that Close has cut the connection, since its context has ended.
func (v *observer) cut(err error) {
	v.logger.Debug("eventhubs: the connection was cut", "hub", v.hubName, "error", err)
}

// logHealth logs a change of the health, or that trouble lasts. See health_report.go.
func (v *observer) logHealth(line reportLine) {
	to := v.urgent()
	if line.ready {
		to = v.logger
	}
	attributes := []any{"hub", v.hubName, "state", line.state.String()}
	if line.lasting {
		s := v.producer.Stats()
		attributes = append(attributes, "since", line.trouble, "tries", line.tries, "buffered", s.BufferedEvents, "oldest", s.OldestEventAge.Round(time.Millisecond))
	}
	if line.changes > 0 {
		attributes = append(attributes, "changes", line.changes)
	}
	if line.err != nil {
		attributes = append(attributes, "error", line.err)
	}
	to.Log(context.Background(), line.level, line.message, attributes...)
}
