package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// Enqueue accepts an event for publishing. It returns nil as soon as the event is in the buffer; its outcome is told later, once. Any error means that the
// event was not accepted and will have no outcome.
//
// While the buffer is full Enqueue waits, first come first served, until there is room or ctx ends. That wait is all that ctx bounds:
// afterwards cancelling it changes nothing. Enqueue never waits for the network.
//
// The event may be changed or used again when Enqueue has returned. Events from one goroutine to one partition, be it by id or
// by key, keep their order. In a handler, pass the handler's context: then Enqueue never waits, and fails with [ErrBufferFull].
func (p *BufferedProducer) Enqueue(ctx context.Context, event *Event) error {
	return p.enqueue(ctx, event, nil, waits)
}

// TryEnqueue is Enqueue without the wait: while the buffer is full, or others wait for room, it fails with [ErrBufferFull]. In a handler, with its context, it is
// Enqueue. There is no such form for sets, which would have to tell how much of one was accepted.
func (p *BufferedProducer) TryEnqueue(ctx context.Context, event *Event) error {
	if handlerScope(ctx, p.admission) != nil {
		return p.enqueue(ctx, event, nil, waits)
	}
	return p.enqueue(ctx, event, nil, never)
}

// Publish is Enqueue and the wait for the event's outcome, which it returns with its error: nil if the event is stored. The event's batch does not
// linger, but it is still a batch: what else is buffered for the partition travels along. One caller who publishes event by event
// pays a round trip for each; many callers share them.
//
// The outcome says what another Publish of the event would do. [NotStored]: it was refused, or has failed for certain, and does not become a duplicate. [PossiblyStored]: it may. [Pending]:
// ctx has ended after the event was accepted. It still gets its outcome, told to the handlers and the
// Delivery, and may be stored; the error matches [ErrPending]. In a handler, with its context, Publish does nothing and returns [ErrInHandler].
func (p *BufferedProducer) Publish(ctx context.Context, event *Event) (Outcome, error) {
	var d *Delivery
	partitionID := ""
	if event != nil {
		d, partitionID = event.Delivery, event.PartitionID
	}
	refused := func(err error) (Outcome, error) {
		return Outcome{Err: err, Storage: NotStored, PartitionID: partitionID}, err
	}
	if handlerScope(ctx, p.admission) != nil {
		return refused(fmt.Errorf("eventhubs: Publish: %w", ErrInHandler))
	}
	if d == nil {
		d = new(Delivery)
	}
	if err := p.enqueue(ctx, event, d, urgent); err != nil {
		return refused(err)
	}
	outcome, err := d.Wait(ctx)
	if outcome.Storage != Pending {
		return outcome, err
	}
	outcome.PartitionID = partitionID
	outcome.Err = p.observer.health.longest(func(q *queue) bool {
		return q.holds(func(b *batch) bool { return slices.Contains(b.extras.deliveries, d) })
	}).with(fmt.Errorf("eventhubs: the event was accepted, and has %w: %w", ErrPending, contextError(ctx)))
	return outcome, outcome.Err
}

// A patience says what an event may be made to wait for.
type patience int

const (
	waits  patience = iota // for room, and in its batch for others
	never                  // for room: it is refused
	urgent                 // for room, but its batch leaves at once
)

// enqueue enqueues an event, and has its outcome told to that Delivery, or to the event's own if that is nil.
func (p *BufferedProducer) enqueue(ctx context.Context, event *Event, d *Delivery, how patience) error {
	if event == nil {
		return invalid("the event is nil")
	}
	key := event.PartitionKey
	if event.AMQP != nil {
		carried, err := event.AMQP.key(key)
		if err != nil {
			return err
		}
		key = carried
	}
	to, part, err := p.route(event, key)
	if err != nil {
		return err
	}
	w := newWireEvent(p.options.EnableIdempotentRetries)
	defer w.release()
	p.observer.encoding(ctx, w, event.Properties)
	if err := w.encode(event, key); err != nil {
		return err
	}
	if d == nil {
		d = event.Delivery
	}
	return p.accept(ctx, w, &acceptance{to: to, part: part, how: how, x: extra{delivery: d, tag: event.Tag, expires: event.ExpiresAt, named: to.id != ""}})
}

// enqueueAgain enqueues an event that is encoded already and was in a batch of that partition.
func (p *BufferedProducer) enqueueAgain(ctx context.Context, encoded []byte, x extra, partitionID string) error {
	key := keyOf(encoded)
	e := Event{ExpiresAt: x.expires}
	if key == "" {
		e.PartitionID = cmp.Or(partitionID, x.route.id) // a staged event still has its route
	}
	to, part, err := p.route(&e, key)
	if err != nil {
		return err
	}
	return p.accept(ctx, &wireEvent{head: encoded}, &acceptance{to: to, part: part, x: extra{tag: x.tag, expires: x.expires, named: x.named}})
}

