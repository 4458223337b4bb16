// Package eventhubs publishes events to Azure Event Hubs, one at a time for the caller and in dense batches on the wire.
//
// A [BufferedProducer] takes an event with Enqueue, which returns as soon as the event is in the buffer. In the background it collects the
// events of each partition in a batch, sends the batch when it is full or when its first event has waited long enough, tries again
// what fails, keeps the order, and tells the end of every event:
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
// An [Event] goes in and comes out: handlers get the same type, which Enqueue takes again as it is. Its fields say what most events have; [Event].AMQP has whatever else an AMQP
// message may have. Package azevents makes events of what Microsoft's client for Go has, and the other way round: what that client has received can be sent on, as it was.
//
// # Partitioning
//
// An event goes to the partition that it names by its id, or to the one that the service's own hash maps its key to, or, with neither, where
// [Options.Partitioning] says: to the next partition in turn ([RoundRobin]), to one partition for a whole batch ([Sticky]), or where the service likes
// ([ServiceAssigned]). Partitions in trouble are passed over. Give neither key nor id unless events belong together. The key travels with each event,
// whatever batch it is in. The partitions are asked for when the first event is enqueued; until they are known events wait, in their order, and Enqueue
// does not.
//
// # Connections
//
// [NewBufferedProducer] and [NewBufferedProducerFromConnectionString] make a producer with a connection of its own. For several hubs of a namespace make a
// [Connection], with [NewConnection] (an Azure identity), [NewConnectionFromConnectionString], [NewConnectionFromKey] or [NewConnectionFromSAS] (whose secret can be
// replaced while it runs), and its producers with [Connection.NewBufferedProducer]. A connection is opened by the first event, or by Connect, and again after a loss.
//
// A connection string is read as secret stores, files and templates deliver it. White space, line ends, a byte order mark and quotation marks around the whole, a
// part or a value are dropped. Parts may stand on lines of their own. Keywords and names are compared without regard to case. A string that cannot work is refused with
// the reason, which shows no part of the secret, and with what to give instead: for one without a key a namespace and a credential; for an IoT Hub's that of its
// Event Hub-compatible endpoint; for one with TransportType=AmqpWebSockets also [ConnectionOptions.NewWebSocketConn]. An empty value, a placeholder and a reference to a secret
// store are refused too. From a namespace, a hub's name, a key or a signature that comes by itself nothing is dropped: it is taken as it is, or refused.
//
// # Batches
//
// A batch leaves when it is full, when its first event has waited [Options].MaxWaitTime, on Flush, on Close, and, when the buffer is full and callers wait for
// room, as soon as it holds a quarter of its partition's even share of the buffer, or whatever it holds if [Options.MaxWaitTime] is more than a second. [SendAtOnce] does not linger, [UntilFull] does nothing else; Publish ends the linger of its own batch. While a partition's batch is in flight its next one fills. How large a batch may be is what the service tells for each link, and 1 MiB
// at the most; less when many links share [Options.MaxBufferedBytes], 128 KiB at the least.
//
// # Delivery and order
//
// Every accepted event gets exactly one [Outcome], told to the [Delivery] given with it, if any, and to the batch handlers of [Options]. Accepted means that Enqueue
// returned nil. An outcome says whether the event is stored, not stored, or possibly stored: sent, and its acknowledgement
// lost. A batch whose acknowledgement is lost is sent again, so that an event may be stored twice: delivery is at least once. With [Options.EnableIdempotentRetries] the service
// knows the batch again and stores it once; with a [ProducerStore] as well, a restarted program is the same producer to it, and is told how far the former one came.
//
// Events for one partition are stored in the order of the Enqueue calls, if these do not overlap, through retries and reconnects, as long as
// [Options.MaxConcurrentSendsPerPartition] is 1. For events with a key that holds while the hub has as many partitions as before.
//
// Decide reliability in the options rather than in a handler: how often and how long to retry ([RetryOptions], [Options.DeliveryTimeout]), what is not worth retrying ([Options.FailFast]), whether a
// failure stops its partition ([Options.StopPartitionOnFailure]). A handler of failures is for what to do with the events then: [Batch.EnqueueAgain] where order does not matter, a
// dead-letter store where it does.
//
// # Backpressure
//
// The buffer is bounded in events and in bytes, with everything that has no outcome yet. At the bound Enqueue waits, first come first served,
// until there is room or its context ends; [BufferedProducer.TryEnqueue] fails instead. No partition takes the last eighth of the buffer while the event
// hub has others, and one in trouble takes nothing more once it holds half, so that one partition never stops the others. That wait is all the context bounds: once an event is accepted, cancelling changes nothing.
//
// # Recovery
//
// A link or connection that was lost, perhaps because the service closes what is idle, is opened again at once; if that fails, or fails again, after pauses that grow ([RetryOptions]). A
// partition recovers by itself, the others go on; those that wait for a connection are all woken when one is open. Being throttled is not a retry: it waits as long as the service asks, and
// a spread that grows. What will not pass by itself, such as a missing right, is seen at once in Connect and Health, and retried all the same unless FailFast is set.
//
// # Errors
//
// What the caller's own program causes is told by sentinels such as [ErrClosed] and [ErrInvalidArgument], what happens outside of it by an [*Error] with a [Code].
// Texts are for people and may change. Trouble is logged when it begins, once a minute while it lasts, and when it is over: by [Options.Logger], or slog.Default if
// there is none. When nobody hears of a failure, because there is neither a handler nor a Delivery, it is logged
// there as well, and the next Flush or Close returns it in any case, once.
//
// # Handlers
//
// Whoever sends for a partition waits for its handlers before it takes the next batch: they are told in order, and a slow one slows its
// partition. The room in the buffer is given back before. A handler passes on the context it is given: with it Enqueue never waits, and Flush and
// Close return [ErrInHandler] instead of waiting for the handler itself. The [Batch] that it is given may be kept, and used in other goroutines.
//
// # Shutdown
//
// Close sends what is buffered and waits for the outcomes; Abandon sends nothing more. Give it a context of its own, since the application's is over by then:
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
// [Stats] are the numbers, with what each partition is waiting for and its last error. [Health] is the state, ready or what is wrong, since when and with what to
// check: also that the service has not answered for 10 s, or that a handler has not returned. [Trace] is a set of functions that are told of each event and
// batch, one of which may put a trace's context into an event. Package telemetry makes metrics and traces of OpenTelemetry out of these.
//
// # Concurrency
//
// All methods may be called from any number of goroutines. Options are copied by the constructor, events by Enqueue: both may be used again
// afterwards. A second after its last batch a producer has no goroutine, except those that keep an open connection alive.
//
// # Testing
//
// Package emulator is an Event Hubs that runs inside a test, without Docker, and that this package and the official clients take
// for the service. Package eventhubstest makes batches and outcomes, for tests of handlers without a network.
//
// A function that is given to a producer, such as a handler, a Trace, a credential or a dialer, may end its goroutine (runtime.Goexit), as FailNow does in a fake.
// No event loses its outcome by that, and Flush and Close return. What needed the function fails, with an error that names it; the end of any other is logged.
//
// This package was never run against the service itself yet, only against that emulator and by it against the official Go client.
package eventhubs
