package eventhubs

import (
	"context"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A cacheLine keeps what each Enqueue writes apart from what each Enqueue reads: on another processor a read of a line that was just written is slow.
type cacheLine [64]byte

// A BufferedProducer takes events one at a time and publishes them to an event hub in batches, in the background. Its methods may be
// called from any number of goroutines. It must be closed, or what is buffered is lost with the process.
type BufferedProducer struct {
	*parts // immutable
}

// Parts are what the methods of a producer, its partitions and its staging share. They are immutable; each owns its state.
type parts struct {
	namespace string
	options   *Options
	hub       hub
	lifetime  *lifetime
	crew      *crew
	observer  *observer
	watch     *watch
	admission *admission
	directory *directory
	handlers  *handlers
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
	var p *BufferedProducer // for the connection's callbacks; no one connects before it is set
	cfg := e.config(c, o.Identifier)
	cfg.Connected, cfg.Disconnected = func() { p.observer.connected() }, func(err error) { p.observer.disconnected(err) }
	h := &remoteHub{conn: connection.New(cfg), own: true, name: hubName, identifier: o.Identifier, idempotent: o.EnableIdempotentRetries}
	p = newProducer(e.namespace, hubName, h, o)
	p.observer.created()
	return p, nil
}

// newProducer takes options that are complete.
func newProducer(namespace, hubName string, h hub, o Options) *BufferedProducer {
	parts := &parts{namespace: namespace, options: &o, hub: h, lifetime: newLifetime()}
	p := &BufferedProducer{parts: parts}
	parts.crew = newCrew(parts.lifetime)
	parts.observer = newObserver(p, hubName, &o)
	parts.directory = &directory{parts: parts}
	parts.admission = newAdmission(o.MaxBufferedEvents, o.MaxBufferedBytes, parts.directory.pick, parts.directory.press)
	parts.handlers = &handlers{producer: p, options: &o, admission: parts.admission, observer: parts.observer}
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
		parts.directory.anywhere = newPartition(parts, "")
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

// FullyQualifiedNamespace returns the host name of the namespace in lower case, with the port if one was given that is not the service's own.
func (p *BufferedProducer) FullyQualifiedNamespace() string { return p.namespace }

// EventHubName returns the name of the event hub.
func (p *BufferedProducer) EventHubName() string { return p.observer.hubName }

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

// PartitionForKey returns the id of the partition that events with that key go to, for [BufferedProducer.FlushPartition] and
// [BufferedProducer.ClearPartition]. It asks the service for the
// partitions if they are not known yet. The answer holds as long as the event hub has as many partitions.
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
