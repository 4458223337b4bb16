package eventhubs

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A cacheLine keeps what each Enqueue writes apart from what each Enqueue reads: on another processor a read of a line that was just written is slow.
type cacheLine [64]byte

// A BufferedProducer takes events one at a time and publishes them to an event hub in batches, in the background. Its methods may be
// called from any number of goroutines. It must be closed, or what is buffered is lost with the process.
type BufferedProducer struct {
	// Immutable after newBufferedProducer.
	namespace string
	hubName   string
	options   Options
	hub       hub
	logger    *slog.Logger // discards if there is none; see unheard
	admission *admission
	staging   *staging
	lifetime  context.Context // ends, with the reason as its cause, when even what is in flight is given up
	abort     context.CancelCauseFunc
	trying    context.Context // within lifetime: ends, with the reason as its cause, when no further try is to begin
	giveUp    context.CancelCauseFunc
	anywhere  *partition // ServiceAssigned: where events without id and key go; else nil

	table     atomic.Pointer[table] // nil until the partitions are known
	closing   atomic.Bool           // set by Close, before it visits any queue
	openLinks atomic.Int32          // links that were opened
	questions atomic.Uint64         // how often the service was asked for the partitions
	asking    atomic.Bool           // a refresh of the table is under way
	askedAt   atomic.Int64          // when the latest one began, in Unix nanoseconds
	refreshAt atomic.Int64          // when the table is to be asked for again, in Unix nanoseconds; zero while there is none
	counts    counts
	health    health
	batchIDs  atomic.Uint64 // how many batches were given one
	turns     turns
	watch     *watch // immutable

	_    cacheLine
	ring atomic.Uint32 // of RoundRobin and Sticky
	_    cacheLine

	ready   chan readyBatch // to senders without work, who wait for it; unbuffered
	idle    atomic.Int32    // senders that wait for it, and those that are about to see that enough do
	senders sync.WaitGroup  // every goroutine that the producer starts: senders, discovery, refresh
	batches sync.Pool       // *batch, emptied
	wires   sync.Pool       // *wireEvent

	closed   chan struct{} // closed when the first Close has ended
	closeErr error         // its result, written before closed is closed
}

// NewBufferedProducer returns a producer for an event hub, which it reaches with an Azure identity. The fully qualified namespace is its host
// name, such as "name.servicebus.windows.net", in any case; a bare name is refused. There is no network traffic before the first event. A nil *Options means the defaults.
func NewBufferedProducer(fullyQualifiedNamespace, eventHub string, credential azcore.TokenCredential, options *Options) (*BufferedProducer, error) {
	e, err := endpointFromCredential(fullyQualifiedNamespace, credential)
	if err != nil {
		return nil, err
	}
	return newConnectedProducer(e, eventHub, options)
}

// NewBufferedProducerFromConnectionString returns a producer for an event hub, which it reaches with a connection string as the portal
// shows it, as the emulator prints it, or as a file or a secret store delivers either: see "Connections" above. The event hub is named in the string
// (EntityPath), by the argument, or by both alike, whatever the case. What can never work is refused, with [ErrInvalidArgument] and the reason, which shows no secret.
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
	if err := e.check(c); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = o.Logger
	}
	var p *BufferedProducer // of which the connection tells; nothing connects before it is there
	cfg := e.config(c, o.Identifier)
	cfg.Connected, cfg.Disconnected = func() { p.connected() }, func(err error) { p.disconnected(err) }
	h := &remoteHub{conn: connection.New(cfg), own: true, name: hubName, identifier: o.Identifier, idempotent: o.EnableIdempotentRetries}
	p = newProducer(e.namespace, hubName, h, o)
	p.traceCreated()
	return p, nil
}

// newProducer takes options that are complete.
func newProducer(namespace, hubName string, h hub, o Options) *BufferedProducer {
	p := &BufferedProducer{namespace: namespace, hubName: hubName, options: o, hub: h, logger: o.Logger, ready: make(chan readyBatch), closed: make(chan struct{})}
	if p.logger == nil {
		p.logger = slog.New(slog.DiscardHandler)
	}
	p.admission = newAdmission(o.MaxBufferedEvents, o.MaxBufferedBytes, p.pick, p.press)
	p.admission.hindrance = p.health.hindrance
	p.watch = newWatch(p.quietChanged)
	p.staging = &staging{producer: p, work: work{watch: p.watch}, nowhere: turn{free: 1}}
	p.health.producer = p
	p.lifetime, p.abort = context.WithCancelCause(context.Background())
	p.trying, p.giveUp = context.WithCancelCause(p.lifetime)
	if o.Partitioning == ServiceAssigned {
		p.anywhere = newPartition(p, "")
	}
	return p
}

func errClosed() error { return fmt.Errorf("eventhubs: %w", ErrClosed) }

// BufferedEvents returns how many events were accepted and have no outcome yet.
func (p *BufferedProducer) BufferedEvents() int {
	events, _ := p.admission.count()
	return events
}

// PartitionBufferedEvents is [BufferedProducer.BufferedEvents] for one partition: 0 for an unknown id. Of the events that were accepted before the hub's partitions are known it counts those
// that were enqueued with that PartitionID; the others count in the total only.
func (p *BufferedProducer) PartitionBufferedEvents(partitionID string) int {
	if partitionID == "" {
		return 0
	}
	if p.table.Load() == nil {
		if events, staged := p.staging.named(partitionID); staged {
			return events
		}
	}
	part := p.table.Load().byID[partitionID]
	if part == nil {
		return 0
	}
	events, _ := p.admission.holds(part.share)
	return events
}

// IsClosed reports whether Close or Abandon was called.
func (p *BufferedProducer) IsClosed() bool { return p.closing.Load() }

// FullyQualifiedNamespace returns the host name of the namespace in lower case, with the port if one was given that is not the service's own.
func (p *BufferedProducer) FullyQualifiedNamespace() string { return p.namespace }

// EventHubName returns the name of the event hub.
func (p *BufferedProducer) EventHubName() string { return p.hubName }

// Identifier returns the name of this producer on the wire and in logs.
func (p *BufferedProducer) Identifier() string { return p.options.Identifier }

// EventHubProperties asks the service about the event hub. It does not retry.
func (p *BufferedProducer) EventHubProperties(ctx context.Context) (EventHubProperties, error) {
	if p.closing.Load() {
		return EventHubProperties{}, errClosed()
	}
	properties, err := p.hub.Properties(ctx)
	if err != nil {
		return EventHubProperties{}, failure(err, "", 1)
	}
	return EventHubProperties(properties), nil
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
	return &wireEvent{numbered: p.options.EnableIdempotentRetries}
}

func (p *BufferedProducer) release(w *wireEvent) {
	w.release()
	p.wires.Put(w)
}

// PartitionProperties asks the service about one partition. It does not retry.
func (p *BufferedProducer) PartitionProperties(ctx context.Context, partitionID string) (PartitionProperties, error) {
	if p.closing.Load() {
		return PartitionProperties{}, errClosed()
	}
	properties, err := p.hub.PartitionProperties(ctx, partitionID)
	if err != nil {
		return PartitionProperties{}, failure(err, partitionID, 1)
	}
	return PartitionProperties(properties), nil
}
