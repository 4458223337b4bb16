package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
	"github.com/go-eventhubs/eventhubs/internal/eventjson"
)

// silenceTimeout is how long reading back waits for a stored event.
const silenceTimeout = 30 * time.Second

// A received is an event that was read back.
type received struct {
	partition string
	key       string // empty if it has none
	body      []byte
}

// readBack yields all events of a hub, one partition after the other, each in its order. It ends
// with the first error.
func readBack(ctx context.Context, to *clientOptions) iter.Seq2[received, error] {
	return func(yield func(received, error) bool) {
		conn := to.connect("eventhubs-verify")
		defer func() {
			ctx, cancel := closing(ctx)
			defer cancel()
			_ = conn.Close(ctx) // nothing can be lost here
		}()
		ids, err := partitionIDs(ctx, conn, to.hub)
		if err != nil {
			yield(received{}, err)
			return
		}
		extents, err := partitionExtents(ctx, conn, to.hub, ids)
		if err != nil {
			yield(received{}, err)
			return
		}
		for _, extent := range extents {
			if extent.IsEmpty {
				continue
			}
			for e, err := range readPartition(ctx, conn, to.hub, extent) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// partitionIDs asks for the partitions of a hub.
func partitionIDs(ctx context.Context, conn *connection.Conn, hub string) ([]string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("no answer within %v", lookTimeout))
	defer cancel()
	properties, err := patiently(ctx, func() (connection.HubProperties, error) { return conn.HubProperties(ctx, hub) })
	return properties.PartitionIDs, explainLook(hub, err)
}

// partitionExtents asks for the extent of each of these partitions.
func partitionExtents(ctx context.Context, conn *connection.Conn, hub string, ids []string) ([]connection.PartitionProperties, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookTimeout, fmt.Errorf("no answer within %v", lookTimeout))
	defer cancel()
	extents := make([]connection.PartitionProperties, len(ids))
	for i, id := range ids {
		var err error
		if extents[i], err = patiently(ctx, func() (connection.PartitionProperties, error) { return conn.PartitionProperties(ctx, hub, id) }); err != nil {
			return nil, err
		}
		extents[i].PartitionID = id
	}
	return extents, nil
}

// askPause is the time between two questions of which the first had no answer.
const askPause = time.Second

// patiently asks again until ctx ends, where that may help: the namespace was reached, and the
// connection was lost or the service is busy.
func patiently[T any](ctx context.Context, ask func() (T, error)) (answer T, err error) {
	for tries := 0; ; tries++ {
		answer, err = ask()
		e, ok := errors.AsType[*connection.Error](err)
		switch {
		case !ok || !e.Transient && !e.Lost || e.Unreached:
			return answer, err
		case e.Lost && tries == 0:
			continue // on a new connection
		}
		pause := time.NewTimer(max(e.Wait, askPause))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return answer, err
		}
	}
}

// readPartition yields a partition's events within its extent.
func readPartition(ctx context.Context, conn *connection.Conn, hub string, extent connection.PartitionProperties) iter.Seq2[received, error] {
	return func(yield func(received, error) bool) {
		id, next, last := extent.PartitionID, extent.BeginningSequenceNumber, extent.LastEnqueuedSequenceNumber
		fail := func(err error) {
			yield(received{}, fmt.Errorf("partition %s, sequence numbers %d to %d: %w", id, next, last, err))
		}
		reader := consumer.NewReader(conn, hub, defaultGroup, id, consumer.Start())
		defer reader.Close()
		for next <= last {
			events, err := receive(ctx, reader)
			if err != nil {
				fail(err)
				return
			}
			for i := range events {
				e := &events[i]
				if e.Err != nil {
					fail(fmt.Errorf("%s is not a valid AMQP message: %w", e, e.Err))
					return
				}
				if e.SequenceNumber > last {
					return
				}
				r := received{partition: id, body: bodyBytes(&e.Message)}
				if key, ok := e.Message.Annotations.Get(eventjson.KeyAnnotation); ok {
					r.key, _ = key.(string)
				}
				if !yield(r, nil) {
					return
				}
				next = e.SequenceNumber + 1
			}
		}
	}
}

// receive waits for events for up to silenceTimeout.
func receive(ctx context.Context, reader *consumer.Reader) ([]consumer.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, silenceTimeout)
	defer cancel()
	return reader.Next(ctx)
}

// verify reads everything back. Its error names the differences.
func (pub *publication) verify(ctx context.Context) error {
	for e, err := range readBack(ctx, &pub.target.clientOptions) {
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
