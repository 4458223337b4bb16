package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A BufferedProducer takes events one at a time and publishes them to an event hub in batches, in the background. Its methods may be
// called from any number of goroutines. It must be closed, or what is buffered is lost with the process.
type BufferedProducer struct {
	// Immutable after newBufferedProducer.
	namespace string
	hubName   string
	options   Options
	hub       hub
	admission *admission
	staging   *staging
	lifetime  context.Context // ends, with the reason as its cause, when even what is in flight is given up
	abort     context.CancelCauseFunc
	trying    context.Context // within lifetime: ends, with the reason as its cause, when no further try is to begin
	giveUp    context.CancelCauseFunc
	anywhere  *partition // ServiceAssigned: where events without id and key go; else nil

	table     atomic.Pointer[table] // nil until the partitions are known
	ring      atomic.Uint32         // of RoundRobin and Sticky
	closing   atomic.Bool           // set by Close, before it visits any queue
	openLinks atomic.Int32          // links that were opened
	occupied  atomic.Int32          // partitions that hold events
	onWire    atomic.Int32          // batches that a sender is delivering and is not resting with
	refreshAt atomic.Int64          // when the table is to be asked for again, in Unix nanoseconds; zero while there is none
	counts    counts
	health    health

	senders sync.WaitGroup // every goroutine that the producer starts: senders, discovery, refresh
	batches sync.Pool      // *batch, emptied
	wires   sync.Pool      // *wireEvent

	closed   chan struct{} // closed when the first Close has ended
	closeErr error         // its result, written before closed is closed
}

// NewBufferedProducer returns a producer for an event hub, which it reaches with an Azure identity. The namespace is its host
// name, such as "name.servicebus.windows.net". There is no network traffic before the first event. A nil *Options means the defaults.
func NewBufferedProducer(namespace, eventHub string, credential azcore.TokenCredential, options *Options) (*BufferedProducer, error) {
	e, err := endpointFromCredential(namespace, credential)
	if err != nil {
		return nil, err
	}
	return newConnectedProducer(e, eventHub, options)
}

// NewBufferedProducerFromConnectionString returns a producer for an event hub, which it reaches with a connection string as the portal
// shows it, or as the emulator prints it. The event hub is named in the string (EntityPath), by the argument, or by both alike.
// There is no network traffic before the first event. A nil *Options means the defaults.
func NewBufferedProducerFromConnectionString(connectionString, eventHub string, options *Options) (*BufferedProducer, error) {
	e, hubName, err := endpointFromConnectionString(connectionString, eventHub)
	if err != nil {
		return nil, err
	}
	return newConnectedProducer(e, hubName, options)
}

func newConnectedProducer(e endpoint, hubName string, options *Options) (*BufferedProducer, error) {
	if err := checkHub(hubName); err != nil {
		return nil, err
	}
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	c := o.Connection
	if c.Logger == nil {
		c.Logger = o.Logger
	}
	h := &remoteHub{conn: connection.New(e.config(c, o.Identifier, o.Trace)), own: true, name: hubName, identifier: o.Identifier}
	return newProducer(e.namespace, hubName, h, o), nil
}

// newProducer takes options that are complete.
func newProducer(namespace, hubName string, h hub, o Options) *BufferedProducer {
	p := &BufferedProducer{namespace: namespace, hubName: hubName, options: o, hub: h, closed: make(chan struct{})}
	p.admission = newAdmission(o.MaxBufferedEventCount, o.MaxBufferedBytes, p.press)
	p.staging = &staging{producer: p}
	p.health.producer = p
	p.lifetime, p.abort = context.WithCancelCause(context.Background())
	p.trying, p.giveUp = context.WithCancelCause(p.lifetime)
	if o.Partitioning == ServiceAssigned {
		p.anywhere = newPartition(p, "")
	}
	return p
}

