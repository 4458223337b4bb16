package eventhubs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// What package eventhubstest offers, with the types that it cannot name.
func init() {
	testseam.Settle = func(delivery, outcome any) error { return delivery.(*Delivery).settleInTest(outcome.(Outcome)) }
	testseam.Accept = func(event any) (any, error) { return acceptInTest(event.(*Event)) }
	testseam.NewBatch = func(outcome, events any) (any, error) { return batchInTest(outcome.(Outcome), events.([]*Event)) }
	testseam.EnqueuedAgain = func(batch any) any { return batch.(*Batch).rehearsal.enqueuedAgain() }
}

// A rehearsal stands for the producer of a batch that package eventhubstest has made. Nil has none.
type rehearsal struct {
	mu    sync.Mutex // guards the field below
	again []*Event
}

func (r *rehearsal) enqueueAgain(b *Batch) (accepted int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again = slices.AppendSeq(r.again, b.Events())
	return b.Count, nil
}

func (r *rehearsal) enqueuedAgain() []*Event {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.again)
}

// settleInTest is settle for a test, which has no producer.
func (d *Delivery) settleInTest(o Outcome) error {
	if d == nil {
		return errors.New("the Delivery is nil")
	}
	if err := o.check(); err != nil {
		return err
	}
	d.mu.Lock()
	settled := d.settled
	d.taken = true
	d.mu.Unlock()
	if settled {
		return errors.New("the Delivery has been told an outcome before: it serves one event")
	}
	d.settle(o)
	return nil
}

// check returns why no producer tells such an outcome: a test with it would show what never happens.
func (o Outcome) check() error {
	switch o.Storage {
	case Stored:
		if o.Err != nil {
			return fmt.Errorf("the outcome is stored and has the Err %q: leave it out", o.Err)
		}
	case NotStored, PossiblyStored:
		if o.Err == nil {
			return fmt.Errorf("the outcome is %v and has no Err: give it one, since a nil Err says that the event is stored", o.Storage)
		}
	default:
		return fmt.Errorf("the outcome's Storage is %v: give it Stored, NotStored or PossiblyStored", o.Storage)
	}
	return nil
}

// acceptInTest does what Enqueue does with an event, without a producer, and decodes it again.
func acceptInTest(e *Event) (*Event, error) {
	w, key, err := encodeInTest(e)
	switch {
	case err != nil:
		return nil, err
	case !e.ExpiresAt.IsZero() && !time.Now().Before(e.ExpiresAt):
		return nil, e.expired()
	}
	if e.Delivery != nil {
		if err := e.Delivery.take(); err != nil {
			return nil, err
		}
	}
	accepted := decodeEvent(slices.Concat(w.head, w.body))
	accepted.PartitionID, accepted.PartitionKey, accepted.Tag, accepted.ExpiresAt = e.PartitionID, key, e.Tag, e.ExpiresAt
	return accepted, nil
}

// batchInTest makes a batch that no producer has sent. It is in the partition that its outcome names, or its first event.
func batchInTest(o Outcome, events []*Event) (*Batch, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := new(batch)
	for i, e := range events {
		w, key, err := encodeInTest(e)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		b.append(w.head, w.body, &extra{tag: e.Tag, expires: e.ExpiresAt, named: e.PartitionID != "" && key == ""}, time.Now())
	}
	if o.PartitionID == "" && len(events) > 0 {
		o.PartitionID = events[0].PartitionID
	}
	return &Batch{PartitionID: o.PartitionID, Outcome: o, Count: b.count, Bytes: b.bytes, batch: b, rehearsal: new(rehearsal)}, nil
}

// encodeInTest encodes an event, and refuses what Enqueue refuses of every event.
func encodeInTest(e *Event) (w wireEvent, key string, err error) {
	if e == nil {
		return w, "", invalid("the event is nil")
	}
	key = e.PartitionKey
	if e.AMQP != nil {
		if key, err = e.AMQP.key(key); err != nil {
			return w, "", err
		}
	}
	if err := e.checkRoute(key); err != nil {
		return w, "", err
	}
	return w, key, w.encode(e, key)
}
