package eventhubs

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// Package eventhubstest offers these functions. It cannot name their types.
func init() {
	testseam.Settle = func(delivery, outcome any) error { return delivery.(*Delivery).settleInTest(outcome.(Outcome)) }
	testseam.Accept = func(event any) (any, error) { return acceptInTest(event.(*Event)) }
	testseam.NewBatch = func(outcome, events any) (any, error) { return batchInTest(outcome.(Outcome), events.([]*Event)) }
	testseam.EnqueuedAgain = func(batch any) any { return batch.(*Batch).rehearsal.enqueuedAgain() }
	testseam.JournalOn = func(options, files any, segmentBytes int64) {
		o := options.(*JournalOptions)
		o.files, _ = files.(journal.Files)
		o.segmentBytes = segmentBytes
	}
}

// A rehearsal stands in for the producer of a batch that package eventhubstest has made. A nil
// rehearsal has no events.
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

// settleInTest settles a Delivery for a test, which has no producer.
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
		return errors.New("the Delivery already has an outcome: use one Delivery for each event")
	}
	d.settle(o)
	return nil
}

// check returns an error for an outcome that no producer reports. A test with it would prove
// nothing.
func (o Outcome) check() error {
	switch o.Storage {
	case Stored:
		if o.Err != nil {
			return fmt.Errorf("the outcome is stored and has the Err %q: leave Err nil", o.Err)
		}
	case NotStored, PossiblyStored:
		if o.Err == nil {
			return fmt.Errorf("the outcome is %v and has no Err: set one, since a nil Err says that the event is stored", o.Storage)
		}
	default:
		return fmt.Errorf("the outcome's Storage is %v: set Stored, NotStored or PossiblyStored", o.Storage)
	}
	return nil
}

// acceptInTest encodes an event, checks it as Enqueue does, and decodes it again. It needs no
// producer.
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
	accepted := decodeEvent(slices.Concat(w.head, w.body), e.PartitionID != "")
	accepted.PartitionID, accepted.PartitionKey, accepted.Tag, accepted.ExpiresAt = e.PartitionID, key, e.Tag, e.ExpiresAt
	return accepted, nil
}

// batchInTest makes a batch that no producer has sent. The batch is in the partition that the
// outcome names, or else in that of the first event.
func batchInTest(o Outcome, events []*Event) (*Batch, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := new(batch)
	for i, e := range events {
		w, _, err := encodeInTest(e)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		b.append(w.head, w.body, &extra{tag: e.Tag, expires: e.ExpiresAt, named: e.PartitionID != ""}, time.Now())
	}
	if o.PartitionID == "" && len(events) > 0 {
		o.PartitionID = events[0].PartitionID
	}
	return &Batch{PartitionID: o.PartitionID, Outcome: o, Count: b.count, Bytes: b.bytes, lent: &lent{batch: b}, rehearsal: new(rehearsal)}, nil
}

// encodeInTest encodes an event. It refuses every event that Enqueue always refuses.
func encodeInTest(e *Event) (w wireEvent, key string, err error) {
	if e == nil {
		return w, "", invalid("the event is nil")
	}
	if key, err = e.key(); err != nil {
		return w, "", err
	}
	if err := e.checkRoute(key); err != nil {
		return w, "", err
	}
	return w, key, w.encode(e, key)
}

// Package internal/trial tests producers over hubs without a connection.
func init() {
	testseam.NewProducer = func(namespace, name string, hub testseam.Hub, options any) (any, error) {
		o, err := new(options.(Options)).withDefaults()
		if err != nil {
			return nil, err
		}
		p, err := newProducer(namespace, name, seamHub{hub}, o)
		if err != nil {
			return nil, err
		}
		p.journal.begin()
		return p, nil
	}
}

// A seamHub is a test's hub, with links of this package's type.
type seamHub struct{ testseam.Hub }

func (h seamHub) Link(partitionID string) link { return h.Hub.Link(partitionID) }
