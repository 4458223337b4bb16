package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// Enqueue accepts an event for publishing. It returns nil as soon as the event is in the buffer.
// The outcome of the event is reported later, once. Any error means that the event was not accepted
// and will have no outcome.
//
// While the buffer is full Enqueue waits, first come first served, until there is room or ctx ends.
// The context bounds only that wait: once the event is accepted, cancelling it changes nothing.
// Enqueue never waits for the network. With [Options.Journal] it returns when the journal keeps the
// event; that wait for the disk does not end with ctx. An error that matches [ErrJournal] means that
// the event may be in the journal.
//
// The caller may change the event or use it again when Enqueue has returned. Events that one
// goroutine enqueues for one partition, by id or by key, keep their order. In a handler, pass the
// handler's context. Then Enqueue never waits, and fails with [ErrBufferFull] instead.
func (p *BufferedProducer) Enqueue(ctx context.Context, event *Event) error {
	return p.enqueue(ctx, event, nil, waits)
}

// TryEnqueue is Enqueue without the wait. While the buffer is full, or other callers wait for room,
// it fails with [ErrBufferFull]. With a handler's context it is the same as Enqueue.
// [BufferedProducer.EnqueueAll] has no form without the wait.
func (p *BufferedProducer) TryEnqueue(ctx context.Context, event *Event) error {
	if handlerScope(ctx, p.admission) != nil {
		return p.enqueue(ctx, event, nil, waits)
	}
	return p.enqueue(ctx, event, nil, never)
}

// Publish is Enqueue that also waits for the event's outcome. It returns the outcome and its error,
// which is nil if the event is stored. The event's batch does not linger, but other buffered events
// of the partition may share it. One caller that publishes event by event pays a round trip for
// each event. Many callers share the round trips.
//
// The outcome says what publishing the event again would do. After [NotStored] the event does not
// become a duplicate: it was refused, or has certainly failed. After [PossiblyStored] it may become
// one. [Pending] means that ctx ended after the event was accepted. The event may then still be
// stored, and the error matches [ErrPending]. Its outcome is reported to the handlers and the
// Delivery. With a handler's context Publish does nothing and returns [ErrInHandler].
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
	if outcome.Storage != Pending || errors.Is(err, ErrKept) {
		return outcome, err
	}
	outcome.PartitionID = partitionID
	outcome.Err = p.observer.health.longest(func(q *queue) bool {
		return q.holds(func(b *batch) bool { return slices.Contains(b.extras.deliveries, d) })
	}).with(fmt.Errorf("eventhubs: the event was accepted, and has %w: %w", ErrPending, contextError(ctx)))
	return outcome, outcome.Err
}

// A patience says whether a call waits for room, and whether its batch lingers.
type patience int

const (
	waits   patience = iota // Enqueue: the call waits, and the batch lingers
	never                   // TryEnqueue: the call fails instead, and the batch lingers
	urgent                  // Publish: the call waits, and the batch does not linger
	streams                 // EnqueueAll: the call waits for room, but not for the journal; the batch lingers
)

// enqueue enqueues an event. Its outcome goes to d, or to the event's own Delivery if d is nil.
func (p *BufferedProducer) enqueue(ctx context.Context, event *Event, d *Delivery, how patience) error {
	if event == nil {
		return invalid("the event is nil")
	}
	key, err := event.key()
	if err != nil {
		return err
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
	w.checkpoint = event.Checkpoint
	a := acceptance{to: to, part: part, how: how, x: extra{delivery: d, tag: event.Tag, expires: event.ExpiresAt, named: to.id != ""}}
	p.observer.parentOf(w, &a.x.parent)
	return p.accept(ctx, w, &a)
}

// enqueueAgain enqueues an encoded event that was in a batch of that partition.
func (p *BufferedProducer) enqueueAgain(ctx context.Context, encoded []byte, x extra, partitionID string) error {
	key := ""
	if !x.named {
		key = keyOf(encoded)
	}
	e := Event{ExpiresAt: x.expires}
	if key == "" {
		e.PartitionID = cmp.Or(partitionID, x.route.id) // a staged event still has its route
	}
	to, part, err := p.route(&e, key)
	if err != nil {
		return err
	}
	return p.accept(ctx, &wireEvent{head: encoded, numbered: p.options.EnableIdempotentRetries}, &acceptance{to: to, part: part, x: extra{tag: x.tag, expires: x.expires, named: x.named, parent: x.parent}})
}

// route checks where an event with that key goes, and whether it has expired. It returns the
// event's route, and its partition if that is decided already.
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
	if e.Checkpoint != nil && p.journal == nil {
		return to, nil, invalid("Event.Checkpoint is set without Options.Journal, which keeps it")
	}
	to = route{id: e.PartitionID, key: key}
	if t := p.directory.table.Load(); t != nil && !to.open() {
		part, err = p.directory.assign(t, to, 0)
	}
	return to, part, err
}

