package idempotence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// fencings are the ways in which a producer learns that another one has taken over.
var fencings = map[string]func(w *world.World, p *eventhubs.BufferedProducer){
	"its next send is rejected": func(w *world.World, p *eventhubs.BufferedProducer) {
		w.Overtake(p, "0")
	},
	"its next attach is refused": func(w *world.World, p *eventhubs.BufferedProducer) {
		w.Overtake(p, "0")
		w.Server.CutAll()
		synctest.Wait()
	},
	"its link is detached when it sends": func(w *world.World, _ *eventhubs.BufferedProducer) {
		w.OnTransfer(func(_ int, op emulator.Operation) emulator.Action {
			if op.PartitionID == "0" {
				return emulator.Detach(world.Stolen, "another producer")
			}
			return emulator.Pass()
		})
	},
}

func TestAProducerThatIsFencedSaysSoAndTheOtherPartitionsGoOn(t *testing.T) {
	for name, fence := range fencings {
		t.Run(name, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
				for _, partition := range []string{"0", "1"} {
					w.Must(w.Publish(p, partition, "a").Err)
				}
				fence(w, p)
				began := time.Now()
				o := w.Publish(p, "0", "b")
				storage := eventhubs.NotStored
				if strings.Contains(name, "detached") {
					storage = eventhubs.PossiblyStored
				}
				w.WantFailure("the first outcome", o, eventhubs.CodeFenced, storage)
				if !strings.Contains(fmt.Sprint(o.Err), "only one runs with this identity") {
					w.Errorf("the error does not say what to do: %v", o.Err)
				}
				w.WantFailure("the next outcome", w.Publish(p, "0", "c"), eventhubs.CodeFenced, eventhubs.NotStored)
				w.Must(w.Publish(p, "1", "d").Err)
				w.Enqueue(p, "0", "e")
				if u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(w.Context())); !ok || u.Failed() != 3 || u.Pending != 0 {
					w.Errorf("Flush returned %v", u)
				}
				if e, ok := errors.AsType[*eventhubs.Error](p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true})); !ok || e.Code != eventhubs.CodeFenced || e.PartitionID != "0" {
					w.Errorf("Connect returned %v", e)
				}
				w.Enqueue(p, "0", "f")
				if u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(w.Context())); !ok || u.Failed() != 1 || u.Pending != 0 {
					w.Errorf("Close returned %v", u)
				}
				if took := time.Since(began); took > time.Second {
					w.Errorf("all that took %v", took)
				}
				w.Want("partition 0", w.StoredIn("0"), "[a]")
				w.Want("partition 1", w.StoredIn("1"), "[a d]")
			})
		})
	}
}

// A batch that is out of order fails for good, and is certainly not stored. The next batch attaches
// with a higher epoch and goes on.
func TestNumbersOutOfOrderEndABatchAndTheNextGoesOn(t *testing.T) {
	for name, refusal := range map[string]emulator.Action{
		"rejected":                         emulator.Reject(world.OutOfOrder, "not those"),
		"the link is detached":             emulator.Detach(world.OutOfOrder, "not those"),
		"the link is detached, but stored": emulator.Detach(world.OutOfOrder, "not those").Stored(),
	} {
		t.Run(name, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
					if n == 2 {
						return refusal
					}
					return emulator.Pass()
				})
				p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
				w.Must(w.Publish(p, "0", "a").Err)
				o := w.Publish(p, "0", "b")
				storage, want := eventhubs.NotStored, "[0/1 a 1/2 c]"
				switch name {
				case "the link is detached":
					storage = eventhubs.PossiblyStored
				case "the link is detached, but stored":
					storage, want = eventhubs.PossiblyStored, "[0/1 a 0/2 b 1/3 c]"
				}
				w.WantFailure("an event out of order", o, eventhubs.CodeOutOfOrder, storage)
				w.Want("tries", o.Tries, 1)
				w.Must(w.Publish(p, "0", "c").Err)
				w.Want("partition 0", w.NumbersIn("0"), want)
			})
		})
	}
}

// A service that has forgotten the producer does not expect its numbers. One batch fails, and then
// the partition goes on.
func TestAServiceThatHasForgottenTheProducerCostsOneBatch(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		rejected := false
		w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer && rejected {
				rejected = false
				return emulator.Reject(world.OutOfOrder, "no producer with this id")
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.Must(w.Publish(p, "0", "a").Err)
		rejected = true
		w.WantFailure("the first", w.Publish(p, "0", "b"), eventhubs.CodeOutOfOrder, eventhubs.NotStored)
		for _, body := range []string{"c", "d"} {
			w.Must(w.Publish(p, "0", body).Err)
		}
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 1/2 c 1/3 d]")
	})
}