// EnqueueOptions say where one event goes and how its outcome is told. A nil *EnqueueOptions and zero fields mean: to any
// partition, and the handlers are told.
type EnqueueOptions struct {
	// PartitionID sends the event to that partition of the hub.
	PartitionID string

	// PartitionKey sends the event to the partition that the service would choose for that key: all events with one key go
	// to one partition, as long as the hub has as many partitions as now. The key travels with the event. At most 128 characters. Give
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
	if err := w.encodeMessage(message, o.PartitionKey); err != nil {
		return err
	}
	return p.accept(ctx, w, acceptance{to: to, part: part, options: o, message: true})
}

// Publish is Enqueue and the wait for the event's outcome: it returns nil when the event is stored, else the outcome's error. The event's batch does not
// linger, but it is still a batch: what else is buffered for the partition travels along. One caller who publishes event by event
// pays a round trip for each; many callers share them.
//
// If ctx ends after the event was accepted, Publish stops waiting and says so; the event still gets its outcome, told to the handlers and the
// Delivery. In a handler, with its context, Publish does nothing and returns ErrInHandler.
func (p *BufferedProducer) Publish(ctx context.Context, event *azeventhubs.EventData, options *EnqueueOptions) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: Publish: %w", ErrInHandler)
	}
	var o EnqueueOptions
	if options != nil {
		o = *options
	}
	if o.Delivery == nil {
		o.Delivery = new(Delivery)
	}
	if err := p.enqueue(ctx, event, &o, urgent); err != nil {
		return err
	}
	select {
	case <-o.Delivery.Done():
		return o.Delivery.Err()
	case <-ctx.Done():
		return fmt.Errorf("eventhubs: the event was accepted, and its outcome is not known yet: %w", contextError(ctx))
	}
}

// A patience says what an event may be made to wait for.
type patience int

const (
	waits  patience = iota // for room, and in its batch for others
	never                  // for room: it is refused
	urgent                 // for room, but its batch leaves at once
)

func (p *BufferedProducer) enqueue(ctx context.Context, event *azeventhubs.EventData, options *EnqueueOptions, how patience) error {
	var o EnqueueOptions
	if options != nil {
		o = *options
	}
	if event == nil {
		return invalid("the event is nil")
	}
	to, part, err := p.route(&o)
	if err != nil {
		return err
	}
	event = p.traceEncoding(ctx, event)
	w := p.wire()
	defer p.release(w)
	if err := w.encode(event, o.PartitionKey); err != nil {
		return err
	}
	return p.accept(ctx, w, acceptance{to: to, part: part, options: o, how: how})
}

// enqueueAgain enqueues an event that is encoded already and was in a batch of that partition.
func (p *BufferedProducer) enqueueAgain(ctx context.Context, encoded []byte, x extra, partitionID string) error {
	o := EnqueueOptions{PartitionKey: keyOf(encoded), Tag: x.tag, ExpiresAt: x.expires}
	if o.PartitionKey == "" {
		o.PartitionID = partitionID
	}
	to, part, err := p.route(&o)
	if err != nil {
		return err
	}
	return p.accept(ctx, &wireEvent{head: encoded}, acceptance{to: to, part: part, options: o, message: x.message})
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
	if err := checkKey(o.PartitionKey); err != nil {
		return to, nil, err
	}
	to = route{id: o.PartitionID, key: o.PartitionKey}
	if t := p.table.Load(); t != nil && to != (route{}) {
		part, err = t.assign(to)
	}
	return to, part, err
}

// An acceptance is what accept is to do with an encoded event.
type acceptance struct {
	to      route
	part    *partition // nil if it is not fixed yet
	options EnqueueOptions
	how     patience
	message bool
}

// accept takes the event into the buffer, waiting for room if need be.
func (p *BufferedProducer) accept(ctx context.Context, w *wireEvent, a acceptance) error {
	delivery := a.options.Delivery
	if delivery != nil {
		if err := delivery.take(); err != nil {
			return err
		}
	}
	size := sectionSize(w.size())
	var err error
	if a.how == never {
		err = p.admission.try(a.part, size)
	} else {
		err = p.admission.enter(ctx, a.part, size)
	}
	if err == nil {
		x := extra{delivery: delivery, tag: a.options.Tag, expires: a.options.ExpiresAt, message: a.message}
		if a.part, err = p.place(w, a, x); err == nil {
			p.traceAccepted(ctx, a.part, a.to.key, size)
			return nil
		}
		p.admission.leave(1, size)
	}
	if delivery != nil {
		delivery.giveBack()
	}
	return err
}

