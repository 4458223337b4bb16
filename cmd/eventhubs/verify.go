package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// silenceTimeout is how long reading back waits for a stored event.
const silenceTimeout = 30 * time.Second

// A received is an event that was read back.
type received struct {
	partition string
	key       string // empty if it has none
	body      []byte
}

// readBack yields all events of a hub, one partition after the other, each in its order. It reads
// with the official SDK's consumer, and ends with the first error.
func readBack(ctx context.Context, to *clientOptions, tell func(string)) iter.Seq2[received, error] {
	return func(yield func(received, error) bool) {
		extents, err := partitionExtents(ctx, to)
		if err != nil {
			yield(received{}, err)
			return
		}
		consumer, err := to.newConsumer(azeventhubs.DefaultConsumerGroup)
		if err != nil {
			yield(received{}, err)
			return
		}
		defer consumer.Close(context.WithoutCancel(ctx))
		for _, extent := range extents {
			if extent.IsEmpty {
				continue
			}
			for e, err := range readPartition(ctx, to, consumer, extent, tell) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// partitionExtents returns the extent of each named partition of the hub, or of all partitions
// without ids.
//
// It asks through the SDK's producer. The consumer has the same method, but then its Close leaks a
// goroutine that renews the token of its management link.
func partitionExtents(ctx context.Context, to *clientOptions, ids ...string) ([]azeventhubs.PartitionProperties, error) {
	client, err := to.newSDKProducer()
	if err != nil {
		return nil, err
	}
	defer client.Close(context.WithoutCancel(ctx))
	if len(ids) == 0 {
		properties, err := client.GetEventHubProperties(ctx, nil)
		if err != nil {
			return nil, err
		}
		ids = properties.PartitionIDs
	}
	var extents []azeventhubs.PartitionProperties
	for _, id := range ids {
		extent, err := client.GetPartitionProperties(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		extents = append(extents, extent)
	}
	return extents, nil
}

// readPartition yields a partition's events within its extent.
func readPartition(ctx context.Context, to *clientOptions, consumer *azeventhubs.ConsumerClient, extent azeventhubs.PartitionProperties, tell func(string)) iter.Seq2[received, error] {
	return func(yield func(received, error) bool) {
		id, last := extent.PartitionID, extent.LastEnqueuedSequenceNumber
		from := start{id, azeventhubs.StartPosition{Earliest: new(true)}}
		reader := newPartitionReader(to, consumer, to.hub, azeventhubs.DefaultConsumerGroup, from, tell)
		defer reader.close(ctx)
		for next := extent.BeginningSequenceNumber; next <= last; {
			e, err := receive(ctx, reader)
			if err != nil {
				yield(received{}, fmt.Errorf("partition %s, sequence numbers %d to %d: %w", id, next, last, err))
				return
			}
			r := received{partition: id, body: bodyBytes(e.RawAMQPMessage.Body)}
			if e.PartitionKey != nil {
				r.key = *e.PartitionKey
			}
			if !yield(r, nil) {
				return
			}
			next = e.SequenceNumber + 1
		}
	}
}

// receive waits for an event for up to silenceTimeout.
func receive(ctx context.Context, reader *partitionReader) (*azeventhubs.ReceivedEventData, error) {
	ctx, cancel := context.WithTimeout(ctx, silenceTimeout)
	defer cancel()
	return reader.next(ctx)
}

// verify reads everything back. Its error names the differences.
func (pub *publication) verify(ctx context.Context) error {
	for e, err := range readBack(ctx, &pub.target.clientOptions, pub.process.tell) {
		if err != nil {
			return fmt.Errorf("reading back: %w", err)
		}
		pub.ledger.received(e)
	}
	found := append(pub.ledger.differences(), pub.tally.differences(pub.ledger.partitions)...)
	if len(found) == 0 {
		pub.verified = true
		return nil
	}
	const shown = 10
	if len(found) > shown {
		found = append(found[:shown], fmt.Sprintf("and %d more differences", len(found)-shown))
	}
	return errors.New("the events read back differ from the events sent:\n  " + strings.Join(found, "\n  "))
}
