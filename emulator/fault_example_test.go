package emulator_test

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// once is a hook for the first operation of a kind that concerns a hub.
func once(kind emulator.Kind, action emulator.Action) emulator.Hook {
	var n atomic.Int32
	return func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == kind && op.Hub != "" && n.Add(1) == 1 {
			return action
		}
		return emulator.Pass()
	}
}

// The server stops reading after the client has attached its link, as an overloaded server does.
// The client's data piles up in the network for a while, then arrives.
func ExampleAction_StallReading() {
	withHook(once(emulator.KindAttach, emulator.Pass().StallReading(20*time.Millisecond)))
	// Output: failed: false, stored: 1
}

// The session's window is closed for a while: the client has credit, but its sends wait. (If the
// window stayed closed, Azure's Go client would wait forever, whatever its context.)
func ExampleAction_CloseWindow() {
	withHook(once(emulator.KindAttach, emulator.Pass().CloseWindow(20*time.Millisecond)))
	// Output: failed: false, stored: 1
}

// The client detaches its link and gets no answer. Azure's Go client stops waiting when its context
// ends.
func ExampleAction_IgnoreDetach() {
	ctx, giveUp := context.WithCancel(context.Background())
	withHookUntil(ctx, func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			time.AfterFunc(50*time.Millisecond, giveUp)
			return emulator.Pass().IgnoreDetach()
		}
		return emulator.Pass()
	})
	// Output: failed: false, stored: 1
}

// The client closes the connection and gets no answer.
func ExampleAction_IgnoreClose() {
	withHook(once(emulator.KindTransfer, emulator.Pass().IgnoreClose()))
	// Output: failed: false, stored: 1
}

// A distant server: each answer takes between 2 and 5 milliseconds, the same times in each run.
func ExampleLatency() {
	withHook(emulator.Latency(42, 2*time.Millisecond, 3*time.Millisecond))
	// Output: failed: false, stored: 1
}

// Half of all transfers are refused, and one attach in ten breaks the connection. With this seed
// each happens once in every run, and the client still succeeds.
func ExampleRandomFaults() {
	withHook(emulator.RandomFaults(7, emulator.Rates{Busy: 0.5, CutBefore: 0.1}))
	// Output: failed: false, stored: 1
}

// Tokens are refused for the hub as a whole, and accepted for its partitions. A client that asks
// for each partition succeeds.
func ExampleAction_WithStatus() {
	hook := func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindPutToken && op.PartitionID == "" {
			return emulator.Reject("com.microsoft:auth-failed", "InvalidAudience: The token is not for this hub.").WithStatus(403)
		}
		return emulator.Pass()
	}
	withHook(hook) // Azure's Go client does not
	// Output: failed: true, stored: 0
}

// The network fails for all clients between two events. Azure's Go client reconnects by itself.
func ExampleServer_CutAll() {
	server, err := emulator.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	client, err := azeventhubs.NewProducerClientFromConnectionString(server.ConnectionString("events"), "", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close(context.Background()) }()
	for range 2 {
		err := publish(context.Background(), client, nil, "hello")
		fmt.Printf("failed: %v, stored: %d, cut: %d\n", err != nil, server.Counts("events", "").Events, server.CutAll())
	}
	// Output:
	// failed: false, stored: 1, cut: 1
	// failed: false, stored: 2, cut: 1
}