// place puts an admitted event into a batch of its partition, which it returns, or into staging while the partitions are not known.
func (p *BufferedProducer) place(w *wireEvent, a acceptance, x extra) (part *partition, err error) {
	if part = a.part; part == nil {
		if part, err = p.choose(w, a, x); part == nil {
			return nil, err
		}
	}
	return part, part.append(w, x, a.how == urgent)
}

// choose returns the partition for an event whose partition is not fixed yet; nil if there is an error, or if the event is staged.
func (p *BufferedProducer) choose(w *wireEvent, a acceptance, x extra) (*partition, error) {
	if p.anywhere != nil && a.to == (route{}) {
		return p.anywhere, nil
	}
	t := p.table.Load()
	if t == nil {
		staged := x
		staged.route = a.to
		if err := p.staging.append(w, staged, a.how == urgent); !errors.Is(err, errOver) {
			return nil, err
		}
		t = p.table.Load()
	}
	return t.assign(a.to)
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

// Flush sends what is buffered, without waiting for batches to fill, and returns when every event that was accepted before the call has its outcome and
// the handlers that were told have returned. It neither holds up nor waits for later events; any number of calls may run at once. An
// Enqueue that is still waiting for room is not covered.
//
// The error is nil if everything covered is stored, and otherwise an *UndeliveredError. If ctx ends first, Flush only stops waiting.
// In a handler, with its context, it returns ErrInHandler.
func (p *BufferedProducer) Flush(ctx context.Context) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: Flush: %w", ErrInHandler)
	}
	if p.closing.Load() {
		return errClosed()
	}
	return p.cover().wait(ctx)
}

// cover puts a barrier behind everything that is buffered and has it sent.
func (p *BufferedProducer) cover() *barrier {
	r := newBarrier()
	p.staging.cover(r) // first: what leaves it afterwards goes to the partitions with its coverage
	for _, part := range p.partitions() {
		part.cover(r)
	}
	r.covered()
	return r
}

// partitions returns every partition there is or was. The slice must not be changed.
func (p *BufferedProducer) partitions() []*partition {
	if t := p.table.Load(); t != nil {
		return t.all
	}
	if p.anywhere != nil {
		return []*partition{p.anywhere}
	}
	return nil
}

// FlushPartition is Flush for one partition. It fails with ErrUnknownPartition for an id that the event hub does not have; while the partitions are not known
// it waits for everything that has no partition yet.
func (p *BufferedProducer) FlushPartition(ctx context.Context, partitionID string) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: FlushPartition: %w", ErrInHandler)
	}
	if p.closing.Load() {
		return errClosed()
	}
	r := newBarrier()
	p.staging.cover(r)
	if t := p.table.Load(); t != nil {
		part, err := t.find(partitionID)
		if err != nil {
			return err
		}
		part.cover(r)
	}
	r.covered()
	return r.wait(ctx)
}

// Clear takes everything that is buffered and not in flight out of the buffer, and returns how many events that were. Their room is free at once. They fail
// with ErrCleared: each partition's handler is told of them in its turn, by the partition's sender. Clear does not wait for that, and
// may be called from a handler.
func (p *BufferedProducer) Clear() int {
	if p.closing.Load() {
		return 0
	}
	return p.clear(fmt.Errorf("eventhubs: %w", ErrCleared))
}

// ClearPartition is Clear for one partition. It fails with ErrUnknownPartition for an id that the event hub does not have, or while the partitions are
// not known.
func (p *BufferedProducer) ClearPartition(partitionID string) (int, error) {
	if p.closing.Load() {
		return 0, errClosed()
	}
	part, err := p.find(partitionID)
	if err != nil {
		return 0, err
	}
	return part.clear(fmt.Errorf("eventhubs: %w", ErrCleared)), nil
}

// clear ends everything that is not in flight with that error.
func (p *BufferedProducer) clear(err error) (events int) {
	events = p.staging.clear(err)
	for _, part := range p.partitions() {
		events += part.clear(err)
	}
	return events
}

