package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// Room in the buffer, and who gets it next: each of these fails when one line of admission.go, pressure.go or partition.go is left out.

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

// takes is how many bytes of the buffer an event with that body takes.
func takes(t *testing.T, body string) int {
	t.Helper()
	p := newPeer(t, 1).producer(Options{MaxWaitTime: UntilFull})
	if err := p.Enqueue(t.Context(), event(body)); err != nil {
		t.Fatal(err)
	}
	bytes := p.Stats().BufferedBytes
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// enqueueLater enqueues in another goroutine and returns when it waits, or is through.
func enqueueLater(ctx context.Context, p *BufferedProducer, partition, body string) chan error {
	done := make(chan error, 1)
	go func() { done <- p.Enqueue(ctx, &Event{Body: []byte(body), PartitionID: partition}) }()
	synctest.Wait()
	return done
}

func TestWhoFitsBehindALargeEventIsNotLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Hour }
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, MaxBufferedBytes: 10_000, OnBatchFailed: ignore})
		enqueue(t, p, "0", full(t, 6000))
		ctx, cancel := context.WithCancel(t.Context())
		large := enqueueLater(ctx, p, "0", full(t, 9000))
		small := enqueueLater(t.Context(), p, "0", full(t, 500)) // fits beside what is there
		select {
		case err := <-small:
			t.Errorf("the small event overtook the large one: %v", err)
		default:
		}
		if err := p.TryEnqueue(t.Context(), event("tiny")); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue behind the line returned %v, want ErrBufferFull", err)
		}
		cancel() // the large one gives up, and nobody else does anything
		if err := <-large; !errors.Is(err, context.Canceled) {
			t.Errorf("the large one got %v", err)
		}
		if err := <-small; err != nil || now() != 0 {
			t.Errorf("the small one got %v at %v, want room at once", err, now())
		}
		ended, stop := context.WithCancel(context.Background())
		stop()
		_ = p.Close(ended)
	})
}

// Callers wait for more room than one batch makes. Partitions with few events, which would stay until a Flush, must then go one after the other, also
// while the partition that made room first is in its handler or rests after a failure.
func TestPressureEmptiesOnePartitionAfterTheOther(t *testing.T) {
	for _, first := range []string{"settles", "has a slow handler", "rests"} {
		t.Run(first, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 4)
				peer.latency = func() time.Duration { return time.Second }
				peer.answer = func(s sent) connection.Result {
					if s.partition == "0" && first == "rests" {
						return transient(connection.NotSent)
					}
					return connection.Result{Outcome: connection.Accepted}
				}
				p := peer.connected(Options{MaxWaitTime: UntilFull, MaxBufferedBytes: 10_000, OnBatchFailed: ignore,
					Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Hour, MaxRetryDelay: time.Hour}, DeliveryTimeout: -1,
					OnBatchSucceeded: func(_ context.Context, b *Batch) {
						if b.PartitionID == "0" && first == "has a slow handler" {
							time.Sleep(10 * time.Minute)
						}
					}})
				go p.Publish(t.Context(), &Event{Body: []byte(full(t, 300)), PartitionID: "0"})
				synctest.Wait()
				for _, id := range []string{"1", "2", "3"} {
					enqueue(t, p, id, full(t, 300))
				}
				large := enqueueLater(t.Context(), p, "1", full(t, 9600))
				if err := <-large; err != nil {
					t.Error(err)
				}
				if now() > 5*time.Second {
					t.Errorf("the large event got in at %v, want within 5 s: one second for each partition", now())
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = p.Abandon(ctx)
				time.Sleep(time.Hour) // until the slow handler has returned
			})
		})
	}
}

func TestWhatIsClearedIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told outcomes
		p := newPeer(t, 2).connected(Options{MaxWaitTime: UntilFull, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 1 || err != nil {
			t.Errorf("ClearPartition returned %d, %v", n, err)
		}
		synctest.Wait()
		if got := len(told.all()); got != 1 {
			t.Errorf("%d batches were told after ClearPartition, want 1", got)
		}
		p.Clear(t.Context())
		synctest.Wait()
		if got := len(told.all()); got != 2 {
			t.Errorf("%d batches were told after Clear, want 2", got)
		}
	})
}

func TestAPartitionOutOfTroubleIsLikeTheOthersAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.bodies[0] == "bad" && s.try < 3 {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.connected(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 10})
		enqueue(t, p, "0", "bad")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		if got := p.PartitionBufferedEvents("0"); got != 2 {
			t.Errorf("of 4 events for any partition %d went to the one that is well again, want 2", got)
		}
		for i := range 6 {
			if err := p.TryEnqueue(t.Context(), &Event{Body: fmt.Append(nil, i), PartitionID: "0"}); err != nil {
				t.Errorf("event %d for it: %v: it may hold as much as it likes", i, err)
			}
		}
	})
}

