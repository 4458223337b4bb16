package trial

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestHealthTellsTheWorstState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		answers := scripted.Answers(peer)
		peer.Expires = time.Now().Add(time.Hour)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: (&world.Outcomes{}).Handle, Retry: eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: time.Second, MaxRetries: 1000}})
		want := func(why string, state eventhubs.HealthState, since time.Duration, partitions ...string) eventhubs.Health {
			t.Helper()
			h := p.Health()
			if h.State != state || h.Since.Sub(time.Now().Add(-scripted.Now())) != since && state != eventhubs.HealthConnecting || fmt.Sprint(h.Partitions) != fmt.Sprint(partitions) {
				t.Errorf("%s: %v since %v, partitions %v; want %v since %v, %v", why, h.State, h.Since, h.Partitions, state, since, partitions)
			}
			if (h.Err == nil) != (state <= eventhubs.HealthReady) {
				t.Errorf("%s: error %v", why, h.Err)
			}
			return h
		}
		want("at first", eventhubs.HealthConnecting, 0)

		time.Sleep(time.Second)
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		if h := want("a batch is stored", eventhubs.HealthReady, time.Second); h.LastSuccess.IsZero() || !h.LastFailure.IsZero() || !h.TokenExpires.Equal(peer.Expires) {
			t.Errorf("Health is %+v", h)
		}

		time.Sleep(time.Second)
		peer.Mu.Lock()
		answers["1"] = scripted.Failing(connection.Error{Code: connection.CodeThrottled, Transient: true, Wait: time.Hour})
		answers["2"] = scripted.Failing(connection.Error{Code: connection.CodeUnauthorized})
		answers["3"] = scripted.Refused("no")
		peer.Mu.Unlock()
		world.Enqueue(t, p, "1", "a")
		synctest.Wait()
		want("one is throttled", eventhubs.HealthThrottled, 2*time.Second, "1")
		time.Sleep(time.Second)
		world.Enqueue(t, p, "3", "a")
		synctest.Wait()
		want("one is refused for good", eventhubs.HealthRefused, 3*time.Second, "1", "3")
		time.Sleep(time.Second)
		world.Enqueue(t, p, "2", "a")
		synctest.Wait()
		if h := want("one has no right", eventhubs.HealthUnauthorized, 4*time.Second, "1", "2", "3"); !errors.Is(h.Err, h.LastErr) {
			t.Errorf("the error is %v and the last %v", h.Err, h.LastErr)
		}
		time.Sleep(10 * time.Second)
		peer.Mu.Lock()
		clear(answers)
		peer.Mu.Unlock()
		world.Enqueue(t, p, "3", "b")
		time.Sleep(2 * time.Second)
		if h := p.Health(); h.State != eventhubs.HealthThrottled || fmt.Sprint(h.Partitions) != "[1]" {
			t.Errorf("all partitions except the throttled one work: Health is %+v", h)
		}
		if err := p.Close(t.Context()); err != nil {
			if _, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok {
				t.Error(err)
			}
		}
	})
}

func TestEachChangeOfStateIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := scripted.New(t, 16)
		setDown := scripted.Unreachable(peer)
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxWaitTime: eventhubs.SendAtOnce})
		for range 2 {
			for _, id := range peer.Partitions {
				world.Enqueue(t, p, id, "a")
			}
			time.Sleep(30 * time.Second)
			setDown(true)
		}
		setDown(false)
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
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return scripted.Transient(connection.Unknown)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		world.Enqueue(t, p, "0", "secret-1", "secret-2")
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

// Batches that wait for the list of partitions are logged like any other.
func TestStagedBatchesAreLoggedForWhoeverWantsToKnowItAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		var retried []error
		peer := scripted.New(t, 1)
		peer.List = func(call int) error {
			switch call {
			case 1:
				return &connection.Error{Code: connection.CodeInternal, Transient: true, Err: errors.New("a bad moment")}
			case 2:
				return &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}
			}
			return nil
		}
		p := world.Over(peer, eventhubs.Options{
			Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Trace:  &eventhubs.Trace{Retrying: func(f eventhubs.TracedFailure) { retried = append(retried, f.Err) }},
		})
		world.Enqueue(t, p, "0", "a", "b")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		for _, want := range []string{`"eventhubs: a try failed" hub=hub partition="" events=2`, `"eventhubs: throttled" hub=hub partition="" events=2`} {
			if got := log.Lines(want); len(got) != 1 || !strings.Contains(got[0], "pause=") || !strings.Contains(got[0], "error=") {
				t.Errorf("%q is logged %d times, want once with the pause and the error:\n%s", want, len(got), strings.Join(log.Lines(""), ""))
			}
		}
		if s := p.Stats(); len(retried) != 1 || s.Retries != 1 || s.ThrottledTries != 1 {
			t.Errorf("Trace got %d retries, Stats have %d, and %d throttled", len(retried), s.Retries, s.ThrottledTries)
		}
	})
}

// The list is known. A later failure to get it says nothing about publishing.
func TestAConnectThatFailsLaterDoesNotSpoilHealth(t *testing.T) {
	for _, interval := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 2)
			p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, PartitionRefreshInterval: interval})
			peer.List = func(call int) error {
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
				if _, err := p.Publish(t.Context(), world.Event("c")); err != nil {
					t.Fatal(err)
				}
				if p.Health().State == eventhubs.HealthReady {
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

// Connect gets the list while discovery's own question is failing. Its answer is no longer needed,
// and nothing would ever clear the failure.
func TestAQuestionThatFailsWhenTheListIsKnownSaysNothingOfHealth(t *testing.T) {
	for _, partitioning := range []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.ServiceAssigned} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 2)
			peer.List = func(call int) error {
				if call == 2 {
					return nil
				}
				time.Sleep(time.Second)
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("no route")}
			}
			var log bytes.Buffer
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Partitioning: partitioning, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			world.Enqueue(t, p, "0", "a")
			time.Sleep(500 * time.Millisecond)
			if err := p.Connect(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if _, err := p.Publish(t.Context(), world.Event("b")); err != nil {
				t.Fatal(err)
			}
			if h := p.Health(); h.State != eventhubs.HealthReady || h.Err != nil {
				t.Errorf("everything is stored, and Health is %v, %v", h.State, h.Err)
			}
			if strings.Contains(log.String(), "has begun to fail") {
				t.Errorf("the log says that publishing fails:\n%s", log.String())
			}
		})
	}
}

// A failure to get the list is forgotten once the list is known, also if a batch was stored in
// between.
func TestTheListThatWasHadAtLastClearsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.List = func(call int) error {
			if call < 3 {
				return scripted.Transient(0).Err
			}
			return nil
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		if h := p.Health(); h.State != eventhubs.HealthUnreachable {
			t.Errorf("while the list cannot be had Health is %v, want unreachable", h.State)
		}
		time.Sleep(time.Minute)
		if h := p.Health(); h.State != eventhubs.HealthReady || h.Err != nil {
			t.Errorf("in the end Health is %v, %v", h.State, h.Err)
		}
	})
}
