package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// What the .NET client's tests assert and the tests beside the code do not. docs/guarantees.md has the whole list.

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
	o := &Options{Identifier: "before", RetryOptions: RetryOptions{MaxRetries: 3}}
	p, err := NewBufferedProducerFromConnectionString(emulatorString, "hub", o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	o.Identifier, o.RetryOptions.MaxRetries = "after", 9
	if p.Identifier() != "before" || p.options.RetryOptions.MaxRetries != 3 {
		t.Errorf("the producer has %q and %d retries, want what was given to the constructor", p.Identifier(), p.options.RetryOptions.MaxRetries)
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
		p.Clear()
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
			"Enqueue":        func() error { return p.Enqueue(ctx, event("a"), nil) },
			"TryEnqueue":     func() error { return p.TryEnqueue(event("a"), nil) },
			"EnqueueMessage": func() error { return p.EnqueueMessage(ctx, &azeventhubs.AMQPAnnotatedMessage{}, nil) },
			"EnqueueAll": func() error {
				_, err := p.EnqueueAll(ctx, slices.Values([]*azeventhubs.EventData{event("a")}), nil)
				return err
			},
			"Publish":             func() error { return p.Publish(ctx, event("a"), nil) },
			"Flush":               func() error { return p.Flush(ctx) },
			"FlushPartition":      func() error { return p.FlushPartition(ctx, "0") },
			"ClearPartition":      func() error { _, err := p.ClearPartition("0"); return err },
			"Connect":             func() error { return p.Connect(ctx, nil) },
			"EventHubProperties":  func() error { _, err := p.EventHubProperties(ctx); return err },
			"PartitionProperties": func() error { _, err := p.PartitionProperties(ctx, "0"); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s returned %v, want ErrClosed", name, err)
			}
		}
		if peer.asked != asked || p.Clear() != 0 || p.BufferedEventCount() != 0 {
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
		if !returned || !errors.Is(err, cause) || p.BufferedEventCount() != 0 {
			t.Errorf("Flush returned %v; the handler had returned: %v; %d are buffered", err, returned, p.BufferedEventCount())
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
		if undelivered, ok := errors.AsType[*UndeliveredError](p.Flush(t.Context())); !ok || undelivered.Failed != 1 || undelivered.Pending != 0 {
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
				if err := p.Enqueue(t.Context(), event(fmt.Sprint(round, i)), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Flush(t.Context()); err != nil || p.BufferedEventCount() != 0 {
				t.Fatalf("Flush %d returned %v with %d buffered", round, err, p.BufferedEventCount())
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
		p := peer.connected(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "2", "a")
		enqueue(t, p, "5", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := p.openLinks.Load(); got != 2 || len(peer.sent()) != 2 {
			t.Errorf("%d links were opened and %d batches sent, want 2 and 2", got, len(peer.sent()))
		}
	})
}

func TestANilElementEndsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		accepted, err := p.EnqueueAll(t.Context(), slices.Values([]*azeventhubs.EventData{event("a"), nil, event("c")}), nil)
		if accepted != 1 || !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("EnqueueAll returned %d, %v, want 1 and ErrInvalidArgument", accepted, err)
		}
		if accepted, err := p.EnqueueAll(t.Context(), slices.Values([]*azeventhubs.EventData{}), nil); accepted != 0 || err != nil {
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
			_, _ = p.EnqueueAll(t.Context(), func(yield func(*azeventhubs.EventData) bool) {
				_ = yield(event("a")) && yield(event("b"))
				panic("the source is broken")
			}, nil)
		}()
		if got := p.BufferedEventCount(); got != 2 {
			t.Errorf("%d events are buffered, want 2", got)
		}
		if err := p.Close(t.Context()); err != nil || fmt.Sprint(peer.storedIn("0")) != "[a b]" {
			t.Errorf("Close returned %v, stored %v", err, peer.storedIn("0"))
		}
	})
}

func TestKeysAndIDsDoNotTurnTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		var calls atomic.Int32
		p := peer.connected(Options{PartitionForKey: func(string, int) int { calls.Add(1); return 3 }})
		before := p.ring.Load()
		set := []*azeventhubs.EventData{event("a"), event("b"), event("c")}
		for _, o := range []*EnqueueOptions{{PartitionKey: "key"}, {PartitionID: "1"}} {
			if _, err := p.EnqueueAll(t.Context(), slices.Values(set), o); err != nil {
				t.Fatal(err)
			}
		}
		if p.ring.Load() != before || calls.Load() != 3 {
			t.Errorf("the ring turned by %d, the hash was called %d times: want 0, and 3 for the 3 events with a key", p.ring.Load()-before, calls.Load())
		}
		if p.PartitionBufferedEventCount("3") != 3 || p.PartitionBufferedEventCount("1") != 3 {
			t.Error("a set with a key or an id is spread over partitions")
		}
		if _, err := p.EnqueueAll(t.Context(), slices.Values(set), nil); err != nil {
			t.Fatal(err)
		}
		if p.ring.Load() != before+3 || calls.Load() != 3 {
			t.Errorf("events without either turned the ring by %d and called the hash %d times, want 3 and none", p.ring.Load()-before, calls.Load()-3)
		}
	})
}

func TestEventsWithoutAKeyCarryNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var keys []string
		peer := newPeer(t, 1)
		p := peer.producer(Options{OnBatchSucceeded: func(_ context.Context, b *Batch) {
			for e := range b.Events() {
				keys = append(keys, e.PartitionKey)
			}
		}})
		e := event("a")
		for _, o := range []*EnqueueOptions{nil, {PartitionID: "0"}, {PartitionKey: "k"}, {}} {
			if err := p.Enqueue(t.Context(), e, o); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprintf("%q", keys) != `["" "" "k" ""]` || e.Properties != nil {
			t.Errorf("the events carry %q, and the caller's own has %v", keys, e.Properties)
		}
	})
}

func TestCountsFollowEachEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.connected(Options{})
		check := func(why string, total, zero, one int) {
			t.Helper()
			synctest.Wait()
			if a, b, c := p.BufferedEventCount(), p.PartitionBufferedEventCount("0"), p.PartitionBufferedEventCount("1"); a != total || b != zero || c != one {
				t.Errorf("%s the counts are %d, %d and %d, want %d, %d and %d", why, a, b, c, total, zero, one)
			}
		}
		for i := range 6 {
			id := fmt.Sprint(i % 2)
			enqueue(t, p, id, "e")
			check(fmt.Sprintf("after event %d", i+1), i+1, (i+2)/2, (i+1)/2)
		}
		time.Sleep(500 * time.Millisecond)
		check("in flight", 6, 3, 3)
		time.Sleep(time.Second)
		check("with their outcome", 0, 0, 0)
		if p.PartitionBufferedEventCount("no such") != 0 || p.PartitionBufferedEventCount("") != 0 {
			t.Error("an unknown partition has events")
		}
	})
}

// "Full" is exact: ten events that fill the link's message to the last byte are one batch, the eleventh opens the next.
func TestTheEventThatDoesNotFitOpensTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 100)
		var w wireEvent
		if err := w.encode(event(body), ""); err != nil {
			t.Fatal(err)
		}
		peer := newPeer(t, 1)
		peer.maxMessage = uint64(10 * sectionSize(w.size()))
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			enqueue(t, p, "0", body)
		}
		time.Sleep(time.Hour)
		peer.wantSends("ten fit, and nobody knows yet that there is no eleventh")
		for i := range 4 {
			enqueue(t, p, "0", body[:99]+fmt.Sprint(i))
		}
		synctest.Wait()
		if got := len(peer.sent()); got != 1 || len(peer.sent()[0].bodies) != 10 || p.BufferedEventCount() != 4 {
			t.Errorf("%d batches were sent and %d events stay, want one of 10, and 4", got, p.BufferedEventCount())
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sends := peer.sent(); len(sends) != 2 || len(sends[1].bodies) != 4 || sends[1].bodies[3] != body[:99]+"3" {
			t.Errorf("on Flush the rest was sent as %v", sends[1:])
		}
	})
}

func TestAnEventAfterTheLingerIsInTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.connected(Options{MaxWaitTime: 350 * time.Millisecond})
		enqueue(t, p, "0", "a")
		time.Sleep(525 * time.Millisecond)
		enqueue(t, p, "0", "late")
		peer.wantSends("at one and a half times the linger", "350ms 0 [a]")
		time.Sleep(time.Second)
		peer.wantSends("in the end", "350ms 0 [a]", "875ms 0 [late]")
	})
}

func TestALinkThatNeverOpensEndsInAnOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &slowHub{peer: newPeer(t, 2), open: func(ctx context.Context, id string) error {
			if id == "0" {
				return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Err: errors.New("no role")}
			}
			return nil
		}}
		var failed outcomes
		p := producerOn(t, h, Options{MaxWaitTime: SendAtOnce, RetryOptions: RetryOptions{MaxRetries: 3}, OnBatchFailed: failed.handle})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		synctest.Wait()
		if health := p.Health(); health.Err == nil || fmt.Sprint(health.Partitions) != "[0]" || fmt.Sprint(h.storedIn("1")) != "[c]" {
			t.Errorf("Health is %+v, partition 1 has %v: the trouble is to be seen and to stay with its partition", health, h.storedIn("1"))
		}
		_ = p.Flush(t.Context())
		events := 0
		for _, b := range failed.all() {
			events += len(b.bodies)
			if e, ok := errors.AsType[*Error](b.outcome.Err); !ok || e.Code != CodeUnauthorized || e.Tries != 4 || b.outcome.Storage != NotStored {
				t.Errorf("the outcome is %+v", b.outcome)
			}
		}
		if events != 2 || len(h.storedIn("0")) != 0 {
			t.Errorf("%d events failed, want 2", events)
		}
	})
}

func TestAnEventTooLargeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 500
		var failed outcomes
		p := peer.producer(Options{OnBatchFailed: failed.handle})
		enqueue(t, p, "0", strings.Repeat("x", 501))
		_ = p.Flush(t.Context())
		if all := failed.all(); len(all) != 1 || len(all[0].bodies) != 1 || all[0].outcome.Tries != 0 || !errors.Is(all[0].outcome.Err, ErrEventTooLarge) {
			t.Errorf("told: %+v", all)
		}
		if len(peer.sent()) != 0 || p.BufferedEventCount() != 0 {
			t.Errorf("%d batches were sent, %d events are buffered", len(peer.sent()), p.BufferedEventCount())
		}
	})
}

func TestThrottledOnceAndThenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
			}
			return refused("no")
		}
		var failed outcomes
		p := peer.producer(Options{OnBatchFailed: failed.handle, RetryOptions: RetryOptions{MaxRetries: -1}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if all := failed.all(); len(peer.sent()) != 2 || len(all) != 1 || !strings.Contains(all[0].outcome.Err.Error(), "amqp:not-allowed") {
			t.Errorf("%d sends, told: %+v", len(peer.sent()), all)
		}
		if s := p.Stats(); s.Throttled != 1 || s.Retries != 0 {
			t.Errorf("throttled %d, retried %d, want 1 and 0", s.Throttled, s.Retries)
		}
	})
}

func TestEachPartitionHasItsOwnSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		var mu sync.Mutex
		flying, most := map[string]int{}, 0
		peer.answer = func(s sent) connection.Result {
			mu.Lock()
			flying[s.partition]++
			most = max(most, flying["0"]+flying["1"]+flying["2"]+flying["3"])
			if flying[s.partition] > 3 {
				t.Errorf("%d sends at once for partition %s", flying[s.partition], s.partition)
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			flying[s.partition]--
			mu.Unlock()
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, MaxConcurrentSendsPerPartition: 3})
		for i := range 8 {
			for _, id := range peer.partitions {
				enqueue(t, p, id, fmt.Sprint(i))
			}
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if most != 12 {
			t.Errorf("at most %d sends were in flight, want 12: 3 for each of 4 partitions", most)
		}
		for _, id := range peer.partitions {
			if got := len(peer.storedIn(id)); got != 8 {
				t.Errorf("partition %s has %d events, want 8", id, got)
			}
		}
	})
}

