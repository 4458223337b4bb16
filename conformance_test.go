package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// What the .NET client's tests assert and the tests beside the code do not. docs/evidence/dotnet-tests.md has the whole list.

// A slowHub is a peer whose links open, and whose hub closes, as the test says.
type slowHub struct {
	*peer
	open   func(ctx context.Context, id string) error
	closes atomic.Int32
}

func (h *slowHub) Link(id string) link { return &slowLink{peerLink{peer: h.peer, id: id}, h} }

func (h *slowHub) Close(ctx context.Context) error {
	h.closes.Add(1)
	return h.peer.Close(ctx)
}

type slowLink struct {
	peerLink
	hub *slowHub
}

func (l *slowLink) Open(ctx context.Context) error {
	if l.hub.open != nil {
		return l.hub.open(ctx, l.id)
	}
	return ctx.Err()
}

// producerOn is peer.producer for another hub.
func producerOn(t *testing.T, h hub, options Options) *BufferedProducer {
	t.Helper()
	o, err := options.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = cmp.Or(o.Logger, unlogged)
	p := newProducer("test.example", "hub", h, o)
	t.Cleanup(func() {
		if !p.IsClosed() {
			_ = p.Close(context.Background())
		}
	})
	return p
}

// connected returns a producer that knows its partitions.
func (p *peer) connected(options Options) *BufferedProducer {
	p.t.Helper()
	producer := p.producer(options)
	if err := producer.Connect(p.t.Context(), nil); err != nil {
		p.t.Fatal(err)
	}
	return producer
}

func ignore(context.Context, *Batch) {}

func TestOptionsMayBeChangedAfterTheConstructor(t *testing.T) {
	o := &Options{Identifier: "before", Retry: RetryOptions{MaxRetries: 3}}
	p, err := NewBufferedProducerFromConnectionString(emulatorString, "hub", o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	o.Identifier, o.Retry.MaxRetries = "after", 9
	if p.Identifier() != "before" || p.options.Retry.MaxRetries != 3 {
		t.Errorf("the producer has %q and %d retries, want what was given to the constructor", p.Identifier(), p.options.Retry.MaxRetries)
	}
}

func TestNothingIsReachedBeforeTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.producer(Options{})
		time.Sleep(time.Hour)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		p.Clear(t.Context())
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if peer.asked != 0 || len(peer.sent()) != 0 {
			t.Errorf("the service was asked %d times and sent %d batches", peer.asked, len(peer.sent()))
		}
	})
}

func TestEveryCallAfterCloseSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.connected(Options{})
		for range 3 {
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Abandon(t.Context()); err != nil {
			t.Errorf("Abandon after Close returned %v, want Close's result", err)
		}
		asked, ctx := peer.asked, t.Context()
		calls := map[string]func() error{
			"Enqueue":         func() error { return p.Enqueue(ctx, event("a")) },
			"TryEnqueue":      func() error { return p.TryEnqueue(t.Context(), event("a")) },
			"Enqueue of more": func() error { return p.Enqueue(ctx, &Event{AMQP: &AMQPMessage{}}) },
			"EnqueueAll": func() error {
				_, err := p.EnqueueAll(ctx, Events(event("a")))
				return err
			},
			"Publish":             func() error { return outcomeErr(p.Publish(ctx, event("a"))) },
			"Flush":               func() error { return p.Flush(ctx) },
			"FlushPartition":      func() error { return p.FlushPartition(ctx, "0") },
			"Clear":               func() error { _, err := p.Clear(ctx); return err },
			"ClearPartition":      func() error { _, err := p.ClearPartition(t.Context(), "0"); return err },
			"Connect":             func() error { return p.Connect(ctx, nil) },
			"EventHubProperties":  func() error { _, err := p.EventHubProperties(ctx); return err },
			"PartitionProperties": func() error { _, err := p.PartitionProperties(ctx, "0"); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s returned %v, want ErrClosed", name, err)
			}
		}
		if peer.asked != asked || p.BufferedEvents() != 0 {
			t.Errorf("after Close the service was asked, or something is buffered")
		}
	})
}

func TestMetadataCallsAskOnceAndHonourTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := p.EventHubProperties(ctx); err != nil || peer.asked != 1 {
			t.Errorf("EventHubProperties returned %v after asking %d times", err, peer.asked)
		}
		cancel()
		if _, err := p.EventHubProperties(ctx); !errors.Is(err, context.Canceled) || peer.asked != 2 {
			t.Errorf("with an ended context it returned %v after asking %d times: it does not retry", err, peer.asked)
		}
	})
}

