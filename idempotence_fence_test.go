package eventhubs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
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
)

const (
	stolen     = "com.microsoft:producer-epoch-stolen"
	outOfOrder = "com.microsoft:out-of-order-sequence"
)

// publish returns what became of an event.
func (w *world) publish(p *eventhubs.BufferedProducer, partition, body string) eventhubs.Outcome {
	var d eventhubs.Delivery
	_, _ = p.Publish(w.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition, Delivery: &d})
	synctest.Wait() // until its batch is not one that a Flush would cover
	return d.Outcome()
}

// wantFailure checks an outcome's code and storage.
func (w *world) wantFailure(what string, o eventhubs.Outcome, code eventhubs.Code, storage eventhubs.Storage) {
	w.Helper()
	if e, ok := errors.AsType[*eventhubs.Error](o.Err); !ok || e.Code != code || e.Transient || o.Storage != storage {
		w.Errorf("%s: the outcome is %v, %v; want %s, final, %v", what, o.Storage, o.Err, code, storage)
	}
}

// fencings are the ways in which a producer may learn that another one has taken over.
var fencings = map[string]func(w *world, p *eventhubs.BufferedProducer){
	"its next send is rejected": func(w *world, p *eventhubs.BufferedProducer) {
		w.overtake(p, "0")
	},
	"its next attach is refused": func(w *world, p *eventhubs.BufferedProducer) {
		w.overtake(p, "0")
		w.server.CutAll()
		synctest.Wait()
	},
	"its link is detached when it sends": func(w *world, _ *eventhubs.BufferedProducer) {
		w.onTransfer(func(_ int, op emulator.Operation) emulator.Action {
			if op.PartitionID == "0" {
				return emulator.Detach(stolen, "another producer")
			}
			return emulator.Pass()
		})
	},
}

// overtake attaches as the producer of a partition, with a higher epoch.
func (w *world) overtake(p *eventhubs.BufferedProducer, partition string) {
	w.Helper()
	w.must(p.Flush(w.Context()))
	var id eventhubs.ProducerID
	for e := range w.server.Events("hub", partition) {
		id.ID, id.Epoch = e.Annotations["com.microsoft:producer-id"].(int64), e.Annotations["com.microsoft:producer-epoch"].(int16)+1
	}
	f, err := attachForeigner(w.Context(), w.server.Dial, partition, id, -1)
	w.must(err)
	w.must(f.conn.Close())
}

func TestAProducerThatIsFencedSaysSoAndTheOtherPartitionsGoOn(t *testing.T) {
	for name, fence := range fencings {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(w *world) {
				p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
				for _, partition := range []string{"0", "1"} {
					w.must(w.publish(p, partition, "a").Err)
				}
				fence(w, p)
				began := time.Now()
				o := w.publish(p, "0", "b")
				storage := eventhubs.NotStored
				if strings.Contains(name, "detached") {
					storage = eventhubs.PossiblyStored
				}
				w.wantFailure("what comes first", o, eventhubs.CodeFenced, storage)
				if !strings.Contains(fmt.Sprint(o.Err), "only one runs with this identity") {
					w.Errorf("the error does not say what to do: %v", o.Err)
				}
				w.wantFailure("what comes then", w.publish(p, "0", "c"), eventhubs.CodeFenced, eventhubs.NotStored)
				w.must(w.publish(p, "1", "d").Err)
				w.enqueue(p, "0", "e")
				if u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(w.Context())); !ok || u.Failed() != 3 || u.Pending != 0 {
					w.Errorf("Flush returned %v", u)
				}
				if e, ok := errors.AsType[*eventhubs.Error](p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true})); !ok || e.Code != eventhubs.CodeFenced || e.PartitionID != "0" {
					w.Errorf("Connect returned %v", e)
				}
				w.enqueue(p, "0", "f")
				if u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Close(w.Context())); !ok || u.Failed() != 1 || u.Pending != 0 {
					w.Errorf("Close returned %v", u)
				}
				if took := time.Since(began); took > time.Second {
					w.Errorf("all that took %v", took)
				}
				w.want("partition 0", w.storedIn("0"), "[a]")
				w.want("partition 1", w.storedIn("1"), "[a d]")
			})
		})
	}
}

