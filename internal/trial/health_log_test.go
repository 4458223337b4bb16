package trial

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A final failure, with nothing left to send, is no lasting trouble: an idle program logs nothing.
func TestTroubleOfWhichNothingIsLeftIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Refused("no") }
		p := world.Over(peer, eventhubs.Options{Logger: log.Logger(), MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(time.Hour)
		if got := log.Lines("WARN"); len(got) != 1 {
			t.Errorf("an hour after one event was refused the log says\n%s", strings.Join(got, ""))
		}
		for range 300 { // and one event a second, for 5 minutes
			world.Enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		if got := len(log.Lines("still refuses")); got < 4 || got > 5 {
			t.Errorf("%d lines in 5 minutes in which every event was refused", got)
		}
		if h := p.Health(); h.State != eventhubs.HealthRefused || h.Err == nil {
			t.Errorf("Health is %+v", h)
		}
	})
}

func TestWhatIsNotTriedAgainIsNotSaidToBe(t *testing.T) {
	for _, c := range []struct {
		name    string
		options eventhubs.Options
		error   connection.Error
		outcome connection.Outcome
		state   eventhubs.HealthState
		says    string
	}{
		{"rejected", eventhubs.Options{}, connection.Error{Code: connection.CodeRejected}, connection.Rejected, eventhubs.HealthRefused, "they are not retried"},
		{"fenced", eventhubs.Options{}, connection.Error{Code: connection.CodeFenced}, connection.NotSent, eventhubs.HealthRefused, "they are not retried"},
		{"a quota, and FailFast", eventhubs.Options{FailFast: true}, connection.Error{Code: connection.CodeQuotaExceeded}, connection.NotSent, eventhubs.HealthRefused, "they are not retried"},
		{"no right, and FailFast", eventhubs.Options{FailFast: true}, connection.Error{Code: connection.CodeUnauthorized}, connection.NotSent, eventhubs.HealthUnauthorized, "the failed events are not retried"},
		{"no tries left", eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, eventhubs.HealthFailing, "the failed events are not retried"},
		{"no time left", eventhubs.Options{DeliveryTimeout: time.Second, Retry: eventhubs.RetryOptions{RetryDelay: 5 * time.Second}}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, eventhubs.HealthFailing,
			"the failed events are not retried"},
		{"tries left", eventhubs.Options{}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, eventhubs.HealthFailing, "begun to fail; the producer retries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log scripted.Notebook
				var retried int
				peer := scripted.New(t, 1)
				c.error.Err = errors.New("why")
				peer.Answer = func(scripted.Sent) connection.Result { return connection.Result{Outcome: c.outcome, Err: &c.error} }
				c.options.Logger, c.options.MaxWaitTime, c.options.OnBatchFailed = log.Logger(), eventhubs.SendAtOnce, func(context.Context, *eventhubs.Batch) {}
				c.options.Trace = &eventhubs.Trace{Retrying: func(eventhubs.TracedFailure) { retried++ }}
				p := world.Over(peer, c.options)
				world.Enqueue(t, p, "0", "a")
				time.Sleep(time.Millisecond)
				if h := p.Health(); h.State != c.state || len(log.Lines(c.says)) != 1 || len(log.Lines("WARN")) != 1 {
					t.Errorf("Health is %v and the log says\n%s\nwant %v, %q", h.State, strings.Join(log.Lines(""), ""), c.state, c.says)
				}
				again := strings.Contains(c.says, "the producer retries")
				if left := p.BufferedEvents(); left == 1 != again || retried == 1 != again {
					t.Errorf("%d events are left, and Trace got %d retries", left, retried)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = p.Close(ctx)
			})
		})
	}
}

