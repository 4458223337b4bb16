package eventhubs

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Storage says what is known of an event's place in the event hub.
type Storage int

const (
	// Pending: the event has no outcome yet, so that nothing is known. It is the zero value.
	Pending Storage = iota
	// Stored: the service accepted the event.
	Stored
	// NotStored: the event certainly is not in the event hub.
	NotStored
	// PossiblyStored: the event was sent, and its acknowledgement never came.
	PossiblyStored
)

// An Outcome is the end of an event, or of a batch of them. Each accepted event has exactly one. What stands for an outcome that is not there yet has [Pending] and
// [ErrPending].
type Outcome struct {
	Err         error         // nil when Storage is Stored, and only then
	Storage     Storage       // what is known of the event's place in the event hub
	PartitionID string        // where it was sent, or was to be sent; empty if that was not decided, or if the service chose
	Tries       int           // how often it was sent
	Queued      time.Duration // from the first event of the batch to its first try
	OnWire      time.Duration // from the first try to the outcome, pauses between tries included
}

// A Batch is what a handler is told of: events that went to one partition together, with one outcome. It stays as it is: keep it as long as you like, and use it in
// several goroutines.
type Batch struct {
	PartitionID string // empty if the events failed before their partition was known, and named none
	Outcome     Outcome
	Count       int // events
	Bytes       int // encoded

	batch     *batch
	queue     *queue // of the batch
	producer  *BufferedProducer
	rehearsal *rehearsal // in place of both, of a batch that package eventhubstest has made
}

// Events yields the events in their order, each decoded afresh from the bytes that were sent, so that it is the caller's own. Enqueued as it is, each would go where its
// sender has asked for it to go, with its Tag and its ExpiresAt. Its Delivery is nil.
func (b *Batch) Events() iter.Seq[*Event] {
	return func(yield func(*Event) bool) {
		for i, encoded := range b.batch.all() {
			e, x := decodeEvent(encoded), b.batch.extras.of(i)
			e.Tag, e.ExpiresAt = x.tag, x.expires
			if x.named {
				e.PartitionID = b.PartitionID
			}
			if !yield(e) {
				return
			}
		}
	}
}

// Tags yields the [Event.Tag] of each event, in their order, nil for an event without one. It decodes nothing.
func (b *Batch) Tags() iter.Seq[any] {
	return func(yield func(any) bool) {
		for i := range b.Count {
			if !yield(at(b.batch.extras.tags, i)) {
				return
			}
		}
	}
}

// EnqueueAgain enqueues every event of the batch once more, as it was and with its key, Tag and ExpiresAt; an event without a key goes to the partition of the
// batch, or anywhere if that is not known. It returns how many events were accepted; with the handler's context it never waits. The first refusal, such as
// [ErrClosed] or [ErrExpired], ends it. A Delivery has been told its outcome and is not told again. Flush and Close count the new outcome instead of the old one, unless one of
// them has returned that.
//
// It is for a handler of failures where order does not matter: what is enqueued again comes after everything that is buffered by now, and
// what was possibly stored may be stored twice.
func (b *Batch) EnqueueAgain(ctx context.Context) (accepted int, err error) {
	if b.rehearsal != nil {
		return b.rehearsal.enqueueAgain(b)
	}
	for i, encoded := range b.batch.all() {
		if err := b.producer.enqueueAgain(ctx, encoded, b.batch.extras.of(i), b.PartitionID); err != nil {
			return accepted, fmt.Errorf("event %d of the batch: %w", i, err)
		}
		b.queue.enqueuedAgain(b.batch, i)
		accepted++
	}
	return accepted, nil
}

// A Delivery tells the outcome of one event to whoever enqueued it. The zero value is ready. It belongs to the caller, who gives it to one
// event, as [Event.Delivery], and may then Wait, or wait for Done. Do not wait for it in a handler: what it waits for may be behind that handler.
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

// Wait returns the outcome and its error, which is nil if the event is stored. It waits for it until ctx ends: then the outcome is Pending, and the error matches
// [ErrPending] and the context's error.
func (d *Delivery) Wait(ctx context.Context) (Outcome, error) {
	select {
	case <-d.Done():
	case <-ctx.Done():
		if o := d.Outcome(); o.Storage != Pending {
			return o, o.Err // both at once: the outcome says more
		}
		o := pending(fmt.Errorf("eventhubs: %w: %w", ErrPending, contextError(ctx)))
		return o, o.Err
	}
	o := d.Outcome()
	return o, o.Err
}

// Err returns the outcome's error: nil if the event is stored, [ErrPending] before Done is closed.
func (d *Delivery) Err() error { return d.Outcome().Err }

// Outcome returns the outcome. Before Done is closed its Storage is Pending, and its Err is [ErrPending].
func (d *Delivery) Outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.settled {
		return pending(ErrPending)
	}
	return d.outcome
}

// pending is what stands for an outcome that is not there yet.
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

// giveBack undoes take, for an event that was not accepted in the end.
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
