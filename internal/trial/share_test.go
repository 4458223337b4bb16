package trial

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAPartitionInTroubleGetsNoMoreThanHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "0" {
				return scripted.Transient(connection.NotSent)
			}
			time.Sleep(time.Second)
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 100, OnBatchFailed: world.Ignore, Retry: eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: time.Hour, MaxRetryDelay: time.Hour}, DeliveryTimeout: -1})
		_ = p.Connect(t.Context(), nil)
		world.Enqueue(t, p, "0", "bad")
		synctest.Wait()
		for i := range 99 {
			world.Enqueue(t, p, "1", fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 100 {
			go func() { _ = p.Enqueue(ctx, &eventhubs.Event{Body: []byte("x"), PartitionID: "0"}) }()
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

func TestAPartitionOutOfTroubleIsLikeTheOthersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0] == "bad" && s.Try < 3 {
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 10})
		world.Enqueue(t, p, "0", "bad")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.PartitionBufferedEvents("0"); got != 2 {
			t.Errorf("of 4 events for any partition %d went to the recovered one, want 2", got)
		}
		for i := range 6 {
			if err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: fmt.Append(nil, i), PartitionID: "0"}); err != nil {
				t.Errorf("event %d for it: %v, want no limit", i, err)
			}
		}
	})
}

func TestAPartitionInTroubleHoldsAtMostHalfOfTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		scripted.Answers(peer)["0"] = scripted.Transient(connection.NotSent)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 10, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		blocked := make(chan error)
		go func() {
			_, err := p.EnqueueAll(t.Context(), func(yield func(*eventhubs.Event, error) bool) {
				e := &eventhubs.Event{PartitionID: "0"} // one for all
				for _, body := range []string{"b", "c", "d", "e", "f"} {
					e.Body = []byte(body)
					if !yield(e, nil) {
						return
					}
				}
			})
			blocked <- err
		}()
		synctest.Wait()
		if got := p.PartitionBufferedEvents("0"); got != 5 {
			t.Errorf("the partition in trouble holds %d events, want 5 of 10", got)
		}
		began := scripted.Now()
		for i := range 50 {
			world.Enqueue(t, p, "1", fmt.Sprint(i))
		}
		if scripted.Now() != began {
			t.Errorf("callers that wait for it held up the others for %v", scripted.Now()-began)
		}
		synctest.Wait() // until all sent batches are settled
		if err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("x"), PartitionID: "0"}); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue for it returned %v, want ErrBufferFull", err)
		}
		if err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("y"), PartitionID: "1"}); err != nil {
			t.Errorf("TryEnqueue for the other returned %v", err)
		}
		_ = p.Abandon(t.Context())
		if err := <-blocked; !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("the caller that waited for it got %v, want ErrClosed", err)
		}
	})
}

// fill enqueues events of that size for a partition until it refuses one. It returns how many it
// took, and the refusal.
func fill(p *eventhubs.BufferedProducer, partition, body string) (events int, refusal error) {
	for {
		if err := p.TryEnqueue(context.Background(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}); err != nil {
			return events, err
		}
		events++
	}
}

func wantFill(t *testing.T, p *eventhubs.BufferedProducer, partition, body string, want int, says string) {
	t.Helper()
	got, err := fill(p, partition, body)
	if got != want || !errors.Is(err, eventhubs.ErrBufferFull) || !strings.Contains(fmt.Sprint(err), says) {
		t.Errorf("partition %s takes %d events and then says %q, want %d and ErrBufferFull with %q", partition, got, err, want, says)
	}
}

// silence makes a hub answer nothing.
func silence() time.Duration { return 24 * time.Hour }

func TestNoPartitionTakesTheLastPartOfTheBuffer(t *testing.T) {
	for _, tt := range []struct {
		name               string
		options            eventhubs.Options
		first, then, third int
	}{
		{"events", eventhubs.Options{MaxBufferedEvents: 80}, 70, 10, 0},
		{"bytes", eventhubs.Options{MaxBufferedBytes: 80 * 1000}, 70, 10, 0},
		{"few events", eventhubs.Options{MaxBufferedEvents: 2}, 1, 1, 0},
		{"one event", eventhubs.Options{MaxBufferedEvents: 1}, 1, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 4)
				peer.Latency = silence
				tt.options.OnBatchFailed = world.Ignore
				p := world.Connected(peer, tt.options)
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
				_ = p.Abandon(endedContext())
			})
		})
	}
}

