package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestCloseSendsWhatIsBuffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchSucceeded: told.handle})
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "2", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(told.all()); got != 2 {
			t.Errorf("%d batches were told when Close returned, want 2", got)
		}
		if !p.IsClosed() || p.BufferedEvents() != 0 || !peer.closed {
			t.Errorf("after Close: IsClosed %v, %d buffered, connection closed %v", p.IsClosed(), p.BufferedEvents(), peer.closed)
		}
	})
}

func TestAfterCloseEverythingIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Enqueue(t.Context(), event("a")); !errors.Is(err, ErrClosed) {
			t.Errorf("Enqueue returned %v, want ErrClosed", err)
		}
		if err := p.Flush(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Flush returned %v, want ErrClosed", err)
		}
		if _, err := p.EventHubProperties(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("EventHubProperties returned %v, want ErrClosed", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("a second Close returned %v, want the first one's result", err)
		}
	})
}

func TestCloseWakesWhoeverWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 1})
		enqueue(t, p, "0", "a")
		refused := make(chan error)
		for range 10 {
			go func() { refused <- p.Enqueue(t.Context(), event("b")) }()
		}
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- p.Close(t.Context()) }()
		for range 10 {
			if err := <-refused; !errors.Is(err, ErrClosed) {
				t.Errorf("a waiting Enqueue returned %v, want ErrClosed", err)
			}
		}
		if now() != 0 {
			t.Errorf("the waiting Enqueues were refused at %v, want at once", now())
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
	})
}

func TestCloseWhoseContextEndsFailsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Hour }
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "in flight")
		go p.Flush(t.Context())
		synctest.Wait()
		enqueue(t, p, "0", "behind")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Close(ctx)
		if now() != time.Second {
			t.Errorf("Close returned at %v, want 1s", now())
		}
		undelivered, ok := errors.AsType[*UndeliveredError](err)
		if !ok || undelivered.Failed() != 2 || !errors.Is(err, ErrClosed) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		want := map[string]Storage{"in flight": PossiblyStored, "behind": NotStored}
		for _, b := range told.all() {
			if got := b.outcome.Storage; got != want[b.bodies[0]] {
				t.Errorf("%v is %v, want %v", b.bodies, got, want[b.bodies[0]])
			}
			if !errors.Is(b.outcome.Err, ErrClosed) || !errors.Is(b.outcome.Err, context.DeadlineExceeded) {
				t.Errorf("%v failed with %v", b.bodies, b.outcome.Err)
			}
		}
		if len(told.all()) != 2 {
			t.Errorf("told: %v", told.all())
		}
		peer.wantSends("nothing more is sent", "0s 0 [in flight]")
	})
}

func TestCloseEndsThePauseBeforeARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return transient(connection.NotSent) }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{RetryDelay: time.Hour, MaxRetryDelay: time.Hour},
			OnBatchFailed: func(context.Context, *Batch) {}, DeliveryTimeout: -1})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); !errors.Is(err, ErrClosed) || now() != time.Second {
			t.Errorf("Close returned %v at %v", err, now())
		}
	})
}

func TestCloseWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(int) error { return errors.New("no such host") }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle})
		enqueue(t, p, "", "a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := p.Close(ctx)
		if undelivered, ok := errors.AsType[*UndeliveredError](err); !ok || undelivered.Failed() != 2 {
			t.Errorf("Close returned %v, want an UndeliveredError with 2 failed", err)
		}
		if all := told.all(); len(all) != 1 || all[0].outcome.Storage != NotStored || fmt.Sprint(all[0].bodies) != "[a b]" {
			t.Errorf("told: %v", all)
		}
	})
}

func TestCloseDoesNotWaitForeverForAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		peer := newPeer(t, 1)
		p := peer.producer(Options{OnBatchSucceeded: func(ctx context.Context, _ *Batch) {
			<-release
			if ctx.Err() != nil {
				t.Error("the handler's context ended with Close's")
			}
		}})
		enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := p.Close(ctx)
		if err == nil || now() != time.Second+closeGrace {
			t.Errorf("Close returned %v at %v, want an error %v after its context ended", err, now(), closeGrace)
		}
		close(release)
	})
}

func TestEveryCloseReturnsTheSameResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		peer.answer = func(sent) connection.Result {
			return refused("no")
		}
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		results := make(chan error)
		for range 3 {
			go func() { results <- p.Close(t.Context()) }()
		}
		for range 3 {
			if undelivered, ok := errors.AsType[*UndeliveredError](<-results); !ok || undelivered.Failed() != 1 {
				t.Errorf("Close returned %v", undelivered)
			}
			if now() != time.Second {
				t.Errorf("Close returned at %v, want 1s", now())
			}
		}
	})
}

func TestPartitionForKeyAndResumeAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 2).connected(Options{})
		_ = p.Close(t.Context())
		if _, err := p.PartitionForKey(t.Context(), "k"); !errors.Is(err, ErrClosed) {
			t.Errorf("PartitionForKey after Close: %v", err)
		}
		if err := p.ResumePartition("0"); !errors.Is(err, ErrClosed) {
			t.Errorf("ResumePartition after Close: %v", err)
		}
	})
}

// A Close that comes when another has ended returns that one's result, whatever its own context.
func TestACloseAfterCloseReturnsItsResultWithAnyContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			if err := p.Close(ended); err != nil {
				t.Fatalf("Close returned %v, want nil as the first did", err)
			}
		}
	})
}

// What is waiting for a retry or for the list of partitions fails as soon as Abandon gives it up. Abandon counts it, however soon that is.
func TestAbandonCountsWhatItFails(t *testing.T) {
	for name, listed := range map[string]bool{"staged": false, "between two tries": true} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.answer = func(sent) connection.Result { return transient(connection.NotSent) }
			var told outcomes
			p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: told.handle})
			if listed {
				if err := p.Connect(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			} else {
				peer.properties = func(int) error { return transient(connection.NotSent).Err }
			}
			enqueue(t, p, "0", "a")
			time.Sleep(time.Millisecond)
			enqueue(t, p, "0", "b", "c")
			giveUp := p.lifetime.giveUp
			p.lifetime.giveUp = func(reason error) {
				giveUp(reason)
				synctest.Wait() // everybody has heard of it
			}
			undelivered, ok := errors.AsType[*UndeliveredError](p.Abandon(t.Context()))
			if !ok || undelivered.Failed() != 3 || undelivered.Pending != 0 || !errors.Is(undelivered, ErrAbandoned) {
				t.Errorf("%s: Abandon returned %v, want 3 failed with ErrAbandoned", name, undelivered)
			}
			if n := len(told.all()); n == 0 {
				t.Errorf("%s: nobody was told", name)
			}
		})
	}
}

// Whoever plans a shutdown reckons with how long Close goes on after its context has ended: one number, wherever it is said.
func TestTheDocumentsSayHowLongCloseWaitsForHandlers(t *testing.T) {
	seconds := fmt.Sprint(closeGrace.Seconds())
	for file, text := range map[string]string{
		"producer_close.go":                   "Close waits for them " + seconds + " more second at most",
		"docs/guarantees.md":                  seconds + " s after its context's end at the latest",
		"docs/operations.md":                  "plus " + seconds + " s for handlers",
		"examples/shutdown/main.go":           "less " + seconds + " s for the handlers",
		"examples/kubernetes/service/main.go": "less " + seconds + " s for handlers after Close's deadline",
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		unwrapped := strings.Join(strings.Fields(strings.ReplaceAll(string(content), "//", "")), " ")
		if !strings.Contains(unwrapped, text) {
			t.Errorf("%s does not say %q", file, text)
		}
	}
}

// What the decision says of the seam behind which the transport can be replaced.
func TestTheSeamIsAsWideAsTheDecisionSays(t *testing.T) {
	text, err := os.ReadFile("docs/decisions/0012-one-amqp-engine.md")
	if err != nil {
		t.Fatal(err)
	}
	numbers := [...]string{7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven"}
	if want := "an interface of " + numbers[reflect.TypeFor[link]().NumMethod()] + " calls"; !strings.Contains(string(text), want) {
		t.Errorf("the decision does not say %q", want)
	}
}
