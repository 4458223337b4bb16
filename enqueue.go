package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// EnqueueOptions say where one event goes and how its outcome is told. A nil *EnqueueOptions and zero fields mean: to any
// partition, and the handlers are told.
type EnqueueOptions struct {
	// PartitionID sends the event to that partition of the hub.
	PartitionID string

	// PartitionKey sends the event to the partition that the service would choose for that key: all events with one key go
	// to one partition, as long as the hub has as many partitions as now. The key travels with the event. It is valid UTF-8 of at most 128
	// characters, counted as .NET, Java and JavaScript do: one beyond U+FFFF, such as an emoji, counts twice. Give
	// neither key nor id unless events belong together: spread over all partitions they arrive fastest.
	PartitionKey string

	// ExpiresAt, if set, is when the event is of no more use: if no try to send it has begun by then, it fails with ErrExpired. An event that
	// is already on its way is not affected.
	ExpiresAt time.Time

	// Delivery, if set, is told the outcome of this event. It serves one event.
	Delivery *Delivery

	// Tag is handed back with the event, by Batch.Events.
	Tag any
}

// Enqueue accepts an event for publishing. It returns nil as soon as the event is in the buffer; its outcome is told later, once. Any error means that the
// event was not accepted and will have no outcome.
//
// While the buffer is full Enqueue waits, first come first served, until there is room or ctx ends. That wait is all that ctx bounds:
// afterwards cancelling it changes nothing. Enqueue never waits for the network.
//
// A property may be a bool, a number, a string, a []byte, a time.Time, a UUID ([16]byte), nil, a map, slice or pointer of these, or whatever azeventhubs has received as
// one. Other Go types are refused by name. An event without a body has an empty one: use EnqueueMessage for none.
//
// The event may be changed or used again when Enqueue has returned. Events from one goroutine to one partition, be it by id or
// by key, keep their order. In a handler, pass the handler's context: then Enqueue never waits, and fails with ErrBufferFull.
func (p *BufferedProducer) Enqueue(ctx context.Context, event *azeventhubs.EventData, options *EnqueueOptions) error {
	return p.enqueue(ctx, event, options, waits)
}

// TryEnqueue is Enqueue without the wait: while the buffer is full, or others wait for room, it fails with ErrBufferFull. There is no such form for sets, which
// would have to tell how much of one was accepted.
func (p *BufferedProducer) TryEnqueue(event *azeventhubs.EventData, options *EnqueueOptions) error {
	return p.enqueue(context.Background(), event, options, never)
}

// EnqueueMessage is Enqueue for an AMQP message, with all its sections and any body: data, value or sequence. A partition key in its message annotations
// counts as EnqueueOptions.PartitionKey, which must be the same if there are both.
//
// It takes what azeventhubs has received, ReceivedEventData.RawAMQPMessage, and the hub stores each section as it was. The annotations that the service had put on
// the received event (x-opt-sequence-number, x-opt-offset, x-opt-enqueued-time), and the numbers of the producer that had sent it, are left out.
//
// A message without a body stays without one. A nil in Body.Data is a section of data that is null, as JavaScript's client sends it; an empty one is not nil.
// For a value that is null, Body.Value is Null{}. A tombstone for a compacted hub is a key and no body, or a null one; which of these the service takes
// for one is not known, see docs/wire.md.
//
// What AMQP forbids is refused with ErrInvalidArgument, whose text names the field, the key and the Go type.
func (p *BufferedProducer) EnqueueMessage(ctx context.Context, message *azeventhubs.AMQPAnnotatedMessage, options *EnqueueOptions) error {
	var o EnqueueOptions
	if options != nil {
		o = *options
	}
	if message == nil {
		return invalid("the message is nil")
	}
	if err := keyOfMessage(message, &o); err != nil {
		return err
	}
	to, part, err := p.route(&o)
	if err != nil {
		return err
	}
	w := p.wire()
	defer p.release(w)
	p.traceEncoding(ctx, w, message.ApplicationProperties)
	if err := w.encodeMessage(message, o.PartitionKey); err != nil {
		return err
	}
	return p.accept(ctx, w, &acceptance{to: to, part: part, x: o.extra(true)})
}

// Publish is Enqueue and the wait for the event's outcome, which it returns with its error: nil if the event is stored. The event's batch does not
// linger, but it is still a batch: what else is buffered for the partition travels along. One caller who publishes event by event
// pays a round trip for each; many callers share them.
//
// The outcome says what another Publish of the event would do. [NotStored]: it was refused, or has failed for certain, and does not become a duplicate. [PossiblyStored]: it may. [Pending]:
// ctx has ended after the event was accepted. It still gets its outcome, told to the handlers and the
// Delivery, and may be stored; the error matches [ErrPending]. In a handler, with its context, Publish does nothing and returns ErrInHandler.
func (p *BufferedProducer) Publish(ctx context.Context, event *azeventhubs.EventData, options *EnqueueOptions) (Outcome, error) {
	var o EnqueueOptions
	if options != nil {
		o = *options
	}
	refused := func(err error) (Outcome, error) {
		return Outcome{Err: err, Storage: NotStored, PartitionID: o.PartitionID}, err
	}
	if handlerScope(ctx, p.admission) != nil {
		return refused(fmt.Errorf("eventhubs: Publish: %w", ErrInHandler))
	}
	if o.Delivery == nil {
		o.Delivery = new(Delivery)
	}
	if err := p.enqueue(ctx, event, &o, urgent); err != nil {
		return refused(err)
	}
	outcome, err := o.Delivery.Wait(ctx)
	if outcome.Storage != Pending {
		return outcome, err
	}
	outcome.PartitionID = o.PartitionID
	outcome.Err = p.health.longest(func(q *queue) bool {
		return q.holds(func(b *batch) bool { return slices.Contains(b.extras.deliveries, o.Delivery) })
	}).with(fmt.Errorf("eventhubs: the event was accepted, and has %w: %w", ErrPending, contextError(ctx)))
	return outcome, outcome.Err
}

