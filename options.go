package eventhubs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/defaults"
)

// Special values for [Options.MaxWaitTime].
const (
	// SendAtOnce sends an event as soon as its partition has nothing in flight. Events that arrive
	// in the meantime share the next batch.
	SendAtOnce time.Duration = 1

	// UntilFull sends a batch only when it is full, on Flush, on Close, or when the buffer is full
	// and callers wait for room.
	UntilFull time.Duration = -1
)

const (
	defaultMaxWaitTime       = defaults.MaxWaitTime
	defaultMaxBufferedEvents = defaults.MaxBufferedEvents
	defaultMaxBufferedBytes  = defaults.MaxBufferedBytes
	defaultDeliveryTimeout   = defaults.DeliveryTimeout
	defaultMaxRetries        = 15
	defaultRetryDelay        = 800 * time.Millisecond
	defaultMaxRetryDelay     = time.Minute
	defaultTryTimeout        = time.Minute
	defaultRefreshInterval   = 10 * time.Minute
)

// Options configure a [BufferedProducer]. A nil *Options and a zero field mean the default. The
// constructor copies and checks them once. Its error names the field.
type Options struct {
	// MaxWaitTime is how long an event may wait for others to share its batch (the linger). It
	// counts from the first event of the batch. SendAtOnce and UntilFull are special values.
	// Default: 250 ms.
	MaxWaitTime time.Duration

	// MaxBufferedEvents bounds the accepted events that have no outcome yet, in all partitions,
	// including those in flight. At the bound Enqueue waits. With a Journal it bounds the events
	// that were read from the journal to be sent.
	// Default: 2500.
	MaxBufferedEvents int

	// MaxBufferedBytes bounds the encoded bytes of the same events. Enqueue refuses a larger event.
	// The transport holds up to one more batch for each partition.
	// Default: 64 MiB.
	MaxBufferedBytes int

	// MaxConcurrentSendsPerPartition is how many batches of one partition may be in flight. With
	// more than one the order within a partition is lost.
	// Default: 1.
	MaxConcurrentSendsPerPartition int

	// EnableIdempotentRetries makes the service store a retried batch only once. Every event
	// carries a number by which the service recognises it, which costs 120 bytes an event. It does
	// not work with ServiceAssigned or more than one concurrent send. If the service does not offer
	// it, every batch and Connect fail with CodeNotSupported.
	// Default: false.
	EnableIdempotentRetries bool

	// ProducerStore, with EnableIdempotentRetries, keeps the producer's identity on each partition.
	// After a restart the service sees the same producer and refuses leftover batches of the
	// earlier run. See ProducerStore.
	// Default: none; each producer is a new one.
	ProducerStore ProducerStore

	// Journal, if set, keeps accepted events on the disk until they have their outcome. A killed
	// process, a power cut or days without a network lose none: the next producer with the same
	// directory sends them. DeliveryTimeout and Retry.MaxRetries do not apply: an event fails only
	// if it has expired, or if the service refuses it for what it is. With EnableIdempotentRetries
	// each event is stored once, over any number of restarts. Without, at least once. See
	// docs/journal.md.
	// Default: none; accepted events are in memory only.
	Journal *JournalOptions

	// Partitioning says where events without id and key go.
	// Default: RoundRobin.
	Partitioning Partitioning

	// KeyPartitioner replaces the service's hash. It maps a key to an index into the service's list
	// of partitions, from 0 to below [KeyPlacement.Partitions]. Enqueue calls it, from any number
	// of goroutines at once. For events that were enqueued before the list was known, the producer
	// calls it when the list arrives. It must not call the producer. A result out of range, a
	// panic, or the end of its goroutine (runtime.Goexit) fails that event. Other producers and the
	// service itself place keys differently.
	// Default: the service's hash.
	KeyPartitioner func(KeyPlacement) int

	// DeliveryTimeout bounds the time from the first event of a batch to its outcome, with all
	// waiting and retries. The producer checks it before each try, and gives the try no more than
	// the time left. A batch fails before, if its next pause would end later. With UntilFull the
	// time counts from when the batch is due. Negative: no bound, except Retry.MaxRetries.
	// Default: 15 minutes.
	DeliveryTimeout time.Duration

	// Retry says how often and how fast a failed batch is retried.
	Retry RetryOptions

	// FailFast ends a batch after one try when its failure will not pass by itself. That is an
	// unknown hub, partition or host, missing rights, no token, an untrusted certificate, a
	// disabled hub, or an exhausted quota. Without FailFast these are retried like any other
	// failure, since new roles take minutes to apply and name servers fail for moments.
	// Default: false.
	FailFast bool

	// StopPartitionOnFailure keeps a partition without gaps. After its first failed batch the
	// partition's later batches fail too, in order, with ErrPartitionStopped. Enqueue returns the
	// same error for the partition until ResumePartition. Events without id and key go to other
	// partitions. It does not work with ServiceAssigned or more than one concurrent send.
	//
	// Before the producer knows the hub's partitions it cannot stop a single one. A failure then
	// fails every event that waits for the list, but later events are accepted, which leaves a gap.
	// Call Connect before the first event to avoid this.
	// Default: false.
	StopPartitionOnFailure bool

	// PartitionRefreshInterval is how old the list of partitions may be when an event is enqueued.
	// If it is older, the producer asks for it again in the background. The interval varies by half
	// either way, so that a fleet does not ask in step. Negative: the producer asks again only when
	// the service calls a partition unknown.
	// Default: 10 minutes.
	PartitionRefreshInterval time.Duration

	// OnBatchSucceeded is called for each stored batch, and OnBatchFailed for each other batch: not
	// stored, or possibly stored. The partition sends its next batch only after the handler
	// returns. So a slow handler slows its partition. For each partition there is one call at a
	// time, in order (with one concurrent send). Calls for different partitions run at the same
	// time. When some events of a batch have expired, they are reported first, as a batch of their
	// own. The buffer's room is free before the handler runs. A handler that panics or ends its
	// goroutine (runtime.Goexit) is logged; nothing else changes.
	//
	// Pass the handler's context on. With it Enqueue never waits, and Flush and Close return
	// ErrInHandler instead of waiting for this handler. A handler that waits for its own producer
	// in another way is a deadlock.
	// Default: none.
	OnBatchSucceeded func(context.Context, *Batch)
	OnBatchFailed    func(context.Context, *Batch)

	// FlushOmitsTold makes Flush, FlushPartition and Close leave out of their error the failures
	// already reported to OnBatchFailed, a Delivery or Publish. The calls still wait for these
	// events.
	// Default: false; they return every failure once, even if it was reported elsewhere.
	FlushOmitsTold bool

	// Identifier names this producer on the wire and in logs.
	// Default: a random text.
	Identifier string

	// Logger gets log lines about connections and batches, never about single events, from any
	// goroutine. At level DEBUG it also gets the AMQP frames that begin, end or refuse something.
	// Four levels lower it gets all frames. Frames are logged without bodies, keys and tokens. Both
	// levels are checked when a connection opens, not later. The Logger must not block.
	//
	// Without a Logger, the producer logs to slog.Default() each change of Health's state (WARN;
	// INFO when all is well again). While trouble lasts it adds one line a minute. It also logs
	// each failed batch without a handler and Deliveries, each panic of a handler (ERROR), and what
	// goes wrong with the Journal's files. slog.New(slog.DiscardHandler) silences all of it.
	// Default: none.
	Logger *slog.Logger

	// Trace is called for what happens to events, batches and connections. See Trace.
	// Default: none.
	Trace *Trace

	// Connection configures the producer's own connection. Leave it empty for a producer on a
	// shared Connection.
	Connection ConnectionOptions
}

// withDefaults returns a checked copy: every zero field has its default, and the application's
// functions are guarded (see guard).
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
	c.Journal = c.Journal.withDefaults()
	if c.Journal != nil {
		c.DeliveryTimeout = -1
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
		return invalid("Options.Partitioning is %d: it must be RoundRobin, Sticky or ServiceAssigned", o.Partitioning)
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
		return invalid("Options.DeliveryTimeout, %v, is not longer than MaxWaitTime, %v: make it longer, or no event could be delivered", o.DeliveryTimeout, o.MaxWaitTime)
	case len(o.Identifier) > maxIdentifierBytes:
		return invalid("Options.Identifier has %d bytes: it may have at most %d", len(o.Identifier), maxIdentifierBytes)
	}
	if err := o.validateJournal(); err != nil {
		return err
	}
	return o.Retry.validate()
}

// maxIdentifierBytes keeps an identifier well within the limits of link and container names.
const maxIdentifierBytes = 128

// linger is how long an open batch waits for more events. With untilFull, time alone never ends the
// wait.
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
