package idempotence

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestALostAcknowledgementStoresNothingTwice(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			switch n % 5 {
			case 1:
				return emulator.Cut().Stored()
			case 2:
				return emulator.Silence().Stored()
			case 3:
				return emulator.Detach("amqp:link:detach-forced", "moved").Stored()
			case 4:
				return emulator.Cut()
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}})
		var want []string
		for i := range 20 {
			body := fmt.Sprint("e", i)
			want = append(want, body)
			w.Must(world.OutcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: "1"})))
		}
		w.Want("stored", w.StoredIn("1"), want)
		w.Want("the number of the last", p.Stats().Partitions[1].LastNumber, 20)
	})
}

func TestAServiceWithoutIdempotenceIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(2), Idempotence: emulator.Idempotence{Off: true}})}
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		if e, ok := errors.AsType[*eventhubs.Error](p.Connect(t.Context(), nil)); !ok || e.Code != eventhubs.CodeNotSupported {
			t.Errorf("Connect returned %v", e)
		}
		if e, ok := errors.AsType[*eventhubs.Error](world.OutcomeErr(p.Publish(t.Context(), world.Event("a")))); !ok || e.Code != eventhubs.CodeNotSupported || e.Tries != 1 {
			t.Errorf("Publish returned %v", e)
		}
		w.Want("stored", w.Server.Counts("hub", "").Events, 0)
	})
}

// A failed batch may still be on its way. The service must not take a later batch for it.
func TestAFailureWhoseNumbersMayHaveArrivedRaisesTheEpoch(t *testing.T) {
	for _, stored := range []bool{false, true} {
		world.InEachMode(t, func(w *world.World) {
			w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
				switch {
				case n == 2 && stored:
					return emulator.Silence().Stored()
				case n == 2:
					return emulator.Silence()
				}
				return emulator.Pass()
			})
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second, MaxRetries: -1}})
			to := &eventhubs.Event{PartitionID: "0"}
			w.Must(world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("a"), to))))
			if _, err := p.Publish(w.Context(), world.With(world.Event("b"), to)); err == nil {
				w.Error("a try without an answer succeeded")
			}
			w.Must(world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("c"), to))))
			want := "[a c]"
			if stored {
				want = "[a b c]"
			}
			w.Want("stored", w.StoredIn("0"), want)
		})
	}
}

func TestARestartedProducerIsTheSameOne(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		state := eventhubs.NewFileProducerStore(w.TempDir())
		former := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		to := &eventhubs.Event{PartitionID: "2"}
		w.Must(world.OutcomeErr(former.Publish(w.Context(), world.With(world.Event("a"), to))))
		w.Must(world.OutcomeErr(former.Publish(w.Context(), world.With(world.Event("b"), to))))

		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.Must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
		w.Want("the number of the last", p.Stats().Partitions[2].LastNumber, 2)
		w.Want("the number of the last where there is none", p.Stats().Partitions[1].LastNumber, 0)
		w.Must(world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("c"), to))))

		// The former producer only seemed to be dead.
		_, err := former.Publish(w.Context(), world.With(world.Event("late"), to))
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeFenced {
			w.Errorf("the zombie's Publish returned %v", err)
		}
		_, err = former.Publish(w.Context(), world.With(world.Event("later"), to))
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeFenced {
			w.Errorf("the zombie's second Publish returned %v", err)
		}
		w.Must(world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("d"), to))))
		w.Want("stored", w.StoredIn("2"), "[a b c d]")
		w.Want("the number of the last", p.Stats().Partitions[2].LastNumber, 4)
		_ = former.Close(context.Background())
	})
}