// checkRoute returns an error if the event names both an id and a key, or if the key is not valid.
func (e *Event) checkRoute(key string) error {
	if e.PartitionID != "" && key != "" {
		return invalid("Event.PartitionID %q and PartitionKey %q are both set: an event has one or the other", e.PartitionID, key)
	}
	if err := partitionkey.Check(key); err != nil {
		return invalid("Event.PartitionKey %v", err)
	}
	return nil
}

// expired returns the error for an event that is enqueued after its ExpiresAt.
func (e *Event) expired() error {
	return fmt.Errorf("eventhubs: %w: Event.ExpiresAt, %v, is past", ErrExpired, e.ExpiresAt)
}

// An acceptance says how accept handles an encoded event.
type acceptance struct {
	to   route
	part *partition // nil if it is not fixed yet
	x    extra
	how  patience
}

// accept takes the event into the buffer. It waits for room, unless a.how is never.
func (p *BufferedProducer) accept(ctx context.Context, w *wireEvent, a *acceptance) error {
	if p.journal != nil {
		return p.journal.accept(ctx, w, a)
	}
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

// place puts an admitted event into a batch of its partition, and returns that partition. While the
// partitions are not known, it puts the event into staging.
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
		part, err = p.directory.appendSticky(part, w, &a.x, r)
	} else {
		err = part.append(w, &a.x, a.how == urgent)
	}
	if anywhere && errors.Is(err, ErrPartitionStopped) {
		// The partition was stopped a moment ago. From now on the ring passes it over, unless all
		// partitions are stopped.
		part = p.admission.move(r)
		err = part.append(w, &a.x, a.how == urgent)
	}
	return part, err
}

// choose returns the partition of an event that got its room while the partitions were not known.
// It returns nil if there is an error, or if the event is staged.
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

// EnqueueAll enqueues the events of a source one after the other, as Enqueue does. It stops at the
// first event that is refused, and at the first error of the source. It does not enqueue the event
// that comes with such an error. It returns how many events were accepted, which is all of them if
// the error is nil. Accepted events are delivered whatever the error.
//
// The source may have more events than the buffer holds. They are not one batch. The source may
// yield the same *Event again and again, with other contents. Use EnqueueAll for sources that may
// fail, for example a file. Use [Events] to make a source of events in memory.
func (p *BufferedProducer) EnqueueAll(ctx context.Context, events iter.Seq2[*Event, error]) (accepted int, err error) {
	if events == nil {
		return 0, invalid("the source of the events is nil")
	}
	for event, err := range events {
		if err != nil {
			return accepted, p.keptAll(accepted, fmt.Errorf("eventhubs: the source of the events failed after %d events: %w", accepted, err))
		}
		if err := p.enqueue(ctx, event, nil, streams); err != nil {
			return accepted, p.keptAll(accepted, fmt.Errorf("event %d of the set: %w", accepted, err))
		}
		accepted++
	}
	return accepted, p.keptAll(accepted, nil)
}

// keptAll waits until the journal keeps what was added to it, since EnqueueAll does not wait for
// each event. It returns the error, if there is one, and joins its own.
func (p *BufferedProducer) keptAll(accepted int, err error) error {
	if p.journal == nil || accepted == 0 {
		return err
	}
	unkept := p.journal.await(journal.Position(p.journal.streamed.Load()))
	if err == nil || unkept == nil {
		return cmp.Or(err, unkept)
	}
	return errors.Join(err, unkept)
}

// Events returns a source for [BufferedProducer.EnqueueAll] that yields these events and no error.
func Events(events ...*Event) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for _, event := range events {
			if !yield(event, nil) {
				return
			}
		}
	}
}