// What is out of order is final, and certainly not stored; the next batch attaches with a higher epoch and goes on.
func TestNumbersOutOfOrderEndABatchAndTheNextGoesOn(t *testing.T) {
	for name, refusal := range map[string]emulator.Action{
		"rejected":                         emulator.Reject(outOfOrder, "not those"),
		"the link is detached":             emulator.Detach(outOfOrder, "not those"),
		"the link is detached, but stored": emulator.Detach(outOfOrder, "not those").Stored(),
	} {
		t.Run(name, func(t *testing.T) {
			inEachMode(t, func(w *world) {
				w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
					if n == 2 {
						return refusal
					}
					return emulator.Pass()
				})
				p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
				w.must(w.publish(p, "0", "a").Err)
				o := w.publish(p, "0", "b")
				storage, want := eventhubs.NotStored, "[0/1 a 1/2 c]"
				switch name {
				case "the link is detached":
					storage = eventhubs.PossiblyStored
				case "the link is detached, but stored":
					storage, want = eventhubs.PossiblyStored, "[0/1 a 0/2 b 1/3 c]"
				}
				w.wantFailure("what is out of order", o, eventhubs.CodeOutOfOrder, storage)
				w.want("tries", o.Tries, 1)
				w.must(w.publish(p, "0", "c").Err)
				w.want("partition 0", w.numbersIn("0"), want)
			})
		})
	}
}

// A service that has forgotten the producer does not expect its numbers: one batch fails, and then it goes on.
func TestAServiceThatHasForgottenTheProducerCostsOneBatch(t *testing.T) {
	inEachMode(t, func(w *world) {
		rejected := false
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer && rejected {
				rejected = false
				return emulator.Reject(outOfOrder, "no producer with this id")
			}
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.must(w.publish(p, "0", "a").Err)
		rejected = true
		w.wantFailure("the first", w.publish(p, "0", "b"), eventhubs.CodeOutOfOrder, eventhubs.NotStored)
		for _, body := range []string{"c", "d"} {
			w.must(w.publish(p, "0", body).Err)
		}
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 1/2 c 1/3 d]")
	})
}

// Numbers that may still arrive belong to an epoch that the service is told to fence off, also when the link is well.
func TestTheEpochIsRaisedOnANewLink(t *testing.T) {
	inEachMode(t, func(w *world) {
		w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
			switch n {
			case 2:
				return emulator.Cut()
			case 3:
				return emulator.Reject("amqp:not-allowed", "never") // on a link that stays
			}
			return emulator.Pass()
		})
		p := w.producer(eventhubs.Options{EnableIdempotentRetries: true})
		w.must(w.publish(p, "0", "a").Err)
		w.want("b", w.publish(p, "0", "b").Storage, eventhubs.PossiblyStored)
		w.must(w.publish(p, "0", "c").Err)
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 1/2 c]")
	})
}

// The bytes of a try that was given up arrive when the producer has gone on: they are refused, or it would be they whom the service takes for the next.
func TestAStragglerOfAFailedBatchIsFencedOff(t *testing.T) {
	inEachMode(t, func(w *world) {
		var lag time.Duration
		var mu sync.Mutex
		network := &lateNetwork{server: w.server, late: new(atomic.Int64), refuse: func() bool { return false }, lag: func() time.Duration {
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
		o.Connection.DialContext = network.dial
		p, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("hub"), "", &o)
		w.must(err)
		w.must(w.publish(p, "0", "a").Err)
		set(time.Minute)
		w.want("b", w.publish(p, "0", "b").Storage, eventhubs.PossiblyStored)
		set(0)
		w.must(w.publish(p, "0", "c").Err)
		time.Sleep(2 * time.Minute)
		if network.late.Load() == 0 {
			w.Error("nothing was late")
		}
		w.must(w.publish(p, "0", "d").Err)
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 1/2 c 1/3 d]")
		w.wantUndelivered("Close", p.Close(w.Context()), 1)
		network.work.Wait()
	})
}

