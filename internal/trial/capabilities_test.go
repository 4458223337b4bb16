package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// This test shows what the producer can do, through an emulator over TCP and in memory. It runs in
// real time, so nothing here depends on durations. Other tests check exact times in virtual time,
// over a scripted hub.
func TestWhatTheProducerCanDo(t *testing.T) {
	rows := []struct {
		name string
		test func(*world.World)
	}{
		{"identifier on the wire", rowIdentifier}, {"enqueue of every kind", rowEnqueue}, {"events of every kind", rowEvents}, {"routing", rowRouting},
		{"offline start", rowOffline}, {"backpressure", rowBackpressure}, {"linger", rowLinger}, {"concurrent sends", rowConcurrency}, {"enqueue again", rowEnqueueAgain},
		{"poison", rowPoison}, {"flush", rowFlush}, {"clear", rowClear}, {"close", rowClose}, {"abandon", rowAbandon}, {"numbers", rowNumbers}, {"stop and resume", rowStop},
		{"warm-up", rowConnect},
	}
	for _, transport := range []string{"memory", "TCP"} {
		for _, row := range rows {
			t.Run(transport+"/"+row.name, func(t *testing.T) {
				t.Parallel()
				o := &emulator.Options{Hubs: world.Hubs(4)}
				if transport == "memory" {
					o.Addr = emulator.InMemory
				}
				row.test(&world.World{T: t, Server: emulatortest.New(t, o)})
			})
		}
	}
}

func rowIdentifier(w *world.World) {
	var mu sync.Mutex
	var written bytes.Buffer
	text := w.Server.ConnectionString("hub")
	p, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", &eventhubs.Options{Identifier: "who-sends-this", Connection: eventhubs.ConnectionOptions{
		ApplicationID: "what-sends-this",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := w.Server.Dial(ctx)
			return &recordingConn{Conn: c, mu: &mu, written: &written}, err
		}}})
	w.Must(err)
	w.Must(world.OutcomeErr(p.Publish(w.Context(), world.Event("a"))))
	w.Must(p.Close(w.Context()))
	mu.Lock()
	defer mu.Unlock()
	// It is there as the connection's container, and as the source of the link.
	w.Want("times that the identifier is on the wire", bytes.Count(written.Bytes(), []byte("who-sends-this")) >= 2, true)
	w.Want("the application is in the user agent", bytes.Contains(written.Bytes(), []byte("what-sends-this go-eventhubs")), true)
}

type recordingConn struct {
	net.Conn
	mu      *sync.Mutex
	written *bytes.Buffer
}

func (c *recordingConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.written.Write(b)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

func rowEnqueue(w *world.World) {
	p := w.Producer(eventhubs.Options{MaxBufferedEvents: 5})
	var d eventhubs.Delivery
	w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("a"), Delivery: &d}))
	w.Must(p.Enqueue(w.Context(), &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{[]byte("b")}}}}))
	w.Must(p.TryEnqueue(w.Context(), world.Event("c")))
	w.Must(world.OutcomeErr(p.Publish(w.Context(), world.Event("d"))))
	var set []*eventhubs.Event
	for i := range 50 {
		set = append(set, world.Event(fmt.Sprint(i)))
	}
	accepted, err := p.EnqueueAll(w.Context(), eventhubs.Events(set...))
	w.Must(err)
	w.Want("accepted of the set", accepted, 50)
	w.Must(p.Flush(w.Context()))
	<-d.Done()
	w.Want("the Delivery's outcome", d.Outcome().Storage, eventhubs.Stored)
	w.Want("stored", w.Server.Counts("hub", "").Events, 54)
}

func rowEvents(w *world.World) {
	p := w.Producer(eventhubs.Options{})
	to := &eventhubs.Event{PartitionID: "0"}
	for _, body := range []eventhubs.AMQPBody{{Data: [][]byte{[]byte("d")}}, {Value: "v"}, {Sequences: [][]any{{"s", int64(1)}}}} {
		w.Must(p.Enqueue(w.Context(), world.With(&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &body}}, to)))
	}
	err := p.Enqueue(w.Context(), world.With(&eventhubs.Event{Properties: map[string]any{"bad": func() {}}}, to))
	w.Want("an event that cannot be encoded is refused", errors.Is(err, eventhubs.ErrInvalidArgument), true)
	w.Must(p.Flush(w.Context()))
	w.Want("stored", w.Server.Counts("hub", "0").Events, 3)
}

