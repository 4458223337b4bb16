// Failure recovery that keeps the order: events that cannot be published go into a database, in
// order. They are published from there when the service works again. With StopPartitionOnFailure no
// event overtakes another. All events after the first failure fail too, in order, and Enqueue
// refuses more until ResumePartition. Run it with: go run -C examples/deadletter .
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

const partition = "0" // the only one in this example; each partition has its own letters

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(1, 0)
	if err != nil {
		return err
	}
	defer h.Close()
	folder, err := os.MkdirTemp("", "deadletter")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	letters, err := openLetters(filepath.Join(folder, "letters.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, letters.db.Close()) }()

	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		// The example causes the failures itself; otherwise leave this out, so that failures are
		// logged.
		Logger:                 slog.New(slog.DiscardHandler),
		MaxWaitTime:            eventhubs.UntilFull, // book calls Flush
		StopPartitionOnFailure: true,
		// For a short demonstration; otherwise keep the default, 15.
		Retry:          eventhubs.RetryOptions{MaxRetries: -1},
		OnBatchFailed:  letters.keep,
		FlushOmitsTold: true, // each failed event is a letter
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()
	account := account{producer, letters}

	if err := account.book(ctx, 1, 2); err != nil {
		return err
	}
	h.OnTransfer(func(emulator.Operation) emulator.Action {
		return emulator.Reject("com.microsoft:entity-disabled", "somebody has switched the event hub off")
	})
	if err := account.book(ctx, 3, 4); err != nil {
		return err
	}
	if err := account.book(ctx, 5, 6); err != nil {
		return err
	}
	h.OnTransfer(nil) // the service works again
	if err := account.recover(ctx); err != nil {
		return err
	}
	if err := account.book(ctx, 7, 8); err != nil {
		return err
	}
	fmt.Println("stored:", h.Stored(partition))
	return nil
}

// An account has bookings that must be published in order. One goroutine uses it.
type account struct {
	producer *eventhubs.BufferedProducer
	letters  *letters
}

// book publishes bookings and waits until each is stored or a letter. While the partition is
// stopped, bookings become letters at once.
func (a account) book(ctx context.Context, numbers ...int) error {
	for _, number := range numbers {
		body := fmt.Appendf(nil, "booking %d", number)
		err := a.producer.Enqueue(ctx, &eventhubs.Event{Body: body, PartitionID: partition})
		if errors.Is(err, eventhubs.ErrPartitionStopped) {
			// Earlier bookings become letters first.
			if err = a.producer.FlushPartition(ctx, partition); err == nil {
				err = a.letters.put(partition, body)
				fmt.Printf("%s to the database: the partition is stopped\n", body)
			}
		}
		if err != nil {
			return err
		}
	}
	return a.producer.FlushPartition(ctx, partition)
}

// recover publishes the letters, oldest first, and deletes each from the database when it is
// stored. After a crash in between, one letter may be published twice: delivery is at least once.
func (a account) recover(ctx context.Context) error {
	if err := a.producer.ResumePartition(partition); err != nil {
		return err
	}
	return a.letters.each(partition, func(body []byte) (eventhubs.Outcome, error) {
		fmt.Printf("%s from the database\n", body)
		return a.producer.Publish(ctx, &eventhubs.Event{Body: body, PartitionID: partition, Tag: aLetter})
	})
}
