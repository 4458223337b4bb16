package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestEnqueueWaitsWhileTheBufferIsFull(t *testing.T) {
	tests := []struct {
		name    string
		options eventhubs.Options
	}{
		{"events", eventhubs.Options{MaxBufferedEvents: 3}},
		{"bytes", eventhubs.Options{MaxBufferedBytes: 3*scripted.SectionSize(1000) + 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 1)
				peer.Latency = func() time.Duration { return time.Second }
				tt.options.MaxWaitTime = eventhubs.SendAtOnce
				p := world.Over(peer, tt.options)
				body := string(make([]byte, 995))
				world.Enqueue(t, p, "0", body, body, body)
				began := scripted.Now()
				world.Enqueue(t, p, "0", body)
				if waited := scripted.Now() - began; waited != time.Second {
					t.Errorf("the fourth event waited %v, want 1s: until the first batch has its outcome", waited)
				}
			})
		})
	}
}

func TestWaitersAreAdmittedFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 1}) // so that no two are admitted together
		world.Enqueue(t, p, "0", "a")
		for i := range 20 {
			go world.Enqueue(t, p, "0", fmt.Sprint(i))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		got := peer.StoredIn("0")
		for i := range 20 {
			if got[i+1] != fmt.Sprint(i) {
				t.Fatalf("stored %v: waiters were admitted out of turn", got)
			}
		}
	})
}

func TestACancelledWaiterLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedEvents: 1})
		world.Enqueue(t, p, "0", "a")
		cause := errors.New("the user went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() { result <- p.Enqueue(ctx, world.Event("b")) }()
		synctest.Wait()
		cancel(cause)
		err := <-result
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("Enqueue returned %v, want context.Canceled with its cause", err)
		}
		if got := p.BufferedEvents(); got != 1 {
			t.Errorf("%d events are buffered, want 1", got)
		}
		world.Enqueue(t, p, "0", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a c]" {
			t.Errorf("stored %s, want [a c]", got)
		}
	})
}

func TestEnqueueRefusesAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := world.Over(scripted.New(t, 1), eventhubs.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Enqueue(ctx, world.Event("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("Enqueue returned %v, want context.Canceled", err)
		}
	})
}

func TestCancellingAfterAcceptanceChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if err := p.Enqueue(ctx, world.Event("a")); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Second)
		peer.WantSends("after the cancellation", "250ms 0 [a]")
	})
}

func TestPressureEndsTheLinger(t *testing.T) {
	for _, wait := range []time.Duration{10 * time.Minute, eventhubs.UntilFull} {
		synctest.Test(t, func(t *testing.T) {
			peer := scripted.New(t, 4)
			p := world.Over(peer, eventhubs.Options{MaxWaitTime: wait, MaxBufferedEvents: 40})
			for i := range 100 {
				if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			if scripted.Now() != 0 {
				t.Errorf("100 events into a buffer for 40 took %v, want no time at all", scripted.Now())
			}
		})
	}
}

// A fixed latency would hide the collapse, since all partitions would settle at the same instant.
func TestJitteredAcknowledgementsDoNotCollapseTheBatches(t *testing.T) {
	for _, tt := range []struct {
		name       string
		partitions int
		buffer     int
		callers    int
	}{
		{"one caller, 8 partitions", 8, 2500, 1},
		{"50 callers, 8 partitions", 8, 2500, 50},
		{"one caller, 32 partitions", 32, 2500, 1},
		{"one caller, one partition", 1, 2500, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, 2))
				peer := scripted.New(t, tt.partitions)
				peer.Latency = func() time.Duration {
					peer.Mu.Lock()
					defer peer.Mu.Unlock()
					return 30*time.Millisecond + time.Duration(random.Float64()*0.02*30*float64(time.Millisecond))
				}
				p := world.Over(peer, eventhubs.Options{MaxBufferedEvents: tt.buffer})
				const events = 100_000
				done := make(chan bool)
				for c := range tt.callers {
					go func() {
						for i := range events / tt.callers {
							if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(c, i))); err != nil {
								t.Error(err)
							}
						}
						done <- true
					}()
				}
				for range tt.callers {
					<-done
				}
				took := scripted.Now()
				mean := float64(events) / float64(len(peer.Sent()))
				if want := 0.5 * float64(tt.buffer) / float64(tt.partitions); mean < want {
					t.Errorf("%.0f events a batch, want at least %.0f", mean, want)
				}
				rate := float64(events) / (took.Seconds() / 0.030) / float64(tt.buffer)
				t.Logf("%.0f events a batch; %.2f of a buffer each 30 ms", mean, rate)
				if rate < 0.5 {
					t.Errorf("%.2f of a buffer each round trip, want at least 0.5", rate)
				}
			})
		})
	}
}

func TestARefusalInAHandlerIsPressureToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var p *eventhubs.BufferedProducer
		var first atomic.Bool
		p = world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 2, OnBatchSucceeded: func(ctx context.Context, b *eventhubs.Batch) {
			if first.CompareAndSwap(false, true) {
				for i := range 3 {
					_ = p.Enqueue(ctx, world.Event(fmt.Sprint("h", i)))
				}
			}
		}})
		world.Enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are still buffered after an hour though the full buffer refused one", got)
		}
	})
}

// Pressure empties a healthy partition while the try of another hangs.
func TestPressureDoesNotWaitForATryThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == "0" {
				time.Sleep(50 * time.Second)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 100})
		go p.Publish(t.Context(), &eventhubs.Event{Body: []byte("hangs"), PartitionID: "0"})
		synctest.Wait()
		for range 79 {
			world.Enqueue(t, p, "0", "x")
		}
		for range 20 {
			world.Enqueue(t, p, "1", "y")
		}
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("z"), PartitionID: "1"}); err != nil || scripted.Now() > time.Second {
			t.Errorf("Enqueue for the healthy partition, which holds 20 unsent events, returned %v at %v", err, scripted.Now())
		}
	})
}

