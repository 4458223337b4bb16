package eventhubs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// A scope marks the context of a handler call. While the handler runs, no call with that context
// may wait for the producer. The scope also counts what the handler may still enqueue although the
// buffer is full: at first as much as its batch held.
type scope struct {
	admission *admission  // whose lock guards events and bytes
	returned  atomic.Bool // the handler has returned; its context is like any other now
	events    int
	bytes     int
}

type scopeKey struct{}

// handlerScope returns the scope of the handler call that ctx belongs to. It returns nil if there
// is none, or if it is not one of a's producer.
func handlerScope(ctx context.Context, a *admission) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	if s == nil || s.admission != a || s.returned.Load() {
		return nil
	}
	return s
}

// Handlers report the outcomes of batches: to the Deliveries, to the application's handler, and to
// Flush and Close.
type handlers struct {
	// Immutable.
	producer  *BufferedProducer // only for the Batch that a handler gets
	options   *Options
	admission *admission
	observer  *observer
	journal   *journaled // nil without one

	turns turns
}

// An ending is a taken batch with its outcome, and where the outcome is reported.
type ending struct {
	queue       *queue
	partitionID string
	turn        *turn           // of the partition's handlers; nil with ServiceAssigned
	place       <-chan struct{} // in that turn; nil if the batch has none yet
	batch       *batch
	lane        *lane // of the batch; nil without a journal
	outcome     Outcome
	limit       int // bytes that the batch could have had
}

// settle ends a batch. It reports the outcome and takes the batch out of its queue. It gives back
// the batch's memory unless a handler or the connection may still use it. It returns when the
// handler has ended.
func (h *handlers) settle(e *ending) {
	h.observer.settled(e.partitionID, e.batch, e.limit, e.outcome)
	h.report(e)
	if e.lane != nil {
		h.journal.settled(e.lane, e.batch, e.outcome)
	}
	e.queue.settle(e.batch, e.outcome, h.options.FlushOmitsTold)
	if !e.batch.kept && e.batch.held == nil {
		e.batch.recycle()
	}
}

// report gives the outcome of a batch to its Deliveries and to its handler, in that order.
func (h *handlers) report(e *ending) {
	b, o, partitionID := e.batch, e.outcome, e.partitionID
	deliveries := b.settleDeliveries(o)
	name, handler := "Options.OnBatchSucceeded", h.options.OnBatchSucceeded
	if o.Err != nil {
		name, handler = "Options.OnBatchFailed", h.options.OnBatchFailed
	}
	if handler == nil {
		if o.Err != nil && deliveries < b.count {
			h.observer.unheard(partitionID, b.count-deliveries, o)
		}
		return
	}
	b.heard, b.kept = true, true // kept until the handler releases it
	if e.turn != nil {
		if e.place == nil {
			e.place = e.turn.ask()
		}
		<-e.place
		defer e.turn.done()
	}
	s := &scope{admission: h.admission, events: b.count, bytes: b.bytes}
	ctx := context.WithValue(context.Background(), scopeKey{}, s)
	public := &Batch{PartitionID: partitionID, Outcome: o, Count: b.count, Bytes: b.bytes, Recovered: h.journal.recovers(b), lent: &lent{batch: b}, queue: e.queue, producer: h.producer}
	began := time.Now()
	e.queue.work.begin(handlerRuns)
	ended := callback.Call(name, func() {
		defer func() {
			if reason := recover(); reason != nil {
				h.observer.panicked(partitionID, reason)
			}
		}()
		handler(ctx, public)
	})
	e.queue.work.end(handlerRuns)
	s.returned.Store(true)
	b.kept = !public.lent.released.Load()
	h.observer.handled(partitionID, b, o, began, ended)
}
