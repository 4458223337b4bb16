// In the first seconds of a song some listeners change the station, few or many. Then nothing
// happens until the next song. Each profile is an independent event, so it is enqueued alone,
// without key or partition. A burst may be too small to fill a batch for each partition. With
// Sticky it leaves as one batch instead of one for each partition.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

func main() {
	for _, way := range []struct {
		name         string
		partitioning eventhubs.Partitioning
	}{{"RoundRobin", eventhubs.RoundRobin}, {"Sticky", eventhubs.Sticky}} {
		fmt.Println(way.name)
		if err := run(context.Background(), way.partitioning); err != nil {
			log.Fatal(err)
		}
	}
}

func run(ctx context.Context, partitioning eventhubs.Partitioning) (err error) {
	h, err := hub.Open(8, 0)
	if err != nil {
		return err
	}
	defer h.Close()

	var burst sync.WaitGroup // counts a song's events without an outcome
	done := func(_ context.Context, batch *eventhubs.Batch) { burst.Add(-batch.Count) }
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		Partitioning:     partitioning,
		OnBatchSucceeded: done,
		OnBatchFailed: func(ctx context.Context, batch *eventhubs.Batch) {
			log.Printf("%d profiles %v: %v", batch.Count, batch.Outcome.Storage, batch.Outcome.Err)
			done(ctx, batch)
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()
	if err := producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}); err != nil {
		return err
	}

	before := uint64(0)
	for song, leaving := range []int{30, 300, 3} {
		burst.Add(leaving)
		for listener := range leaving {
			if err := producer.Enqueue(ctx, &eventhubs.Event{Body: profile(song, listener)}); err != nil {
				return err
			}
		}
		// The rest of the song: no event is enqueued, and the last batch leaves without a call.
		burst.Wait()
		batches := producer.Stats().StoredBatches
		fmt.Printf("  song %d: %3d listeners left, %d batch(es), then silence with %d events buffered\n",
			song+1, leaving, batches-before, producer.BufferedEvents())
		before = batches
	}
	return nil
}

func profile(song, listener int) []byte {
	return fmt.Appendf(nil, `{"song":%d,"listener":"%03d","second":%d,"age":"25-34","region":"north","genre":"jazz","key":"F#m","tempo":%d,"artist":%q}`,
		song, listener, listener%15, 90+10*song, "The Examples, with a name that is long enough to fill a batch some day, and an orchestra")
}
