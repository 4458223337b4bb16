package telemetry

import "go.opentelemetry.io/otel/attribute"

// scope is the name of the meter and of the tracer.
const scope = "github.com/go-eventhubs/eventhubs/telemetry"

// The metrics of the semantic conventions for messaging, version 1.43. Both count batches or events
// that were tried, including those whose link could not be opened.
const (
	// MetricOperationDuration is a histogram in s: the time from a batch's first try to its
	// outcome.
	MetricOperationDuration = "messaging.client.operation.duration"
	// MetricSentMessages is a counter of events ({message}), by error.type.
	MetricSentMessages = "messaging.client.sent.messages"
)

// The metrics of this package. Histograms and counters are recorded as things happen. The others
// are observed at each collection.
const (
	// MetricSettledEvents is a counter of events with an outcome, by eventhubs.storage and
	// error.type.
	MetricSettledEvents = "eventhubs.producer.settled.events"
	// MetricStoredBytes is a counter of the encoded bytes of stored events.
	MetricStoredBytes = "eventhubs.producer.stored.bytes"
	// MetricBufferedEvents is the number of events that were accepted and have no outcome yet.
	MetricBufferedEvents = "eventhubs.producer.buffered.events"
	// MetricBufferedBytes is the number of encoded bytes of these events.
	MetricBufferedBytes = "eventhubs.producer.buffered.bytes"
	// MetricBufferUtilization is how full the buffer is, from 0 to 1: by events or by bytes, the
	// larger of both. Producers with a journal do not report it: their buffer is on the disk.
	MetricBufferUtilization = "eventhubs.producer.buffer.utilization"
	// MetricWaitingCallers is the number of callers of Enqueue that wait for room.
	MetricWaitingCallers = "eventhubs.producer.waiting.callers"
	// MetricOldestEventAge is the time in s that the oldest batch has waited.
	MetricOldestEventAge = "eventhubs.producer.oldest_event.age"
	// MetricInFlight is the number of batches that a sender has taken.
	MetricInFlight = "eventhubs.producer.inflight.batches"
	// MetricPartitions is the number of partitions, by what they wait for (eventhubs.waiting).
	MetricPartitions = "eventhubs.producer.partitions"
	// MetricBatchFill is a histogram of stored batches' bytes, divided by the possible bytes.
	MetricBatchFill = "eventhubs.producer.batch.fill"
	// MetricBatchEvents is a histogram of the number of events in stored batches.
	MetricBatchEvents = "eventhubs.producer.batch.events"
	// MetricQueueDuration is a histogram in s: the time from a batch's first event to its first
	// try.
	MetricQueueDuration = "eventhubs.producer.queue.duration"
	// MetricRetries is a counter of failed tries that were retried, by error.type. Throttled tries
	// are not in it.
	MetricRetries = "eventhubs.producer.retries"
	// MetricThrottledTries is a counter of tries that the busy service refused.
	MetricThrottledTries = "eventhubs.producer.throttled.tries"
	// MetricThrottledDuration is a counter in s of the pauses that the service asked for, summed
	// over all partitions.
	MetricThrottledDuration = "eventhubs.producer.throttled.duration"
	// MetricAmbiguousTries is a counter of tries that ended without saying whether the batch is
	// stored.
	MetricAmbiguousTries = "eventhubs.producer.ambiguous.tries"
	// MetricHandlerDuration is a histogram in s of Options.OnBatchSucceeded and OnBatchFailed, by
	// eventhubs.handler.
	MetricHandlerDuration = "eventhubs.producer.handler.duration"
	// MetricHandlerRunning is the time in s that the oldest running handler has run; zero while
	// none runs.
	MetricHandlerRunning = "eventhubs.producer.handler.running"
	// MetricHandlerPanics is a counter of panics of handlers.
	MetricHandlerPanics = "eventhubs.producer.handler.panics"
	// MetricUnheardEvents is a counter of failed events that no handler and no Delivery reported.
	MetricUnheardEvents = "eventhubs.producer.unheard.events"
	// MetricHealth is one for the present eventhubs.health.state, and zero for the others.
	MetricHealth = "eventhubs.producer.health"
	// MetricTroubleDuration is the time in s that the health has been worse than ready; zero if it
	// is not.
	MetricTroubleDuration = "eventhubs.producer.trouble.duration"
	// MetricTokenRemaining is the time in s until the present authorization ends; absent while not
	// known.
	MetricTokenRemaining = "eventhubs.producer.token.remaining"
	// MetricConnectionsOpened is a counter of opened connections of the producer's own.
	MetricConnectionsOpened = "eventhubs.producer.connections.opened"
	// MetricConnectionsLost is a counter of connections that ended without the producer's doing, by
	// error.type.
	MetricConnectionsLost = "eventhubs.producer.connections.lost"
)

// The metrics of producers with eventhubs.Options.Journal. Others do not report them.
const (
	// MetricJournalEvents is the number of events in the journal that have no outcome yet.
	MetricJournalEvents = "eventhubs.producer.journal.events"
	// MetricJournalBytes is the size of the journal's files in bytes.
	MetricJournalBytes = "eventhubs.producer.journal.bytes"
	// MetricJournalLimit is JournalOptions.MaxBytes, the bound for these bytes.
	MetricJournalLimit = "eventhubs.producer.journal.limit"
	// MetricJournalUtilization is the size of the files, divided by the bound.
	MetricJournalUtilization = "eventhubs.producer.journal.utilization"
	// MetricJournalDiskFree is the number of bytes that the disk has left; absent while not known.
	MetricJournalDiskFree = "eventhubs.producer.journal.disk.free"
	// MetricJournalSlowestSync is the time in s that the slowest fsync of this producer took.
	MetricJournalSlowestSync = "eventhubs.producer.journal.slowest_sync"
	// MetricJournalFailed is one if the journal has failed and takes no more events, and zero
	// otherwise.
	MetricJournalFailed = "eventhubs.producer.journal.failed"
)

// Attributes of the semantic conventions.
const (
	keySystem       = attribute.Key("messaging.system")
	keyOperation    = attribute.Key("messaging.operation.name")
	keyType         = attribute.Key("messaging.operation.type")
	keyDestination  = attribute.Key("messaging.destination.name")
	keyPartition    = attribute.Key("messaging.destination.partition.id")
	keyMessageCount = attribute.Key("messaging.batch.message_count")
	keyClientID     = attribute.Key("messaging.client.id")
	keyAddress      = attribute.Key("server.address")
	keyPort         = attribute.Key("server.port")
	keyErrorType    = attribute.Key("error.type")
)

// Attributes of this package.
const (
	keyStorage = attribute.Key("eventhubs.storage")      // the text of eventhubs.Storage
	keyWaiting = attribute.Key("eventhubs.waiting")      // the text of eventhubs.Waiting
	keyState   = attribute.Key("eventhubs.health.state") // the text of eventhubs.HealthState
	keyHandler = attribute.Key("eventhubs.handler")      // succeeded, failed
	keyTries   = attribute.Key("eventhubs.tries")        // of a send span
	keyBytes   = attribute.Key("eventhubs.batch.bytes")  // of a send span
	keyQueued  = attribute.Key("eventhubs.queued")       // of a send span, seconds: Outcome.Queued
)
