package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// exampleProducer returns a producer for an emulator's hub with that many partitions, and a
// function that closes both.
func exampleProducer(partitions int, options *eventhubs.Options, hook emulator.Hook) (*eventhubs.BufferedProducer, func()) {
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "telemetry", Partitions: partitions}}, Hook: hook})
	if err != nil {
		log.Fatal(err)
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("telemetry"), "", options)
	if err != nil {
		log.Fatal(err)
	}
	return producer, func() {
		_ = producer.Close(context.Background())
		_ = server.Close()
	}
}

// refuseOnce has the service refuse the first batch for good.
func refuseOnce() emulator.Hook {
	refused := false
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && !refused {
			refused = true
			return emulator.Reject("amqp:not-allowed", "not this one")
		}
		return emulator.Pass()
	}
}

// A web server must not wait. When the buffer is full, it drops the event and counts it.
func ExampleBufferedProducer_TryEnqueue() {
	producer, stop := exampleProducer(1, &eventhubs.Options{MaxBufferedEvents: 2, MaxWaitTime: time.Minute}, func(ctx context.Context, op emulator.Operation) emulator.Action {
		return emulator.Pass().AnswerAfter(100 * time.Millisecond)
	})
	defer stop()
	dropped := 0
	for range 5 {
		err := producer.TryEnqueue(context.Background(), &eventhubs.Event{Body: []byte("click")})
		if errors.Is(err, eventhubs.ErrBufferFull) {
			dropped++
		}
	}
	fmt.Println("dropped:", dropped)
	// Output: dropped: 3
}

// The shop confirms an order after its event is stored. The customer may repeat an order that is
// certainly not stored.
func ExampleBufferedProducer_Publish() {
	producer, stop := exampleProducer(1, nil, nil)
	defer stop()
	outcome, err := producer.Publish(context.Background(), &eventhubs.Event{Body: []byte("order 17")})
	switch outcome.Storage {
	case eventhubs.Stored:
		fmt.Println("confirmed, in partition", outcome.PartitionID)
	case eventhubs.NotStored:
		fmt.Println("not ordered, try again:", err)
	default: // PossiblyStored or Pending
		fmt.Println("ask before you order again:", err)
	}
	// Output: confirmed, in partition 0
}

func ExampleBufferedProducer_Enqueue_message() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
		for event := range batch.Events() {
			fmt.Println("stored:", event.AMQP.Body.Value, *event.AMQP.Properties.Subject)
		}
	}}, nil)
	defer stop()
	event := &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{
		Body:       &eventhubs.AMQPBody{Value: "a value, not bytes"},
		Properties: &eventhubs.AMQPProperties{Subject: new("temperature")},
	}}
	if err := producer.Enqueue(ctx, event); err != nil {
		log.Fatal(err)
	}
	if err := producer.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: stored: a value, not bytes temperature
}

// A Tag joins an event to its source, here to the offset of a line. A reader then knows up to where
// everything is stored.
func ExampleBatch_Tags() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
		for offset := range batch.Tags() {
			fmt.Println("stored: the line at", offset)
		}
	}}, nil)
	defer stop()
	offset := 0
	for line := range strings.Lines("first\nsecond\nthird\n") {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte(line), Tag: offset}); err != nil {
			log.Fatal(err)
		}
		offset += len(line)
	}
	if err := producer.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// stored: the line at 0
	// stored: the line at 6
	// stored: the line at 13
}

func ExampleBufferedProducer_FlushPartition() {
	ctx := context.Background()
	producer, stop := exampleProducer(4, &eventhubs.Options{MaxWaitTime: eventhubs.UntilFull}, nil)
	defer stop()
	for _, device := range []string{"device-1", "device-42"} {
		if err := producer.Enqueue(ctx, &eventhubs.Event{PartitionKey: device}); err != nil {
			log.Fatal(err)
		}
	}
	id, err := producer.PartitionForKey(ctx, "device-42")
	if err != nil {
		log.Fatal(err)
	}
	if err := producer.FlushPartition(ctx, id); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("partition %s: %d buffered\n", id, producer.PartitionBufferedEvents(id))
	// Output: partition 0: 0 buffered
}

func ExampleBufferedProducer_Clear() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{
		MaxWaitTime: eventhubs.UntilFull,
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {
			fmt.Printf("%d events %v, cleared: %v\n", batch.Count, batch.Outcome.Storage, errors.Is(batch.Outcome.Err, eventhubs.ErrCleared))
		},
	}, nil)
	defer stop()
	for range 3 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{}); err != nil {
			log.Fatal(err)
		}
	}
	events, err := producer.Clear(ctx)
	if err != nil {
		log.Fatal(err)
	}
	_ = producer.Flush(ctx) // the handler has returned by then
	fmt.Println("taken out:", events)
	// Output:
	// 3 events not stored, cleared: true
	// taken out: 3
}

func ExampleBufferedProducer_Abandon() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{
		MaxWaitTime:   eventhubs.UntilFull,
		OnBatchFailed: func(_ context.Context, batch *eventhubs.Batch) {},
	}, nil)
	defer stop()
	for range 3 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{}); err != nil {
			log.Fatal(err)
		}
	}
	err := producer.Abandon(ctx)
	if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); ok {
		fmt.Println("not sent:", undelivered.Failed())
	}
	// Output: not sent: 3
}

