package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestAStoppedPartitionRefusesWhateverTheBound(t *testing.T) {
	for name, o := range map[string]Options{"events": {MaxBufferedEvents: 1}, "bytes": {MaxBufferedBytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 2)
				peer.answer = func(sent) connection.Result { return refused("no") }
				o.MaxWaitTime, o.StopPartitionOnFailure, o.OnBatchFailed = SendAtOnce, true, ignore
				p := peer.producer(o)
				_ = p.Connect(t.Context(), nil)
				enqueue(t, p, "0", "a")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				err := p.Enqueue(ctx, &Event{Body: []byte(string(make([]byte, 700))), PartitionID: "0"})
				if !errors.Is(err, ErrPartitionStopped) || now() != 0 {
					t.Errorf("Enqueue returned %v at %v, want ErrPartitionStopped at once", err, now())
				}
			})
		})
	}
}

func TestResumeWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		bad := true
		peer.answer = func(sent) connection.Result {
			if bad {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxBufferedEvents: 1, MaxWaitTime: SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: ignore})
		_ = p.Connect(t.Context(), nil)
		enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Enqueue(ctx, &Event{Body: []byte("b"), PartitionID: "0"}) }()
		synctest.Wait()
		bad = false
		if err := p.ResumePartition("0"); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if now() != 0 {
			t.Errorf("Enqueue returned %v at %v, want at once", err, now())
		}
	})
}

func TestConnectToAHubWithoutPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 0)
		p := peer.producer(Options{})
		err := p.Connect(t.Context(), nil)
		if err == nil {
			t.Errorf("Connect returned nil")
		}
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("Enqueue panicked: %v", r)
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = p.Enqueue(ctx, event("a"))
		p.Clear(t.Context())
	})
}

func TestACancelledConnectDoesNotSickenHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = p.Connect(ctx, nil)
		for i := range 10 {
			enqueue(t, p, "0", fmt.Sprint(i))
			time.Sleep(time.Hour)
		}
		if h := p.Health(); h.Err != nil {
			t.Errorf("Health is %+v though 10 hours of events and refreshes went well", h)
		}
	})
}

func TestTheDeliveryTimeoutHoldsWhileTheListIsUnknown(t *testing.T) {
	for name, hang := range map[string]bool{"no answer": true, "refused": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 1)
				h := &hangingHub{peer: peer, hang: hang}
				var told outcomes
				p := producerOn(t, h, Options{DeliveryTimeout: 10 * time.Second, OnBatchFailed: told.handle, Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Minute}})
				enqueue(t, p, "", "a")
				time.Sleep(time.Hour)
				if all := told.all(); len(all) != 1 || all[0].at > 10*time.Second {
					t.Errorf("told %+v, want a failure within 10s", all)
				}
			})
		})
	}
}

type hangingHub struct {
	*peer
	hang bool
}

func (h *hangingHub) Properties(ctx context.Context) (connection.HubProperties, error) {
	if h.hang {
		<-ctx.Done()
		return connection.HubProperties{}, ctx.Err()
	}
	return connection.HubProperties{}, transient(connection.NotSent).Err
}

func TestARefusalInAHandlerIsPressureToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var p *BufferedProducer
		var first atomic.Bool
		p = peer.producer(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 2, OnBatchSucceeded: func(ctx context.Context, b *Batch) {
			if first.CompareAndSwap(false, true) {
				for i := range 3 {
					_ = p.Enqueue(ctx, event(fmt.Sprint("h", i)))
				}
			}
		}})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are still buffered after an hour though the full buffer refused one", got)
		}
	})
}

