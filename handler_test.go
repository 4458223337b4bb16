package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestHandlersOfOnePartitionRunInOrderAndBeforeTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		var order []string
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: func(_ context.Context, b *Batch) {
			time.Sleep(time.Second)
			if b.PartitionID == "0" {
				for e := range b.Events() {
					order = append(order, string(e.Body))
				}
			}
		}})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		enqueue(t, p, "0", "b")
		enqueue(t, p, "1", "x")
		time.Sleep(500 * time.Millisecond)
		peer.wantSends("a slow handler slows its own partition only", "0s 0 [a]", "0s 1 [x]")
		if got := p.BufferedEvents(); got != 1 {
			t.Errorf("%d events are buffered, want 1: room is given back before the handler runs", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(order) != "[a b]" {
			t.Errorf("told in the order %v", order)
		}
	})
}

// The proposal's recipe for failures, "enqueue again", with everybody waiting for room: peers deadlock here.
func TestEnqueueAgainFromAHandlerNeverDeadlocks(t *testing.T) {
	for _, concurrent := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.latency = func() time.Duration { return 10 * time.Millisecond }
			peer.answer = func(s sent) connection.Result {
				if s.try <= 2 { // each batch fails for good at first; what is enqueued again makes other batches
					return refused("no")
				}
				return connection.Result{Outcome: connection.Accepted}
			}
			var p *BufferedProducer
			p = peer.producer(Options{
				MaxWaitTime: SendAtOnce, MaxBufferedEvents: 10, MaxConcurrentSendsPerPartition: concurrent,
				OnBatchFailed: func(ctx context.Context, b *Batch) {
					for e := range b.Events() {
						if err := p.Enqueue(ctx, With(e, &Event{PartitionID: b.PartitionID})); err != nil {
							t.Errorf("enqueue again: %v", err)
						}
					}
				},
			})
			for i := range 30 {
				go enqueue(t, p, "0", fmt.Sprint(i))
			}
			time.Sleep(time.Hour)
			got := peer.storedIn("0")
			slices.Sort(got)
			if len(slices.Compact(got)) != 30 {
				t.Errorf("%d of 30 events are stored", len(got))
			}
		})
	}
}

func TestAHandlerMayGoOverTheBoundByWhatItsBatchHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var p *BufferedProducer
		var errs []error
		p = peer.producer(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 2, OnBatchSucceeded: func(ctx context.Context, b *Batch) {
			if errs == nil { // the first time
				time.Sleep(time.Second) // somebody else fills the buffer meanwhile
				for range 3 {
					errs = append(errs, p.Enqueue(ctx, event("e")))
				}
			}
		}})
		enqueue(t, p, "0", "a", "b")
		go func() {
			time.Sleep(500 * time.Millisecond)
			enqueue(t, p, "0", "c", "d")
		}()
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], ErrBufferFull) {
			t.Errorf("Enqueue in the handler returned %v, want nil twice and ErrBufferFull", errs)
		}
	})
}

func TestFlushAndCloseInAHandlerRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var p *BufferedProducer
		var kept context.Context
		p = peer.producer(Options{OnBatchSucceeded: func(ctx context.Context, _ *Batch) {
			if kept == nil {
				kept = ctx
			}
			if err := p.Flush(ctx); !errors.Is(err, ErrInHandler) {
				t.Errorf("Flush returned %v, want ErrInHandler", err)
			}
			if err := p.Close(ctx); !errors.Is(err, ErrInHandler) {
				t.Errorf("Close returned %v, want ErrInHandler", err)
			}
		}})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(kept); err != nil {
			t.Errorf("with the context of a handler that has returned Flush returned %v", err)
		}
	})
}

func TestAPanicInAHandlerIsToldAndKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 1)
		p := peer.producer(Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnBatchSucceeded: func(context.Context, *Batch) { panic("ouch") }})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "b")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a b]" {
			t.Errorf("stored %s", got)
		}
		if text := log.String(); strings.Count(text, "ouch") != 2 || !strings.Contains(text, "handler_test.go") {
			t.Errorf("the log does not tell both panics with their stack:\n%s", text)
		}
	})
}

func TestAFailureThatNobodyHearsOfIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		earlier := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(earlier)
		peer := newPeer(t, 1)
		peer.aloud = true
		peer.answer = func(sent) connection.Result {
			return refused("go away")
		}
		p := peer.producer(Options{})
		enqueue(t, p, "0", "the body is private", "b")
		_ = p.Close(t.Context())
		text := log.String()
		if strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "events=2") || !strings.Contains(text, "go away") || strings.Contains(text, "private") {
			t.Errorf("logged:\n%s", text)
		}
	})
}

func TestADeliveryIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		peer.answer = func(s sent) connection.Result {
			if s.bodies[0] == "bad" {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		var good, bad Delivery
		for d, body := range map[*Delivery]string{&good: "good", &bad: "bad"} {
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(body), PartitionID: "0", Delivery: d}); err != nil {
				t.Fatal(err)
			}
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(body), Delivery: d}); !errors.Is(err, ErrInvalidArgument) {
				t.Errorf("a second use of a Delivery returned %v, want ErrInvalidArgument", err)
			}
			if err := p.Flush(t.Context()); (err != nil) != (body == "bad") {
				t.Error(err)
			}
		}
		<-good.Done()
		<-bad.Done()
		if o := good.Outcome(); good.Err() != nil || o.Storage != Stored || o.Tries != 1 || o.OnWire != time.Second {
			t.Errorf("the good event's outcome is %+v", o)
		}
		if o := bad.Outcome(); bad.Err() == nil || o.Storage != NotStored {
			t.Errorf("the bad event's outcome is %+v", o)
		}
	})
}

func TestTroubleIsLoggedOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 8)
		peer.answer = func(s sent) connection.Result {
			if s.try < 5 {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for _, id := range peer.partitions {
			enqueue(t, p, id, "a")
		}
		time.Sleep(time.Second)
		if h := p.Health(); h.Err == nil || len(h.Partitions) != 8 {
			t.Errorf("Health is %+v, want trouble in 8 partitions", h)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := log.String(); strings.Count(text, "begun to fail") != 1 || strings.Count(text, "succeeds again") != 1 {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// A handler that ends its goroutine, as t.FailNow does, must not take the outcomes of other events along. Of events in a partition see
// TestAHandlerThatEndsItsGoroutine; these never got that far.
func TestAHandlerThatEndsItsGoroutineLosesNoStagedEvent(t *testing.T) {
	large := strings.Repeat("x", 200<<10) // two of them are two batches
	slow := func(int) error {
		time.Sleep(time.Second) // all events are there by then
		return nil
	}
	down := func(int) error { return errors.New("down") }
	for _, c := range []struct {
		name       string
		partition  string
		properties func(call int) error
		meanwhile  func(p *BufferedProducer)
	}{
		{"for a partition that there is not", "9", slow, func(*BufferedProducer) {}},
		{"whose tries are used up", "0", down, func(*BufferedProducer) {}},
		{"that are cleared", "0", down, func(p *BufferedProducer) { p.Clear(context.Background()) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				peer := newPeer(t, 2)
				peer.properties = c.properties
				p := peer.producer(Options{Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: func(context.Context, *Batch) {
					if calls.Add(1) == 1 {
						runtime.Goexit()
					}
				}})
				deliveries := make([]Delivery, 3)
				for i := range deliveries {
					if i == 2 { // comes when the others have ended: somebody must still ask for the partitions
						c.meanwhile(p)
						time.Sleep(time.Minute)
						c.partition = min(c.partition, "0") // the list may be known by now
					}
					if err := p.Enqueue(t.Context(), &Event{Body: []byte(large), PartitionID: c.partition, Delivery: &deliveries[i]}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Hour)
				for i := range deliveries {
					if o := deliveries[i].Outcome(); o.Storage == 0 || i < 2 && o.Storage != NotStored {
						t.Errorf("after an hour the outcome of event %d is %+v", i, o)
					}
				}
				if err := p.Close(t.Context()); p.BufferedEvents() != 0 {
					t.Errorf("%d events are left when Close has returned %v", p.BufferedEvents(), err)
				}
			})
		})
	}
}