func rowRouting(w *world.World) {
	p := w.Producer(eventhubs.Options{Partitioning: eventhubs.Sticky, KeyPartitioner: func(k eventhubs.KeyPlacement) int { return len(k.Key) % k.Partitions }})
	w.Must(p.Connect(w.Context(), nil))
	w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("id"), PartitionID: "3"}))
	w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("key"), PartitionKey: "ab"}))
	err := p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("no"), PartitionID: "4"})
	w.Want("an unknown id", errors.Is(err, eventhubs.ErrPartitionUnknown), true)
	w.Must(p.Flush(w.Context()))
	w.Want("by id", world.Bodies(w.Server, "3"), "[id]")
	w.Want("by key", world.Bodies(w.Server, "2"), "[key]")
	own, err := eventhubs.NewConnectionFromConnectionString(w.Server.ConnectionString("hub"), &eventhubs.ConnectionOptions{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Server.Dial(ctx) }})
	w.Must(err)
	defer own.Close(w.Context())
	assigned, err := own.NewBufferedProducer("", &eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
	w.Must(err)
	w.Must(world.OutcomeErr(assigned.Publish(w.Context(), world.Event("any"))))
	w.Must(assigned.Close(w.Context()))
	w.Want("stored in all", w.Server.Counts("hub", "").Events, 3)
}

func rowOffline(w *world.World) {
	var up atomic.Bool
	w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindConnection && !up.Load() {
			return emulator.Cut()
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{Retry: eventhubs.RetryOptions{RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond, MaxRetries: 1000}})
	for i := range 10 {
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, i), PartitionID: "1"}))
	}
	w.Want("staged", p.BufferedEvents(), 10)
	up.Store(true)
	w.Must(p.Flush(w.Context()))
	w.Want("in order", world.Bodies(w.Server, "1"), "[0 1 2 3 4 5 6 7 8 9]")
}

func rowBackpressure(w *world.World) {
	w.OnTransfer(func(int, emulator.Operation) emulator.Action { return emulator.Pass().AnswerAfter(time.Millisecond) })
	p := w.Producer(eventhubs.Options{MaxBufferedEvents: 20, MaxBufferedBytes: 2000, MaxWaitTime: eventhubs.UntilFull})
	var callers sync.WaitGroup
	for c := range 10 {
		callers.Go(func() {
			for i := range 50 {
				if err := p.Enqueue(w.Context(), world.Event(fmt.Sprint(c, i))); err != nil {
					w.Error(err)
				}
				if n := p.BufferedEvents(); n > 20 {
					w.Errorf("%d events are buffered, want at most 20", n)
				}
			}
		})
	}
	callers.Wait()
	w.Must(p.Flush(w.Context()))
	w.Want("stored", w.Server.Counts("hub", "").Events, 500)
}

func rowLinger(w *world.World) {
	p := w.Producer(eventhubs.Options{MaxWaitTime: time.Millisecond})
	w.Must(p.Enqueue(w.Context(), world.Event("a")))
	w.Must(w.Server.WaitForEvents(w.Context(), "hub", 1)) // no flush
}

func rowConcurrency(w *world.World) {
	var inFlight, most atomic.Int64
	gate := make(chan bool)
	w.Server.SetHook(func(ctx context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Pass().AnswerAfter(time.Millisecond)
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: 3, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) {
		if n := inFlight.Add(1); n > most.Load() {
			most.Store(n)
			if n == 3 {
				close(gate) // three senders of one partition are here at the same time
			}
		}
		<-gate
		inFlight.Add(-1)
	}})
	for i := range 3 {
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, i), PartitionID: "0"}))
		w.Must(w.Server.WaitForEvents(w.Context(), "hub", i+1))
	}
	<-gate
	w.Must(p.Close(w.Context()))
	w.Want("senders at once", most.Load(), 3)
}

func rowEnqueueAgain(w *world.World) {
	w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n <= 3 {
			return emulator.Reject("amqp:not-allowed", "not yet")
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{MaxBufferedEvents: 4, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
		if _, err := b.EnqueueAgain(ctx); err != nil {
			w.Error(err)
		}
	}})
	var callers sync.WaitGroup
	for c := range 30 {
		callers.Go(func() {
			w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, c), PartitionKey: "k"}))
		})
	}
	callers.Wait()
	w.Must(w.Server.WaitForEvents(w.Context(), "hub", 30))
}

func rowPoison(w *world.World) {
	var mu sync.Mutex
	var reasons []string
	p := w.Producer(eventhubs.Options{OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		reasons = append(reasons, fmt.Sprint(b.Count, errors.Is(b.Outcome.Err, eventhubs.ErrEventTooLarge)))
	}})
	for _, size := range []int{10, 2_000_000, 20} {
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: make([]byte, size), PartitionID: "0"}))
	}
	undelivered, _ := errors.AsType[*eventhubs.UndeliveredError](p.Flush(w.Context()))
	w.Want("failed", undelivered.Failed(), 1)
	w.Want("outcomes", reasons, "[1 true]")
	w.Want("stored", w.Server.Counts("hub", "0").Events, 2)
}