// find returns a partition by its id, if the partitions are known.
func (p *BufferedProducer) find(partitionID string) (*partition, error) {
	t := p.table.Load()
	if t == nil {
		return nil, fmt.Errorf("eventhubs: %w: the partitions of the event hub are not known yet; call Connect first", ErrUnknownPartition)
	}
	return t.find(partitionID)
}

// PartitionForKey returns the id of the partition that events with that key go to, for FlushPartition and ClearPartition. It asks the service for the
// partitions if they are not known yet. The answer holds as long as the event hub has as many partitions.
func (p *BufferedProducer) PartitionForKey(ctx context.Context, key string) (partitionID string, err error) {
	if key == "" {
		return "", invalid("the key is empty")
	}
	if err := checkKey(key); err != nil {
		return "", err
	}
	if p.table.Load() == nil {
		if err := p.Connect(ctx, nil); err != nil {
			return "", err
		}
	}
	part, err := p.table.Load().assign(route{key: key})
	if err != nil {
		return "", err
	}
	return part.id, nil
}

// Resume lets a partition take events again that StopPartitionOnFailure has stopped.
func (p *BufferedProducer) Resume(partitionID string) error {
	part, err := p.find(partitionID)
	if err != nil {
		return err
	}
	part.resume()
	return nil
}

func errClosed() error { return fmt.Errorf("eventhubs: %w", ErrClosed) }

// BufferedEventCount returns how many events were accepted and have no outcome yet.
func (p *BufferedProducer) BufferedEventCount() int {
	events, _ := p.admission.count()
	return events
}

// PartitionBufferedEventCount is BufferedEventCount for one partition: 0 for an unknown id. Events that were accepted before
// the hub's partitions are known count in the total only.
func (p *BufferedProducer) PartitionBufferedEventCount(partitionID string) int {
	t := p.table.Load()
	if t == nil || t.byID[partitionID] == nil {
		return 0
	}
	return int(t.byID[partitionID].held.Load())
}

// IsClosed reports whether Close or Abandon was called.
func (p *BufferedProducer) IsClosed() bool { return p.closing.Load() }

// FullyQualifiedNamespace returns the host name of the namespace, with the port if one was given.
func (p *BufferedProducer) FullyQualifiedNamespace() string { return p.namespace }

// EventHubName returns the name of the event hub.
func (p *BufferedProducer) EventHubName() string { return p.hubName }

// Identifier returns the name of this producer on the wire and in logs.
func (p *BufferedProducer) Identifier() string { return p.options.Identifier }

// EventHubProperties asks the service about the event hub. It does not retry.
func (p *BufferedProducer) EventHubProperties(ctx context.Context) (azeventhubs.EventHubProperties, error) {
	if p.closing.Load() {
		return azeventhubs.EventHubProperties{}, errClosed()
	}
	properties, err := p.hub.Properties(ctx)
	if err != nil {
		return azeventhubs.EventHubProperties{}, failure(err, "", 1)
	}
	return properties, nil
}

func (p *BufferedProducer) newBatch() *batch {
	if b, ok := p.batches.Get().(*batch); ok {
		return b
	}
	return new(batch)
}

// recycle takes back a batch of which everybody was told.
func (p *BufferedProducer) recycle(b *batch) {
	b.reset()
	p.batches.Put(b)
}

func (p *BufferedProducer) wire() *wireEvent {
	if w, ok := p.wires.Get().(*wireEvent); ok {
		return w
	}
	return new(wireEvent)
}

func (p *BufferedProducer) release(w *wireEvent) {
	w.release()
	p.wires.Put(w)
}

// PartitionProperties asks the service about one partition. It does not retry.
func (p *BufferedProducer) PartitionProperties(ctx context.Context, partitionID string) (azeventhubs.PartitionProperties, error) {
	if p.closing.Load() {
		return azeventhubs.PartitionProperties{}, errClosed()
	}
	properties, err := p.hub.PartitionProperties(ctx, partitionID)
	if err != nil {
		return azeventhubs.PartitionProperties{}, failure(err, partitionID, 1)
	}
	return properties, nil
}