// The service fences off the epoch of numbers that may still arrive, also when the link is healthy.
func TestTheEpochIsRaisedOnANewLink(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
			switch n {
			case 2:
				return emulator.Cut()
			case 3:
				return emulator.Reject("amqp:not-allowed", "never") // on a link that stays
			}
			return emulator.Pass()
		})
		p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.Must(w.Publish(p, "0", "a").Err)
		w.Want("b", w.Publish(p, "0", "b").Storage, eventhubs.PossiblyStored)
		w.Must(w.Publish(p, "0", "c").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 1/2 c]")
	})
}

// The bytes of an abandoned try arrive after the producer has gone on. The service must refuse
// them, or it would take them for the next batch.
func TestAStragglerOfAFailedBatchIsFencedOff(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		var lag time.Duration
		var mu sync.Mutex
		network := &world.LateNetwork{Server: w.Server, Late: new(atomic.Int64), Refuse: func() bool { return false }, Lag: func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return lag
		}}
		set := func(to time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			lag = to
		}
		o := eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{TryTimeout: 10 * time.Second, MaxRetries: -1}}
		o.Connection.DialContext = network.Dial
		p, err := eventhubs.NewBufferedProducerFromConnectionString(w.Server.ConnectionString("hub"), "", &o)
		w.Must(err)
		w.Must(w.Publish(p, "0", "a").Err)
		set(time.Minute)
		w.Want("b", w.Publish(p, "0", "b").Storage, eventhubs.PossiblyStored)
		set(0)
		w.Must(w.Publish(p, "0", "c").Err)
		time.Sleep(2 * time.Minute)
		if network.Late.Load() == 0 {
			w.Error("nothing was late")
		}
		w.Must(w.Publish(p, "0", "d").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 1/2 c 1/3 d]")
		w.WantUndelivered("Close", p.Close(w.Context()), 1)
		network.Work.Wait()
	})
}

func TestARefusedHigherEpochMakesANewProducer(t *testing.T) {
	for _, condition := range []string{"com.microsoft:argument-out-of-range", "com.microsoft:argument-error", world.OutOfOrder, world.Stolen} {
		t.Run(condition, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				p, logged := w.Raised(eventhubs.Options{}, emulator.Reject(condition, "no such epoch"))
				w.Must(w.Publish(p, "0", "c").Err)
				w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 2:0/1 c]")
				if !strings.Contains(logged.String(), "goes on as a new producer") {
					w.Errorf("the log is %s", logged)
				}
			})
		})
	}
}

// A refusal below the attach says nothing about the producer's identity.
func TestARefusalOfSomethingElseLeavesTheProducerWhoItIs(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		p, logged := w.Raised(eventhubs.Options{}, emulator.Pass())
		refused := false
		w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindPutToken && !refused {
				refused = true
				return emulator.Reject("amqp:not-allowed", "no token now")
			}
			return emulator.Pass()
		})
		w.Server.CutAll()
		synctest.Wait()
		o := w.Publish(p, "0", "c")
		w.Want("a token was refused", fmt.Sprint(refused, " ", o.Storage), "true not stored")
		w.Must(w.Publish(p, "0", "d").Err)
		w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 1/2 d]")
		if strings.Contains(logged.String(), "new producer") {
			w.Errorf("the log is %s", logged)
		}
	})
}

func TestBehindTheLastEpochComesANewProducer(t *testing.T) {
	world.InEachMode(t, func(w *world.World) {
		id := eventhubs.ProducerID{ID: 4711, Epoch: math.MaxInt16 - 1}
		f, err := world.AttachForeigner(w.Context(), w.Server.Dial, "0", id, 7)
		w.Must(err)
		w.Must(f.Conn.Close())
		state := world.NewMemoryState()
		w.Must(state.Save(w.Context(), world.KeyOf("0"), eventhubs.ProducerID{}, id))
		for _, body := range []string{"a", "b"} {
			p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
			w.Must(w.Publish(p, "0", body).Err)
		}
		w.Want("partition 0", w.NumbersIn("0"), "[32767/8 a 2:0/1 b]")
		saved, err := state.Load(w.Context(), world.KeyOf("0"))
		w.Must(err)
		if saved.ID == 4711 || saved.Epoch != 0 {
			w.Errorf("saved is %+v", saved)
		}
	})
}

// Without EnableIdempotentRetries, nothing on the wire differs from before.
func TestWithoutIdempotentRetriesEventsCarryNoNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1)})}
		p := w.Producer(eventhubs.Options{})
		w.Must(w.Publish(p, "0", "a").Err)
		for e := range w.Server.Events("hub", "0") {
			w.Want("annotations", len(e.Annotations), 0)
		}
		w.Want("the last number", p.Stats().Partitions[0].LastNumber, -1)
	})
}
