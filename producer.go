package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
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
	lifetime  context.Context // ends, with the reason as its cause, when nothing more is to be sent
	abort     context.CancelCauseFunc

	table     atomic.Pointer[table] // nil until the partitions are known
	ring      atomic.Uint32         // of table.roundRobin
	closing   atomic.Bool           // set by Close, before it visits any queue
	openLinks atomic.Int32          // links that were opened
	occupied  atomic.Int32          // partitions that hold events
	onWire    atomic.Int32          // batches that a sender is delivering and is not resting with

	senders sync.WaitGroup // every goroutine that the producer starts: senders and discovery
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
	return newProducer(e.namespace, hubName, e.connect(hubName, &o), o), nil
}

// newProducer takes options that are complete.
func newProducer(namespace, hubName string, h hub, o Options) *BufferedProducer {
	p := &BufferedProducer{namespace: namespace, hubName: hubName, options: o, hub: h, closed: make(chan struct{})}
	p.admission = newAdmission(o.MaxBufferedEventCount, o.MaxBufferedBytes, p.press)
	p.staging = &staging{producer: p}
	p.lifetime, p.abort = context.WithCancelCause(context.Background())
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
	var o EnqueueOptions
	if options != nil {
		o = *options
	}
	switch {
	case p.closing.Load():
		return errClosed()
	case event == nil:
		return invalid("the event is nil")
	case o.PartitionID != "" && o.PartitionKey != "":
		return invalid("EnqueueOptions.PartitionID %q and PartitionKey %q are both set: an event has one or the other", o.PartitionID, o.PartitionKey)
	}
	if err := checkKey(o.PartitionKey); err != nil {
		return err
	}
	to := route{id: o.PartitionID, key: o.PartitionKey}
	if t := p.table.Load(); t != nil && to.id != "" {
		if _, err := t.assign(to); err != nil {
			return err
		}
	}
	w := p.wire()
	defer p.release(w)
	if err := w.encode(event, o.PartitionKey); err != nil {
		return err
	}
	return p.accept(ctx, w, to, o)
}

// accept takes the event into the buffer, waiting for room if need be.
func (p *BufferedProducer) accept(ctx context.Context, w *wireEvent, to route, o EnqueueOptions) error {
	if o.Delivery != nil {
		if err := o.Delivery.take(); err != nil {
			return err
		}
	}
	size := sectionSize(w.size())
	err := p.admission.enter(ctx, size)
	if err == nil {
		if err = p.place(w, to, extra{delivery: o.Delivery, tag: o.Tag}); err == nil {
			return nil
		}
		p.admission.leave(1, size)
	}
	if o.Delivery != nil {
		o.Delivery.giveBack()
	}
	return err
}

// place puts an admitted event into a batch of its partition, or into staging while the partitions are not known.
func (p *BufferedProducer) place(w *wireEvent, to route, x extra) error {
	t := p.table.Load()
	if t == nil {
		staged := x
		staged.route = to
		if err := p.staging.append(w, staged); !errors.Is(err, errOver) {
			return err
		}
		t = p.table.Load()
	}
	part, err := t.assign(to)
	if err != nil {
		return err
	}
	return part.append(w, x)
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
	if t := p.table.Load(); t != nil {
		for _, part := range t.partitions {
			part.cover(r)
		}
	}
	r.covered()
	return r
}

func errClosed() error { return fmt.Errorf("eventhubs: %w", ErrClosed) }

// BufferedEventCount returns how many events were accepted and have no outcome yet.
func (p *BufferedProducer) BufferedEventCount() int { return p.admission.count() }

// PartitionBufferedEventCount is BufferedEventCount for one partition: 0 for an unknown id. Events that were accepted before
// the hub's partitions are known count in the total only.
func (p *BufferedProducer) PartitionBufferedEventCount(partitionID string) int {
	t := p.table.Load()
	if t == nil || t.byID[partitionID] == nil {
		return 0
	}
	return int(t.byID[partitionID].held.Load())
}

// IsClosed reports whether Close was called.
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
