// All slots of a club open at ten o'clock, and all members come at once. The first sign-up gets the
// slot. Each activity has its own partition, chosen by its id. There its sign-ups are stored in the
// order of Enqueue. A family signs up as a set with EnqueueAll, which is no batch and no
// transaction.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/examples/internal/hub"
)

const slots = 3 // of each activity

var activities = []string{"golf", "swimming", "tennis"} // each in the partition of its index

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (err error) {
	h, err := hub.Open(3, 0)
	if err != nil {
		return err
	}
	defer h.Close()

	// One list for each partition. The handlers of a partition run one at a time.
	members := make([][]string, len(activities))
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(h.ConnectionString, "", &eventhubs.Options{
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			for event := range batch.Events() {
				activity := event.Tag.(int)
				members[activity] = append(members[activity], string(event.Body))
			}
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, producer.Close(ctx)) }()

	for _, family := range [][]string{{"Ada", "Alan"}, {"Grace"}, {"Edsger", "Barbara"}} {
		for activity := range activities {
			if activity == 1 && family[0] == "Grace" {
				continue // she does not swim
			}
			accepted, err := producer.EnqueueAll(ctx, eventhubs.Events(signUps(family, activity)...))
			if err != nil {
				return fmt.Errorf("%d of the family were enqueued: %w", accepted, err)
			}
		}
	}
	// After Flush all events are stored and the handlers have returned.
	if err := producer.Flush(ctx); err != nil {
		return err
	}
	for activity, name := range activities {
		in := members[activity]
		fmt.Printf("%-8s  in: %v  waiting: %v\n", name, in[:min(slots, len(in))], in[min(slots, len(in)):])
	}

	err = producer.Enqueue(ctx, &eventhubs.Event{Body: []byte("Ada"), PartitionID: "chess"})
	fmt.Println("chess:", err) // errors.Is(err, eventhubs.ErrPartitionUnknown)
	return nil
}

// signUps returns a family's sign-ups for one activity.
func signUps(names []string, activity int) (events []*eventhubs.Event) {
	for _, name := range names {
		events = append(events, &eventhubs.Event{Body: []byte(name), PartitionID: fmt.Sprint(activity), Tag: activity})
	}
	return events
}
