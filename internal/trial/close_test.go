package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestCloseSendsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchSucceeded: told.Handle})
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "2", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(told.All()); got != 2 {
			t.Errorf("%d batches had an outcome when Close returned, want 2", got)
		}
		if !p.IsClosed() || p.BufferedEvents() != 0 || !peer.Closed {
			t.Errorf("after Close: IsClosed %v, %d buffered, connection closed %v", p.IsClosed(), p.BufferedEvents(), peer.Closed)
		}
	})
}

func TestAfterCloseEverythingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Enqueue(t.Context(), world.Event("a")); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("Enqueue returned %v, want ErrClosed", err)
		}
		if err := p.Flush(t.Context()); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("Flush returned %v, want ErrClosed", err)
		}
		if _, err := p.EventHubProperties(t.Context()); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("EventHubProperties returned %v, want ErrClosed", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("a second Close returned %v, want the first one's result", err)
		}
	})
}

func TestCloseWakesWhoeverWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 1})
		world.Enqueue(t, p, "0", "a")
		refused := make(chan error)
		for range 10 {
			go func() { refused <- p.Enqueue(t.Context(), world.Event("b")) }()
		}
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- p.Close(t.Context()) }()
		for range 10 {
			if err := <-refused; !errors.Is(err, eventhubs.ErrClosed) {
				t.Errorf("a waiting Enqueue returned %v, want ErrClosed", err)
			}
		}
		if scripted.Now() != 0 {
			t.Errorf("the waiting Enqueues were refused at %v, want at once", scripted.Now())
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWhoseContextEndsFailsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Hour }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "in flight")
		go p.Flush(t.Context())
		synctest.Wait()
		world.Enqueue(t, p, "0", "behind")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Close(ctx)
		if scripted.Now() != time.Second {
			t.Errorf("Close returned at %v, want 1s", scripted.Now())
		}
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err)
		if !ok || undelivered.Failed() != 2 || !errors.Is(err, eventhubs.ErrClosed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		want := map[string]eventhubs.Storage{"in flight": eventhubs.PossiblyStored, "behind": eventhubs.NotStored}
		for _, b := range told.All() {
			if got := b.Outcome.Storage; got != want[b.Bodies[0]] {
				t.Errorf("%v is %v, want %v", b.Bodies, got, want[b.Bodies[0]])
			}
			if !errors.Is(b.Outcome.Err, eventhubs.ErrClosed) || !errors.Is(b.Outcome.Err, context.DeadlineExceeded) {
				t.Errorf("%v failed with %v", b.Bodies, b.Outcome.Err)
			}
		}
		if len(told.All()) != 2 {
			t.Errorf("outcomes: %v", told.All())
		}
		peer.WantSends("nothing more is sent", "0s 0 [in flight]")
	})
}

func TestCloseEndsThePauseBeforeARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Transient(connection.NotSent) }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Retry: eventhubs.RetryOptions{RetryDelay: time.Hour, MaxRetryDelay: time.Hour},
			OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, DeliveryTimeout: -1})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, eventhubs.ErrClosed) || scripted.Now() != time.Second {
			t.Errorf("Close returned %v at %v", err, scripted.Now())
		}
	})
}

func TestCloseWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(int) error { return errors.New("no such host") }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "", "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := p.Close(ctx)
		if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok || undelivered.Failed() != 2 {
			t.Errorf("Close returned %v, want an UndeliveredError with 2 failed", err)
		}
		if all := told.All(); len(all) != 1 || all[0].Outcome.Storage != eventhubs.NotStored || fmt.Sprint(all[0].Bodies) != "[a b]" {
			t.Errorf("outcomes: %v", all)
		}
	})
}

func TestEveryCloseReturnsTheSameResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		peer.Answer = func(scripted.Sent) connection.Result {
			return scripted.Refused("no")
		}
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a")
		results := make(chan error)
		for range 3 {
			go func() { results <- p.Close(t.Context()) }()
		}
		for range 3 {
			if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](<-results); !ok || undelivered.Failed() != 1 {
				t.Errorf("Close returned %v", undelivered)
			}
			if scripted.Now() != time.Second {
				t.Errorf("Close returned at %v, want 1s", scripted.Now())
			}
		}
	})
}

func TestPartitionForKeyAndResumeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Connected(scripted.New(t, 2), eventhubs.Options{})
		_ = p.Close(t.Context())
		if _, err := p.PartitionForKey(t.Context(), "k"); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("PartitionForKey after Close: %v", err)
		}
		if err := p.ResumePartition("0"); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("ResumePartition after Close: %v", err)
		}
	})
}