// Peers hold a send slot while a batch lingers, so that with many partitions lingers add up.
func TestLingeringHoldsNoSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const partitions = 500
		peer := newPeer(t, partitions)
		p := peer.connected(Options{})
		before := runtime.NumGoroutine()
		for i := range partitions {
			enqueue(t, p, fmt.Sprint(i), "e")
		}
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 0 {
			t.Errorf("%d goroutines wait for batches to fill", more)
		}
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
		if got := len(peer.sent()); got != partitions {
			t.Errorf("after one linger %d batches were sent, want %d", got, partitions)
		}
	})
}

func TestAnIdleProducerHasNoGoroutineAndNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		before := runtime.NumGoroutine()
		p := peer.producer(Options{})
		for i := range 100 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i)), nil); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if more := runtime.NumGoroutine() - before; more > 0 || p.BufferedEventCount() != 0 {
			t.Errorf("%d goroutines stay, %d events are buffered", more, p.BufferedEventCount())
		}
		for _, part := range p.table.Load().partitions {
			if part.linger.Stop() {
				t.Errorf("the timer of partition %s is running", part.id)
			}
		}
	})
}

func TestManyGoroutinesMayEnqueueForOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 5 * time.Millisecond }
		p := peer.producer(Options{MaxBufferedEventCount: 50})
		var callers sync.WaitGroup
		for c := range 200 {
			callers.Go(func() {
				for i := range 20 {
					enqueue(t, p, "0", fmt.Sprintf("%d %02d", c, i))
				}
			})
		}
		callers.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		byCaller := map[string][]string{}
		for _, body := range peer.storedIn("0") {
			c, _, _ := strings.Cut(body, " ")
			byCaller[c] = append(byCaller[c], body)
		}
		for c, bodies := range byCaller {
			if len(bodies) != 20 || !slices.IsSorted(bodies) {
				t.Errorf("of caller %s there are %v", c, bodies)
			}
		}
		if len(byCaller) != 200 {
			t.Errorf("events of %d callers are stored, want 200", len(byCaller))
		}
	})
}

func TestTheRingVisitsAllPartitionsInTurn(t *testing.T) {
	for _, partitions := range []int{1, 2, 3, 4, 5, 6, 7, 16, 32, 2000} {
		synctest.Test(t, func(t *testing.T) {
			tab := newPeer(t, partitions).connected(Options{}).table.Load()
			for i := range 2*partitions + 1 {
				if got, want := tab.roundRobin().id, fmt.Sprint(i%partitions); got != want {
					t.Fatalf("of %d partitions event %d goes to %s, want %s", partitions, i, got, want)
				}
			}
		})
	}
}

func TestTheRingIsFairToCallersAtOnceAndWhenItWraps(t *testing.T) {
	for name, start := range map[string]uint32{"at once": 0, "at its end": math.MaxUint32 - 500} {
		for _, partitions := range []int{3, 7, 16} {
			t.Run(fmt.Sprint(name, " ", partitions), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPeer(t, partitions).connected(Options{})
					p.ring.Store(start)
					counts := make([]atomic.Int32, partitions)
					var callers sync.WaitGroup
					for range 4 {
						callers.Go(func() {
							for range 100 * partitions {
								part := p.table.Load().roundRobin()
								counts[slices.Index(p.table.Load().partitions, part)].Add(1)
							}
						})
					}
					callers.Wait()
					for i := range counts {
						if got := counts[i].Load(); got < 398 || got > 402 {
							t.Errorf("partition %d was chosen %d times, want 400, two more or less", i, got)
						}
					}
				})
			})
		}
	}
}

func TestAHubThatGrowsKeepsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.connected(Options{MaxWaitTime: UntilFull})
		earlier := slices.Clone(p.table.Load().partitions)
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		peer.partitions = []string{"0", "1", "2", "3"}
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if tab := p.table.Load(); !slices.Equal(tab.partitions[:2], earlier) || len(tab.partitions) != 4 || p.PartitionBufferedEventCount("0") != 1 {
			t.Error("the partitions that were there are others now")
		}
		enqueue(t, p, "0", "c")
		enqueue(t, p, "3", "d")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("1"), peer.storedIn("3")); got != "[a c] [b] [d]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAFailedRefreshChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 2)
		peer.properties = func(call int) error {
			if call > 1 {
				return transient(connection.NotSent).Err
			}
			return nil
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, PartitionRefreshInterval: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 10 {
			time.Sleep(2 * time.Minute)
			enqueue(t, p, "1", fmt.Sprint(i))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if peer.asked < 5 || len(peer.storedIn("1")) != 10 || !strings.Contains(log.String(), "could not be refreshed") {
			t.Errorf("asked %d times, %d events are stored, logged:\n%s", peer.asked, len(peer.storedIn("1")), log.String())
		}
	})
}

func TestCloseAfterIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "0", "first")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		enqueue(t, p, "0", "last")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("in all", "0s 0 [first]", "1h0m0s 0 [last]")
	})
}

// A callback for each event, not for each batch, is what applications of the .NET client write by hand.
func TestEachEventsDeliveryAndTagAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.maxMessage = 1000
		tags := map[any]error{}
		note := func(_ context.Context, b *Batch) {
			for e := range b.Events() {
				tags[e.Tag] = b.Outcome.Err
			}
		}
		p := peer.producer(Options{OnBatchSucceeded: note, OnBatchFailed: note})
		deliveries := make([]Delivery, 20)
		for i := range deliveries {
			body := "small"
			if i%5 == 4 {
				body = strings.Repeat("large", 300)
			}
			o := &EnqueueOptions{PartitionID: "0", Delivery: &deliveries[i], Tag: i}
			if i%3 == 0 {
				o.Delivery = nil
			}
			if err := p.Enqueue(t.Context(), event(body), o); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Close(t.Context())
		for i := range deliveries {
			tooLarge := i%5 == 4
			if errors.Is(tags[i], ErrEventTooLarge) != tooLarge {
				t.Errorf("the handler was told %v of event %d", tags[i], i)
			}
			if i%3 == 0 {
				continue
			}
			select {
			case <-deliveries[i].Done():
			default:
				t.Errorf("event %d was not told", i)
			}
			if errors.Is(deliveries[i].Err(), ErrEventTooLarge) != tooLarge {
				t.Errorf("the Delivery of event %d was told %v", i, deliveries[i].Err())
			}
		}
	})
}

// Each way of sealing a batch, with each kind of trouble beside it: nothing may stay behind for ever.
func TestNoBatchStaysBehind(t *testing.T) {
	for _, wait := range []time.Duration{SendAtOnce, 100 * time.Millisecond, UntilFull} {
		for _, concurrent := range []int{1, 3} {
			for _, partitioning := range []Partitioning{RoundRobin, Sticky, ServiceAssigned} {
				for _, troubled := range []bool{false, true} {
					t.Run(fmt.Sprint(wait, concurrent, partitioning, troubled), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) { leaveNothing(t, wait, concurrent, partitioning, troubled) })
					})
				}
			}
		}
	}
}

// leaveNothing keeps callers waiting for room, so that pressure alone must empty the buffer, and then stops: without pressure the linger must.
func leaveNothing(t *testing.T, wait time.Duration, concurrent int, partitioning Partitioning, troubled bool) {
	peer := newPeer(t, 4)
	peer.latency = func() time.Duration { return 20 * time.Millisecond }
	peer.answer = func(s sent) connection.Result {
		if troubled && s.partition == "1" && s.try <= 6 {
			return transient(connection.NotSent)
		}
		return connection.Result{Outcome: connection.Accepted}
	}
	p := peer.connected(Options{MaxWaitTime: wait, MaxConcurrentSendsPerPartition: concurrent, Partitioning: partitioning, MaxBufferedEventCount: 40, OnBatchFailed: ignore})
	var callers sync.WaitGroup
	for c := range 20 {
		callers.Go(func() {
			for i := range 30 {
				o := &EnqueueOptions{}
				if c%4 == 0 {
					o.PartitionID = fmt.Sprint(i % 4)
				}
				if err := p.Enqueue(t.Context(), event(fmt.Sprint(c, i)), o); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	if took := now(); took > 5*time.Minute {
		t.Errorf("600 events into a buffer for 40 took %v", took)
	}
	if wait == UntilFull {
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	} else {
		time.Sleep(5 * time.Minute)
	}
	synctest.Wait()
	if got := p.BufferedEventCount(); got != 0 {
		t.Errorf("%d events stay behind: %+v", got, p.Stats())
	}
}
