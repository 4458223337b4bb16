package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// fill gives a partition events of that size until it takes no more, and returns how many it took and why it refused the next.
func fill(p *BufferedProducer, partition, body string) (events int, refusal error) {
	for {
		if err := p.TryEnqueue(context.Background(), &Event{Body: []byte(body), PartitionID: partition}); err != nil {
			return events, err
		}
		events++
	}
}

func wantFill(t *testing.T, p *BufferedProducer, partition, body string, want int, says string) {
	t.Helper()
	got, err := fill(p, partition, body)
	if got != want || !errors.Is(err, ErrBufferFull) || !strings.Contains(fmt.Sprint(err), says) {
		t.Errorf("partition %s takes %d events and then says %q, want %d and ErrBufferFull with %q", partition, got, err, want, says)
	}
}

// silence has a hub that answers nothing.
func silence() time.Duration { return 24 * time.Hour }

func TestNoPartitionTakesTheLastPartOfTheBuffer(t *testing.T) {
	for _, tt := range []struct {
		name               string
		options            Options
		first, then, third int
	}{
		{"events", Options{MaxBufferedEvents: 80}, 70, 10, 0},
		{"bytes", Options{MaxBufferedBytes: 80 * 1000}, 70, 10, 0},
		{"few events", Options{MaxBufferedEvents: 2}, 1, 1, 0},
		{"one event", Options{MaxBufferedEvents: 1}, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 4)
				peer.latency = silence
				tt.options.OnBatchFailed = ignore
				p := peer.connected(tt.options)
				body := full(t, 1000)
				wantFill(t, p, "1", body, tt.first, "partition 1 holds")
				if got := fmt.Sprint(p.Health().Full); got != "[1]" {
					t.Errorf("Health says that %s are full, want 1", got)
				}
				wantFill(t, p, "2", body, tt.then, "")
				wantFill(t, p, "3", body, tt.third, fmt.Sprintf("%d of them for partition 1", tt.first))
				if got := p.Health().Full; !slices.Contains(got, "1") {
					t.Errorf("Health says that %s are full, want 1, which holds most", got)
				}
				p.Clear(t.Context())
				synctest.Wait()
				if got := fmt.Sprint(p.Health().Full); got != "[]" && tt.options.MaxBufferedEvents != 1 {
					t.Errorf("Health says that %s are full, when some room was given back", got)
				}
				_ = p.Abandon(ended())
			})
		})
	}
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAHubOfOnePartitionHasNoLastPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = silence
		p := peer.connected(Options{OnBatchFailed: ignore, MaxBufferedEvents: 80, MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		time.Sleep(5 * time.Second) // nothing is answered: it is in trouble, and there is nobody to save room for
		wantFill(t, p, "0", "x", 79, "80 of 80 events")
		peer.mu.Lock()
		peer.partitions = append(peer.partitions, "1")
		peer.mu.Unlock()
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		p.Clear(t.Context()) // all but the one that is in flight
		synctest.Wait()
		wantFill(t, p, "0", "x", 39, "partition 0 holds 40 of 80 events")
		_ = p.Abandon(ended())
	})
}

func TestAPartitionThatIsSlowIsNotInTrouble(t *testing.T) {
	for _, slow := range []string{"acknowledgements", "handlers"} {
		for _, partitions := range []int{1, 4} {
			t.Run(fmt.Sprint(slow, " ", partitions), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					peer := newPeer(t, partitions)
					options := Options{MaxBufferedEvents: 80, MaxWaitTime: SendAtOnce}
					if slow == "handlers" {
						options.OnBatchSucceeded = func(context.Context, *Batch) { time.Sleep(2 * time.Second) }
					} else {
						peer.latency = func() time.Duration { return 2 * time.Second }
					}
					p := peer.connected(options)
					most := 0
					for range 40 { // half a second each
						_, _ = fill(p, "0", "x")
						if now() > 10*time.Second { // at the beginning nothing could have been in trouble yet
							most = max(most, p.PartitionBufferedEvents("0"))
						}
						time.Sleep(500 * time.Millisecond)
					}
					if want := map[int]int{1: 80, 4: 70}[partitions]; most != want {
						t.Errorf("it held %d events at the most, want %d", most, want)
					}
				})
			})
		}
	}
}

