package emulator_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// sendGreeting stands for the code under test.
func sendGreeting(ctx context.Context, connectionString string, options *azeventhubs.ProducerClientOptions) error {
	client, err := azeventhubs.NewProducerClientFromConnectionString(connectionString, "", options)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	batch, err := client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionKey: new("a")})
	if err != nil {
		return err
	}
	if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte("hello")}, nil); err != nil {
		return err
	}
	return client.SendEventDataBatch(ctx, batch, nil)
}

func Example() {
	server, err := emulator.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	ctx := context.Background()
	if err := sendGreeting(ctx, server.ConnectionString("events"), nil); err != nil {
		log.Fatal(err)
	}
	if err := server.WaitForEvents(ctx, "events", 1); err != nil {
		log.Fatal(err)
	}
	for event := range server.Events("events", "0") {
		fmt.Printf("%d: %s, key %s\n", event.SequenceNumber, event.Body, event.PartitionKey)
	}
	// Output: 0: hello, key a
}

// Azure's client takes any net.Conn from its WebSocket callback, so it can reach a server that does
// not listen. This is how to use it with virtual time.
func ExampleServer_Dial() {
	server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()

	err = sendGreeting(context.Background(), server.ConnectionString("events"), &azeventhubs.ProducerClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azeventhubs.WebSocketConnParams) (net.Conn, error) {
			return server.Dial(ctx)
		},
	})
	fmt.Println(err, server.Counts("events", "").Events)
	// Output: <nil> 1
}

// withHook publishes a greeting with a hook, and prints the result.
func withHook(hook emulator.Hook) { withHookUntil(context.Background(), hook) }

// withHookUntil does the same with a client that gives up when ctx ends.
func withHookUntil(ctx context.Context, hook emulator.Hook) {
	server, err := emulator.New(&emulator.Options{Hook: hook})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	err = sendGreeting(ctx, server.ConnectionString("events"), &azeventhubs.ProducerClientOptions{
		RetryOptions: azeventhubs.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond},
	})
	fmt.Printf("failed: %v, stored: %d\n", err != nil, server.Counts("events", "").Events)
}

// The first transfer is refused as by a busy service; the client retries.
func ExampleReject() {
	var transfers atomic.Int32
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && transfers.Add(1) == 1 {
			return emulator.Reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.")
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 1
}

// The connection breaks after the event is stored and before it is acknowledged. The client cannot
// know that it is stored and retries on a new connection. The event is stored twice.
func ExampleCut() {
	var transfers atomic.Int32
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && transfers.Add(1) == 1 {
			return emulator.Cut().Stored()
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 2
}

// The acknowledgement is lost: the client waits until its context ends.
func ExampleSilence() {
	ctx, giveUp := context.WithCancel(context.Background())
	withHookUntil(ctx, func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			time.AfterFunc(50*time.Millisecond, giveUp)
			return emulator.Silence().Stored()
		}
		return emulator.Pass()
	})
	// Output: failed: true, stored: 1
}

// Azure's Go client treats the outcome released as success: the event is lost without an error.
func ExampleRelease() {
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Release()
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 0
}

// It treats modified the same way.
func ExampleModify() {
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Modify()
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 0
}

// A service that accepts an event and forgets it tests a program that claims to notice the loss.
func ExampleAccept() {
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Accept()
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 0
}

// The link is detached under the first transfer, as when the service moves a partition.
func ExampleDetach() {
	var transfers atomic.Int32
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && transfers.Add(1) == 1 {
			return emulator.Detach("amqp:link:detach-forced", "The link is force detached by the broker.")
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 1
}

// The first connection is closed with an error when it sends, as when the service is upgraded.
func ExampleCloseConnection() {
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && op.Connection == 1 {
			return emulator.CloseConnection("amqp:connection:forced", "The connection was closed by container.")
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 1
}

// A sender attaches and gets no credit, so it cannot send.
func ExampleWithholdCredit() {
	ctx, giveUp := context.WithCancel(context.Background())
	withHookUntil(ctx, func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.Hub != "" {
			time.AfterFunc(50*time.Millisecond, giveUp)
			return emulator.WithholdCredit(0)
		}
		return emulator.Pass()
	})
	// Output: failed: true, stored: 0
}

// Every operation takes a while, and every outcome a while more, so several sends are in flight.
func ExampleAction_AnswerAfter() {
	withHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		return emulator.Pass().After(time.Millisecond).AnswerAfter(2 * time.Millisecond)
	})
	// Output: failed: false, stored: 1
}

// A hook may hold an operation until the test releases it.
func ExampleHook() {
	release := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	withHook(func(ctx context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 1
}
