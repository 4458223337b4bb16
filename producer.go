package eventhubs

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A cacheLine separates what every Enqueue writes from what every Enqueue reads. A processor reads
// a cache line slowly just after another processor has written it.
type cacheLine [64]byte

// A BufferedProducer takes events one at a time and publishes them to an event hub in batches, in
// the background. Its methods may be called from any number of goroutines. Close it before the
// program ends: otherwise the events in the buffer are lost.
type BufferedProducer struct {
	*parts // immutable
}

// Parts are shared by the methods of a producer, its partitions and its staging. They are
// immutable. Each part owns its state.
type parts struct {
	namespace string
	hubName   string
	options   *Options
	hub       hub
	lifetime  *lifetime
	crew      *crew
	observer  *observer
	watch     *watch
	admission *admission
	directory *directory
	handlers  *handlers
	journal   *journaled // nil without Options.Journal
}

// NewBufferedProducer returns a producer for an event hub, with an Azure identity as its
// credential. The fully qualified namespace is its host name, such as
// "name.servicebus.windows.net", in upper or lower case. A bare name is refused. There is no
// network traffic before the first event. A nil *Options means the defaults.
func NewBufferedProducer(fullyQualifiedNamespace, eventHub string, credential azcore.TokenCredential, options *Options) (*BufferedProducer, error) {
	e, err := endpointFromCredential(fullyQualifiedNamespace, credential)
	if err != nil {
		return nil, err
	}
	return newConnectedProducer(e, eventHub, options)
}

// NewBufferedProducerFromConnectionString returns a producer for an event hub. The connection
// string may be as the portal or the emulator shows it, or as a file or a secret store delivers it.
// See "Connections" above. The event hub is named in the string (EntityPath), by the argument, or
// by both. If both name it, they must be equal except for case. A string that can never work is
// refused with [ErrInvalidArgument] and the reason. The error shows no secret. There is no network
// traffic before the first event. A nil *Options means the defaults.
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
	var p *BufferedProducer // for the connection's callbacks; nothing connects before it is set
	cfg := e.config(c, o.Identifier)
	cfg.Connected, cfg.Disconnected = func() { p.observer.connected() }, func(err error) { p.observer.disconnected(err) }
	h := &remoteHub{conn: connection.New(cfg), own: true, name: hubName, identifier: o.Identifier, idempotent: o.EnableIdempotentRetries}
	if p, err = newProducer(e.namespace, hubName, h, o); err != nil {
		return nil, err
	}
	p.observer.created()
	p.journal.begin()
	return p, nil
}

// newProducer returns a producer for that hub. The options have their defaults filled in. The error
// is of the journal, which must begin before the producer is used.
func newProducer(namespace, hubName string, h hub, o Options) (*BufferedProducer, error) {
	parts := &parts{namespace: namespace, hubName: hubName, options: &o, hub: h, lifetime: newLifetime()}
	p := &BufferedProducer{parts: parts}
	parts.crew = newCrew(parts.lifetime)
	parts.observer = newObserver(p, hubName, &o)
	parts.directory = &directory{parts: parts}
	parts.directory.ring.Store(rand.Uint32()) // so that a fleet does not begin with one partition
	parts.admission = newAdmission(o.MaxBufferedEvents, o.MaxBufferedBytes, parts.directory.pick, parts.directory.press)
	var err error
	if parts.journal, err = openJournal(parts); err != nil {
		return nil, err
	}
	parts.handlers = &handlers{producer: p, options: &o, admission: parts.admission, observer: parts.observer, journal: parts.journal}
	health := &parts.observer.health
	parts.admission.hindrance = health.hindrance
	parts.watch = newWatch(func(w *work) {
		if w.partition != nil { // staging has no share of the buffer
			parts.admission.look(w)
		}
		health.look(w)
	})
	parts.directory.staging = newStaging(parts)
	health.staged, health.listed = &parts.directory.staging.queue, parts.directory.known
	health.empty = func() bool { return p.BufferedEvents() == 0 }
	if o.Partitioning == ServiceAssigned {
		parts.directory.assigned = newPartition(parts, "")
	}
	return p, nil
}

func errClosed() error { return fmt.Errorf("eventhubs: %w", ErrClosed) }

// BufferedEvents returns how many events were accepted and have no outcome yet.
func (p *BufferedProducer) BufferedEvents() int {
	if p.journal != nil {
		return p.journal.unsettled()
	}
	events, _ := p.admission.count()
	return events
}

// PartitionBufferedEvents is [BufferedProducer.BufferedEvents] for one partition. It is 0 for an
// unknown id. While the hub's partitions are not known, it counts only the events that were
// enqueued with that PartitionID. The others count in the total only. With [Options.Journal] it
// counts the events that were read from the journal to be sent.
func (p *BufferedProducer) PartitionBufferedEvents(partitionID string) int {
	if partitionID == "" {
		return 0
	}
	if !p.directory.known() {
		if events, staged := p.directory.staging.named(partitionID); staged {
			return events
		}
	}
	part := p.directory.table.Load().byID[partitionID]
	if part == nil {
		return 0
	}
	events, _ := p.admission.holds(part.share)
	return events
}

// IsClosed reports whether Close or Abandon was called.
func (p *BufferedProducer) IsClosed() bool { return p.lifetime.closing.Load() }

// FullyQualifiedNamespace returns the host name of the namespace in lower case. It has the port if
// the caller gave another one than the service's own.
func (p *BufferedProducer) FullyQualifiedNamespace() string { return p.namespace }

// EventHubName returns the name of the event hub.
func (p *BufferedProducer) EventHubName() string { return p.hubName }

// Identifier returns the name of this producer on the wire and in logs.
func (p *BufferedProducer) Identifier() string { return p.options.Identifier }

// EventHubProperties asks the service about the event hub. It does not retry.
func (p *BufferedProducer) EventHubProperties(ctx context.Context) (EventHubProperties, error) {
	if p.lifetime.closing.Load() {
		return EventHubProperties{}, errClosed()
	}
	properties, err := p.hub.Properties(ctx)
	if err != nil {
		return EventHubProperties{}, failure(err, "", 1)
	}
	return EventHubProperties(properties), nil
}

// PartitionProperties asks the service about one partition. It does not retry.
func (p *BufferedProducer) PartitionProperties(ctx context.Context, partitionID string) (PartitionProperties, error) {
	if p.lifetime.closing.Load() {
		return PartitionProperties{}, errClosed()
	}
	properties, err := p.hub.PartitionProperties(ctx, partitionID)
	if err != nil {
		return PartitionProperties{}, failure(err, partitionID, 1)
	}
	return PartitionProperties(properties), nil
}

// PartitionForKey returns the id of the partition that events with that key go to. It is for
// [BufferedProducer.FlushPartition] and [BufferedProducer.ClearPartition]. If the partitions are
// not known yet, it asks the service for them. The answer holds as long as the number of partitions
// stays the same.
func (p *BufferedProducer) PartitionForKey(ctx context.Context, key string) (partitionID string, err error) {
	if key == "" {
		return "", invalid("the key is empty")
	}
	if err := partitionkey.Check(key); err != nil {
		return "", invalid("the key %v", err)
	}
	if !p.directory.known() {
		if err := p.Connect(ctx, nil); err != nil {
			return "", err
		}
	}
	if p.lifetime.closing.Load() {
		return "", errClosed()
	}
	part, err := p.directory.assign(p.directory.table.Load(), route{key: key}, 0)
	if err != nil {
		return "", err
	}
	return part.id, nil
}