func TestTheHubIsClosedOnceAndAfterTheLastHandler(t *testing.T) {
	for name, closing := range map[string]func(*BufferedProducer) error{
		"Close":   func(p *BufferedProducer) error { return p.Close(context.Background()) },
		"Abandon": func(p *BufferedProducer) error { return p.Abandon(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &slowHub{peer: newPeer(t, 2)}
				h.latency = func() time.Duration { return time.Second }
				var handled atomic.Int32
				p := producerOn(t, h, Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: func(context.Context, *Batch) {
					time.Sleep(time.Second)
					if h.closes.Load() > 0 {
						t.Error("the hub was closed before a handler had returned")
					}
					handled.Add(1)
				}})
				enqueue(t, p, "0", "a")
				enqueue(t, p, "1", "b")
				synctest.Wait()
				if err := closing(p); err != nil {
					t.Fatal(err)
				}
				if h.closes.Load() != 1 || handled.Load() != 2 || now() != 2*time.Second {
					t.Errorf("the hub was closed %d times, %d handlers had returned, at %v", h.closes.Load(), handled.Load(), now())
				}
			})
		})
	}
}

func TestNoHandlerRunsAfterCloseHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 10 * time.Millisecond }
		var closed atomic.Bool
		var handled atomic.Int64
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxConcurrentSendsPerPartition: 4, OnBatchSucceeded: func(_ context.Context, b *Batch) {
			time.Sleep(50 * time.Millisecond)
			if closed.Load() {
				t.Error("a handler runs after Close has returned")
			}
			handled.Add(int64(b.Count))
		}})
		for i := range 100 {
			enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		closed.Store(true)
		if handled.Load() != 100 {
			t.Errorf("%d events were told when Close returned, want 100", handled.Load())
		}
		time.Sleep(time.Hour)
	})
}

func TestFlushReturnsAfterTheFailedHandlerToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the very reason")
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return connection.Result{Outcome: connection.Rejected, Err: cause} }
		returned := false
		p := peer.producer(Options{OnBatchFailed: func(_ context.Context, b *Batch) {
			if !errors.Is(b.Outcome.Err, cause) {
				t.Errorf("the handler is told %v", b.Outcome.Err)
			}
			time.Sleep(250 * time.Millisecond)
			returned = true
		}})
		enqueue(t, p, "0", "a", "b")
		err := p.Flush(t.Context())
		if !returned || !errors.Is(err, cause) || p.BufferedEvents() != 0 {
			t.Errorf("Flush returned %v; the handler had returned: %v; %d are buffered", err, returned, p.BufferedEvents())
		}
	})
}

func TestAPanicInTheFailedHandlerKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.bodies[0] == "bad" {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{Logger: slog.New(slog.DiscardHandler), OnBatchFailed: func(context.Context, *Batch) { panic("ouch") }})
		enqueue(t, p, "0", "bad")
		if undelivered, ok := errors.AsType[*UndeliveredError](p.Flush(t.Context())); !ok || undelivered.Failed() != 1 || undelivered.Pending != 0 {
			t.Errorf("Flush returned %v, want 1 failed", undelivered)
		}
		enqueue(t, p, "0", "good")
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("after the panic: %v", err)
		}
	})
}

func TestEnqueueAndFlushTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		for round := range 5 {
			for i := range 9 {
				if err := p.Enqueue(t.Context(), event(fmt.Sprint(round, i))); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil || p.BufferedEvents() != 0 {
				t.Fatalf("Flush %d returned %v with %d buffered", round, err, p.BufferedEvents())
			}
		}
		if got := len(peer.sent()); got != 15 {
			t.Errorf("%d batches were sent, want 15: one for each partition and Flush", got)
		}
	})
}

func TestFlushLeavesEmptyPartitionsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 8)
		var mu sync.Mutex
		opened := map[string]bool{}
		peer.open = func(partition string) error {
			mu.Lock()
			defer mu.Unlock()
			opened[partition] = true
			return nil
		}
		p := peer.connected(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "2", "a")
		enqueue(t, p, "5", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(opened) != 2 || len(peer.sent()) != 2 {
			t.Errorf("the links of %v were opened and %d batches sent, want 2 and 2", opened, len(peer.sent()))
		}
	})
}

func TestANilElementEndsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		accepted, err := p.EnqueueAll(t.Context(), Events(event("a"), nil, event("c")))
		if accepted != 1 || !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("EnqueueAll returned %d, %v, want 1 and ErrInvalidArgument", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), nil); accepted != 0 || !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), "the source of the events is nil") {
			t.Errorf("EnqueueAll of nil returned %d, %v, want 0 and ErrInvalidArgument", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), Events()); accepted != 0 || err != nil {
			t.Errorf("EnqueueAll of nothing returned %d, %v", accepted, err)
		}
		if err := p.Close(t.Context()); err != nil || fmt.Sprint(peer.storedIn("0")) != "[a]" {
			t.Errorf("Close returned %v, stored %v", err, peer.storedIn("0"))
		}
	})
}

func TestASetWhoseSourcePanicsKeepsWhatCameBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic did not reach the caller")
				}
			}()
			_, _ = p.EnqueueAll(t.Context(), func(yield func(*Event, error) bool) {
				_ = yield(event("a"), nil) && yield(event("b"), nil)
				panic("the source is broken")
			})
		}()
		if got := p.BufferedEvents(); got != 2 {
			t.Errorf("%d events are buffered, want 2", got)
		}
		if err := p.Close(t.Context()); err != nil || fmt.Sprint(peer.storedIn("0")) != "[a b]" {
			t.Errorf("Close returned %v, stored %v", err, peer.storedIn("0"))
		}
	})
}
