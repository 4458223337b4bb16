package eventhubs

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestAStateThatComesAndGoesFillsNoLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		peer := scripted.New(t, 1)
		scripted.Throttling(peer)
		p := producerOver(peer, Options{Logger: log.Logger(), MaxWaitTime: SendAtOnce})
		for range 600 { // 10 minutes
			enqueue(t, p, "0", "a")
			time.Sleep(time.Second)
		}
		changes := len(log.Lines("state=throttled")) + len(log.Lines("succeeds again"))
		if changes < 50 || changes > 10*(reportLines+1) {
			t.Errorf("%d lines in 10 minutes in which the state has changed 1,200 times, want at most %d a minute", changes, reportLines+1)
		}
		if told := log.Lines("changes="); len(told) == 0 {
			t.Error("no line says how many changes were not logged")
		}
		time.Sleep(2 * time.Minute)
		if last := log.Lines("state="); !strings.Contains(last[len(last)-1], "state=ready") {
			t.Errorf("all is well, and the last line is %s", last[len(last)-1])
		}
		if p.observer.health.report.timer.Stop() {
			t.Error("the timer is set though all is well")
		}
	})
}

func TestThereIsNoTimerWhenAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log scripted.Notebook
		peer := scripted.New(t, 1)
		answers := scripted.Answers(peer)
		p := producerOver(peer, Options{Logger: log.Logger(), MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		if p.observer.health.report.timer != nil {
			t.Error("a producer that never had trouble has a timer for it")
		}
		peer.Mu.Lock()
		answers["0"] = scripted.Transient(connection.NotSent)
		peer.Mu.Unlock()
		enqueue(t, p, "0", "b")
		time.Sleep(5 * time.Minute)
		if got := len(log.Lines("still fails")); got < 4 || got > 5 {
			t.Errorf("%d lines in 5 minutes of trouble", got)
		}
		peer.Mu.Lock()
		clear(answers)
		peer.Mu.Unlock()
		time.Sleep(2 * time.Minute)
		before := len(log.Lines(""))
		if p.observer.health.report.timer.Stop() {
			t.Error("the timer is set when all is well again")
		}
		time.Sleep(time.Hour)
		if got := len(log.Lines("")); got != before {
			t.Errorf("%d lines more when all is well again", got-before)
		}
	})
}

func TestATimerOfTroubleKeepsNoClosedProducerAlive(t *testing.T) {
	made := func() weak.Pointer[BufferedProducer] {
		peer := scripted.New(t, 1)
		peer.Answer = func(scripted.Sent) connection.Result { return scripted.Transient(connection.NotSent) }
		o, err := (&Options{Logger: slog.New(slog.DiscardHandler), MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}}).withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		p := mustNewProducer(t, "test.example", seamHub{peer}, o)
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
