package eventhubs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A try answers for each partition what the test has put there.
func scripted(peer *peer) (answers map[string]connection.Result) {
	answers = map[string]connection.Result{}
	peer.answer = func(s sent) connection.Result {
		peer.mu.Lock()
		defer peer.mu.Unlock()
		if r, ok := answers[s.partition]; ok {
			return r
		}
		return connection.Result{Outcome: connection.Accepted}
	}
	return answers
}

func TestHealthTellsTheWorstState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		answers := scripted(peer)
		peer.tokenExpires = time.Now().Add(time.Hour)
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: (&outcomes{}).handle, Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Second, MaxRetries: 1000}})
		want := func(why string, state HealthState, since time.Duration, partitions ...string) Health {
			t.Helper()
			h := p.Health()
			if h.State != state || h.Since.Sub(time.Now().Add(-now())) != since && state != HealthConnecting || fmt.Sprint(h.Partitions) != fmt.Sprint(partitions) {
				t.Errorf("%s: %v since %v, partitions %v; want %v since %v, %v", why, h.State, h.Since, h.Partitions, state, since, partitions)
			}
			if (h.Err == nil) != (state <= HealthReady) {
				t.Errorf("%s: error %v", why, h.Err)
			}
			return h
		}
		want("at first", HealthConnecting, 0)

		time.Sleep(time.Second)
		enqueue(t, p, "0", "a")
		synctest.Wait()
		if h := want("a batch is stored", HealthReady, time.Second); h.LastSuccess.IsZero() || !h.LastFailure.IsZero() || !h.TokenExpires.Equal(peer.tokenExpires) {
			t.Errorf("Health is %+v", h)
		}

		time.Sleep(time.Second)
		peer.mu.Lock()
		answers["1"] = failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: time.Hour})
		answers["2"] = failing(connection.Error{Code: connection.CodeUnauthorized})
		answers["3"] = refused("no")
		peer.mu.Unlock()
		enqueue(t, p, "1", "a")
		synctest.Wait()
		want("one is throttled", HealthThrottled, 2*time.Second, "1")
		time.Sleep(time.Second)
		enqueue(t, p, "3", "a")
		synctest.Wait()
		want("one is refused for good", HealthRefused, 3*time.Second, "1", "3")
		time.Sleep(time.Second)
		enqueue(t, p, "2", "a")
		synctest.Wait()
		if h := want("one has no right", HealthUnauthorized, 4*time.Second, "1", "2", "3"); !errors.Is(h.Err, h.LastErr) {
			t.Errorf("the error is %v and the last %v", h.Err, h.LastErr)
		}
		time.Sleep(10 * time.Second)
		peer.mu.Lock()
		clear(answers)
		peer.mu.Unlock()
		enqueue(t, p, "3", "b")
		time.Sleep(2 * time.Second)
		if h := p.Health(); h.State != HealthThrottled || fmt.Sprint(h.Partitions) != "[1]" {
			t.Errorf("all but the throttled get on: Health is %+v", h)
		}
		if err := p.Close(t.Context()); err != nil {
			if _, ok := errors.AsType[*UndeliveredError](err); !ok {
				t.Error(err)
			}
		}
	})
}

func TestEachChangeOfStateIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 16)
		down := false
		peer.open = func(string) error {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			if down {
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Unreached: true, Err: errors.New("no route")}
			}
			return nil
		}
		p := peer.producer(Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxWaitTime: SendAtOnce})
		for range 2 {
			for _, id := range peer.partitions {
				enqueue(t, p, id, "a")
			}
			time.Sleep(30 * time.Second)
			peer.mu.Lock()
			down = true
			peer.mu.Unlock()
		}
		peer.mu.Lock()
		down = false
		peer.mu.Unlock()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		text := log.String()
		for line, times := range map[string]int{"eventhubs: ready": 1, "begun to fail": 1, "succeeds again": 1} {
			if got := strings.Count(text, line); got != times {
				t.Errorf("%q is logged %d times, want %d:\n%s", line, got, times, text)
			}
		}
	})
}

func TestBatchesAreLoggedForWhoeverWantsToKnowItAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return transient(connection.Unknown)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		enqueue(t, p, "0", "secret-1", "secret-2")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		text := log.String()
		for _, want := range []string{"a try failed\" hub=hub partition=0 events=2", "try=1 pause=", "batch stored\" hub=hub partition=0 events=2", "try=2 queued="} {
			if !strings.Contains(text, want) {
				t.Errorf("the log lacks %q:\n%s", want, text)
			}
		}
		if strings.Contains(text, "secret") {
			t.Errorf("the log shows an event's body:\n%s", text)
		}
	})
}

