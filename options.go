package eventhubs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

// Values for [Options.MaxWaitTime].
const (
	// SendAtOnce sends an event as soon as its partition has nothing else in flight. What arrives meanwhile still leaves together.
	SendAtOnce time.Duration = 1

	// UntilFull sends a batch only when it is full, on Flush, on Close, or when the buffer is full and callers wait for room.
	UntilFull time.Duration = -1
)

const (
	defaultMaxWaitTime       = defaults.MaxWaitTime
	defaultMaxBufferedEvents = defaults.MaxBufferedEvents
	defaultMaxBufferedBytes  = defaults.MaxBufferedBytes
	defaultDeliveryTimeout   = 15 * time.Minute
	defaultMaxRetries        = 15
	defaultRetryDelay        = 800 * time.Millisecond
	defaultMaxRetryDelay     = time.Minute
	defaultTryTimeout        = time.Minute
	defaultRefreshInterval   = 10 * time.Minute
)

// Options configure a [BufferedProducer]. A nil *Options and a zero field mean the default. They are copied and checked once, by the
// constructor; its error names the field.
type Options struct {
	// MaxWaitTime is how long an event may wait for others to share its batch, counted from the first event of the batch.
	// SendAtOnce and UntilFull are special values.
	// Default: 250 ms.
	MaxWaitTime time.Duration

	// MaxBufferedEvents bounds the events that were accepted and have no outcome yet, in all partitions, those in flight included.
	// At the bound Enqueue waits.
	// Default: 2500.
	MaxBufferedEvents int

	// MaxBufferedBytes bounds the encoded bytes of the same events. A larger event is refused by Enqueue. The transport
	// keeps up to one more batch for each partition.
	// Default: 64 MiB.
	MaxBufferedBytes int

	// MaxConcurrentSendsPerPartition is how many batches of one partition may be in flight. More than one gives up the order
	// within a partition.
	// Default: 1.
	MaxConcurrentSendsPerPartition int

	// EnableIdempotentRetries makes retries store nothing twice: every event carries a number that the service knows it by, and a batch
	// that is sent again is stored once. It costs 120 bytes an event. Not together with ServiceAssigned or more than one concurrent send. A
	// service that does not offer it fails every batch, and Connect, with CodeNotSupported.
	// Default: false.
	EnableIdempotentRetries bool

	// ProducerStore, with EnableIdempotentRetries, keeps who the producer is on each partition, so that after a restart it is the same
	// one to the service, and what is left of its former life is fenced off. See ProducerStore.
	// Default: none; each producer is a new one.
	ProducerStore ProducerStore

	// Partitioning says where events without id and key go.
	// Default: RoundRobin.
	Partitioning Partitioning

	// KeyPartitioner replaces the service's hash: it maps a key to an index into the service's list of partitions, below [KeyPlacement.Partitions]. It is
	// called by Enqueue, from any number of goroutines at once, and once more when events that came before the list was known are given their
	// partitions. It must not call the producer. A result out of range, a panic, or the end of its goroutine (runtime.Goexit) fails that event. Other producers and the service itself will not agree with it.
	// Default: the service's hash.
	KeyPartitioner func(KeyPlacement) int

	// DeliveryTimeout bounds the time from the first event of a batch to its outcome, with all waiting and retrying. It is looked at
	// before each try, and shortens it. With UntilFull the time counts from when the batch is due. Negative: no bound.
	// Default: 15 minutes.
	DeliveryTimeout time.Duration

	// Retry says how often and how fast a failed batch is sent again.
	Retry RetryOptions

	// FailFast ends a batch after one try when its failure will not pass by itself: no such hub, partition or host, forbidden, no token, a certificate that is not trusted, a hub that is switched off, a quota that is used up. Otherwise
	// these are retried like any other, since roles take minutes to propagate and name servers blink.
	// Default: false.
	FailFast bool

	// StopPartitionOnFailure keeps a partition without gaps: at its first failed batch what is behind it fails too, in order, with
	// ErrPartitionStopped, and so do later Enqueues for it, until ResumePartition. Events without id and key go elsewhere. Not together with
	// ServiceAssigned or more than one concurrent send.
	//
	// While the hub's partitions are not known there is none to stop: at the first failure everything that waits for the list fails, and what
	// is enqueued after that is taken, which leaves a gap. Connect before the first event, and there is no such time.
	// Default: false.
	StopPartitionOnFailure bool

	// PartitionRefreshInterval is how old the list of partitions may be when an event is enqueued; then it is asked for again, in the background.
	// It is varied by half either way, so that a fleet does not ask in step. Negative: the list is never asked for again, unless
	// the service calls a partition unknown.
	// Default: 10 minutes.
	PartitionRefreshInterval time.Duration

	// OnBatchSucceeded is told of each batch that was stored, and OnBatchFailed of each that was not, or not certainly. Whoever sends
	// for the partition waits for them before it takes the next batch: one call at a time and in order for each
	// partition (with one concurrent send), at the same time for different ones; of a batch in which events have expired these are told first. A slow handler slows its partition; the room
	// in the buffer is given back before it runs. A panic is logged and changes nothing else, as is the end of its goroutine (runtime.Goexit).
	//
	// Pass the handler's context on: with it Enqueue never waits, and Flush and Close return ErrInHandler instead of waiting for
	// this very handler. A handler that waits, in another way, for its own producer is a deadlock.
	// Default: none.
	OnBatchSucceeded func(context.Context, *Batch)
	OnBatchFailed    func(context.Context, *Batch)

	// FlushOmitsTold has Flush, FlushPartition and Close leave out of their error the events whose failure OnBatchFailed, a Delivery or Publish was told of: those have
	// somebody who sees to them. They wait for them all the same.
	// Default: false; they return every failure once, whoever was told.
	FlushOmitsTold bool

	// Identifier names this producer on the wire and in logs.
	// Default: a random text.
	Identifier string

	// Logger hears of connections and batches, never of single events, from any goroutine; at level DEBUG also of AMQP frames that begin, end or refuse something, and four levels
	// below that of all frames, without bodies, keys and tokens (of what it takes when a connection is opened). It must not block. Without one, what must not go unheard is told to slog.Default():
	// each change of Health's state (level WARN; INFO when all is well again) and, while trouble lasts, a line a minute; a failed batch that no handler and no
	// Delivery hears of, and a handler's panic (ERROR). slog.New(slog.DiscardHandler) silences all of it.
	// Default: none.
	Logger *slog.Logger

	// Trace is told of what happens to events, batches and connections. See Trace.
	// Default: none.
	Trace *Trace

	// Connection configures the producer's own connection. A producer on a shared Connection leaves it empty.
	Connection ConnectionOptions
}

