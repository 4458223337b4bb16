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

// The server stops reading when the client has attached its link, as one that is overloaded does. What the client sends piles up
// in the network for a while; then it arrives.
func ExampleAction_StallReading() {
	withHook(once(emulator.KindAttach, emulator.Pass().StallReading(20*time.Millisecond)))
	// Output: failed: false, stored: 1
}

// The session's window is closed for a while: the client has credit, and its sends wait all the same. (With a window that stays closed
// Azure's Go client would wait for ever, whatever its context says.)
func ExampleAction_CloseWindow() {
	withHook(once(emulator.KindAttach, emulator.Pass().CloseWindow(20*time.Millisecond)))
	// Output: failed: false, stored: 1
}

// The client detaches its link, and hears nothing. Azure's Go client gives up waiting when its context ends.
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

// The client closes the connection, and hears nothing.
func ExampleAction_IgnoreClose() {
	withHook(once(emulator.KindTransfer, emulator.Pass().IgnoreClose()))
	// Output: failed: false, stored: 1
}

// A server at some distance: between 2 and 5 milliseconds for each answer, the same ones in each run.
func ExampleLatency() {
	withHook(emulator.Latency(42, 2*time.Millisecond, 3*time.Millisecond))
	// Output: failed: false, stored: 1
}

// Half of all transfers are refused, and one attach in ten ends in a broken connection. With this seed both happens once, in each run, and the
// client gets through all the same.
func ExampleRandomFaults() {
	withHook(emulator.RandomFaults(7, emulator.Rates{Busy: 0.5, CutBefore: 0.1}))
	// Output: failed: false, stored: 1
}

// Tokens are refused for the hub as a whole, and taken for its partitions. A client that asks for each of them gets through.
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

// The network fails for everybody between two events. Azure's Go client comes back by itself.
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
