package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// A scope marks the context of a handler call: while the handler runs, whoever has that context must not wait for the producer. It also holds
// what the handler may enqueue whatever the state of the buffer: as much as its batch held.
type scope struct {
	admission *admission  // whose lock guards events and bytes
	returned  atomic.Bool // the handler has; its context is like any other now
	events    int
	bytes     int
}

type scopeKey struct{}

// handlerScope returns the scope of the handler call that ctx belongs to, if it is one of a's producer.
func handlerScope(ctx context.Context, a *admission) *scope {
	s, _ := ctx.Value(scopeKey{}).(*scope)
	if s == nil || s.admission != a || s.returned.Load() {
		return nil
	}
	return s
}

// tell gives the outcome of a batch to its Deliveries and its handler, in that order, and returns when the handler has ended, however it does. The work is that
// of the partition, and so is the turn, in which it may have a place already.
func (p *BufferedProducer) tell(q *queue, w *work, partitionID string, turn *turn, place <-chan struct{}, b *batch, o Outcome) {
	deliveries := b.tellDeliveries(o)
	name, handler := "Options.OnBatchSucceeded", p.options.OnBatchSucceeded
	if o.Err != nil {
		name, handler = "Options.OnBatchFailed", p.options.OnBatchFailed
	}
	if handler == nil {
		if o.Err != nil && deliveries < b.count {
			p.counts.unheard.Add(uint64(b.count - deliveries))
			p.unheard().Error("eventhubs: events failed and nobody was told: set Options.OnBatchFailed, or a Delivery for each event",
				"hub", p.hubName, "partition", partitionID, "events", b.count, "storage", o.Storage.String(), "tries", o.Tries, "error", o.Err)
		}
		return
	}
	s := &scope{admission: p.admission, events: b.count, bytes: b.bytes}
	b.kept = true
	told := &Batch{PartitionID: partitionID, Outcome: o, Count: b.count, Bytes: b.bytes, batch: b, queue: q, producer: p}
	if turn != nil {
		if place == nil {
			place = turn.ask()
		}
		<-place
		defer turn.done()
	}
	began := time.Now()
	w.begin(handlerRuns)
	ended := callback.Call(name, func() {
		defer func() {
			if reason := recover(); reason != nil {
				p.counts.panics.Add(1)
				p.unheard().Error("eventhubs: a handler panicked", "hub", p.hubName, "partition", partitionID,
					"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
			}
		}()
		handler(context.WithValue(context.Background(), scopeKey{}, s), told)
	})
	w.end(handlerRuns)
	s.returned.Store(true)
	p.handled(partitionID, b, o, began)
	if ended != nil {
		p.counts.panics.Add(1)
		p.unheard().Error("eventhubs: a handler did not return", "hub", p.hubName, "partition", partitionID, "error", ended)
	}
}

// conclude ends a batch of which everybody was told: it leaves its queue, and the barriers that cover it hear of it.
func (p *BufferedProducer) conclude(q *queue, b *batch, o Outcome) {
	q.mu.Lock()
	q.settleLocked(b, o, func(from, to int) int { return p.countFailed(b, o, from, to) })
	q.mu.Unlock()
	if !b.kept && b.held == nil {
		p.recycle(b)
	}
}

// countFailed is how many of those events of a batch that has failed Flush and Close are to return. The lock of the batch's queue must be held.
func (p *BufferedProducer) countFailed(b *batch, o Outcome, from, to int) (events int) {
	from = max(from, b.again) // the new outcome of what is before counts
	switch {
	case errors.Is(o.Err, ErrCleared), p.options.FlushOmitsTold && b.kept:
		return 0
	case !p.options.FlushOmitsTold || len(b.extras.deliveries) == 0:
		return max(0, to-from)
	}
	for i := from; i < to; i++ {
		if at(b.extras.deliveries, i) == nil {
			events++
		}
	}
	return events
}

// unheard is the log for what must not be lost.
func (p *BufferedProducer) unheard() *slog.Logger { return p.options.unheard() }
