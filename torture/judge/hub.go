package judge

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/go-eventhubs/eventhubs/torture/record"
)

// A Hub is how the judge reaches the hub: by the official client.
type Hub struct {
	ConnectionString string
	Name             string
}

const (
	openTimeout    = 5 * time.Second
	receiveTimeout = 100 * time.Millisecond
	receiveEvents  = 1000
	prefetch       = 4000
	reopenPause    = 50 * time.Millisecond

	// gapTries is how often a partition is read again from where events are missing, before they
	// count as gone.
	gapTries = 3
)

// LearnHomes sends an event with each key, so that the ledger learns from the official client and
// the service where each key belongs.
func (h *Hub) LearnHomes(ctx context.Context) error {
	client, err := azeventhubs.NewProducerClientFromConnectionString(h.ConnectionString, h.Name, nil)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	for i := range record.Keys {
		key := record.Key(i)
		batch, err := client.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionKey: &key})
		if err != nil {
			return err
		}
		if err := batch.AddEventData(&azeventhubs.EventData{Body: []byte(HomePrefix + key)}, nil); err != nil {
			return err
		}
		if err := client.SendEventDataBatch(ctx, batch, nil); err != nil {
			return fmt.Errorf("the home of %s: %w", key, err)
		}
	}
	return nil
}

// Follow reads all partitions into the ledger until ctx ends. It calls progress after each piece,
// from any goroutine. A consumer that fails is replaced by another one, which goes on where the
// ledger ends.
func (h *Hub) Follow(ctx context.Context, ledger *Ledger, progress func()) {
	var wg sync.WaitGroup
	for partition := range ledger.partitions {
		// Ends with ctx.
		wg.Go(func() {
			f := &follower{hub: h, ledger: ledger, partition: partition, progress: progress}
			for ctx.Err() == nil {
				f.follow(ctx)
				pause(ctx, reopenPause)
			}
		})
	}
	wg.Wait()
}

// A follower reads one partition.
type follower struct {
	hub       *Hub
	ledger    *Ledger
	partition int
	progress  func()

	events []Received
	gap    int64 // the sequence number that was missing
	gaps   int   // how often
}

// follow reads by one consumer, until it fails or a gap shows.
func (f *follower) follow(ctx context.Context) {
	client, err := azeventhubs.NewConsumerClientFromConnectionString(f.hub.ConnectionString, f.hub.Name, azeventhubs.DefaultConsumerGroup, &azeventhubs.ConsumerClientOptions{
		RetryOptions: azeventhubs.RetryOptions{MaxRetries: 1, RetryDelay: reopenPause},
	})
	if err != nil {
		return
	}
	defer f.close(ctx, client.Close)
	start := azeventhubs.StartPosition{Earliest: new(true)}
	if next := f.ledger.Next(f.partition); next > 0 {
		start = azeventhubs.StartPosition{SequenceNumber: new(next - 1)}
	}
	consumer, err := client.NewPartitionClient(strconv.Itoa(f.partition), &azeventhubs.PartitionClientOptions{StartPosition: start, Prefetch: prefetch})
	if err != nil {
		return
	}
	defer f.close(ctx, consumer.Close)
	for opened := false; ctx.Err() == nil; {
		timeout, count := receiveTimeout, receiveEvents
		if !opened {
			timeout, count = openTimeout, 1
		}
		receiving, cancel := context.WithTimeout(ctx, timeout)
		events, err := consumer.ReceiveEvents(receiving, count, nil)
		cancel()
		opened = opened || len(events) > 0
		if !f.enter(events) {
			return
		}
		if err != nil && !(opened && errors.Is(err, context.DeadlineExceeded)) {
			return
		}
	}
}

// close closes a client, which may wait for a service that is gone.
func (f *follower) close(ctx context.Context, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = do(ctx)
}

// enter enters events. It returns false if the partition should be read again, since some are
// missing.
func (f *follower) enter(events []*azeventhubs.ReceivedEventData) (ok bool) {
	if len(events) == 0 {
		return true
	}
	next := f.ledger.Next(f.partition)
	f.events = f.events[:0]
	for _, e := range events {
		if e.SequenceNumber > next {
			if f.gap != next {
				f.gap, f.gaps = next, 0
			}
			if f.gaps++; f.gaps < gapTries {
				f.ledger.Add(f.events)
				return false
			}
		}
		next = max(next, e.SequenceNumber+1)
		r := Received{Partition: f.partition, Sequence: e.SequenceNumber, Body: e.Body}
		if e.EnqueuedTime != nil {
			r.Enqueued = *e.EnqueuedTime
		}
		if e.PartitionKey != nil {
			r.Key = *e.PartitionKey
		}
		f.events = append(f.events, r)
	}
	f.ledger.Add(f.events)
	f.progress()
	return true
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
