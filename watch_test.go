package eventhubs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// A watched is a record of what a watch reports, as "3s 0 soon".
type watched struct {
	mu   sync.Mutex
	told []string
}

func (w *watched) changed(k *work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := "-"
	if k.partition != nil {
		id = k.partition.id
	}
	w.told = append(w.told, fmt.Sprint(scripted.Now(), " ", id, " ", [...]string{"no", "soon", "long"}[k.quiet()]))
}

func (w *watched) want(t *testing.T, why string, want ...string) {
	t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.told, want) {
		t.Errorf("%s:\n got %s\nwant %s", why, strings.Join(w.told, "\n     "), strings.Join(want, "\n     "))
	}
	w.told = nil
}

// watchOf records the reports of the producer's watch from now on.
func watchOf(p *BufferedProducer) *watched {
	r, changed := new(watched), p.watch.changed
	p.watch.changed = func(k *work) {
		r.changed(k)
		changed(k)
	}
	return r
}

func TestWhatRunsAndDoesNotEndIsNoticedToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(watched)
		w := newWatch(r.changed)
		defer w.close()
		one := &work{watch: w, partition: &partition{id: "1"}}
		two := &work{watch: w, partition: &partition{id: "2"}}
		one.begin(tryRuns)
		time.Sleep(2999 * time.Millisecond)
		two.begin(handlerRuns)
		r.want(t, "before 3 s")
		time.Sleep(10 * time.Second)
		r.want(t, "after 12.999 s", "3s 1 soon", "5.999s 2 soon", "10s 1 long", "12.999s 2 long")
		if age, handlers, running := two.busy(); age != 10*time.Second || !handlers || !running {
			t.Errorf("busy is %v, %v, %v; want 10 s of handlers", age, handlers, running)
		}
		time.Sleep(time.Hour)
		r.want(t, "for an hour more")
		one.end(tryRuns)
		two.end(handlerRuns)
		one.begin(tryRuns)
		time.Sleep(time.Second)
		two.begin(tryRuns)
		time.Sleep(2500 * time.Millisecond)
		one.end(tryRuns)
		r.want(t, "both have ended, and one has begun again", "1h0m12.999s 1 no", "1h0m12.999s 2 no", "1h0m15.999s 1 soon", "1h0m16.499s 1 no")
		two.end(tryRuns)
		time.Sleep(time.Hour)
		r.want(t, "idle")
	})
}

func TestOneThatEndsThingsIsNotQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(watched)
		w := newWatch(r.changed)
		defer w.close()
		k := &work{watch: w, partition: &partition{id: "1"}}
		k.begin(handlerRuns) // never ends
		for range 20 {       // while another sender of the same partition makes progress
			k.begin(tryRuns)
			time.Sleep(2 * time.Second)
			k.end(tryRuns)
		}
		r.want(t, "something ends every 2 s")
		time.Sleep(20 * time.Second)
		r.want(t, "nothing does", "43s 1 soon", "50s 1 long")
		k.begin(tryRuns)
		time.Sleep(20 * time.Second)
		k.end(tryRuns)
		r.want(t, "the other one has begun and ended once more", "1m20s 1 no")
		time.Sleep(20 * time.Second)
		r.want(t, "and then nothing", "1m23s 1 soon", "1m30s 1 long")
	})
}

// The timer is set once while something may become quiet.
func TestTheWatchRestsWhenNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(func(*work) {})
		k := &work{watch: w}
		if w.timer != nil {
			t.Error("there is a timer before anything has begun")
		}
		k.begin(tryRuns)
		k.end(tryRuns)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if w.timer.Stop() {
			t.Error("the timer is set though nothing runs")
		}
		k.begin(tryRuns)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if w.timer.Stop() {
			t.Error("the timer is set though all running work is already quiet")
		}
		k.end(tryRuns)
		k.begin(tryRuns)
		w.close()
		if w.timer.Stop() {
			t.Error("the timer is set after close")
		}
		k.begin(tryRuns)
		if w.timer.Stop() {
			t.Error("work that begins after close sets the timer")
		}
	})
}

func TestBeginAndEndAllocateNothing(t *testing.T) {
	w := newWatch(func(*work) {})
	defer w.close()
	works := make([]work, 64)
	round := func() {
		for i := range works {
			works[i].watch = w
			works[i].begin(tryRuns)
			works[i].end(tryRuns)
			works[i].begin(handlerRuns)
			works[i].end(handlerRuns)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, func() { round(); w.scan() }); n != 0 {
		t.Errorf("%v allocations a round, want 0", n)
	}
}

// Everything happens at the same time. Work that ends is never reported as quiet afterwards, and
// work that hangs always is.
func TestTheWatchMissesNothingInARace(t *testing.T) {
	w := newWatch(func(*work) {})
	defer w.close()
	works := make([]work, 4)
	var busy sync.WaitGroup
	stop := make(chan struct{})
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.scan()
			}
		}
	})
	var workers sync.WaitGroup
	for i := range works {
		works[i].watch = w
		for range 3 {
			workers.Go(func() {
				for range 2000 {
					works[i].begin(tryRuns)
					works[i].end(tryRuns)
				}
			})
		}
	}
	workers.Wait()
	close(stop)
	busy.Wait()
	for i := range works {
		if works[i].quiet() != notQuiet || works[i].running.packed.Load() != 0 {
			t.Errorf("work %d is quiet %d with %d running", i, works[i].quiet(), works[i].running.packed.Load())
		}
		works[i].begin(tryRuns)
		if !works[i].attended.Load() {
			t.Errorf("work %d has begun and is not attended", i)
		}
	}
}

func TestAPartitionIsWatchedFromItsTryToTheEndOfItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return 4 * time.Second }
		answers := scripted.Answers(peer)
		answers["1"] = scripted.Failing(connection.Error{Code: connection.CodeConnectionLost, Transient: true})
		p := producerOver(peer, Options{
			MaxWaitTime:      SendAtOnce,
			Retry:            RetryOptions{Mode: RetryFixed, RetryDelay: 10 * time.Minute, MaxRetryDelay: -1},
			OnBatchSucceeded: func(context.Context, *Batch) { time.Sleep(11 * time.Second) },
			OnBatchFailed:    func(context.Context, *Batch) {},
		})
		r := watchOf(p)
		enqueue(t, p, "0", "a")
		time.Sleep(1500 * time.Millisecond)
		enqueue(t, p, "1", "a")
		time.Sleep(7 * time.Minute)
		r.want(t, "an answer after 4 s, and a handler that takes 11 s", "3s 0 soon", "4s 0 no", "4.5s 1 soon", "5.5s 1 no", "7s 0 soon", "14s 0 long", "15s 0 no")
		if err := p.Abandon(t.Context()); err == nil {
			t.Error("Abandon lost nothing")
		}
	})
}

func TestTheListOfPartitionsIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(int) error {
			time.Sleep(20 * time.Second)
			return &connection.Error{Code: connection.CodeNotFound}
		}
		p := producerOver(peer, Options{FailFast: true, OnBatchFailed: func(context.Context, *Batch) { time.Sleep(11 * time.Second) }})
		r := watchOf(p)
		enqueue(t, p, "", "a")
		time.Sleep(time.Minute)
		r.want(t, "a list that is refused after 20 s, and a handler", "3s - soon", "10s - long", "20s - no", "23s - soon", "30s - long", "31s - no")
	})
}
