package checkpointtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/checkpointtest"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

func ownership(partition, owner string, etag *azcore.ETag) azeventhubs.Ownership {
	return azeventhubs.Ownership{FullyQualifiedNamespace: "n", EventHubName: "h", ConsumerGroup: "g", PartitionID: partition, OwnerID: owner, ETag: etag}
}

func TestOwnershipGoesToWhoeverIsFirst(t *testing.T) {
	store := checkpointtest.NewStore()
	claim := func(o azeventhubs.Ownership) *azeventhubs.Ownership {
		got, err := store.ClaimOwnership(t.Context(), []azeventhubs.Ownership{o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			return nil
		}
		return &got[0]
	}
	first := claim(ownership("0", "a", nil))
	if first == nil || first.OwnerID != "a" || first.ETag == nil || first.LastModifiedTime.IsZero() {
		t.Fatalf("claiming a free partition: %+v", first)
	}
	if got := claim(ownership("0", "b", nil)); got != nil {
		t.Errorf("claiming it as free: %+v", got)
	}
	if got := claim(ownership("1", "b", first.ETag)); got != nil {
		t.Errorf("claiming a free one as another's: %+v", got)
	}
	second := claim(ownership("0", "b", first.ETag))
	if second == nil || *second.ETag == *first.ETag {
		t.Fatalf("taking it over: %+v", second)
	}
	if got := claim(ownership("0", "a", first.ETag)); got != nil {
		t.Errorf("renewing it with an old ETag: %+v", got)
	}
	*second.ETag = "changed by the caller"
	all, err := store.ListOwnership(t.Context(), "N", "H", "G", nil)
	if err != nil || len(all) != 1 || all[0].OwnerID != "b" || *all[0].ETag == *second.ETag {
		t.Errorf("ListOwnership = %+v, %v", all, err)
	}
	if all, err := store.ListOwnership(t.Context(), "n", "h", "other", nil); len(all) != 0 || err != nil {
		t.Errorf("ListOwnership of another group = %+v, %v", all, err)
	}
}

func TestCheckpointIsReplaced(t *testing.T) {
	store := checkpointtest.NewStore()
	c := azeventhubs.Checkpoint{FullyQualifiedNamespace: "n", EventHubName: "h", ConsumerGroup: "g", PartitionID: "1", Offset: new("100"), SequenceNumber: new(int64(1))}
	for range 3 {
		*c.SequenceNumber++
		if err := store.SetCheckpoint(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
	}
	*c.SequenceNumber = 100 // not set
	got, err := store.ListCheckpoints(t.Context(), "n", "H", "g", nil)
	if err != nil || len(got) != 1 || *got[0].SequenceNumber != 4 || *got[0].Offset != "100" {
		t.Errorf("ListCheckpoints = %+v, %v", got, err)
	}
	for want, half := range map[string]azeventhubs.Checkpoint{
		`partition "1" has the offset nil and the sequence number 4`: {PartitionID: "1", SequenceNumber: new(int64(4))},
		`partition "1" has the offset 7 and the sequence number nil`: {PartitionID: "1", Offset: new("7")},
	} {
		if err := store.SetCheckpoint(t.Context(), half, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %s", err, want)
		}
	}
}

func TestStoreHeedsItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := checkpointtest.NewStore()
	_, claim := store.ClaimOwnership(ctx, nil, nil)
	_, owners := store.ListOwnership(ctx, "", "", "", nil)
	_, checkpoints := store.ListCheckpoints(ctx, "", "", "", nil)
	for _, err := range []error{claim, owners, checkpoints, store.SetCheckpoint(ctx, azeventhubs.Checkpoint{}, nil)} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want %v", err, context.Canceled)
		}
	}
}

// process runs a processor until it has received want events, checkpoints each, and returns their
// bodies. It runs in real time, since the client leaks goroutines.
func process(t *testing.T, server *emulator.Server, store azeventhubs.CheckpointStore, want int) []string {
	t.Helper()
	consumer, err := azeventhubs.NewConsumerClientFromConnectionString(server.ConnectionString("events"), "", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = consumer.Close(context.Background()) }()
	processor, err := azeventhubs.NewProcessor(consumer, store, &azeventhubs.ProcessorOptions{
		UpdateInterval: 10 * time.Millisecond, // it claims one partition each time
		StartPositions: azeventhubs.StartPositions{Default: azeventhubs.StartPosition{Earliest: new(true)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	// It ends with ctx; the receive from done waits for it.
	go func() { done <- processor.Run(ctx) }()
	received := make(chan string)
	var partitions []*azeventhubs.ProcessorPartitionClient
	var bodies []string
	next := make(chan *azeventhubs.ProcessorPartitionClient)
	// It ends when the processor has ended.
	go func() {
		defer close(next)
		for p := processor.NextPartitionClient(ctx); p != nil; p = processor.NextPartitionClient(ctx) {
			next <- p
		}
	}()
	for len(bodies) < want && ctx.Err() == nil {
		select {
		case p, ok := <-next:
			if !ok {
				t.Fatal("the processor ended")
			}
			partitions = append(partitions, p)
			// It ends with ctx; cancel precedes the wait for the processor's end.
			go forward(ctx, p, received)
		case body := <-received:
			bodies = append(bodies, body)
		case <-ctx.Done():
		}
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
	for range next {
	}
	for _, p := range partitions {
		_ = p.Close(context.Background())
	}
	slices.Sort(bodies)
	return bodies
}

// forward receives a partition's events one by one and checkpoints each.
func forward(ctx context.Context, p *azeventhubs.ProcessorPartitionClient, received chan<- string) {
	for {
		events, err := p.ReceiveEvents(ctx, 1, nil)
		if err != nil {
			return
		}
		if err := p.UpdateCheckpoint(ctx, events[0], nil); err != nil {
			return
		}
		select {
		case received <- string(events[0].Body):
		case <-ctx.Done():
			return
		}
	}
}

func TestGoSDKProcessorGoesOnFromItsCheckpoints(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	store := checkpointtest.NewStore()
	seed := func(from, to int) {
		for i := from; i < to; i++ {
			if err := server.Seed("events", fmt.Sprint(i%2), emulator.Event{Body: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	seed(0, 6)
	if got := process(t, server, store, 6); fmt.Sprint(got) != "[0 1 2 3 4 5]" {
		t.Errorf("the first processor receives %v", got)
	}
	checkpoints, err := store.ListCheckpoints(t.Context(), server.Addr(), "events", azeventhubs.DefaultConsumerGroup, nil)
	if err != nil || len(checkpoints) != 2 {
		t.Fatalf("ListCheckpoints = %+v, %v", checkpoints, err)
	}
	for _, c := range checkpoints {
		if *c.SequenceNumber != 2 {
			t.Errorf("partition %s is checkpointed at %d, want 2", c.PartitionID, *c.SequenceNumber)
		}
	}
	seed(6, 10)
	if got := process(t, server, store, 4); fmt.Sprint(got) != "[6 7 8 9]" {
		t.Errorf("the second processor receives %v", got)
	}
}