func TestEnqueueAgainKeepsTheIDOfWhatWasStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 8)
		peer.properties = func(call int) error {
			time.Sleep(time.Second) // until all five are staged
			if call == 1 {
				return transient(connection.NotSent).Err
			}
			return nil
		}
		p := peer.producer(Options{Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: func(ctx context.Context, b *Batch) {
			if _, err := b.EnqueueAgain(ctx); err != nil {
				t.Error(err)
			}
		}})
		for i := range 5 {
			enqueue(t, p, "5", fmt.Sprint(i))
		}
		_ = p.Flush(t.Context())
		_ = p.Close(t.Context())
		if got := fmt.Sprint(peer.storedIn("5")); got != "[0 1 2 3 4]" {
			t.Errorf("partition 5 has %s, all: %v", got, peer.stored)
		}
	})
}

func TestNeverSentAfterExpiresAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		h := &slowHub{peer: peer, open: func(ctx context.Context, id string) error {
			if now() < time.Minute {
				return transient(connection.NotSent).Err
			}
			return nil
		}}
		var told outcomes
		p := producerOn(t, h, Options{MaxWaitTime: SendAtOnce, OnBatchFailed: told.handle})
		_ = p.Connect(t.Context(), nil)
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("a"), ExpiresAt: time.Now().Add(10 * time.Second)}); err != nil {
			t.Fatal(err)
		}
		_ = p.Flush(t.Context())
		for _, s := range peer.sent() {
			if s.at > 10*time.Second {
				t.Errorf("the event was sent at %v, 10s was its end", s.at)
			}
		}
		if all := told.all(); len(all) != 1 || !errors.Is(all[0].outcome.Err, ErrExpired) {
			t.Errorf("told %+v", all)
		}
	})
}

func TestAnEndlessRefreshInterval(t *testing.T) {
	for _, interval := range []time.Duration{math.MaxInt64, math.MaxInt64 / 3 * 2, 200 * 365 * 24 * time.Hour} {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%v: panic: %v", interval, r)
				}
			}()
			d := &directory{parts: &parts{options: &Options{PartitionRefreshInterval: interval}}}
			for range 1000 {
				if got := d.refreshInterval(); got <= 0 || time.Now().Add(got).UnixNano() < 0 {
					t.Errorf("%v: the interval is %v, due at %d", interval, got, time.Now().Add(got).UnixNano())
					return
				}
			}
		}()
	}
}

func TestWhatIsStagedBehindAFailureFailsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(call int) error {
			if call <= 3 {
				return transient(connection.NotSent).Err
			}
			return nil
		}
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: told.handle, Retry: RetryOptions{MaxRetries: 2, Mode: RetryFixed, RetryDelay: time.Second}})
		enqueue(t, p, "0", "a")
		time.Sleep(1500 * time.Millisecond)
		enqueue(t, p, "0", "b")
		time.Sleep(time.Minute)
		if got := peer.storedIn("0"); len(got) != 0 {
			t.Errorf("stored %v behind the failure of a: a gap", got)
		}
	})
}

func TestAPartitionInTroubleGetsNoMoreThanHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return transient(connection.NotSent)
			}
			time.Sleep(time.Second)
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 100, OnBatchFailed: ignore, Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Hour, MaxRetryDelay: time.Hour}, DeliveryTimeout: -1})
		_ = p.Connect(t.Context(), nil)
		enqueue(t, p, "0", "bad")
		synctest.Wait()
		for i := range 99 {
			enqueue(t, p, "1", fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 100 {
			go func() { _ = p.Enqueue(ctx, &Event{Body: []byte("x"), PartitionID: "0"}) }()
		}
		synctest.Wait()
		time.Sleep(5 * time.Second)
		got := p.PartitionBufferedEvents("0")
		if got > 50 {
			t.Errorf("the partition in trouble holds %d of 100", got)
		}
		c, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		_ = p.Close(c)
	})
}

func TestACloseDuringDiscoveryLogsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 1)
		h := &hangingHub{peer: peer, hang: true}
		p := producerOn(t, h, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnBatchFailed: ignore})
		enqueue(t, p, "", "a")
		synctest.Wait()
		_ = p.Abandon(t.Context())
		if strings.Contains(log.String(), "begun to fail") {
			t.Errorf("logged: %s", log.String())
		}
	})
}

func TestThrottledDiscoveryIsNotARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(call int) error {
			if call <= 2 {
				return &connection.Error{Code: connection.CodeThrottled, Condition: "com.microsoft:server-busy", Transient: true, Err: errors.New("busy")}
			}
			return nil
		}
		p := peer.producer(Options{Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: ignore})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v at %v", err, now())
		}
	})
}

func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{OnBatchSucceeded: func(context.Context, *Batch) { runtime.Goexit() }})
		enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close returned %v at %v", err, now())
		}
	})
}

func TestAnIteratorThatOutlivesTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var next func() (*Event, bool)
		var stop func()
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchSucceeded: func(_ context.Context, b *Batch) {
			next, stop = iter.Pull(b.Events())
			next()
		}})
		enqueue(t, p, "0", "a", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("panic: %v", r)
			}
		}()
		if e, ok := next(); !ok || string(e.Body) != "b" {
			t.Errorf("got %v, want b", e)
		}
		stop()
	})
}

func TestConnectCallsNoHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(call int) error { time.Sleep(time.Duration(call) * time.Second); return nil }
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) { time.Sleep(time.Hour) }})
		done := make(chan time.Duration, 1)
		go func() {
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Error(err)
			}
			done <- now()
		}()
		synctest.Wait()
		enqueue(t, p, "77", "a")
		if at := <-done; at > time.Minute {
			t.Errorf("Connect returned at %v: it ran a handler", at)
		}
	})
}

func TestConnectOpensNoLinksAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(call int) error { time.Sleep(time.Second); return nil }
		var opened atomic.Int32
		h := &slowHub{peer: peer, open: func(ctx context.Context, id string) error { opened.Add(1); return nil }}
		p := producerOn(t, h, Options{})
		done := make(chan error, 1)
		go func() { done <- p.Connect(t.Context(), &ConnectOptions{Links: true}) }()
		synctest.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if opened.Load() > 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("%d links were opened after Close; Connect returned %v at %v", opened.Load(), err, now())
		}
	})
}

// A link that got smaller between two tries, the first of which was never sent.
func TestALinkThatGotSmallerAfterATryThatWasNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		max := uint64(10_000)
		peer.answer = func(s sent) connection.Result {
			if uint64(s.bytes) > max {
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodeTooLarge, Err: errors.New("too large")}}
			}
			if s.try == 1 && max == 10_000 {
				max, peer.maxMessage = 1000, 1000
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		h := &slowHub{peer: peer}
		peer.maxMessage = max
		p := producerOn(t, h, Options{MaxWaitTime: UntilFull, OnBatchFailed: ignore})
		for i := range 50 {
			enqueue(t, p, "0", fmt.Sprintf("%0100d", i))
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v at %v", err, now())
		}
	})
}

// Int overflow of the bound in bytes.
func TestBytesNearTheLargestInt(t *testing.T) {
	a := newAdmission(math.MaxInt, math.MaxInt, nil, func(*partition) {})
	if _, err := a.enter(context.Background(), wish{bytes: math.MaxInt - 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.try(t.Context(), wish{bytes: 100}); err == nil {
		t.Error("room beyond the bound was given")
	}
}

// Pressure waits for a try that hangs.
func TestPressureDoesNotWaitForATryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				time.Sleep(50 * time.Second)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 100})
		go p.Publish(t.Context(), &Event{Body: []byte("hangs"), PartitionID: "0"})
		synctest.Wait()
		for range 79 {
			enqueue(t, p, "0", "x")
		}
		for range 20 {
			enqueue(t, p, "1", "y")
		}
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("z"), PartitionID: "1"}); err != nil || now() > time.Second {
			t.Errorf("Enqueue for the healthy partition, which holds 20 events nobody sends, returned %v at %v", err, now())
		}
	})
}