func TestATryWithoutAnAnswerIsTroubleAfterThreeSeconds(t *testing.T) {
	for _, what := range []string{"try", "handler"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 4)
				release := make(chan struct{})
				options := Options{MaxBufferedEvents: 80, MaxWaitTime: SendAtOnce}
				if what == "try" {
					peer.answer = func(s sent) connection.Result {
						<-release
						return connection.Result{Outcome: connection.Accepted}
					}
				} else {
					options.OnBatchSucceeded = func(context.Context, *Batch) { <-release }
				}
				p := peer.connected(options)
				enqueue(t, p, "1", "a")
				time.Sleep(2999 * time.Millisecond)
				held := p.PartitionBufferedEvents("1")
				for range 45 {
					enqueue(t, p, "1", "x") // more than half: it is not in trouble yet
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				wantFill(t, p, "1", "x", 0, "it is in trouble")
				if got := enqueueLater(t.Context(), p, "1", "waits"); len(got) > 0 {
					t.Errorf("Enqueue for it returned %v, want it to wait", <-got)
				}
				began := now()
				for range 35 - held {
					enqueue(t, p, "2", "y")
				}
				if now() != began {
					t.Error("an event for another partition had to wait")
				}
				close(release)
				synctest.Wait()
				if n, _ := fill(p, "1", "x"); n < 60 {
					t.Errorf("out of trouble it takes %d events, want as many as before", n)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Nothing but these events makes room: if nobody ended their linger, the second half would wait for ever.
func TestWhoIsHeldBackByAShareEndsItsLinger(t *testing.T) {
	for _, how := range []string{"Enqueue", "TryEnqueue", "from a handler"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events = 10_000
				one := &Event{PartitionID: "1"}
				done := make(chan struct{})
				var p *BufferedProducer
				again := func(ctx context.Context) {
					for n := 0; n < events; n++ {
						err := p.Enqueue(ctx, With(event("x"), one))
						if how == "TryEnqueue" {
							err = p.TryEnqueue(t.Context(), With(event("x"), one))
						}
						if errors.Is(err, ErrBufferFull) && how != "Enqueue" {
							n--
							time.Sleep(time.Millisecond)
						} else if err != nil {
							t.Error(err)
							break
						}
					}
					close(done)
				}
				begun := false
				p = newPeer(t, 4).connected(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 800, OnBatchSucceeded: func(ctx context.Context, b *Batch) {
					if b.PartitionID == "0" && !begun {
						begun = true
						again(ctx)
					}
				}})
				if how == "from a handler" {
					go p.Publish(t.Context(), &Event{Body: []byte("x"), PartitionID: "0"})
				} else {
					go again(t.Context())
				}
				select {
				case <-done:
				case <-time.After(time.Hour):
					t.Errorf("after an hour the buffer holds %+v", p.Stats().Partitions)
				}
			})
		})
	}
}

func TestNobodyOvertakesAtAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		release := make(chan struct{})
		peer.answer = func(sent) connection.Result {
			<-release
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{OnBatchFailed: ignore, MaxBufferedBytes: 80_000, MaxWaitTime: SendAtOnce})
		wantFill(t, p, "0", full(t, 11_000), 6, "") // 66,000 of its 70,000
		large := enqueueLater(t.Context(), p, "0", full(t, 5_000))
		if err := p.TryEnqueue(t.Context(), &Event{Body: []byte("try"), PartitionID: "0"}); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue of a small event overtook the large one: %v", err)
		}
		small := enqueueLater(t.Context(), p, "0", "small")
		if len(large)+len(small) > 0 {
			t.Error("somebody is through, want both to wait: the large one does not fit, and the small one came later")
		}
		if err := p.TryEnqueue(t.Context(), &Event{Body: []byte("x"), PartitionID: "1"}); err != nil {
			t.Errorf("another partition: %v", err)
		}
		close(release)
		if err := errors.Join(<-large, <-small, p.Close(t.Context())); err != nil {
			t.Error(err)
		}
		if got := len(peer.storedIn("0")); got != 8 {
			t.Errorf("%d events are stored, want 8", got)
		}
	})
}

func TestAPartitionThatHoldsNothingTakesAnEventOfAnySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = silence
		p := peer.connected(Options{OnBatchFailed: ignore, MaxBufferedBytes: 100_000})
		enqueue(t, p, "0", full(t, 100_000))
		if now() != 0 {
			t.Errorf("it waited %v", now())
		}
		_ = p.Abandon(ended())
	})
}

func TestEventsWithoutAKeyPassOverAPartitionAtItsLimit(t *testing.T) {
	for _, partitioning := range []Partitioning{RoundRobin, Sticky} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 4)
			peer.latency = silence
			p := peer.connected(Options{OnBatchFailed: ignore, MaxBufferedEvents: 80, MaxWaitTime: UntilFull, Partitioning: partitioning})
			wantFill(t, p, "1", "x", 70, "partition 1 holds 70 of 80 events")
			for i := range 10 {
				if err := p.TryEnqueue(t.Context(), event("any")); err != nil {
					t.Fatalf("event %d for any partition: %v", i, err)
				}
			}
			if got := p.PartitionBufferedEvents("1"); got != 70 {
				t.Errorf("the partition at its limit holds %d events, want 70", got)
			}
			_ = p.Abandon(ended())
		})
	}
}

func TestWhatTheServiceAssignsHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.latency = silence
		p := peer.connected(Options{OnBatchFailed: ignore, MaxBufferedEvents: 80, Partitioning: ServiceAssigned})
		for i := range 80 {
			if err := p.TryEnqueue(t.Context(), event("any")); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
		}
		err := p.TryEnqueue(t.Context(), event("any"))
		if !errors.Is(err, ErrBufferFull) || !strings.Contains(err.Error(), "80 of them for the events whose partition the service chooses") {
			t.Errorf("TryEnqueue returned %v", err)
		}
		_ = p.Abandon(ended())
	})
}

// A handler's event for a partition that is stopped is refused; the room that the handler was promised is still its own.
func TestAHandlerKeepsItsPromisedRoomWhenAPartitionRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		release := make(chan struct{})
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return refused("no")
			}
			<-release
			return connection.Result{Outcome: connection.Accepted}
		}
		var p *BufferedProducer
		told := 0
		p = peer.connected(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 10, StopPartitionOnFailure: true, OnBatchFailed: func(ctx context.Context, b *Batch) {
			told += b.Count
			for e := range b.Events() {
				if _, err := fill(p, "1", "z"); !errors.Is(err, ErrBufferFull) { // others have taken the room that the batch gave back
					t.Errorf("TryEnqueue says %v", err)
				}
				if err := p.Enqueue(ctx, With(e, &Event{PartitionID: "0"})); !errors.Is(err, ErrPartitionStopped) {
					t.Errorf("the stopped partition says %v", err)
				}
				if err := p.Enqueue(ctx, With(e, &Event{PartitionID: "1"})); err != nil {
					t.Errorf("its fallback to another partition: %v", err)
				}
				if err := p.Enqueue(ctx, With(e, &Event{PartitionID: "1"})); !errors.Is(err, ErrBufferFull) {
					t.Errorf("one more than its batch held: %v", err)
				}
			}
		}})
		for range 9 {
			enqueue(t, p, "1", "y")
		}
		enqueue(t, p, "0", "x")
		synctest.Wait()
		close(release)
		_ = p.Close(t.Context())
		if told != 1 {
			t.Errorf("%d events were told as failed, want 1", told)
		}
	})
}

// Whoever waits for a partition in trouble is not looked at when somebody enqueues for another.
func TestWaitersForOnePartitionCostTheOthersNothing(t *testing.T) {
	cost := func(waiters int) time.Duration {
		a := newAdmission(1000, 1<<20, nil, func(*partition) {})
		var parts []*partition
		for range 2 {
			part := new(partition)
			part.share = a.newShare(part, false)
			parts = append(parts, part)
		}
		a.spread(true)
		a.troubled(parts[0].share, troubleFailing, 0)
		for range 500 {
			if _, err := a.try(t.Context(), wish{partition: parts[0], bytes: 10}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var callers sync.WaitGroup
		for range waiters {
			callers.Go(func() { _, _ = a.enter(ctx, wish{partition: parts[0], bytes: 10}) })
		}
		for a.callers() < waiters {
			runtime.Gosched()
		}
		least := time.Hour
		for range 20 {
			began := time.Now()
			for range 200 {
				r, err := a.enter(ctx, wish{partition: parts[1], bytes: 10})
				if err != nil {
					t.Fatal(err)
				}
				a.leave(r.share, freed{events: 1, bytes: r.bytes})
			}
			least = min(least, time.Since(began))
		}
		cancel()
		callers.Wait()
		return least
	}
	if alone, beside := cost(0), cost(4000); beside > 4*alone {
		t.Errorf("an event beside 4,000 who wait for another partition costs %v, alone %v", beside/200, alone/200)
	}
}

// A doneless is a context of the caller's own, as a fake may have it, that ends the goroutine which asks how long to wait.
type doneless struct{ context.Context }

func (doneless) Done() <-chan struct{} { runtime.Goexit(); return nil }

func TestAContextThatEndsItsGoroutineLeavesNobodyInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 1})
		enqueue(t, p, "0", "a")
		go func() { _ = p.Enqueue(doneless{t.Context()}, event("b")) }()
		synctest.Wait()
		if got := p.Stats().WaitingCallers; got != 0 {
			t.Errorf("%d callers wait, want none", got)
		}
		enqueue(t, p, "0", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a c]" {
			t.Errorf("stored %s, want [a c]", got)
		}
	})
}
