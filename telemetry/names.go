package telemetry

import "go.opentelemetry.io/otel/attribute"

// scope is the name of the meter and of the tracer.
const scope = "github.com/go-eventhubs/eventhubs/telemetry"

// The metrics of the semantic conventions for messaging, version 1.43. Both count batches or events
// that were tried, including those whose link could not be opened.
const (
	MetricOperationDuration = "messaging.client.operation.duration" // s: from a batch's first try to its outcome
	MetricSentMessages      = "messaging.client.sent.messages"      // {message}: by error.type
)

// The metrics of this package. Histograms and counters are recorded as things happen. The others
// are observed at each collection.
const (
	MetricSettledEvents     = "eventhubs.producer.settled.events"     // {event}, counter: events with an outcome, by eventhubs.storage and error.type
	MetricStoredBytes       = "eventhubs.producer.stored.bytes"       // By, counter: encoded bytes of the stored events
	MetricBufferedEvents    = "eventhubs.producer.buffered.events"    // {event}: accepted and without an outcome
	MetricBufferedBytes     = "eventhubs.producer.buffered.bytes"     // By: the same, encoded
	MetricBufferUtilization = "eventhubs.producer.buffer.utilization" // 1: how full the buffer is, by events or bytes, the larger
	MetricWaitingCallers    = "eventhubs.producer.waiting.callers"    // {caller}: callers of Enqueue that wait for room
	MetricOldestEventAge    = "eventhubs.producer.oldest_event.age"   // s: how long the oldest batch has waited
	MetricInFlight          = "eventhubs.producer.inflight.batches"   // {batch}: taken by a sender
	MetricPartitions        = "eventhubs.producer.partitions"         // {partition}: by eventhubs.waiting, what they wait for
	MetricBatchFill         = "eventhubs.producer.batch.fill"         // 1, histogram: stored batches' bytes over the possible bytes
	MetricBatchEvents       = "eventhubs.producer.batch.events"       // {event}, histogram: of stored batches
	MetricQueueDuration     = "eventhubs.producer.queue.duration"     // s, histogram: from a batch's first event to its first try
	MetricRetries           = "eventhubs.producer.retries"            // {try}, counter: failed tries that were retried, by error.type
	MetricThrottledTries    = "eventhubs.producer.throttled.tries"    // {try}, counter
	MetricThrottledDuration = "eventhubs.producer.throttled.duration" // s, counter: the pauses that the service asked for, of all partitions
	MetricAmbiguousTries    = "eventhubs.producer.ambiguous.tries"    // {try}, counter: tries that ended without saying whether the batch is stored
	MetricHandlerDuration   = "eventhubs.producer.handler.duration"   // s, histogram: of Options.OnBatchSucceeded and OnBatchFailed, by eventhubs.handler
	MetricHandlerRunning    = "eventhubs.producer.handler.running"    // s: how long the longest-running handler has run; zero while none runs
	MetricHandlerPanics     = "eventhubs.producer.handler.panics"     // {panic}, counter
	MetricUnheardEvents     = "eventhubs.producer.unheard.events"     // {event}, counter: failed events that no handler and no Delivery reported
	MetricHealth            = "eventhubs.producer.health"             // {state}: one for the present eventhubs.health.state, zero for the others
	MetricTroubleDuration   = "eventhubs.producer.trouble.duration"   // s: how long the state has been worse than ready; zero if it is not
	MetricTokenRemaining    = "eventhubs.producer.token.remaining"    // s: until the present authorization ends; absent while not known
	MetricConnectionsOpened = "eventhubs.producer.connections.opened" // {connection}, counter: of the producer's own connection
	MetricConnectionsLost   = "eventhubs.producer.connections.lost"   // {connection}, counter: by error.type
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
	keyWaiting = attribute.Key("eventhubs.waiting")      // why a partition waits, the text of eventhubs.Waiting
	keyState   = attribute.Key("eventhubs.health.state") // the text of eventhubs.HealthState
	keyHandler = attribute.Key("eventhubs.handler")      // succeeded, failed
	keyTries   = attribute.Key("eventhubs.tries")        // of a send span: how often the batch was sent
	keyBytes   = attribute.Key("eventhubs.batch.bytes")  // of a send span
	keyQueued  = attribute.Key("eventhubs.queued")       // of a send span: seconds from the batch's first event to its first try
)
