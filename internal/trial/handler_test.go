package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAHandlerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { runtime.Goexit() }})
		world.Enqueue(t, p, "0", "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("Close returned %v at %v", err, scripted.Now())
		}
	})
}

func TestAnIteratorThatOutlivesTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var next func() (*eventhubs.Event, bool)
		var stop func()
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			next, stop = iter.Pull(b.Events())
			next()
		}})
		world.Enqueue(t, p, "0", "a", "b")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if r := recover(); r != nil {
				t.Errorf("panic: %v", r)
			}
		}()
		if e, ok := next(); !ok || string(e.Body) != "b" {
			t.Errorf("got %v, want b", e)
		}
		stop()
	})
}

// An application may keep a Batch and give it to a goroutine of its own. The batch keeps its
// content, whatever the producer sends meanwhile.
func TestABatchThatAHandlerKeptStaysAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0][0] == 'x' {
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var kept []*eventhubs.Batch
		var read sync.WaitGroup
		got := make([]string, 40)
		handler := func(_ context.Context, b *eventhubs.Batch) {
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
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: handler, OnBatchFailed: handler})
		want := make([]string, len(got))
		for i := range want {
			body := []string{"a", "x"}[i%2] + fmt.Sprint(i)
			want[i] = body + fmt.Sprint(i)
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: "0", Tag: i}); err != nil {
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
		// Another caller enqueues the events again, later. The new outcome counts.
		peer.Answer = nil
		for _, b := range kept[:10] {
			if n, err := b.EnqueueAgain(t.Context()); n != 1 || err != nil {
				t.Errorf("EnqueueAgain returned %d, %v", n, err)
			}
		}
		world.WantFailed(t, "Flush", p.Flush(t.Context()), 20-5)
		world.WantFailed(t, "the next Flush", p.Flush(t.Context()), 0)
	})
}

// A batch that its handler has released has no events any more, nor has a copy of it or an iterator
// that has begun. Its fields stay, and so do events that it has yielded.
func TestAReleasedBatchHasNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var released, copied eventhubs.Batch
		var first *eventhubs.Event
		var next func() (*eventhubs.Event, bool)
		var stop func()
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			if released.Count > 0 {
				return
			}
			next, stop = iter.Pull(b.Events())
			first, _ = next()
			copied = *b
			b.Release()
			released = *b
		}})
		defer func() { stop() }()
		round := func(bodies ...string) {
			world.Enqueue(t, p, "0", bodies...)
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		round("a", "b", "c")
		for i := range 10 {
			round(fmt.Sprint("other ", i)) // in the same memory
		}
		if e, ok := next(); ok {
			t.Errorf("an iterator that began before Release goes on with %q", e.Body)
		}
		if string(first.Body) != "a" {
			t.Errorf("the event that was yielded is %q now, want a", first.Body)
		}
		for name, b := range map[string]*eventhubs.Batch{"the batch": &released, "its copy": &copied} {
			if b.Count != 3 || b.PartitionID != "0" || b.Outcome.Storage != eventhubs.Stored {
				t.Errorf("%s is %v, want 3 events stored in partition 0", name, b)
			}
			for e := range b.Events() {
				t.Errorf("%s yields the event %q", name, e.Body)
			}
			for range b.Tags() {
				t.Errorf("%s yields a tag", name)
			}
			if n, err := b.EnqueueAgain(t.Context()); n != 0 || !errors.Is(err, eventhubs.ErrInvalidArgument) {
				t.Errorf("EnqueueAgain of %s returned %d, %v, want a refusal", name, n, err)
			}
		}
	})
}

// A test may call a handler with a Batch of its own.
func TestABatchThatNoProducerHasMadeHasNoEvents(t *testing.T) {
	b := eventhubs.Batch{PartitionID: "0"}
	for e := range b.Events() {
		t.Errorf("it yields the event %q", e.Body)
	}
	for range b.Tags() {
		t.Error("it yields a tag")
	}
	if n, err := b.EnqueueAgain(t.Context()); n != 0 || !errors.Is(err, eventhubs.ErrInvalidArgument) {
		t.Errorf("EnqueueAgain returned %d, %v, want a refusal", n, err)
	}
	b.Release()
}

