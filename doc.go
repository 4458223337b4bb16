// Package eventhubs publishes events to Azure Event Hubs: one event at a time for the caller, in
// dense batches on the wire.
//
// A [BufferedProducer] takes an event with Enqueue, which returns when the event is in the buffer.
// The producer collects the events of each partition in a batch. It sends the batch when the batch
// is full, or when its first event has waited long enough. It retries failures, keeps the order,
// and reports the outcome of every event:
//
//	func main() {
//		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//		defer stop()
//		if err := publish(ctx, os.Getenv("EVENTHUBS_CONNECTION_STRING"), readings(ctx)); err != nil {
//			log.Fatal(err)
//		}
//	}
//
//	// publish returns nil when every reading is stored.
//	func publish(ctx context.Context, connectionString string, readings iter.Seq[Reading]) (err error) {
//		producer, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "telemetry", &eventhubs.Options{
//			OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
//				log.Printf("%d readings are %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
//			},
//		})
//		if err != nil {
//			return err
//		}
//		defer func() { // sends what is buffered; ctx may be over by then, so the deadline is one of its own
//			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
//			defer cancel()
//			err = errors.Join(err, producer.Close(closing))
//		}()
//
//		connecting, cancel := context.WithTimeout(ctx, 10*time.Second)
//		defer cancel()
//		if err := producer.Connect(connecting, nil); err != nil {
//			return err // a wrong name, a wrong key, no way to the service: the text says what to check
//		}
//		for r := range readings {
//			if err := producer.Enqueue(ctx, &eventhubs.Event{Body: r.JSON(), PartitionKey: r.Device}); err != nil {
//				return fmt.Errorf("the reading of %s was not accepted: %w", r.Device, err)
//			}
//		}
//		return nil
//	}
//
// The caller passes an [Event] to Enqueue. Handlers get the same type, which Enqueue takes again as
// it is. Its fields have the usual parts of an event, and [Event].AMQP has every other part of an
// AMQP message. Package azevents converts events to and from those of Microsoft's client for Go, so
// events that this client has received can be sent on unchanged.
//
// # Partitioning
//
// An event may name its partition by an id. An event with a key goes to the partition that the
// service's own hash chooses. For an event with neither, [Options.Partitioning] decides: the next
// partition in turn ([RoundRobin]), one partition for a whole batch ([Sticky]), or the service's
// choice ([ServiceAssigned]). The first two begin with a random one. Such events avoid partitions
// in trouble, so give a key or an id only to events that belong together. The key travels with each
// event, in every batch.
//
// The producer asks for the partitions when the first event is enqueued. Until it knows them,
// events wait in their order, and Enqueue does not wait.
//
// # Connections
//
// [NewBufferedProducer] and [NewBufferedProducerFromConnectionString] make a producer with a
// connection of its own. For several hubs of a namespace make a [Connection], with [NewConnection]
// (an Azure identity), [NewConnectionFromConnectionString], [NewConnectionFromKey] or
// [NewConnectionFromSAS]. Its key or signature can be replaced while it runs.
// [Connection.NewBufferedProducer] makes its producers. The first event or Connect opens the
// connection, and the producer opens it again after a loss.
//
// A connection string is read as secret stores, files and templates deliver it. The producer drops
// white space, line ends, a byte order mark and quotation marks around the whole, a part or a
// value. Parts may stand on lines of their own. Keywords and names are compared without regard to
// case.
//
// The constructor refuses a string that cannot work. The error has the reason, no part of the
// secret, and an alternative. For a string without a key, that is a namespace and a credential. For
// an IoT Hub's string, it is the string of its Event Hub-compatible endpoint. For a string with
// TransportType=AmqpWebSockets, it is [ConnectionOptions.NewWebSocketConn]. The constructor also
// refuses an empty value, a placeholder, and a reference to a secret store. A namespace, a hub's
// name, a key or a signature given by itself is taken as it is, or refused.
//
// # Batches
//
// A batch leaves when it is full, when its first event has waited [Options].MaxWaitTime, on Flush,
// and on Close. It leaves earlier when callers wait for room in a full buffer. Then a batch leaves
// when it holds a quarter of its partition's even share of the buffer. If [Options.MaxWaitTime] is
// more than a second, every batch leaves then. [SendAtOnce] does not linger, and [UntilFull] has no
// time limit. Publish ends the linger of its own batch.
//
// While one batch of a partition is in flight, the next one fills. The service states for each link
// how large a batch may be; the producer uses 1 MiB at most. It uses less when many links share
// [Options.MaxBufferedBytes], but 128 KiB at least.
//
// # Delivery and order
//
// Every accepted event gets exactly one [Outcome]. Accepted means that Enqueue returned nil. The
// producer reports the outcome to the event's [Delivery], if it has one, and to the batch handlers
// of [Options]. An event is stored, not stored, or possibly stored: sent, without an
// acknowledgement.
//
// The producer sends a batch again when its acknowledgement is lost, so an event may be stored
// twice. Delivery is at least once. With [Options.EnableIdempotentRetries] the service recognises
// the batch and stores it once. With a [ProducerStore] too, a restarted program is the same
// producer to the service, and learns how far the former one came.
//
// A partition stores its events in the order of the Enqueue calls that do not overlap, through
// retries and reconnects. That holds as long as [Options.MaxConcurrentSendsPerPartition] is 1. For
// events with a key it holds while the number of partitions stays the same.
//
// Set reliability in the options, not in a handler. [RetryOptions] and [Options.DeliveryTimeout]
// bound the retries. [Options.FailFast] ends those that will not help, and
// [Options.StopPartitionOnFailure] stops a partition at its first failure. A handler of failures
// decides what happens to the events then. Where order does not matter, it may call
// [Batch.EnqueueAgain]. Where it does, use a dead-letter store.
//
// # Journal
//
// With [Options.Journal] the buffer is on the disk. Enqueue returns when the journal keeps the
// event. A killed process, a power cut or days without a network lose no accepted event: the next
// producer with the same directory sends it. Events do not fail for having waited. Close whose
// context ends leaves the rest there, and its [UndeliveredError] counts it as Kept.
// [Event.Checkpoint] keeps how far the program has read its source. [BufferedProducer.Journal]
// returns it after a restart.
//
// # Backpressure
//
// The buffer has a bound in events and in bytes. It counts every event without an outcome. At the
// bound Enqueue waits until there is room or its context ends, first come first served.
// [BufferedProducer.TryEnqueue] fails instead. The context bounds only that wait: once an event is
// accepted, cancelling changes nothing.
//
// One partition never stops the others. No partition takes the last eighth of the buffer while the
// event hub has others. A partition in trouble takes no more room once it holds half.
//
// # Recovery
//
// The service closes idle links and connections. The producer opens a lost one again at once. If
// that fails, or fails again, it pauses, and the pauses grow ([RetryOptions]). Each partition
// recovers by itself, and the others go on. The first connection that opens wakes all waiting
// partitions.
//
// An outage uses up no retries: tries without a connection are not counted, and
// [Options.DeliveryTimeout] bounds them. Throttling is not a retry either. The producer waits as
// long as the service asks, plus a random time that grows. A failure that will not pass by itself,
// such as a missing right, shows at once in Connect and Health. The producer retries it all the
// same, unless FailFast is set.
//
// # Errors
//
// Errors in your own calls are sentinels such as [ErrClosed] and [ErrInvalidArgument]. All others
// are an [*Error] with a [Code]. Texts are for people and may change.
//
// The log has trouble when it begins, once a minute while it lasts, and when it is over. It goes to
// [Options.Logger], or to slog.Default without one. A failure without a handler and without a
// Delivery is logged too. The next Flush or Close returns every failure once.
//
// # Handlers
//
// The goroutine that sends for a partition calls its handlers before it takes the next batch. So
// they run in order, and a slow one slows its partition. The batch's room in the buffer is free
// before the handler runs.
//
// Pass on the handler's context: with it Enqueue never waits, and Flush and Close return
// [ErrInHandler] instead of waiting for the handler itself. A handler may keep its [Batch], and use
// it in other goroutines. One that keeps nothing of it ends with [Batch.Release]: the producer then
// uses the memory again.
//
// # Shutdown
//
// Close sends the buffered events and waits for their outcomes. Abandon sends nothing more. Give
// Close a context of its own, since the application's context has ended by then:
//
//	defer func() {
//		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
//		defer cancel()
//		if err := producer.Close(ctx); err != nil {
//			log.Print(err)
//		}
//	}()
//
// # Looking inside
//
// [Stats] has the numbers, with each partition's state, last error, and what it waits for. [Health]
// has the state: ready, or the trouble, since when, and what to check. It also reports that the
// service has not answered for 10 s, or that a handler has not returned.
// [BufferedProducer.HealthChanges] has the last changes of that state. Package producerhttp shows
// all of these over HTTP, as a page, text and JSON.
//
// [Trace] is a set of functions that the producer calls for each event and batch. One of them may
// put a trace's context into an event. Package telemetry makes OpenTelemetry's metrics and traces.
//
// # Concurrency
//
// All methods may be called from any number of goroutines. The constructor copies the options, and
// Enqueue copies the event: the caller may use both again afterwards. A second after its last batch
// a producer has no goroutine, except those of an open connection, and one for a journal.
//
// # Testing
//
// Package emulator is an Event Hubs that runs inside a test, without Docker. This package and the
// official clients use it like the service. Package eventhubstest makes batches and outcomes, for
// tests of handlers without a network.
//
// Handlers, Traces, credentials, dialers and other functions of the application may end their
// goroutine (runtime.Goexit). A fake does that with FailNow. No event loses its outcome by that,
// and Flush and Close return. A call that needs the function's result fails with an error that
// names the function. For every other function the log says so.
//
// This package is tested with that emulator, and the emulator with the official clients. The README
// says what has not been tested yet.
package eventhubs
