package eventhubs_test

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
)

// modes are the ways in which a service may deal with idempotent producers as far as public facts go: a producer must be right with each.
var modes = map[string]emulator.Idempotence{
	"echoes":             {},
	"reports":            {ReportTracked: true},
	"echoes and trusts":  {TrustNumbers: true},
	"reports and trusts": {ReportTracked: true, TrustNumbers: true},
}

// inEachMode runs a test in virtual time against each kind of service.
func inEachMode(t *testing.T, test func(w *world)) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(&world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(4), Idempotence: mode})})
			})
		})
	}
}

// storedIn returns the bodies of a partition's events.
func (w *world) storedIn(partition string) (bodies []string) {
	for e := range w.server.Events("hub", partition) {
		bodies = append(bodies, string(e.Body))
	}
	return bodies
}

func TestALostAcknowledgementStoresNothingTwice(t *testing.T) {
	inEachMode(t, func(w *world) {
		w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
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
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second}})
		var want []string
		for i := range 20 {
			body := fmt.Sprint("e", i)
			want = append(want, body)
			w.must(outcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: "1"})))
		}
		w.want("stored", w.storedIn("1"), want)
		w.want("the number of the last", p.Stats().Partitions[1].LastNumber, 20)
	})
}

func TestAServiceWithoutIdempotenceIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(2), Idempotence: emulator.Idempotence{Off: true}})}
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		if e, ok := errors.AsType[*eventhubs.Error](p.Connect(t.Context(), nil)); !ok || e.Code != eventhubs.CodeNotSupported {
			t.Errorf("Connect returned %v", e)
		}
		if e, ok := errors.AsType[*eventhubs.Error](outcomeErr(p.Publish(t.Context(), data("a")))); !ok || e.Code != eventhubs.CodeNotSupported || e.Tries != 1 {
			t.Errorf("Publish returned %v", e)
		}
		w.want("stored", w.server.Counts("hub", "").Events, 0)
	})
}

// What has failed may still be on its way: nothing that is sent later must be taken for it.
func TestAFailureWhoseNumbersMayHaveArrivedRaisesTheEpoch(t *testing.T) {
	for _, stored := range []bool{false, true} {
		inEachMode(t, func(w *world) {
			w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
				switch {
				case n == 2 && stored:
					return emulator.Silence().Stored()
				case n == 2:
					return emulator.Silence()
				}
				return emulator.Pass()
			})
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{TryTimeout: 5 * time.Second, MaxRetries: -1}})
			to := &eventhubs.Event{PartitionID: "0"}
			w.must(outcomeErr(p.Publish(w.Context(), eventhubs.With(data("a"), to))))
			if _, err := p.Publish(w.Context(), eventhubs.With(data("b"), to)); err == nil {
				w.Error("a try without an answer succeeded")
			}
			w.must(outcomeErr(p.Publish(w.Context(), eventhubs.With(data("c"), to))))
			want := "[a c]"
			if stored {
				want = "[a b c]"
			}
			w.want("stored", w.storedIn("0"), want)
		})
	}
}

func TestARestartedProducerIsTheSameOne(t *testing.T) {
	inEachMode(t, func(w *world) {
		state := eventhubs.NewFileProducerStore(w.TempDir())
		former := w.producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		to := &eventhubs.Event{PartitionID: "2"}
		w.must(outcomeErr(former.Publish(w.Context(), eventhubs.With(data("a"), to))))
		w.must(outcomeErr(former.Publish(w.Context(), eventhubs.With(data("b"), to))))

		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
		w.must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
		w.want("the number of the last", p.Stats().Partitions[2].LastNumber, 2)
		w.want("the number of the last where there is none", p.Stats().Partitions[1].LastNumber, 0)
		w.must(outcomeErr(p.Publish(w.Context(), eventhubs.With(data("c"), to))))

		// The former one was only thought to be dead.
		_, err := former.Publish(w.Context(), eventhubs.With(data("late"), to))
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeFenced {
			w.Errorf("the zombie's Publish returned %v", err)
		}
		_, err = former.Publish(w.Context(), eventhubs.With(data("later"), to))
		if e, ok := errors.AsType[*eventhubs.Error](err); !ok || e.Code != eventhubs.CodeFenced {
			w.Errorf("the zombie's second Publish returned %v", err)
		}
		w.must(outcomeErr(p.Publish(w.Context(), eventhubs.With(data("d"), to))))
		w.want("stored", w.storedIn("2"), "[a b c d]")
		w.want("the number of the last", p.Stats().Partitions[2].LastNumber, 4)
		_ = former.Close(context.Background())
	})
}
