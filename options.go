package eventhubs

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"
)

// Values for Options.MaxWaitTime.
const (
	// SendAtOnce sends an event as soon as its partition has nothing else in flight. What arrives meanwhile still leaves together.
	SendAtOnce time.Duration = 1

	// UntilFull sends a batch only when it is full, on Flush, on Close, or when the buffer is full and callers wait for room.
	UntilFull time.Duration = -1
)

const (
	defaultMaxWaitTime           = 250 * time.Millisecond
	defaultMaxBufferedEventCount = 2500
	defaultMaxBufferedBytes      = 64 << 20
	defaultDeliveryTimeout       = 15 * time.Minute
	defaultMaxRetries            = 15
	defaultRetryDelay            = 800 * time.Millisecond
	defaultMaxRetryDelay         = time.Minute
	defaultTryTimeout            = time.Minute
)

// Options configure a BufferedProducer. A nil *Options and a zero field mean the default. They are copied and checked once, by the
// constructor; its error names the field.
type Options struct {
	// MaxWaitTime is how long an event may wait for others to share its batch, counted from the first event of the batch.
	// SendAtOnce and UntilFull are special values.
	// Default: 250 ms.
	MaxWaitTime time.Duration

	// MaxBufferedEventCount bounds the events that were accepted and have no outcome yet, in all partitions, those in flight included.
	// At the bound Enqueue waits.
	// Default: 2500.
	MaxBufferedEventCount int

	// MaxBufferedBytes bounds the encoded bytes of the same events. A larger event is refused by Enqueue. The transport
	// keeps up to one more batch for each partition.
	// Default: 64 MiB.
	MaxBufferedBytes int

	// MaxConcurrentSendsPerPartition is how many batches of one partition may be in flight. More than one gives up the order
	// within a partition.
	// Default: 1.
	MaxConcurrentSendsPerPartition int

	// DeliveryTimeout bounds the time from the first event of a batch to its outcome, with all waiting and retrying. It is looked at
	// before each try, and shortens it. With UntilFull the time counts from when the batch is due. Negative: no bound.
	// Default: 15 minutes.
	DeliveryTimeout time.Duration

	// RetryOptions say how often and how fast a failed batch is sent again.
	RetryOptions RetryOptions

	// OnBatchSucceeded is told of each batch that was stored, and OnBatchFailed of each that was not, or not certainly. They run
	// on the goroutine that sends for the partition, before it takes the next batch: one call at a time and in order for each
	// partition (with one concurrent send), at the same time for different ones. A slow handler slows its partition; the room
	// in the buffer is given back before it runs. A panic is logged and changes nothing else.
	//
	// Pass the handler's context on: with it Enqueue never waits, and Flush and Close return ErrInHandler instead of waiting for
	// this very handler. A handler that waits, in another way, for its own producer is a deadlock.
	// Default: none.
	OnBatchSucceeded func(context.Context, *Batch)
	OnBatchFailed    func(context.Context, *Batch)

	// Identifier names this producer on the wire and in logs.
	// Default: a random text.
	Identifier string

	// Logger hears of connections and batches, never of single events. A failed batch that no handler and no Delivery hears of
	// is logged through slog.Default() when there is no Logger.
	// Default: none.
	Logger *slog.Logger

	// Connection configures the producer's own connection. A producer on a shared Connection leaves it empty.
	Connection ConnectionOptions
}

// RetryOptions say how a batch is tried again. A zero field means its default, whatever the other fields say.
type RetryOptions struct {
	// MaxRetries is how often a batch is tried again after its first try. Negative: never.
	// Being throttled by the service is not counted.
	// Default: 15.
	MaxRetries int

	// RetryDelay is the pause before the first retry; it doubles with each, varied by up to a fifth either way. Negative: no pause.
	// Default: 0.8 s.
	RetryDelay time.Duration

	// MaxRetryDelay bounds the pause. Negative: no bound.
	// Default: 60 s.
	MaxRetryDelay time.Duration

	// TryTimeout bounds one try: opening the link if need be, sending, and the service's answer.
	// Default: 60 s.
	TryTimeout time.Duration
}

// withDefaults returns a checked copy, with every zero field replaced by its default.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	setDefault(&c.MaxWaitTime, defaultMaxWaitTime)
	setDefault(&c.MaxBufferedEventCount, defaultMaxBufferedEventCount)
	setDefault(&c.MaxBufferedBytes, defaultMaxBufferedBytes)
	setDefault(&c.MaxConcurrentSendsPerPartition, 1)
	setDefault(&c.DeliveryTimeout, defaultDeliveryTimeout)
	setDefault(&c.RetryOptions.MaxRetries, defaultMaxRetries)
	setDefault(&c.RetryOptions.RetryDelay, defaultRetryDelay)
	setDefault(&c.RetryOptions.MaxRetryDelay, defaultMaxRetryDelay)
	setDefault(&c.RetryOptions.TryTimeout, defaultTryTimeout)
	if c.Identifier == "" {
		c.Identifier = "eventhubs-" + rand.Text()[:12]
	}
	return c, c.validate()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) validate() error {
	switch {
	case o.MaxBufferedEventCount < 0:
		return invalid("Options.MaxBufferedEventCount is %d: it must be at least 1, or 0 for %d", o.MaxBufferedEventCount, defaultMaxBufferedEventCount)
	case o.MaxBufferedBytes < 0:
		return invalid("Options.MaxBufferedBytes is %d: it must be at least 1, or 0 for 64 MiB", o.MaxBufferedBytes)
	case o.MaxConcurrentSendsPerPartition < 0 || o.MaxConcurrentSendsPerPartition > 100:
		return invalid("Options.MaxConcurrentSendsPerPartition is %d: it must be between 1 and 100, or 0 for 1", o.MaxConcurrentSendsPerPartition)
	case o.RetryOptions.MaxRetries > 1000:
		return invalid("Options.RetryOptions.MaxRetries is %d: it must be at most 1000; bound retries with DeliveryTimeout instead", o.RetryOptions.MaxRetries)
	case o.RetryOptions.TryTimeout < 0:
		return invalid("Options.RetryOptions.TryTimeout is %v: it must be positive, or 0 for %v", o.RetryOptions.TryTimeout, defaultTryTimeout)
	case o.DeliveryTimeout > 0 && o.MaxWaitTime >= o.DeliveryTimeout:
		return invalid("Options.DeliveryTimeout, %v, is not longer than MaxWaitTime, %v: nothing could be delivered", o.DeliveryTimeout, o.MaxWaitTime)
	case len(o.Identifier) > maxIdentifierBytes:
		return invalid("Options.Identifier has %d bytes: it may have %d", len(o.Identifier), maxIdentifierBytes)
	}
	return nil
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
