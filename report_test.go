package eventhubs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A notebook is a log that a test reads line by line.
type notebook struct {
	mu   sync.Mutex // guards the field below
	text bytes.Buffer
}

func (n *notebook) Write(line []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(line)
}

func (n *notebook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(n, nil)) }

// lines are those that contain a text.
func (n *notebook) lines(text string) (found []string) {
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(n.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// throttling answers each try by turns: too busy, and stored.
func throttling(peer *peer) {
	tries := map[string]int{}
	peer.answer = func(s sent) connection.Result {
		peer.mu.Lock()
		defer peer.mu.Unlock()
		if tries[s.partition]++; tries[s.partition]%2 == 1 {
			return failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: time.Millisecond})
		}
		return connection.Result{Outcome: connection.Accepted}
	}
}

func TestAStateThatComesAndGoesFillsNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		peer := newPeer(t, 1)
		throttling(peer)
		p := peer.producer(Options{Logger: log.logger(), MaxWaitTime: SendAtOnce})
		for range 600 { // 10 minutes
			enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		changes := len(log.lines("state=throttled")) + len(log.lines("succeeds again"))
		if changes < 50 || changes > 10*(reportLines+1) {
			t.Errorf("%d lines in 10 minutes in which the state has changed 1,200 times, want at most %d a minute", changes, reportLines+1)
		}
		if told := log.lines("changes="); len(told) == 0 {
			t.Error("no line says how many changes were not logged")
		}
		time.Sleep(2 * time.Minute)
		if last := log.lines("state="); !strings.Contains(last[len(last)-1], "state=ready") {
			t.Errorf("all is well, and the last line is %s", last[len(last)-1])
		}
		if p.observer.health.report.timer.Stop() {
			t.Error("the timer is set though all is well")
		}
	})
}

func TestThereIsNoTimerWhenAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		peer := newPeer(t, 1)
		answers := scripted(peer)
		p := peer.producer(Options{Logger: log.logger(), MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		if p.observer.health.report.timer != nil {
			t.Error("a producer that never had trouble has a timer for it")
		}
		peer.mu.Lock()
		answers["0"] = transient(connection.NotSent)
		peer.mu.Unlock()
		enqueue(t, p, "0", "b")
		time.Sleep(5 * time.Minute)
		if got := len(log.lines("still fails")); got < 4 || got > 5 {
			t.Errorf("%d lines in 5 minutes of trouble", got)
		}
		peer.mu.Lock()
		clear(answers)
		peer.mu.Unlock()
		time.Sleep(2 * time.Minute)
		before := len(log.lines(""))
		if p.observer.health.report.timer.Stop() {
			t.Error("the timer is set when all is well again")
		}
		time.Sleep(time.Hour)
		if got := len(log.lines("")); got != before {
			t.Errorf("%d lines more when all is well again", got-before)
		}
	})
}

// What has failed for good, with nothing left to send, is no trouble that lasts: a program that does nothing says nothing.
func TestTroubleOfWhichNothingIsLeftIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return refused("no") }
		p := peer.producer(Options{Logger: log.logger(), MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Hour)
		if got := log.lines("WARN"); len(got) != 1 {
			t.Errorf("an hour after one event was refused the log says\n%s", strings.Join(got, ""))
		}
		for range 300 { // and one event a second, for 5 minutes
			enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		if got := len(log.lines("still refuses")); got < 4 || got > 5 {
			t.Errorf("%d lines in 5 minutes in which every event was refused", got)
		}
		if h := p.Health(); h.State != HealthRefused || h.Err == nil {
			t.Errorf("Health is %+v", h)
		}
	})
}

func TestWhatIsNotTriedAgainIsNotSaidToBe(t *testing.T) {
	for _, c := range []struct {
		name    string
		options Options
		error   connection.Error
		outcome connection.Outcome
		state   HealthState
		says    string
	}{
		{"rejected", Options{}, connection.Error{Code: connection.CodeRejected}, connection.Rejected, HealthRefused, "they are not retried"},
		{"fenced", Options{}, connection.Error{Code: connection.CodeFenced}, connection.NotSent, HealthRefused, "they are not retried"},
		{"a quota, and FailFast", Options{FailFast: true}, connection.Error{Code: connection.CodeQuotaExceeded}, connection.NotSent, HealthRefused, "they are not retried"},
		{"no right, and FailFast", Options{FailFast: true}, connection.Error{Code: connection.CodeUnauthorized}, connection.NotSent, HealthUnauthorized, "the failed events are not retried"},
		{"no tries left", Options{Retry: RetryOptions{MaxRetries: -1}}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, HealthFailing, "the failed events are not retried"},
		{"no time left", Options{DeliveryTimeout: time.Second, Retry: RetryOptions{RetryDelay: 5 * time.Second}}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, HealthFailing,
			"the failed events are not retried"},
		{"tries left", Options{}, connection.Error{Code: connection.CodeInternal, Transient: true}, connection.NotSent, HealthFailing, "begun to fail; the producer retries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log notebook
				var retried int
				peer := newPeer(t, 1)
				c.error.Err = errors.New("why")
				peer.answer = func(sent) connection.Result { return connection.Result{Outcome: c.outcome, Err: &c.error} }
				c.options.Logger, c.options.MaxWaitTime, c.options.OnBatchFailed = log.logger(), SendAtOnce, func(context.Context, *Batch) {}
				c.options.Trace = &Trace{Retrying: func(TracedFailure) { retried++ }}
				p := peer.producer(c.options)
				enqueue(t, p, "0", "a")
				time.Sleep(time.Millisecond)
				if h := p.Health(); h.State != c.state || len(log.lines(c.says)) != 1 || len(log.lines("WARN")) != 1 {
					t.Errorf("Health is %v and the log says\n%s\nwant %v, %q", h.State, strings.Join(log.lines(""), ""), c.state, c.says)
				}
				again := strings.Contains(c.says, "the producer retries")
				if left := p.BufferedEvents(); left == 1 != again || retried == 1 != again {
					t.Errorf("%d events are left, and Trace was told of %d retries", left, retried)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_ = p.Close(ctx)
			})
		})
	}
}