// endedContext is a context that has ended.
func endedContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestAHubOfOnePartitionHasNoLastPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = silence
		p := world.Connected(peer, eventhubs.Options{OnBatchFailed: world.Ignore, MaxBufferedEvents: 80, MaxWaitTime: eventhubs.SendAtOnce})
		world.Enqueue(t, p, "0", "a")
		// Nothing is answered: the partition is in trouble, and no other caller needs the room.
		time.Sleep(5 * time.Second)
		wantFill(t, p, "0", "x", 79, "80 of 80 events")
		peer.Mu.Lock()
		peer.Partitions = append(peer.Partitions, "1")
		peer.Mu.Unlock()
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		p.Clear(t.Context()) // all except the one in flight
		synctest.Wait()
		wantFill(t, p, "0", "x", 39, "partition 0 holds 40 of 80 events")
		_ = p.Abandon(endedContext())
	})
}

func TestAPartitionThatIsSlowIsNotInTrouble(t *testing.T) {
	for _, slow := range []string{"acknowledgements", "handlers"} {
		for _, partitions := range []int{1, 4} {
			t.Run(fmt.Sprint(slow, " ", partitions), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					peer := scripted.New(t, partitions)
					options := eventhubs.Options{MaxBufferedEvents: 80, MaxWaitTime: eventhubs.SendAtOnce}
					if slow == "handlers" {
						options.OnBatchSucceeded = func(context.Context, *eventhubs.Batch) { time.Sleep(2 * time.Second) }
					} else {
						peer.Latency = func() time.Duration { return 2 * time.Second }
					}
					p := world.Connected(peer, options)
					most := 0
					for range 40 { // half a second each
						_, _ = fill(p, "0", "x")
						// At the beginning nothing could have been in trouble yet.
						if scripted.Now() > 10*time.Second {
							most = max(most, p.PartitionBufferedEvents("0"))
						}
						time.Sleep(500 * time.Millisecond)
					}
					if want := map[int]int{1: 80, 4: 70}[partitions]; most != want {
						t.Errorf("it held at most %d events, want %d", most, want)
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
				peer := scripted.New(t, 4)
				release := make(chan struct{})
				options := eventhubs.Options{MaxBufferedEvents: 80, MaxWaitTime: eventhubs.SendAtOnce}
				if what == "try" {
					peer.Answer = func(s scripted.Sent) connection.Result {
						<-release
						return connection.Result{Outcome: connection.Accepted}
					}
				} else {
					options.OnBatchSucceeded = func(context.Context, *eventhubs.Batch) { <-release }
				}
				p := world.Connected(peer, options)
				world.Enqueue(t, p, "1", "a")
				time.Sleep(2999 * time.Millisecond)
				held := p.PartitionBufferedEvents("1")
				for range 45 {
					world.Enqueue(t, p, "1", "x") // more than half: it is not in trouble yet
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				wantFill(t, p, "1", "x", 0, "it is in trouble")
				if got := enqueueLater(t.Context(), p, "1", "waits"); len(got) > 0 {
					t.Errorf("Enqueue for it returned %v, want it to wait", <-got)
				}
				began := scripted.Now()
				for range 35 - held {
					world.Enqueue(t, p, "2", "y")
				}
				if scripted.Now() != began {
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

// Only these events make room. If their linger did not end, the second half would wait for ever.
func TestWhoIsHeldBackByAShareEndsItsLinger(t *testing.T) {
	for _, how := range []string{"Enqueue", "TryEnqueue", "from a handler"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const events = 10_000
				one := &eventhubs.Event{PartitionID: "1"}
				done := make(chan struct{})
				var p *eventhubs.BufferedProducer
				again := func(ctx context.Context) {
					for n := 0; n < events; n++ {
						err := p.Enqueue(ctx, world.With(world.Event("x"), one))
						if how == "TryEnqueue" {
							err = p.TryEnqueue(t.Context(), world.With(world.Event("x"), one))
						}
						if errors.Is(err, eventhubs.ErrBufferFull) && how != "Enqueue" {
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
				p = world.Connected(scripted.New(t, 4), eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 800, OnBatchSucceeded: func(ctx context.Context, b *eventhubs.Batch) {
					if b.PartitionID == "0" && !begun {
						begun = true
						again(ctx)
					}
				}})
				if how == "from a handler" {
					go p.Publish(t.Context(), &eventhubs.Event{Body: []byte("x"), PartitionID: "0"})
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
		peer := scripted.New(t, 2)
		release := make(chan struct{})
		peer.Answer = func(scripted.Sent) connection.Result {
			<-release
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{OnBatchFailed: world.Ignore, MaxBufferedBytes: 80_000, MaxWaitTime: eventhubs.SendAtOnce})
		wantFill(t, p, "0", full(t, 11_000), 6, "") // 66,000 of its 70,000
		large := enqueueLater(t.Context(), p, "0", full(t, 5_000))
		if err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("try"), PartitionID: "0"}); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue of a small event overtook the large one: %v", err)
		}
		small := enqueueLater(t.Context(), p, "0", "small")
		if len(large)+len(small) > 0 {
			t.Error("a call has returned, want both to wait: the large one does not fit, and the small one came later")
		}
		if err := p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("x"), PartitionID: "1"}); err != nil {
			t.Errorf("another partition: %v", err)
		}
		close(release)
		if err := errors.Join(<-large, <-small, p.Close(t.Context())); err != nil {
			t.Error(err)
		}
		if got := len(peer.StoredIn("0")); got != 8 {
			t.Errorf("%d events are stored, want 8", got)
		}
	})
}

func TestAPartitionThatHoldsNothingTakesAnEventOfAnySize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = silence
		p := world.Connected(peer, eventhubs.Options{OnBatchFailed: world.Ignore, MaxBufferedBytes: 100_000})
		world.Enqueue(t, p, "0", full(t, 100_000))
		if scripted.Now() != 0 {
			t.Errorf("it waited %v", scripted.Now())
		}
		_ = p.Abandon(endedContext())
	})
}

func TestEventsWithoutAKeyPassOverAPartitionAtItsLimit(t *testing.T) {
	for _, partitioning := range []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 4)
			peer.Latency = silence
			p := world.Connected(peer, eventhubs.Options{OnBatchFailed: world.Ignore, MaxBufferedEvents: 80, MaxWaitTime: eventhubs.UntilFull, Partitioning: partitioning})
			wantFill(t, p, "1", "x", 70, "partition 1 holds 70 of 80 events")
			for i := range 10 {
				if err := p.TryEnqueue(t.Context(), world.Event("any")); err != nil {
					t.Fatalf("event %d for any partition: %v", i, err)
				}
			}
			if got := p.PartitionBufferedEvents("1"); got != 70 {
				t.Errorf("the partition at its limit holds %d events, want 70", got)
			}
			_ = p.Abandon(endedContext())
		})
	}
}

func TestWhatTheServiceAssignsHasNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.Latency = silence
		p := world.Connected(peer, eventhubs.Options{OnBatchFailed: world.Ignore, MaxBufferedEvents: 80, Partitioning: eventhubs.ServiceAssigned})
		for i := range 80 {
			if err := p.TryEnqueue(t.Context(), world.Event("any")); err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
		}
		err := p.TryEnqueue(t.Context(), world.Event("any"))
		if !errors.Is(err, eventhubs.ErrBufferFull) || !strings.Contains(err.Error(), "80 of them for the events whose partition the service chooses") {
			t.Errorf("TryEnqueue returned %v", err)
		}
		_ = p.Abandon(endedContext())
	})
}

// A handler's event for a stopped partition is refused. The room that the handler was promised
// stays its own.
func TestAHandlerKeepsItsPromisedRoomWhenAPartitionRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		release := make(chan struct{})
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "0" {
				return scripted.Refused("no")
			}
			<-release
			return connection.Result{Outcome: connection.Accepted}
		}
		var p *eventhubs.BufferedProducer
		told := 0
		p = world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 10, StopPartitionOnFailure: true, OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
			told += b.Count
			for e := range b.Events() {
				// Others have taken the room that the batch gave back.
				if _, err := fill(p, "1", "z"); !errors.Is(err, eventhubs.ErrBufferFull) {
					t.Errorf("TryEnqueue says %v", err)
				}
				if err := p.Enqueue(ctx, world.With(e, &eventhubs.Event{PartitionID: "0"})); !errors.Is(err, eventhubs.ErrPartitionStopped) {
					t.Errorf("the stopped partition says %v", err)
				}
				if err := p.Enqueue(ctx, world.With(e, &eventhubs.Event{PartitionID: "1"})); err != nil {
					t.Errorf("its fallback to another partition: %v", err)
				}
				if err := p.Enqueue(ctx, world.With(e, &eventhubs.Event{PartitionID: "1"})); !errors.Is(err, eventhubs.ErrBufferFull) {
					t.Errorf("one more than its batch held: %v", err)
				}
			}
		}})
		for range 9 {
			world.Enqueue(t, p, "1", "y")
		}
		world.Enqueue(t, p, "0", "x")
		synctest.Wait()
		close(release)
		_ = p.Close(t.Context())
		if told != 1 {
			t.Errorf("%d events were reported as failed, want 1", told)
		}
	})
}

// A doneless is a caller's own context, as a fake may have it. It ends the goroutine that asks how
// long to wait.
type doneless struct{ context.Context }

func (doneless) Done() <-chan struct{} { runtime.Goexit(); return nil }

func TestAContextThatEndsItsGoroutineLeavesNobodyInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 1})
		world.Enqueue(t, p, "0", "a")
		go func() { _ = p.Enqueue(doneless{t.Context()}, world.Event("b")) }()
		synctest.Wait()
		if got := p.Stats().WaitingCallers; got != 0 {
			t.Errorf("%d callers wait, want none", got)
		}
		world.Enqueue(t, p, "0", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a c]" {
			t.Errorf("stored %s, want [a c]", got)
		}
	})
}
