package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestEnqueueWaitsWhileTheBufferIsFull(t *testing.T) {
	tests := []struct {
		name    string
		options Options
	}{
		{"events", Options{MaxBufferedEvents: 3}},
		{"bytes", Options{MaxBufferedBytes: 3*sectionSize(1000) + 100}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 1)
				peer.latency = func() time.Duration { return time.Second }
				tt.options.MaxWaitTime = SendAtOnce
				p := peer.producer(tt.options)
				body := string(make([]byte, 995))
				enqueue(t, p, "0", body, body, body)
				began := now()
				enqueue(t, p, "0", body)
				if waited := now() - began; waited != time.Second {
					t.Errorf("the fourth event waited %v, want 1s: until the first batch has its outcome", waited)
				}
			})
		})
	}
}

func TestWaitersAreAdmittedFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 1}) // so that no two are admitted together
		enqueue(t, p, "0", "a")
		for i := range 20 {
			go enqueue(t, p, "0", fmt.Sprint(i))
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		got := peer.storedIn("0")
		for i := range 20 {
			if got[i+1] != fmt.Sprint(i) {
				t.Fatalf("stored %v: waiters were admitted out of turn", got)
			}
		}
	})
}

func TestACancelledWaiterLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 1})
		enqueue(t, p, "0", "a")
		cause := errors.New("the user went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() { result <- p.Enqueue(ctx, event("b")) }()
		synctest.Wait()
		cancel(cause)
		err := <-result
		if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("Enqueue returned %v, want context.Canceled with its cause", err)
		}
		if got := p.BufferedEvents(); got != 1 {
			t.Errorf("%d events are buffered, want 1", got)
		}
		enqueue(t, p, "0", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a c]" {
			t.Errorf("stored %s, want [a c]", got)
		}
	})
}

func TestEnqueueRefusesAnEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Enqueue(ctx, event("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("Enqueue returned %v, want context.Canceled", err)
		}
	})
}

func TestCancellingAfterAcceptanceChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		if err := p.Enqueue(ctx, event("a")); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Second)
		peer.wantSends("after the cancellation", "250ms 0 [a]")
	})
}

func TestPressureEndsTheLinger(t *testing.T) {
	for _, wait := range []time.Duration{10 * time.Minute, UntilFull} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 4)
			p := peer.producer(Options{MaxWaitTime: wait, MaxBufferedEvents: 40})
			for i := range 100 {
				if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			if now() != 0 {
				t.Errorf("100 events into a buffer for 40 took %v, want no time at all", now())
			}
		})
	}
}

// One partition holds nearly all of the buffer: what little the others have is not sent in batches of a few events because of that.
func TestPressureDoesNotScatterSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hot, linger = "0", 5 * time.Millisecond
		var mu sync.Mutex
		batches, events := 0, 0
		peer := newPeer(t, 8)
		peer.answer = func(s sent) connection.Result {
			if s.partition == hot {
				time.Sleep(time.Millisecond)
			} else {
				mu.Lock()
				defer mu.Unlock()
				batches++
				events += len(s.bodies)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: linger, MaxBufferedEvents: 800})
		for i := range 20_000 {
			id := hot
			if i%10 == 0 {
				id = strconv.Itoa(1 + i/10%7)
			}
			enqueue(t, p, id, "x")
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if share := 800 / 8 / leastShare; events < batches*share*9/10 {
			t.Errorf("the partitions that are not hot have sent %d events in %d batches, want about %d in each", events, batches, share)
		}
	})
}

// A fixed latency would hide the collapse: all partitions would settle at the same instant.
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
				peer := newPeer(t, tt.partitions)
				peer.latency = func() time.Duration {
					peer.mu.Lock()
					defer peer.mu.Unlock()
					return 30*time.Millisecond + time.Duration(random.Float64()*0.02*30*float64(time.Millisecond))
				}
				p := peer.producer(Options{MaxBufferedEvents: tt.buffer})
				const events = 100_000
				done := make(chan bool)
				for c := range tt.callers {
					go func() {
						for i := range events / tt.callers {
							if err := p.Enqueue(t.Context(), event(fmt.Sprint(c, i))); err != nil {
								t.Error(err)
							}
						}
						done <- true
					}()
				}
				for range tt.callers {
					<-done
				}
				took := now()
				mean := float64(events) / float64(len(peer.sent()))
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
