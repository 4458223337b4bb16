package eventhubs

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Storage says whether an event is in the event hub.
type Storage int

const (
	// Pending: the event has no outcome yet, so nothing is known. It is the zero value.
	Pending Storage = iota
	// Stored: the service accepted the event.
	Stored
	// NotStored: the event certainly is not in the event hub.
	NotStored
	// PossiblyStored: the event was sent, and its acknowledgement never came.
	PossiblyStored
)

// An Outcome is the final result of an event, or of a batch of them. Each accepted event has
// exactly one. Until then, [Pending] and [ErrPending] stand in for it.
type Outcome struct {
	Err         error         // nil when Storage is Stored, and only then
	Storage     Storage       // whether the event is in the event hub
	PartitionID string        // where it was to go; empty if undecided, or if the service chose
	Tries       int           // how often it was sent
	Queued      time.Duration // from the first event of the batch to its first try
	OnWire      time.Duration // from the first try to the outcome, pauses between tries included
}

// A Batch is the argument of a handler: events that went to one partition together, with one
// outcome. It never changes, unless you call Release. You may keep it as long as you like, and use
// it in several goroutines.
type Batch struct {
	PartitionID string // empty if the events named none and failed before it was known
	Outcome     Outcome
	Count       int // events
	Bytes       int // encoded
	// Recovered says that a former life of the application has accepted events of the batch
	// ([Options.Journal]). Their outcome may have been reported to that life, too.
	Recovered bool

	lent      *lent
	queue     *queue // of the batch
	producer  *BufferedProducer
	rehearsal *rehearsal // replaces both in a batch made by package eventhubstest
}

// A lent is the memory of a Batch's events, as long as the handler keeps it. Copies of a Batch share
// it. A Batch that no producer has made has none.
type lent struct {
	batch    *batch
	released atomic.Bool
}

// gone reports whether there are no events to read.
func (l *lent) gone() bool { return l == nil || l.released.Load() }

// Release gives the memory of the batch's events back to the producer, for other events. Without it
// the garbage collector frees that memory, which can cost much processor time. A handler that
// keeps nothing of the batch calls it last. After the handler has returned, it gives nothing back.
//
// Afterwards the fields are unchanged. [Batch.Events] and [Batch.Tags] yield nothing, and
// [Batch.EnqueueAgain] fails with [ErrInvalidArgument]. Events that the batch has yielded stay
// valid. No other goroutine may read the batch's events during the call.
func (b *Batch) Release() {
	if b.lent != nil {
		b.lent.released.Store(true)
	}
}

// Events yields the events in order. Each is decoded again from the bytes that were sent, so it
// belongs to the caller. It has its Tag and its ExpiresAt; its Delivery is nil. Enqueued as it is,
// it goes where its sender asked.
func (b *Batch) Events() iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		if b.lent.gone() {
			return
		}
		for i, encoded := range b.lent.batch.all() {
			x := b.lent.batch.extras.of(i)
			e := decodeEvent(encoded, x.named)
			e.Tag, e.ExpiresAt = x.tag, x.expires
			if x.named {
				e.PartitionID = b.PartitionID
			}
			if !yield(e) || b.lent.gone() {
				return
			}
		}
	}
}

// Tags yields the [Event.Tag] of each event, in order, nil for an event without one. It decodes
// nothing.
func (b *Batch) Tags() iter.Seq[any] {
	return func(yield func(any) bool) {
		if b.lent.gone() {
			return
		}
		for i := range b.Count {
			if !yield(at(b.lent.batch.extras.tags, i)) || b.lent.gone() {
				return
			}
		}
	}
}

// EnqueueAgain enqueues every event of the batch again, as it was, with its key, Tag and ExpiresAt.
// An event without a key goes to the partition of the batch, or to any if that is unknown. It
// returns how many events were accepted. With the handler's context it never waits. It stops at the
// first refusal, for example [ErrClosed] or [ErrExpired]. A Delivery keeps its first outcome. Flush
// and Close count the new outcome instead of the old one, unless one of them has already returned
// the old one.
//
// Use it in a handler of failures where order does not matter. The events join the buffer after
// everything in it, and an event that was possibly stored may be stored twice.
func (b *Batch) EnqueueAgain(ctx context.Context) (accepted int, err error) {
	if b.lent.gone() {
		return 0, invalid("EnqueueAgain of a batch without events: it was released, or no producer has made it; in a test, use eventhubstest.NewBatch")
	}
	if b.rehearsal != nil {
		return b.rehearsal.enqueueAgain(b)
	}
	for i, encoded := range b.lent.batch.all() {
		if err := b.producer.enqueueAgain(ctx, encoded, b.lent.batch.extras.of(i), b.PartitionID); err != nil {
			return accepted, fmt.Errorf("event %d of the batch: %w", i, err)
		}
		b.queue.enqueuedAgain(b.lent.batch, i)
		accepted++
	}
	return accepted, nil
}

// A Delivery reports the outcome of one event. The zero value is ready. Set it as [Event.Delivery]
// of one event, and then call Wait, or wait for Done. Do not wait for it in a handler: its event
// may be waiting for that handler to return.
type Delivery struct {
	mu      sync.Mutex // guards the fields below
	done    chan struct{}
	taken   bool
	settled bool
	outcome Outcome
}

// Done returns a channel that is closed when the event has its outcome.
func (d *Delivery) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.doneLocked()
}

func (d *Delivery) doneLocked() chan struct{} {
	if d.done == nil {
		d.done = make(chan struct{})
		if d.settled {
			close(d.done)
		}
	}
	return d.done
}

// Wait returns the outcome and its error, which is nil if the event is stored. It waits for the
// outcome until ctx ends. Then the outcome is Pending, and the error matches [ErrPending] and the
// context's error.
func (d *Delivery) Wait(ctx context.Context) (Outcome, error) {
	select {
	case <-d.Done():
	case <-ctx.Done():
		if o := d.Outcome(); o.Storage != Pending {
			return o, o.Err // both happened: the outcome says more
		}
		o := pending(fmt.Errorf("eventhubs: %w: %w", ErrPending, contextError(ctx)))
		return o, o.Err
	}
	o := d.Outcome()
	return o, o.Err
}

// Err returns the outcome's error: nil if the event is stored, [ErrPending] before Done is closed.
func (d *Delivery) Err() error { return d.Outcome().Err }

// Outcome returns the outcome. Before Done is closed its Storage is Pending, and its Err is
// [ErrPending].
func (d *Delivery) Outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settled {
		return pending(ErrPending)
	}
	return d.outcome
}

// pending returns what stands in for a missing outcome.
func pending(err error) Outcome { return Outcome{Err: err} }

// take reserves the delivery for one event.
func (d *Delivery) take() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken {
		return invalid("Event.Delivery was given to another event before: use one for each")
	}
	d.taken = true
	return nil
}

// giveBack undoes take, for an event that was not accepted.
func (d *Delivery) giveBack() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = false
}

func (d *Delivery) settle(o Outcome) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outcome, d.settled = o, true
	if d.done != nil {
		close(d.done)
	}
}