// What waits for the list of partitions is told like any other.
func TestStagedBatchesAreLoggedForWhoeverWantsToKnowItAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log notebook
		var retried []error
		peer := newPeer(t, 1)
		peer.properties = func(call int) error {
			switch call {
			case 1:
				return &connection.Error{Code: connection.CodeInternal, Transient: true, Err: errors.New("a bad moment")}
			case 2:
				return &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}
			}
			return nil
		}
		p := peer.producer(Options{
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Trace:  &Trace{Retrying: func(f TracedFailure) { retried = append(retried, f.Err) }},
		})
		enqueue(t, p, "0", "a", "b")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{`"eventhubs: a try failed" hub=hub partition="" events=2`, `"eventhubs: throttled" hub=hub partition="" events=2`} {
			if got := log.lines(want); len(got) != 1 || !strings.Contains(got[0], "pause=") || !strings.Contains(got[0], "error=") {
				t.Errorf("%q is logged %d times, want once with the pause and the error:\n%s", want, len(got), strings.Join(log.lines(""), ""))
			}
		}
		if s := p.Stats(); len(retried) != 1 || s.Retries != 1 || s.ThrottledTries != 1 {
			t.Errorf("Trace was told of %d retries, Stats say %d, and %d throttled", len(retried), s.Retries, s.ThrottledTries)
		}
	})
}

// The list is known: that it could not be asked for again says nothing about publishing.
func TestAConnectThatFailsLaterDoesNotSpoilHealth(t *testing.T) {
	for _, interval := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 2)
			p := peer.connected(Options{MaxWaitTime: SendAtOnce, PartitionRefreshInterval: interval})
			peer.properties = func(call int) error {
				if call == 2 {
					return &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: errors.New("slow")}
				}
				return nil
			}
			if err := p.Connect(t.Context(), nil); err == nil {
				t.Fatal("Connect succeeded")
			}
			began := time.Now()
			for time.Since(began) < 2*time.Hour {
				if _, err := p.Publish(t.Context(), event("c")); err != nil {
					t.Fatal(err)
				}
				if p.Health().State == HealthReady {
					break
				}
				time.Sleep(time.Second)
			}
			t.Logf("refresh %v: %v", interval, time.Since(began))
			if d := time.Since(began); d > time.Minute {
				t.Errorf("refresh %v: for %v of successful publishing Health is %v", interval, d, p.Health().State)
			}
		})
	}
}

// Connect has the list while discovery's own question is failing: nobody needs that answer, and nothing would ever clear it.
func TestAQuestionThatFailsWhenTheListIsKnownSaysNothingOfHealth(t *testing.T) {
	for _, partitioning := range []Partitioning{RoundRobin, ServiceAssigned} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 2)
			peer.properties = func(call int) error {
				if call == 2 {
					return nil
				}
				time.Sleep(time.Second)
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("no route")}
			}
			var log bytes.Buffer
			p := peer.producer(Options{MaxWaitTime: SendAtOnce, Partitioning: partitioning, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			enqueue(t, p, "0", "a")
			time.Sleep(500 * time.Millisecond)
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if _, err := p.Publish(t.Context(), event("b")); err != nil {
				t.Fatal(err)
			}
			if h := p.Health(); h.State != HealthReady || h.Err != nil {
				t.Errorf("everything is stored, and Health is %v, %v", h.State, h.Err)
			}
			if strings.Contains(log.String(), "has begun to fail") {
				t.Errorf("the log says that publishing fails:\n%s", log.String())
			}
		})
	}
}

// The list that could not be had and then was is forgotten, also if a batch was stored in between.
func TestTheListThatWasHadAtLastClearsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.properties = func(call int) error {
			if call < 3 {
				return transient(0).Err
			}
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		if h := p.Health(); h.State != HealthUnreachable {
			t.Errorf("while the list cannot be had Health is %v, want unreachable", h.State)
		}
		time.Sleep(time.Minute)
		if h := p.Health(); h.State != HealthReady || h.Err != nil {
			t.Errorf("in the end Health is %v, %v", h.State, h.Err)
		}
	})
}