// Connect's caller gets the error. The log must still name the trouble for events that are enqueued
// later, although the state is known.
func TestAConnectThatFailsSaysWhoTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		peer := scripted.New(t, 1)
		peer.List = func(int) error {
			return &connection.Error{Code: connection.CodeNotFound, Err: errors.New("no such hub")}
		}
		p := world.Over(peer, eventhubs.Options{Logger: log.Logger()})
		if err := p.Connect(t.Context(), nil); err == nil {
			t.Fatal("Connect succeeded")
		}
		if got := log.Lines("Connect has failed; the next event tries to connect again"); len(got) != 1 || len(log.Lines("")) != 1 {
			t.Errorf("the log says\n%s", strings.Join(log.Lines(""), ""))
		}
		time.Sleep(time.Hour)
		if got := log.Lines(""); len(got) != 1 {
			t.Errorf("an hour later, with nothing to send, the log says\n%s", strings.Join(got, ""))
		}
		world.Enqueue(t, p, "0", "a")
		time.Sleep(time.Minute + time.Second)
		if got := log.Lines("still fails"); len(got) != 1 {
			t.Errorf("in the minute after an event was enqueued the log says\n%s", strings.Join(log.Lines(""), ""))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
}

// A handler that never returns holds up Close for its grace period. After that the log has no line,
// and the producer is not kept.
func TestAClosedProducerSaysNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		hold := make(chan struct{})
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{Logger: log.Logger(), MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { <-hold }})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(15 * time.Second)
		if h := p.Health(); h.State != eventhubs.HealthBlocked || !strings.Contains(h.Err.Error(), `a handler of partition "0" has not returned for 15s`) {
			t.Errorf("Health is %+v", h)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err == nil {
			t.Error("Close returned nil while a handler hangs")
		}
		before := len(log.Lines(""))
		time.Sleep(time.Hour)
		if got := log.Lines(""); len(got) != before {
			t.Errorf("after Close the log says\n%s", strings.Join(got, ""))
		}
		close(hold)
		synctest.Wait()
		if got := log.Lines(""); len(got) != before {
			t.Errorf("after Close and the handler's end the log says\n%s", strings.Join(got, ""))
		}
	})
}

// Lines appear in the order of their events, whichever goroutine logs them. A Logger that ends its
// goroutine loses no later line.
func TestALoggerThatEndsItsGoroutineIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		peer := scripted.New(t, 2)
		answers := scripted.Answers(peer)
		answers["0"] = scripted.Transient(connection.NotSent)
		var once sync.Once
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, Logger: slog.New(&endingHandler{log.Logger().Handler(), func() { once.Do(runtime.Goexit) }})})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(time.Second)
		peer.Mu.Lock()
		clear(answers)
		peer.Mu.Unlock()
		world.Enqueue(t, p, "0", "b")
		time.Sleep(3 * time.Minute)
		if got := log.Lines("succeeds again"); len(got) != 1 {
			t.Errorf("the log says\n%s", strings.Join(log.Lines(""), ""))
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

type endingHandler struct {
	slog.Handler
	end func()
}

func (h *endingHandler) Handle(ctx context.Context, r slog.Record) error {
	h.end()
	return h.Handler.Handle(ctx, r)
}

func TestEachPartitionTellsItsLastErrorAndSinceWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		answers := scripted.Answers(peer)
		answers["1"] = scripted.Failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: 10 * time.Second})
		hold := make(chan struct{})
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.DiscardHandler), MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			if b.PartitionID == "0" {
				<-hold
			}
		}})
		time.Sleep(time.Second)
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "a")
		time.Sleep(25 * time.Second)
		s := p.Stats().Partitions
		if s[0].Waiting != eventhubs.WaitingForHandler || s[0].Waiting.String() != "for a handler" || s[0].RunningAge != 25*time.Second || s[0].LastErr != nil || !s[0].FailingSince.IsZero() {
			t.Errorf("the partition whose handler hangs says %+v", s[0])
		}
		if e, ok := errors.AsType[*eventhubs.Error](s[1].LastErr); s[1].Waiting != eventhubs.WaitingThrottled || !ok || e.Code != eventhubs.CodeThrottled || time.Since(s[1].FailingSince) != 25*time.Second || s[1].RunningAge != 0 {
			t.Errorf("the throttled partition says %+v", s[1])
		}
		peer.Mu.Lock()
		clear(answers)
		peer.Mu.Unlock()
		close(hold)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if s := p.Stats().Partitions; s[0].Waiting != eventhubs.WaitingForNothing || s[0].RunningAge != 0 || s[1].LastErr == nil || !s[1].FailingSince.IsZero() {
			t.Errorf("when all is well they say %+v", s)
		}
	})
}