// A Close after another Close has ended returns that one's result, whatever its own context.
func TestACloseAfterCloseReturnsItsResultWithAnyContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			if err := p.Close(ended); err != nil {
				t.Fatalf("Close returned %v, want nil as the first did", err)
			}
		}
	})
}

func TestCloseAfterIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		world.Enqueue(t, p, "0", "first")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		world.Enqueue(t, p, "0", "last")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.WantSends("in all", "0s 0 [first]", "1h0m0s 0 [last]")
	})
}

func TestACloseDuringDiscoveryLogsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := scripted.New(t, 1)
		h := &scripted.HangingHub{Hub: peer, Hang: true}
		p := world.On(t, h, eventhubs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "", "a")
		synctest.Wait()
		_ = p.Abandon(t.Context())
		if strings.Contains(log.String(), "begun to fail") {
			t.Errorf("logged: %s", log.String())
		}
	})
}

// Close begins and ends while an Enqueue has its room and chooses the partition.
func TestAnEnqueueThatCloseOvertakesIsRefusedAndLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		var p *eventhubs.BufferedProducer
		p = world.Over(peer, eventhubs.Options{
			Trace: &eventhubs.Trace{Encoding: func(ctx context.Context, _ eventhubs.TracedEncoding) {
				// The list becomes known after the lookup of the event's route and before the
				// choice of its partition.
				if err := p.Connect(ctx, nil); err != nil {
					t.Error(err)
				}
			}},
			KeyPartitioner: func(eventhubs.KeyPlacement) int {
				if err := p.Close(context.Background()); err != nil {
					t.Errorf("Close: %v", err)
				}
				return 1
			},
		})
		var d eventhubs.Delivery
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionKey: "k", Delivery: &d}); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("Enqueue returned %v, want ErrClosed", err)
		}
		if p.BufferedEvents() != 0 || len(peer.Sent()) != 0 || d.Outcome() != (eventhubs.Outcome{Err: eventhubs.ErrPending}) {
			t.Errorf("%d are buffered, %d batches were sent, the Delivery says %+v", p.BufferedEvents(), len(peer.Sent()), d.Outcome())
		}
	})
}

func TestCloseWaitsForEveryGoroutineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		ended := false
		peer.List = func(int) error {
			time.Sleep(time.Minute) // the call ignores its context
			ended = true
			return errors.New("too late")
		}
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "", "a")
		p.Clear(t.Context())
		synctest.Wait() // nothing is buffered any more, but the producer still asks for the list
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !ended {
			t.Errorf("Close returned at %v and left a goroutine running", scripted.Now())
		}
	})
}

func TestWhoWaitsForAnotherClosesEndMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Minute / 2 }
		p := world.Connected(peer, eventhubs.Options{})
		world.Enqueue(t, p, "0", "a")
		first := make(chan error, 1)
		go func() { first <- p.Close(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || scripted.Now() != time.Second {
			t.Errorf("the second Close returned %v at %v", err, scripted.Now())
		}
		if err := <-first; err != nil || scripted.Now() != time.Minute/2 {
			t.Errorf("the first Close returned %v at %v: the second must not cut it short", err, scripted.Now())
		}
	})
}

func TestEveryCallAfterCloseSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Connected(peer, eventhubs.Options{})
		for range 3 {
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Abandon(t.Context()); err != nil {
			t.Errorf("Abandon after Close returned %v, want Close's result", err)
		}
		asked, ctx := peer.Asked, t.Context()
		calls := map[string]func() error{
			"Enqueue":         func() error { return p.Enqueue(ctx, world.Event("a")) },
			"TryEnqueue":      func() error { return p.TryEnqueue(t.Context(), world.Event("a")) },
			"Enqueue of more": func() error { return p.Enqueue(ctx, &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{}}) },
			"EnqueueAll": func() error {
				_, err := p.EnqueueAll(ctx, eventhubs.Events(world.Event("a")))
				return err
			},
			"Publish":             func() error { return world.OutcomeErr(p.Publish(ctx, world.Event("a"))) },
			"Flush":               func() error { return p.Flush(ctx) },
			"FlushPartition":      func() error { return p.FlushPartition(ctx, "0") },
			"Clear":               func() error { _, err := p.Clear(ctx); return err },
			"ClearPartition":      func() error { _, err := p.ClearPartition(t.Context(), "0"); return err },
			"Connect":             func() error { return p.Connect(ctx, nil) },
			"EventHubProperties":  func() error { _, err := p.EventHubProperties(ctx); return err },
			"PartitionProperties": func() error { _, err := p.PartitionProperties(ctx, "0"); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, eventhubs.ErrClosed) {
				t.Errorf("%s returned %v, want ErrClosed", name, err)
			}
		}
		if peer.Asked != asked || p.BufferedEvents() != 0 {
			t.Errorf("after Close the service was asked, or something is buffered")
		}
	})
}

