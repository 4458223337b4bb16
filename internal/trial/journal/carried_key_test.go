package journal

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// An event with an id and with a key in its annotations goes where the id says, and keeps the key.
// It also does so when a handler enqueues it again, and when a later life sends it in another form.
func TestAKeyInTheAnnotationsTravelsWithAnID(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		const partitions = 4
		key := func(i int) string { return fmt.Sprint("key ", i) }
		send := func(p *eventhubs.BufferedProducer) {
			for i := range partitions {
				w.Must(p.Enqueue(w.Context(), &eventhubs.Event{
					Body: fmt.Append(nil, i), PartitionID: "0",
					AMQP: &eventhubs.AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": key(i)}},
				}))
			}
		}
		again := eventhubs.Options{Logger: slog.New(slog.DiscardHandler), OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
			for e := range b.Events() {
				w.Want("partition of the handler's event", e.PartitionID, "0")
				w.Want("key of the handler's event", e.PartitionKey, "")
			}
			_, err := b.EnqueueAgain(ctx)
			w.Must(err)
		}}
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			if n == 1 {
				return emulator.Reject("amqp:not-allowed", "not yet")
			}
			return emulator.Pass()
		})
		p := w.Producer(again)
		send(p)
		_ = p.Flush(w.Context()) // reports the first outcome
		w.Must(p.Close(w.Context()))

		kept := eventhubs.Options{Logger: slog.New(slog.DiscardHandler), Journal: &eventhubs.JournalOptions{Directory: w.TempDir()}}
		w.OnTransfer(func(int, emulator.Operation) emulator.Action {
			return emulator.Detach("com.microsoft:server-busy", "later")
		})
		p = w.Producer(kept)
		send(p)
		_ = p.Abandon(w.Context()) // the events stay
		w.Server.SetHook(nil)
		kept.EnableIdempotentRetries = true
		w.Must(w.Producer(kept).Close(w.Context()))

		var got []string
		for e := range w.Server.Events("hub", "0") {
			got = append(got, string(e.Body)+" "+e.PartitionKey)
		}
		var want []string
		for i := range 2 * partitions {
			want = append(want, fmt.Sprint(i%partitions, " ", key(i%partitions)))
		}
		w.Want("events of partition 0", got, want)
	})
}
