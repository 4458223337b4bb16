// Package journal tests producers with a journal, from outside.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// An application whose network is down keeps what it accepted when it ends. The next life sends that
// in order and once, and then the new events.
func TestTheNextLifeSendsWhatTheFormerOneKept(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprint("idempotent ", idempotent), func(t *testing.T) {
			world.InMemory(t, func(w *world.World) {
				options := eventhubs.Options{Logger: slog.New(slog.DiscardHandler), EnableIdempotentRetries: idempotent, Journal: &eventhubs.JournalOptions{Directory: w.TempDir()}}
				refuse := true
				w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
					if refuse && op.Kind == emulator.KindTransfer {
						return emulator.Detach("com.microsoft:server-busy", "later")
					}
					return emulator.Pass()
				})
				p := w.Producer(options)
				d := new(eventhubs.Delivery)
				for i := range 10 {
					e := &eventhubs.Event{Body: fmt.Append(nil, "first ", i), PartitionID: "0"}
					if i == 3 {
						e.Delivery = d
					}
					w.Must(p.Enqueue(w.Context(), e))
				}
				time.Sleep(time.Hour) // longer than DeliveryTimeout and MaxRetries of a producer without a journal
				w.Want("buffered", p.BufferedEvents(), 10)
				ended, cancel := context.WithTimeout(w.Context(), time.Second)
				defer cancel()
				err := p.Close(ended)
				u, _ := errors.AsType[*eventhubs.UndeliveredError](err)
				if u == nil || u.Kept != 10 || u.Failed() != 0 || u.Pending != 0 || !errors.Is(err, eventhubs.ErrKept) {
					t.Fatalf("Close returned %v, want 10 kept", err)
				}
				if o := d.Outcome(); o.Storage != eventhubs.Pending || !errors.Is(o.Err, eventhubs.ErrKept) {
					t.Errorf("the Delivery has %v, %v, want Pending and ErrKept", o.Storage, o.Err)
				}
				refuse = false
				var told world.Outcomes
				recovered := 0
				options.OnBatchSucceeded = func(ctx context.Context, b *eventhubs.Batch) {
					told.Handle(ctx, b)
					if b.Recovered {
						recovered += b.Count
					}
				}
				p = w.Producer(options)
				w.Want("recovered", p.Journal().Recovered, 10)
				w.Enqueue(p, "0", "second")
				w.Must(p.Close(w.Context()))
				var want []string
				for i := range 10 {
					want = append(want, fmt.Sprint("first ", i))
				}
				w.Want("partition 0", w.StoredIn("0"), append(want, "second"))
				if recovered < 10 {
					t.Errorf("%d events came in batches with Recovered, want 10 at least", recovered)
				}
				w.Want("left in the journal", p.Journal().Events, 0)
			})
		})
	}
}