func TestTheHubIsClosedOnceAndAfterTheLastHandler(t *testing.T) {
	for name, closing := range map[string]func(*eventhubs.BufferedProducer) error{
		"Close":   func(p *eventhubs.BufferedProducer) error { return p.Close(context.Background()) },
		"Abandon": func(p *eventhubs.BufferedProducer) error { return p.Abandon(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &scripted.SlowHub{Hub: scripted.New(t, 2)}
				h.Latency = func() time.Duration { return time.Second }
				var handled atomic.Int32
				p := world.On(t, h, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) {
					time.Sleep(time.Second)
					if h.Closes.Load() > 0 {
						t.Error("the hub was closed before a handler had returned")
					}
					handled.Add(1)
				}})
				world.Enqueue(t, p, "0", "a")
				world.Enqueue(t, p, "1", "b")
				synctest.Wait()
				if err := closing(p); err != nil {
					t.Fatal(err)
				}
				if h.Closes.Load() != 1 || handled.Load() != 2 || scripted.Now() != 2*time.Second {
					t.Errorf("the hub was closed %d times, %d handlers had returned, at %v", h.Closes.Load(), handled.Load(), scripted.Now())
				}
			})
		})
	}
}

func TestNoHandlerRunsAfterCloseHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return 10 * time.Millisecond }
		var closed atomic.Bool
		var handled atomic.Int64
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: 4, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			time.Sleep(50 * time.Millisecond)
			if closed.Load() {
				t.Error("a handler runs after Close has returned")
			}
			handled.Add(int64(b.Count))
		}})
		for i := range 100 {
			world.Enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed.Store(true)
		if handled.Load() != 100 {
			t.Errorf("%d events had an outcome when Close returned, want 100", handled.Load())
		}
		time.Sleep(time.Hour)
	})
}

// When Close's context ends, events in flight become possibly stored. The producer cuts its own
// connection. On a shared connection it gives up the link, for which the peer has some time. Close
// must not return before, or its report would be incomplete.
func TestCloseTellsWhatIsInFlightBeforeItReturns(t *testing.T) {
	for _, c := range []struct {
		name   string
		shared bool
		action emulator.Action
		silent bool // the network, from then on
		within time.Duration
	}{
		{"own connection", false, emulator.Silence(), false, time.Second},
		{"own connection, silent network", false, emulator.Silence(), true, time.Second},
		{"shared connection", true, emulator.Silence(), false, 2 * time.Second},
		{"shared connection, no answer to the detach", true, emulator.Silence().IgnoreDetach(), false, 5*time.Second + 500*time.Millisecond},
		{"shared connection, silent network", true, emulator.Silence(), true, 5*time.Second + 500*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &world.Network{}
				t.Cleanup(n.Carries.Wait)
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer {
						return c.action
					}
					return emulator.Pass()
				}})
				n.LeadTo(server)
				connection := eventhubs.ConnectionOptions{DialContext: n.Dial}
				make := func() (*eventhubs.BufferedProducer, error) {
					return eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Connection: connection})
				}
				if c.shared {
					shared, err := eventhubs.NewConnectionFromConnectionString(server.ConnectionString("hub"), &connection)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = shared.Close(context.Background()) })
					make = func() (*eventhubs.BufferedProducer, error) {
						return shared.NewBufferedProducer("hub", &eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
					}
				}
				p, err := make()
				if err != nil {
					t.Fatal(err)
				}
				var d eventhubs.Delivery
				if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "1", Delivery: &d}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // it is sent, and not acknowledged
				if c.silent {
					n.Swallow()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err = p.Close(ctx)
				if took := time.Since(began); err == nil || took > time.Second+c.within {
					t.Errorf("Close returned %v after %v", err, took)
				}
				if d.Outcome().Storage != eventhubs.PossiblyStored {
					t.Errorf("Close returned %v, and the outcome is %+v", err, d.Outcome())
				}
			})
		})
	}
}