// raised publishes what makes the producer raise its epoch at the next attach, which is then answered by an action.
func (w *world) raised(o eventhubs.Options, attach emulator.Action) (p *eventhubs.BufferedProducer, logged *bytes.Buffer) {
	failed, refused := false, false
	var mu sync.Mutex
	w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op.Kind == emulator.KindTransfer && op.Events == 2 && !failed:
			failed = true
			return emulator.Cut()
		case op.Kind == emulator.KindAttach && op.PartitionID != "" && failed && !refused:
			refused = true
			return attach
		}
		return emulator.Pass()
	})
	logged = new(bytes.Buffer)
	o.EnableIdempotentRetries, o.Logger = true, slog.New(slog.NewTextHandler(logged, nil))
	o.Retry.MaxRetries = -1
	p = w.producer(o)
	w.must(w.publish(p, "0", "a").Err)
	w.enqueue(p, "0", "b", "b")
	_ = p.Flush(w.Context())
	return p, logged
}

func TestARefusedHigherEpochMakesANewProducer(t *testing.T) {
	for _, condition := range []string{"com.microsoft:argument-out-of-range", "com.microsoft:argument-error", outOfOrder, stolen} {
		t.Run(condition, func(t *testing.T) {
			inEachMode(t, func(w *world) {
				p, logged := w.raised(eventhubs.Options{}, emulator.Reject(condition, "no such epoch"))
				w.must(w.publish(p, "0", "c").Err)
				w.want("partition 0", w.numbersIn("0"), "[0/1 a 2:0/1 c]")
				if !strings.Contains(logged.String(), "goes on as a new producer") {
					w.Errorf("the log is %s", logged)
				}
			})
		})
	}
}

// What is refused below the attach says nothing about who the producer is.
func TestARefusalOfSomethingElseLeavesTheProducerWhoItIs(t *testing.T) {
	inEachMode(t, func(w *world) {
		p, logged := w.raised(eventhubs.Options{}, emulator.Pass())
		refused := false
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindPutToken && !refused {
				refused = true
				return emulator.Reject("amqp:not-allowed", "no token now")
			}
			return emulator.Pass()
		})
		w.server.CutAll()
		synctest.Wait()
		o := w.publish(p, "0", "c")
		w.want("a token was refused", fmt.Sprint(refused, " ", o.Storage), "true not stored")
		w.must(w.publish(p, "0", "d").Err)
		w.want("partition 0", w.numbersIn("0"), "[0/1 a 1/2 d]")
		if strings.Contains(logged.String(), "new producer") {
			w.Errorf("the log is %s", logged)
		}
	})
}

func TestBehindTheLastEpochComesANewProducer(t *testing.T) {
	inEachMode(t, func(w *world) {
		id := eventhubs.ProducerID{ID: 4711, Epoch: math.MaxInt16 - 1}
		f, err := attachForeigner(w.Context(), w.server.Dial, "0", id, 7)
		w.must(err)
		w.must(f.conn.Close())
		state := newMemoryState()
		w.must(state.Save(w.Context(), keyOf("0"), eventhubs.ProducerID{}, id))
		for _, body := range []string{"a", "b"} {
			p := w.producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state})
			w.must(w.publish(p, "0", body).Err)
		}
		w.want("partition 0", w.numbersIn("0"), "[32767/8 a 2:0/1 b]")
		saved, err := state.Load(w.Context(), keyOf("0"))
		w.must(err)
		if saved.ID == 4711 || saved.Epoch != 0 {
			w.Errorf("saved is %+v", saved)
		}
	})
}

// With EnableIdempotentRetries off nothing on the wire is any different from before.
func TestWithoutIdempotentRetriesEventsCarryNoNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(1)})}
		p := w.producer(eventhubs.Options{})
		w.must(w.publish(p, "0", "a").Err)
		for e := range w.server.Events("hub", "0") {
			w.want("annotations", len(e.Annotations), 0)
		}
		w.want("the last number", p.Stats().Partitions[0].LastNumber, -1)
	})
}
