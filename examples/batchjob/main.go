// A batch job with progress publishes a week's earthquakes, one event for each. EnqueueAll takes a
// source that may fail, and waits while the buffer is full. Each event's Tag is its share of the
// file in bytes. The handler adds up the Tags of stored events. Close waits for the rest, and its
// error says what is not stored.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log"
	"sync"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
	"github.com/go-eventhubs/eventhubs/examples/internal/quakes"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// lines yields the events of a file, one for each line. Enqueue copies the event, so one variable
// is enough.
func lines(file io.Reader) iter.Seq2[*eventhubs.Event, error] {
	return func(yield func(*eventhubs.Event, error) bool) {
		scanner := bufio.NewScanner(file)
		var event eventhubs.Event
		for scanner.Scan() {
			event.Body = scanner.Bytes()
			event.Tag = int64(len(event.Body) + 1)
			if !yield(&event, nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// progress prints each quarter once.
type progress struct {
	size int64

	mu     sync.Mutex // batches of different partitions are handled at the same time
	stored int64
	told   int64
}

func (p *progress) add(_ context.Context, batch *eventhubs.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for bytes := range batch.Tags() {
		p.stored += bytes.(int64)
	}
	for ; p.told < p.stored*4/p.size; p.told++ {
		fmt.Printf("%d %% are stored\n", (p.told+1)*25)
	}
}

func run(ctx context.Context) error {
	h, err := hub.Open(4, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	file, err := quakes.Open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}

	progress := &progress{size: info.Size()}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{OnBatchSucceeded: progress.add})
	if err != nil {
		return err
	}
	accepted, err := producer.EnqueueAll(ctx, lines(file))
	if err := errors.Join(err, producer.Close(ctx)); err != nil {
		return fmt.Errorf("%d events were accepted: %w", accepted, err)
	}
	fmt.Printf("done: %d events\n", accepted)
	return nil
}