// Close begins and ends while an Enqueue that has its room already is choosing the partition.
func TestAnEnqueueThatCloseOvertakesIsRefusedAndLeavesNoTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		var p *BufferedProducer
		p = peer.producer(Options{
			Trace: &Trace{Encoding: func(ctx context.Context, _ TracedEncoding) {
				// The list becomes known after the event's route was looked up and before its partition is chosen.
				if err := p.Connect(ctx, nil); err != nil {
					t.Error(err)
				}
			}},
			KeyPartitioner: func(KeyPlacement) int {
				if err := p.Close(context.Background()); err != nil {
					t.Errorf("Close: %v", err)
				}
				return 1
			},
		})
		var d Delivery
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("a"), PartitionKey: "k", Delivery: &d}); !errors.Is(err, ErrClosed) {
			t.Errorf("Enqueue returned %v, want ErrClosed", err)
		}
		if p.BufferedEvents() != 0 || len(peer.sent()) != 0 || d.Outcome() != (Outcome{Err: ErrPending}) {
			t.Errorf("%d are buffered, %d batches were sent, the Delivery says %+v", p.BufferedEvents(), len(peer.sent()), d.Outcome())
		}
	})
}

func TestCloseWaitsForEveryGoroutineOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		ended := false
		peer.properties = func(int) error {
			time.Sleep(time.Minute) // a call that does not look at its context
			ended = true
			return errors.New("too late")
		}
		p := peer.producer(Options{OnBatchFailed: ignore})
		enqueue(t, p, "", "a")
		p.Clear(t.Context())
		synctest.Wait() // nothing is buffered any more, but the list is being asked for
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !ended {
			t.Errorf("Close returned at %v and left a goroutine behind", now())
		}
	})
}

// Whoever keeps a Batch, and gives it to a goroutine of its own, finds in it what was there, whatever the producer sends meanwhile.
func TestABatchThatAHandlerKeptStaysAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.bodies[0][0] == 'x' {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var kept []*Batch
		var read sync.WaitGroup
		got := make([]string, 40)
		handler := func(_ context.Context, b *Batch) {
			i := len(kept)
			if i == len(got) {
				return // enqueued again
			}
			kept = append(kept, b)
			read.Go(func() { // ends when it has read the batch
				for e := range b.Events() {
					got[i] += string(e.Body) + fmt.Sprint(e.Tag)
				}
				for range b.Tags() {
				}
			})
		}
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: handler, OnBatchFailed: handler})
		want := make([]string, len(got))
		for i := range want {
			body := []string{"a", "x"}[i%2] + fmt.Sprint(i)
			want[i] = body + fmt.Sprint(i)
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(body), PartitionID: "0", Tag: i}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		read.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("read beside the handler: %v, want %v", got, want)
		}
		for i, b := range kept {
			for e := range b.Events() {
				if again := string(e.Body) + fmt.Sprint(e.Tag); again != want[i] {
					t.Errorf("batch %d shows %q later, want %q", i, again, want[i])
				}
			}
		}
		// Enqueued again by somebody else, later: the new outcome counts.
		peer.answer = nil
		for _, b := range kept[:10] {
			if n, err := b.EnqueueAgain(t.Context()); n != 1 || err != nil {
				t.Errorf("EnqueueAgain returned %d, %v", n, err)
			}
		}
		wantFailed(t, "Flush", p.Flush(t.Context()), 20-5)
		wantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
	})
}

func TestTheDeliveryTimeoutShortensATry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Hour }
		var told outcomes
		p := peer.connected(Options{MaxWaitTime: SendAtOnce, DeliveryTimeout: 10 * time.Second, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		_ = p.Flush(t.Context())
		if all := told.all(); len(all) != 1 || all[0].at != 10*time.Second || all[0].outcome.Storage != PossiblyStored {
			t.Errorf("told: %+v, want possibly stored at 10s, though a try may take a minute", all)
		}
	})
}

func TestWhoWaitsForAnotherClosesEndMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Minute / 2 }
		p := peer.connected(Options{})
		enqueue(t, p, "0", "a")
		first := make(chan error, 1)
		go func() { first <- p.Close(context.Background()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || now() != time.Second {
			t.Errorf("the second Close returned %v at %v", err, now())
		}
		if err := <-first; err != nil || now() != time.Minute/2 {
			t.Errorf("the first Close returned %v at %v: the second must not cut it short", err, now())
		}
	})
}