// route checks where an event with that key is to go, and when it expires, and returns its route, and its partition as far as that is fixed already.
func (p *BufferedProducer) route(e *Event, key string) (to route, part *partition, err error) {
	if p.lifetime.closing.Load() {
		return to, nil, errClosed()
	}
	if !e.ExpiresAt.IsZero() && !time.Now().Before(e.ExpiresAt) {
		return to, nil, e.expired()
	}
	if err := e.checkRoute(key); err != nil {
		return to, nil, err
	}
	to = route{id: e.PartitionID, key: key}
	if t := p.directory.table.Load(); t != nil && !to.open() {
		part, err = p.directory.assign(t, to, 0)
	}
	return to, part, err
}

// checkRoute says what is wrong with where an event with that key is to go.
func (e *Event) checkRoute(key string) error {
	if e.PartitionID != "" && key != "" {
		return invalid("Event.PartitionID %q and PartitionKey %q are both set: an event has one or the other", e.PartitionID, key)
	}
	if err := partitionkey.Check(key); err != nil {
		return invalid("Event.PartitionKey %v", err)
	}
	return nil
}

// expired is the error for an event that is enqueued too late.
func (e *Event) expired() error {
	return fmt.Errorf("eventhubs: %w: Event.ExpiresAt, %v, is past", ErrExpired, e.ExpiresAt)
}

// An acceptance is what accept is to do with an encoded event.
type acceptance struct {
	to   route
	part *partition // nil if it is not fixed yet
	x    extra
	how  patience
}

// accept takes the event into the buffer, waiting for room if need be.
func (p *BufferedProducer) accept(ctx context.Context, w *wireEvent, a *acceptance) error {
	if d := a.x.delivery; d != nil {
		if err := d.take(); err != nil {
			return err
		}
	}
	size := sectionSize(w.size())
	want := wish{partition: a.part, anywhere: a.to.open(), bytes: size}
	var r room
	var err error
	if a.how == never {
		r, err = p.admission.try(ctx, want)
	} else {
		r, err = p.admission.enter(ctx, want)
	}
	if err == nil {
		var part *partition
		if part, err = p.place(w, a, &r); err == nil {
			p.observer.accepted(ctx, part, a.to.key, size)
			return nil
		}
		p.admission.giveBack(r)
	}
	if d := a.x.delivery; d != nil {
		d.giveBack()
	}
	return err
}

// place puts an admitted event into a batch of its partition, which it returns, or into staging while the partitions are not known.
func (p *BufferedProducer) place(w *wireEvent, a *acceptance, r *room) (part *partition, err error) {
	if r.share == nil {
		if part, err = p.choose(w, a); part == nil {
			return nil, err
		}
		r.share = part.share
		p.admission.charge(r.share, 1, r.bytes)
	}
	part = r.share.partition
	anywhere := a.to.open()
	if anywhere && p.options.Partitioning == Sticky && a.how != urgent {
		part, err = p.directory.fill(part, w, &a.x, r)
	} else {
		err = part.append(w, &a.x, a.how == urgent)
	}
	if anywhere && errors.Is(err, ErrPartitionStopped) {
		// It was stopped a moment ago. The ring passes it over from now on, and comes back only if all are stopped.
		part = p.admission.move(r)
		err = part.append(w, &a.x, a.how == urgent)
	}
	return part, err
}

// choose returns the partition of an event that got its room while the partitions were not known; nil if there is an error, or if the event is staged.
func (p *BufferedProducer) choose(w *wireEvent, a *acceptance) (*partition, error) {
	if !p.directory.known() {
		staged := a.x
		staged.route = a.to
		if err := p.directory.staging.append(w, &staged, a.how == urgent); !errors.Is(err, errOver) {
			return nil, err
		}
	}
	return p.directory.assignGuarded(p.directory.table.Load(), a.to, sectionSize(w.size()))
}

// EnqueueAll enqueues events one after the other, as Enqueue does, until there are no more, or one is refused, or the source yields an error: then that is what has ended it,
// and the event beside it is left out. It returns how many were accepted, which is all of them if the error is nil; those keep being delivered whatever the error.
// There may be more of them than the buffer holds; they are not one batch. The source may yield the same *Event again and again, with other contents.
//
// It is for sources that may fail, such as a file that is read. [Events] is one for events that are there.
func (p *BufferedProducer) EnqueueAll(ctx context.Context, events iter.Seq2[*Event, error]) (accepted int, err error) {
	if events == nil {
		return 0, invalid("the source of the events is nil")
	}
	for event, err := range events {
		if err != nil {
			return accepted, fmt.Errorf("eventhubs: the source of the events has failed after %d: %w", accepted, err)
		}
		if err := p.Enqueue(ctx, event); err != nil {
			return accepted, fmt.Errorf("event %d of the set: %w", accepted, err)
		}
		accepted++
	}
	return accepted, nil
}

// Events yields events that are there, for [BufferedProducer.EnqueueAll].
func Events(events ...*Event) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for _, event := range events {
			if !yield(event, nil) {
				return
			}
		}
	}
}