func ExampleBufferedProducer_Connect() {
	ctx := context.Background()
	producer, stop := exampleProducer(2, nil, func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindManagement {
			return emulator.Reject("amqp:unauthorized-access", "Unauthorized access. 'Send' claim(s) are required to perform this operation.")
		}
		return emulator.Pass()
	})
	defer stop()
	// A program calls Connect at its start, when somebody still looks at its output.
	err := producer.Connect(ctx, nil)
	if e, ok := errors.AsType[*eventhubs.Error](err); ok {
		fmt.Println(e.Code)
	}
	fmt.Println(producer.Health().Err != nil)
	// Output:
	// unauthorized
	// true
}

func ExampleBufferedProducer_ResumePartition() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{
		StopPartitionOnFailure: true,
		OnBatchFailed:          func(context.Context, *eventhubs.Batch) {},
	}, refuseOnce())
	defer stop()
	if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("1"), PartitionID: "0"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("failed:", producer.Flush(ctx) != nil)
	second := &eventhubs.Event{Body: []byte("2"), PartitionID: "0"}
	err := producer.Enqueue(ctx, second)
	fmt.Println("stopped:", errors.Is(err, eventhubs.ErrPartitionStopped))
	// The program resumes after it has mended the cause of the failure.
	if err := producer.ResumePartition("0"); err != nil {
		log.Fatal(err)
	}
	outcome, err := producer.Publish(ctx, second)
	fmt.Println("resumed:", outcome.Storage, err)
	// Output:
	// failed: true
	// stopped: true
	// resumed: stored <nil>
}

func ExampleBufferedProducer_Stats() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, nil, nil)
	defer stop()
	for range 100 {
		if err := producer.Enqueue(ctx, &eventhubs.Event{Body: make([]byte, 95)}); err != nil {
			log.Fatal(err)
		}
	}
	if err := producer.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	s := producer.Stats()
	fmt.Println(s.StoredEvents, "events in", s.StoredBatches, "batch,", s.NotStoredEvents, "failed,", s.BufferedEvents, "buffered")
	// Output: 100 events in 1 batch, 0 failed, 0 buffered
}

// When order does not matter, the handler enqueues failed events again.
func ExampleBatch_EnqueueAgain() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, &eventhubs.Options{
		OnBatchFailed: func(ctx context.Context, batch *eventhubs.Batch) {
			if _, err := batch.EnqueueAgain(ctx); err != nil {
				log.Printf("lost: %v", err)
			}
		},
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			for event := range batch.Events() {
				fmt.Printf("stored: %s, with key %s\n", event.Body, event.PartitionKey)
			}
		},
	}, refuseOnce())
	defer stop()
	if err := producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("a"), PartitionKey: "k"}); err != nil {
		log.Fatal(err)
	}
	_ = producer.Flush(ctx) // fails, and the handler enqueues the event again
	if err := producer.Flush(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: stored: a, with key k
}

func ExampleDelivery() {
	ctx := context.Background()
	producer, stop := exampleProducer(1, nil, nil)
	defer stop()
	var delivery eventhubs.Delivery
	if err := producer.Enqueue(ctx, &eventhubs.Event{Delivery: &delivery}); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	outcome, err := delivery.Wait(ctx)
	// The outcome is pending, with an error that matches ErrPending, if the minute ends first.
	fmt.Println(outcome.Storage, err)
	// Output: stored <nil>
}

func ExampleConnection() {
	ctx := context.Background()
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "orders"}, {Name: "audit"}}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// Two producers for two hubs of one namespace share a connection. Closing a producer leaves the
	// connection open.
	connection, err := eventhubs.NewConnectionFromConnectionString(server.ConnectionString(""), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close(ctx)
	for _, hub := range []string{"orders", "audit"} {
		producer, err := connection.NewBufferedProducer(hub, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := producer.Publish(ctx, &eventhubs.Event{Body: []byte("to " + hub)}); err != nil {
			log.Fatal(err)
		}
		if err := producer.Close(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(server.Counts("orders", "").Events, server.Counts("audit", "").Events)
	// Output: 1 1
}

func ExampleTrace() {
	type requestID struct{}
	ctx := context.WithValue(context.Background(), requestID{}, "r-17")
	producer, stop := exampleProducer(1, &eventhubs.Options{
		Trace: &eventhubs.Trace{
			Encoding: func(ctx context.Context, e eventhubs.TracedEncoding) {
				e.Properties.Add("request", ctx.Value(requestID{}).(string))
			},
			Settled: func(batch eventhubs.TracedOutcome) {
				fmt.Println(batch.Events, "event", batch.Outcome.Storage)
			},
		},
	}, nil)
	defer stop()
	if _, err := producer.Publish(ctx, &eventhubs.Event{}); err != nil {
		log.Fatal(err)
	}
	// Output: 1 event stored
}

// This package exports no interface, so that it can grow. A program that wants to replace the
// producer declares an interface with the methods that it calls.
func Example_substitute() {
	type enqueuer interface {
		Enqueue(context.Context, *eventhubs.Event) error
	}
	report := func(ctx context.Context, to enqueuer) error {
		return to.Enqueue(ctx, &eventhubs.Event{Body: []byte("all is well")})
	}
	// In a test, the real producer with an emulator is better than a substitute.
	producer, stop := exampleProducer(1, nil, nil)
	defer stop()
	fmt.Println(report(context.Background(), producer))
	// Output: <nil>
}