// withDefaults returns a checked copy, with every zero field replaced by its default and the application's functions behind a guard.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	setDefault(&c.MaxWaitTime, defaultMaxWaitTime)
	setDefault(&c.MaxBufferedEvents, defaultMaxBufferedEvents)
	setDefault(&c.MaxBufferedBytes, defaultMaxBufferedBytes)
	setDefault(&c.MaxConcurrentSendsPerPartition, 1)
	setDefault(&c.DeliveryTimeout, defaultDeliveryTimeout)
	setDefault(&c.PartitionRefreshInterval, defaultRefreshInterval)
	setDefault(&c.Retry.MaxRetries, defaultMaxRetries)
	setDefault(&c.Retry.RetryDelay, defaultRetryDelay)
	setDefault(&c.Retry.MaxRetryDelay, defaultMaxRetryDelay)
	setDefault(&c.Retry.TryTimeout, defaultTryTimeout)
	if c.Identifier == "" {
		c.Identifier = "eventhubs-" + rand.Text()[:12]
	}
	err := c.validate()
	c.guard()
	return c, err
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	switch {
	case o.MaxBufferedEvents < 0:
		return invalid("Options.MaxBufferedEvents is %d: it must be at least 1, or 0 for %d", o.MaxBufferedEvents, defaultMaxBufferedEvents)
	case o.MaxBufferedBytes < 0:
		return invalid("Options.MaxBufferedBytes is %d: it must be at least 1, or 0 for 64 MiB", o.MaxBufferedBytes)
	case o.MaxConcurrentSendsPerPartition < 0 || o.MaxConcurrentSendsPerPartition > 100:
		return invalid("Options.MaxConcurrentSendsPerPartition is %d: it must be between 1 and 100, or 0 for 1", o.MaxConcurrentSendsPerPartition)
	case o.Partitioning < RoundRobin || o.Partitioning > ServiceAssigned:
		return invalid("Options.Partitioning is %d: it is RoundRobin, Sticky or ServiceAssigned", o.Partitioning)
	case o.StopPartitionOnFailure && o.Partitioning == ServiceAssigned:
		return invalid("Options.StopPartitionOnFailure is set together with ServiceAssigned: the service chooses the partitions, so none can be kept without gaps")
	case o.StopPartitionOnFailure && o.MaxConcurrentSendsPerPartition > 1:
		return invalid("Options.StopPartitionOnFailure is set and MaxConcurrentSendsPerPartition is %d: to keep a partition without gaps it must be 1", o.MaxConcurrentSendsPerPartition)
	case o.EnableIdempotentRetries && o.Partitioning == ServiceAssigned:
		return invalid("Options.EnableIdempotentRetries is set together with ServiceAssigned: the service numbers events for each partition, so the partition must be known")
	case o.EnableIdempotentRetries && o.MaxConcurrentSendsPerPartition > 1:
		return invalid("Options.EnableIdempotentRetries is set and MaxConcurrentSendsPerPartition is %d: the service takes a partition's numbers one after the other, so it must be 1", o.MaxConcurrentSendsPerPartition)
	case o.ProducerStore != nil && !o.EnableIdempotentRetries:
		return invalid("Options.ProducerStore is set without EnableIdempotentRetries: only an idempotent producer has a state to keep")
	case o.DeliveryTimeout > 0 && o.MaxWaitTime >= o.DeliveryTimeout:
		return invalid("Options.DeliveryTimeout, %v, is not longer than MaxWaitTime, %v: nothing could be delivered", o.DeliveryTimeout, o.MaxWaitTime)
	case len(o.Identifier) > maxIdentifierBytes:
		return invalid("Options.Identifier has %d bytes: it may have %d", len(o.Identifier), maxIdentifierBytes)
	}
	return o.Retry.validate()
}

// maxIdentifierBytes keeps an identifier well within what link and container names may be.
const maxIdentifierBytes = 128

// linger is how long an open batch waits for more events; untilFull means that time alone never ends it.
func (o *Options) linger() (wait time.Duration, untilFull bool) {
	switch {
	case o.MaxWaitTime < 0:
		return 0, true
	case o.MaxWaitTime <= time.Microsecond:
		return 0, false // no timer is that fine: at once
	default:
		return o.MaxWaitTime, false
	}
}