// Connect's caller is told; what is enqueued later must not find the log silent because the state is known.
func TestAConnectThatFailsSaysWhoTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		peer := newPeer(t, 1)
		peer.properties = func(int) error {
			return &connection.Error{Code: connection.CodeNotFound, Err: errors.New("no such hub")}
		}
		p := peer.producer(Options{Logger: log.logger()})
		if err := p.Connect(t.Context(), nil); err == nil {
			t.Fatal("Connect succeeded")
		}
		if got := log.lines("Connect has failed; the next event tries to connect again"); len(got) != 1 || len(log.lines("")) != 1 {
			t.Errorf("the log says\n%s", strings.Join(log.lines(""), ""))
		}
		time.Sleep(time.Hour)
		if got := log.lines(""); len(got) != 1 {
			t.Errorf("an hour later, with nothing to send, the log says\n%s", strings.Join(got, ""))
		}
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute + time.Second)
		if got := log.lines("still fails"); len(got) != 1 {
			t.Errorf("in the minute after an event was enqueued the log says\n%s", strings.Join(log.lines(""), ""))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
}

// A handler that never returns holds up Close, for its grace, and nothing after that: neither a line nor the producer.
func TestAClosedProducerSaysNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		hold := make(chan struct{})
		peer := newPeer(t, 1)
		p := peer.producer(Options{Logger: log.logger(), MaxWaitTime: SendAtOnce, OnBatchSucceeded: func(context.Context, *Batch) { <-hold }})
		enqueue(t, p, "0", "a")
		time.Sleep(15 * time.Second)
		if h := p.Health(); h.State != HealthBlocked || !strings.Contains(h.Err.Error(), `a handler of partition "0" has not returned for 15s`) {
			t.Errorf("Health is %+v", h)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err == nil {
			t.Error("Close has not noticed the handler")
		}
		before := len(log.lines(""))
		time.Sleep(time.Hour)
		if got := log.lines(""); len(got) != before {
			t.Errorf("after Close the log says\n%s", strings.Join(got, ""))
		}
		close(hold)
		synctest.Wait()
		if got := log.lines(""); len(got) != before {
			t.Errorf("after Close and the handler's end the log says\n%s", strings.Join(got, ""))
		}
	})
}

func TestATimerOfTroubleKeepsNoClosedProducerAlive(t *testing.T) {
	made := func() weak.Pointer[BufferedProducer] {
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return transient(connection.NotSent) }
		o, err := (&Options{Logger: slog.New(slog.DiscardHandler), MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}}).withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		p := newProducer("test.example", "hub", peer, o)
		enqueue(t, p, "0", "a")
		for p.Health().State != HealthUnreachable {
			runtime.Gosched()
		}
		if err := p.Abandon(t.Context()); err == nil {
			t.Error("Abandon lost nothing")
		}
		return weak.Make(p)
	}()
	for range 100 {
		runtime.GC()
		if made.Value() == nil {
			return
		}
	}
	t.Error("a closed producer that had trouble is not collected")
}

// Lines come in the order of what they tell, whoever logs them, and a Logger that ends its goroutine loses no later one.
func TestALoggerThatEndsItsGoroutineIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		peer := newPeer(t, 2)
		answers := scripted(peer)
		answers["0"] = transient(connection.NotSent)
		var once sync.Once
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}, Logger: slog.New(&endingHandler{log.logger().Handler(), func() { once.Do(runtime.Goexit) }})})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Second)
		peer.mu.Lock()
		clear(answers)
		peer.mu.Unlock()
		enqueue(t, p, "0", "b")
		time.Sleep(3 * time.Minute)
		if got := log.lines("succeeds again"); len(got) != 1 {
			t.Errorf("the log says\n%s", strings.Join(log.lines(""), ""))
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
		peer := newPeer(t, 2)
		answers := scripted(peer)
		answers["1"] = failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: 10 * time.Second})
		hold := make(chan struct{})
		p := peer.producer(Options{Logger: slog.New(slog.DiscardHandler), MaxWaitTime: SendAtOnce, OnBatchSucceeded: func(_ context.Context, b *Batch) {
			if b.PartitionID == "0" {
				<-hold
			}
		}})
		time.Sleep(time.Second)
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "a")
		time.Sleep(25 * time.Second)
		s := p.Stats().Partitions
		if s[0].Waiting != WaitingForHandler || s[0].Waiting.String() != "for a handler" || s[0].RunningAge != 25*time.Second || s[0].LastErr != nil || !s[0].FailingSince.IsZero() {
			t.Errorf("the partition whose handler hangs says %+v", s[0])
		}
		if e, ok := errors.AsType[*Error](s[1].LastErr); s[1].Waiting != WaitingThrottled || !ok || e.Code != CodeThrottled || time.Since(s[1].FailingSince) != 25*time.Second || s[1].RunningAge != 0 {
			t.Errorf("the throttled partition says %+v", s[1])
		}
		peer.mu.Lock()
		clear(answers)
		peer.mu.Unlock()
		close(hold)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if s := p.Stats().Partitions; s[0].Waiting != WaitingForNothing || s[0].RunningAge != 0 || s[1].LastErr == nil || !s[1].FailingSince.IsZero() {
			t.Errorf("when all is well they say %+v", s)
		}
	})
}