func rowFlush(w *world.World) {
	p := w.Producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte(key), PartitionKey: key}))
	}
	id, err := p.PartitionForKey(w.Context(), "a")
	w.Must(err)
	w.Must(p.FlushPartition(w.Context(), id))
	w.Want("the key's event is stored", slices.Contains(world.Bodies(w.Server, id), "a"), true)
	w.Must(p.Flush(w.Context()))
	w.Want("stored", w.Server.Counts("hub", "").Events, 5)
}

func rowClear(w *world.World) {
	p := w.Producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	w.Must(p.Connect(w.Context(), nil))
	for i := range 8 {
		w.Must(p.Enqueue(w.Context(), world.Event(fmt.Sprint(i))))
	}
	n, err := p.ClearPartition(w.Context(), "0")
	w.Must(err)
	w.Want("cleared of one", n, 2)
	n, err = p.Clear(w.Context())
	w.Must(err)
	w.Want("cleared of all", n, 6)
	_ = p.Flush(w.Context())
	w.Want("stored", w.Server.Counts("hub", "").Events, 0)
}

func rowClose(w *world.World) {
	arrived, block := make(chan bool, 1), make(chan bool)
	w.OnTransfer(func(int, emulator.Operation) emulator.Action { arrived <- true; <-block; return emulator.Pass() })
	var mu sync.Mutex
	told := map[string]eventhubs.Storage{}
	p := w.Producer(eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		for e := range b.Events() {
			told[string(e.Body)] = b.Outcome.Storage
		}
	}})
	to := &eventhubs.Event{PartitionID: "0"}
	w.Must(p.Enqueue(w.Context(), world.With(world.Event("in flight"), to)))
	<-arrived
	w.Must(p.Enqueue(w.Context(), world.With(world.Event("waiting"), to)))
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	err := p.Close(ctx)
	close(block)
	w.Want("Close says why", errors.Is(err, eventhubs.ErrClosed) && errors.Is(err, context.Canceled), true)
	mu.Lock()
	defer mu.Unlock()
	w.Want("outcomes", told, "map[in flight:possibly stored waiting:not stored]")
}

func rowAbandon(w *world.World) {
	p := w.Producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	w.Must(p.Connect(w.Context(), nil))
	w.Must(p.Enqueue(w.Context(), world.Event("a")))
	err := p.Abandon(w.Context())
	w.Want("Abandon says why", errors.Is(err, eventhubs.ErrAbandoned), true)
	w.Want("stored", w.Server.Counts("hub", "").Events, 0)
}

func rowNumbers(w *world.World) {
	w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n == 1 {
			return emulator.Release()
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{Retry: eventhubs.RetryOptions{RetryDelay: -1}})
	w.Must(world.OutcomeErr(p.Publish(w.Context(), world.Event("a"))))
	s := p.Stats()
	w.Want("stored, batches, retries", fmt.Sprint(s.StoredEvents, s.StoredBatches, s.Retries), "1 1 1")
	w.Want("health", p.Health().Err, nil)
}

func rowStop(w *world.World) {
	w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n == 1 {
			return emulator.Reject("amqp:not-allowed", "no")
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{StopPartitionOnFailure: true, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	to := &eventhubs.Event{PartitionID: "2"}
	w.Want("the first fails", world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("a"), to))) != nil, true)
	w.Want("the partition is stopped", errors.Is(p.Enqueue(w.Context(), world.With(world.Event("b"), to)), eventhubs.ErrPartitionStopped), true)
	w.Must(p.ResumePartition("2"))
	w.Must(world.OutcomeErr(p.Publish(w.Context(), world.With(world.Event("c"), to))))
}

func rowConnect(w *world.World) {
	var attaches atomic.Int64
	w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			attaches.Add(1)
		}
		return emulator.Pass()
	})
	p := w.Producer(eventhubs.Options{})
	w.Must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
	w.Want("links", attaches.Load(), 4)
	for i := range 4 {
		w.Must(world.OutcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: fmt.Sprint(i)})))
	}
	w.Want("links after the first events", attaches.Load(), 4)
	wrong, err := eventhubs.NewBufferedProducerFromConnectionString(w.Server.ConnectionString("nowhere"), "", &eventhubs.Options{Connection: eventhubs.ConnectionOptions{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.Server.Dial(ctx) }}})
	w.Must(err)
	defer wrong.Close(w.Context())
	e, ok := errors.AsType[*eventhubs.Error](wrong.Connect(w.Context(), nil))
	w.Want("a hub that does not exist", ok && e.Code == eventhubs.CodeNotFound, true)
}