// noOptions are what nil stands for; nobody writes them.
var noOptions EnqueueOptions

// A patience says what an event may be made to wait for.
type patience int

const (
	waits  patience = iota // for room, and in its batch for others
	never                  // for room: it is refused
	urgent                 // for room, but its batch leaves at once
)

func (p *BufferedProducer) enqueue(ctx context.Context, event *azeventhubs.EventData, options *EnqueueOptions, how patience) error {
	o := options
	if o == nil {
		o = &noOptions
	}
	if event == nil {
		return invalid("the event is nil")
	}
	to, part, err := p.route(o)
	if err != nil {
		return err
	}
	w := p.wire()
	defer p.release(w)
	p.traceEncoding(ctx, w, event.Properties)
	if err := w.encode(event, o.PartitionKey); err != nil {
		return err
	}
	return p.accept(ctx, w, &acceptance{to: to, part: part, x: o.extra(false), how: how})
}

// enqueueAgain enqueues an event that is encoded already and was in a batch of that partition.
func (p *BufferedProducer) enqueueAgain(ctx context.Context, encoded []byte, x extra, partitionID string) error {
	o := EnqueueOptions{PartitionKey: keyOf(encoded), Tag: x.tag, ExpiresAt: x.expires}
	if o.PartitionKey == "" {
		o.PartitionID = cmp.Or(partitionID, x.route.id) // a staged event still has its route
	}
	to, part, err := p.route(&o)
	if err != nil {
		return err
	}
	return p.accept(ctx, &wireEvent{head: encoded}, &acceptance{to: to, part: part, x: o.extra(x.message)})
}

// route checks the options and returns the event's route, and its partition as far as that is fixed already.
func (p *BufferedProducer) route(o *EnqueueOptions) (to route, part *partition, err error) {
	switch {
	case p.closing.Load():
		return to, nil, errClosed()
	case o.PartitionID != "" && o.PartitionKey != "":
		return to, nil, invalid("EnqueueOptions.PartitionID %q and PartitionKey %q are both set: an event has one or the other", o.PartitionID, o.PartitionKey)
	case !o.ExpiresAt.IsZero() && !time.Now().Before(o.ExpiresAt):
		return to, nil, fmt.Errorf("eventhubs: %w: EnqueueOptions.ExpiresAt, %v, is past", ErrExpired, o.ExpiresAt)
	}
	if err := partitionkey.Check(o.PartitionKey); err != nil {
		return to, nil, invalid("EnqueueOptions.PartitionKey %v", err)
	}
	to = route{id: o.PartitionID, key: o.PartitionKey}
	if t := p.table.Load(); t != nil && !to.open() {
		part, err = t.assign(to, 0)
	}
	return to, part, err
}

// extra returns what of the options stays with the event.
func (o *EnqueueOptions) extra(message bool) extra {
	return extra{delivery: o.Delivery, tag: o.Tag, expires: o.ExpiresAt, message: message}
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
		r, err = p.admission.try(want)
	} else {
		r, err = p.admission.enter(ctx, want)
	}
	if err == nil {
		var part *partition
		if part, err = p.place(w, a, &r); err == nil {
			p.traceAccepted(ctx, part, a.to.key, size)
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
		part = p.table.Load().stickyFor(part, r.bytes, true, func() *partition { return p.admission.move(r) })
	}
	err = part.append(w, &a.x, a.how == urgent)
	if anywhere && errors.Is(err, ErrPartitionStopped) {
		// It was stopped a moment ago. The ring passes it over from now on, and comes back only if all are.
		part = p.admission.move(r)
		err = part.append(w, &a.x, a.how == urgent)
	}
	return part, err
}

// choose returns the partition for an event that got its room while the partitions were not known; nil if there is an error, or if the event is staged.
func (p *BufferedProducer) choose(w *wireEvent, a *acceptance) (*partition, error) {
	t := p.table.Load()
	if t == nil {
		staged := a.x
		staged.route = a.to
		if err := p.staging.append(w, &staged, a.how == urgent); !errors.Is(err, errOver) {
			return nil, err
		}
		t = p.table.Load()
	}
	return t.assignHere(a.to, sectionSize(w.size()))
}

// EnqueueAll enqueues events one after the other, as Enqueue would with the same options. It returns how many were accepted, which is all of them if the
// error is nil; those keep being delivered whatever the error. There may be more of them than the buffer holds; they are neither one batch nor, without id
// or key, for one partition. Options with a Delivery are refused, since it serves one event.
func (p *BufferedProducer) EnqueueAll(ctx context.Context, events iter.Seq[*azeventhubs.EventData], options *EnqueueOptions) (accepted int, err error) {
	if options != nil && options.Delivery != nil {
		return 0, invalid("EnqueueOptions.Delivery serves one event: enqueue the events one by one")
	}
	for event := range events {
		if err := p.Enqueue(ctx, event, options); err != nil {
			return accepted, fmt.Errorf("event %d of the set: %w", accepted, err)
		}
		accepted++
	}
	return accepted, nil
}