// full returns a body whose event takes that many bytes of the buffer.
func full(t *testing.T, bytes int) string {
	t.Helper()
	for n := bytes; n > 0; n-- {
		if body := strings.Repeat("x", n); takes(t, body) == bytes {
			return body
		}
	}
	t.Fatalf("no event takes %d bytes", bytes)
	return ""
}

// takes returns how many bytes of the buffer an event with that body takes.
func takes(t *testing.T, body string) int {
	t.Helper()
	p := world.Over(scripted.New(t, 1), eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
	if err := p.Enqueue(t.Context(), world.Event(body)); err != nil {
		t.Fatal(err)
	}
	bytes := p.Stats().BufferedBytes
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// enqueueLater enqueues in another goroutine. It returns when that call waits or has returned.
func enqueueLater(ctx context.Context, p *eventhubs.BufferedProducer, partition, body string) chan error {
	done := make(chan error, 1)
	go func() { done <- p.Enqueue(ctx, &eventhubs.Event{Body: []byte(body), PartitionID: partition}) }()
	synctest.Wait()
	return done
}

func TestWhoFitsBehindALargeEventIsNotLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Hour }
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxBufferedBytes: 10_000, OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "0", full(t, 6000))
		ctx, cancel := context.WithCancel(t.Context())
		large := enqueueLater(ctx, p, "0", full(t, 9000))
		small := enqueueLater(t.Context(), p, "0", full(t, 500)) // fits beside the buffered events
		select {
		case err := <-small:
			t.Errorf("the small event overtook the large one: %v", err)
		default:
		}
		if err := p.TryEnqueue(t.Context(), world.Event("tiny")); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue while others wait returned %v, want ErrBufferFull", err)
		}
		cancel() // the large one gives up, and nothing else happens
		if err := <-large; !errors.Is(err, context.Canceled) {
			t.Errorf("the large one got %v", err)
		}
		if err := <-small; err != nil || scripted.Now() != 0 {
			t.Errorf("the small one got %v at %v, want room at once", err, scripted.Now())
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		_ = p.Close(ended)
	})
}

// Callers wait for more room than one batch frees. Partitions with few events, which would
// otherwise stay until a Flush, must then send one after the other. The partition that freed room
// first is in its handler, or rests after a failure.
func TestPressureEmptiesOnePartitionAfterTheOther(t *testing.T) {
	for _, first := range []string{"settles", "has a slow handler", "rests"} {
		t.Run(first, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 4)
				peer.Latency = func() time.Duration { return time.Second }
				peer.Answer = func(s scripted.Sent) connection.Result {
					if s.Partition == "0" && first == "rests" {
						return scripted.Transient(connection.NotSent)
					}
					return connection.Result{Outcome: connection.Accepted}
				}
				p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedBytes: 10_000, OnBatchFailed: world.Ignore,
					Retry: eventhubs.RetryOptions{Mode: eventhubs.RetryFixed, RetryDelay: time.Hour, MaxRetryDelay: time.Hour}, DeliveryTimeout: -1,
					OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
						if b.PartitionID == "0" && first == "has a slow handler" {
							time.Sleep(10 * time.Minute)
						}
					}})
				go p.Publish(t.Context(), &eventhubs.Event{Body: []byte(full(t, 300)), PartitionID: "0"})
				synctest.Wait()
				for _, id := range []string{"1", "2", "3"} {
					world.Enqueue(t, p, id, full(t, 300))
				}
				large := enqueueLater(t.Context(), p, "1", full(t, 9600))
				if err := <-large; err != nil {
					t.Error(err)
				}
				if scripted.Now() > 5*time.Second {
					t.Errorf("the large event got in at %v, want within 5 s: one second for each partition", scripted.Now())
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = p.Abandon(ctx)
				time.Sleep(time.Hour) // until the slow handler has returned
			})
		})
	}
}

func TestTryEnqueueNeverWaitsAndNeverOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, MaxBufferedEvents: 3})
		for _, body := range []string{"a", "b", "c"} {
			if err := p.TryEnqueue(t.Context(), world.Event(body)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), world.Event("d")); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue into a full buffer returned %v, want ErrBufferFull", err)
		}
		peer.WantSends("a refusal is pressure, which makes even an UntilFull batch leave", "0s 0 [a b c]")
		go world.Enqueue(t, p, "0", strings.Repeat("w", 10))
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), world.Event("e")); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue while another waits returned %v, want ErrBufferFull", err)
		}
		time.Sleep(2 * time.Second)
		if err := p.TryEnqueue(t.Context(), world.Event("f")); err != nil {
			t.Errorf("TryEnqueue with room returned %v", err)
		}
	})
}

func TestARefusedTryEnqueueKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxBufferedBytes: 1000, MaxWaitTime: eventhubs.UntilFull})
		world.Enqueue(t, p, "0", strings.Repeat("a", 500))
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), world.Event(strings.Repeat("b", 900))); !errors.Is(err, eventhubs.ErrBufferFull) {
			t.Errorf("TryEnqueue of a large event returned %v, want ErrBufferFull", err)
		}
		if err := p.TryEnqueue(t.Context(), world.Event("c")); err != nil {
			t.Errorf("TryEnqueue of a small one that fits returned %v", err)
		}
	})
}