// The producer uses the memory of released batches again. It does not use that of others.
func TestTheMemoryOfReleasedBatchesIsUsedAgain(t *testing.T) {
	const total, size = 64 << 20, 1 << 10
	server, err := emulator.New(&emulator.Options{Hubs: []emulator.Hub{{Name: "events", Partitions: 1}}, Discard: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	allocated := func(handler func(context.Context, *eventhubs.Batch)) uint64 {
		p, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &eventhubs.Options{OnBatchSucceeded: handler})
		if err != nil {
			t.Fatal(err)
		}
		e := &eventhubs.Event{Body: make([]byte, size)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range total / size {
			if err := p.Enqueue(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	kept := allocated(func(context.Context, *eventhubs.Batch) {})
	released := allocated(func(_ context.Context, b *eventhubs.Batch) { b.Release() })
	if kept < total || released > kept/2 {
		t.Errorf("%d MiB of events took %d MiB of memory with Release, want far less than the %d MiB without", total>>20, released>>20, kept>>20)
	}
}

func TestAPanicInTheFailedHandlerKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0] == "bad" {
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.DiscardHandler), OnBatchFailed: func(context.Context, *eventhubs.Batch) { panic("ouch") }})
		world.Enqueue(t, p, "0", "bad")
		if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(t.Context())); !ok || undelivered.Failed() != 1 || undelivered.Pending != 0 {
			t.Errorf("Flush returned %v, want 1 failed", undelivered)
		}
		world.Enqueue(t, p, "0", "good")
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("after the panic: %v", err)
		}
	})
}

func TestFlushAndCloseInAHandlerRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var p *eventhubs.BufferedProducer
		var kept context.Context
		p = world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(ctx context.Context, _ *eventhubs.Batch) {
			if kept == nil {
				kept = ctx
			}
			if err := p.Flush(ctx); !errors.Is(err, eventhubs.ErrInHandler) {
				t.Errorf("Flush returned %v, want ErrInHandler", err)
			}
			if err := p.Close(ctx); !errors.Is(err, eventhubs.ErrInHandler) {
				t.Errorf("Close returned %v, want ErrInHandler", err)
			}
		}})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(kept); err != nil {
			t.Errorf("with the context of a handler that has returned Flush returned %v", err)
		}
	})
}

func TestAPanicInAHandlerIsToldAndKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { panic("ouch") }})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		world.Enqueue(t, p, "0", "b")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a b]" {
			t.Errorf("stored %s", got)
		}
		if text := log.String(); strings.Count(text, "ouch") != 2 || !strings.Contains(text, "handler_test.go") {
			t.Errorf("the log does not have both panics with their stack:\n%s", text)
		}
	})
}

func TestTroubleIsLoggedOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		peer := scripted.New(t, 8)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try < 5 {
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for _, id := range peer.Partitions {
			world.Enqueue(t, p, id, "a")
		}
		time.Sleep(time.Second)
		if h := p.Health(); h.Err == nil || len(h.Partitions) != 8 {
			t.Errorf("Health is %+v, want trouble in 8 partitions", h)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if text := log.String(); strings.Count(text, "begun to fail") != 1 || strings.Count(text, "succeeds again") != 1 {
			t.Errorf("logged:\n%s", text)
		}
	})
}

// A handler that ends its goroutine, as t.FailNow does, must not lose the outcomes of other events.
// TestAHandlerThatEndsItsGoroutine covers events in a partition; these events stay in staging.
func TestAHandlerThatEndsItsGoroutineLosesNoStagedEvent(t *testing.T) {
	large := strings.Repeat("x", 200<<10) // two of them are two batches
	slow := func(int) error {
		time.Sleep(time.Second) // all events are there by then
		return nil
	}
	down := func(int) error { return errors.New("down") }
	for _, c := range []struct {
		name       string
		partition  string
		properties func(call int) error
		meanwhile  func(p *eventhubs.BufferedProducer)
	}{
		{"for a partition that there is not", "9", slow, func(*eventhubs.BufferedProducer) {}},
		{"whose tries are used up", "0", down, func(*eventhubs.BufferedProducer) {}},
		{"that are cleared", "0", down, func(p *eventhubs.BufferedProducer) { p.Clear(context.Background()) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				peer := scripted.New(t, 2)
				peer.List = c.properties
				p := world.Over(peer, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}, OnBatchFailed: func(context.Context, *eventhubs.Batch) {
					if calls.Add(1) == 1 {
						runtime.Goexit()
					}
				}})
				deliveries := make([]eventhubs.Delivery, 3)
				for i := range deliveries {
					// The last event comes when the other goroutines have ended; the producer must
					// still ask for the partitions.
					if i == 2 {
						c.meanwhile(p)
						time.Sleep(time.Minute)
						c.partition = min(c.partition, "0") // the list may be known by now
					}
					if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(large), PartitionID: c.partition, Delivery: &deliveries[i]}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Hour)
				for i := range deliveries {
					if o := deliveries[i].Outcome(); o.Storage == 0 || i < 2 && o.Storage != eventhubs.NotStored {
						t.Errorf("after an hour the outcome of event %d is %+v", i, o)
					}
				}
				if err := p.Close(t.Context()); p.BufferedEvents() != 0 {
					t.Errorf("%d events are left when Close has returned %v", p.BufferedEvents(), err)
				}
			})
		})
	}
}
