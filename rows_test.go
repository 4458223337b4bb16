package eventhubs_test

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
)

// A world is an emulator and the way to it.
type world struct {
	*testing.T
	server *emulator.Server
}

func (w *world) producer(o eventhubs.Options) *eventhubs.BufferedProducer {
	w.Helper()
	p := newProducer(w.T, w.server, o)
	w.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// onTransfer has the n-th transfer, from 1, answered by an action.
func (w *world) onTransfer(f func(n int, op emulator.Operation) emulator.Action) {
	var n atomic.Int64
	w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindTransfer {
			return emulator.Pass()
		}
		return f(int(n.Add(1)), op)
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) want(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func data(body string) *eventhubs.Event { return &eventhubs.Event{Body: []byte(body)} }

// What the producer can do, through an emulator, over TCP as in memory: in real time, so nothing here depends on how long things take. The same with exact
// times is tested in virtual time, over a scripted hub.
func TestWhatTheProducerCanDo(t *testing.T) {
	rows := []struct {
		name string
		test func(*world)
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
				o := &emulator.Options{Hubs: hub(4)}
				if transport == "memory" {
					o.Addr = emulator.InMemory
				}
				row.test(&world{T: t, server: emulatortest.New(t, o)})
			})
		}
	}
}

func rowIdentifier(w *world) {
	var mu sync.Mutex
	var written bytes.Buffer
	text := w.server.ConnectionString("hub")
	p, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", &eventhubs.Options{Identifier: "who-sends-this", Connection: eventhubs.ConnectionOptions{
		ApplicationID: "what-sends-this",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := w.server.Dial(ctx)
			return &recordingConn{Conn: c, mu: &mu, written: &written}, err
		}}})
	w.must(err)
	w.must(outcomeErr(p.Publish(w.Context(), data("a"))))
	w.must(p.Close(w.Context()))
	mu.Lock()
	defer mu.Unlock()
	// As the connection's container, and as the source of the link.
	w.want("times that the identifier is on the wire", bytes.Count(written.Bytes(), []byte("who-sends-this")) >= 2, true)
	w.want("the application is in the user agent", bytes.Contains(written.Bytes(), []byte("what-sends-this go-eventhubs")), true)
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

func rowEnqueue(w *world) {
	p := w.producer(eventhubs.Options{MaxBufferedEvents: 5})
	var d eventhubs.Delivery
	w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("a"), Delivery: &d}))
	w.must(p.Enqueue(w.Context(), &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{[]byte("b")}}}}))
	w.must(p.TryEnqueue(w.Context(), data("c")))
	w.must(outcomeErr(p.Publish(w.Context(), data("d"))))
	var set []*eventhubs.Event
	for i := range 50 {
		set = append(set, data(fmt.Sprint(i)))
	}
	accepted, err := p.EnqueueAll(w.Context(), eventhubs.Events(set...))
	w.must(err)
	w.want("accepted of the set", accepted, 50)
	w.must(p.Flush(w.Context()))
	<-d.Done()
	w.want("the Delivery's outcome", d.Outcome().Storage, eventhubs.Stored)
	w.want("stored", w.server.Counts("hub", "").Events, 54)
}

func rowEvents(w *world) {
	p := w.producer(eventhubs.Options{})
	to := &eventhubs.Event{PartitionID: "0"}
	for _, body := range []eventhubs.AMQPBody{{Data: [][]byte{[]byte("d")}}, {Value: "v"}, {Sequences: [][]any{{"s", int64(1)}}}} {
		w.must(p.Enqueue(w.Context(), eventhubs.With(&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &body}}, to)))
	}
	err := p.Enqueue(w.Context(), eventhubs.With(&eventhubs.Event{Properties: map[string]any{"bad": func() {}}}, to))
	w.want("an event that cannot be encoded is refused", errors.Is(err, eventhubs.ErrInvalidArgument), true)
	w.must(p.Flush(w.Context()))
	w.want("stored", w.server.Counts("hub", "0").Events, 3)
}

func rowRouting(w *world) {
	p := w.producer(eventhubs.Options{Partitioning: eventhubs.Sticky, KeyPartitioner: func(k eventhubs.KeyPlacement) int { return len(k.Key) % k.Partitions }})
	w.must(p.Connect(w.Context(), nil))
	w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("id"), PartitionID: "3"}))
	w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("key"), PartitionKey: "ab"}))
	err := p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("no"), PartitionID: "4"})
	w.want("an unknown id", errors.Is(err, eventhubs.ErrPartitionUnknown), true)
	w.must(p.Flush(w.Context()))
	w.want("by id", bodies(w.server, "3"), "[id]")
	w.want("by key", bodies(w.server, "2"), "[key]")
	own, err := eventhubs.NewConnectionFromConnectionString(w.server.ConnectionString("hub"), &eventhubs.ConnectionOptions{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.server.Dial(ctx) }})
	w.must(err)
	defer own.Close(w.Context())
	assigned, err := own.NewBufferedProducer("", &eventhubs.Options{Partitioning: eventhubs.ServiceAssigned})
	w.must(err)
	w.must(outcomeErr(assigned.Publish(w.Context(), data("any"))))
	w.must(assigned.Close(w.Context()))
	w.want("stored in all", w.server.Counts("hub", "").Events, 3)
}

func rowOffline(w *world) {
	var up atomic.Bool
	w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindConnection && !up.Load() {
			return emulator.Cut()
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{Retry: eventhubs.RetryOptions{RetryDelay: time.Millisecond, MaxRetryDelay: time.Millisecond, MaxRetries: 1000}})
	for i := range 10 {
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, i), PartitionID: "1"}))
	}
	w.want("staged", p.BufferedEvents(), 10)
	up.Store(true)
	w.must(p.Flush(w.Context()))
	w.want("in order", bodies(w.server, "1"), "[0 1 2 3 4 5 6 7 8 9]")
}

func rowBackpressure(w *world) {
	w.onTransfer(func(int, emulator.Operation) emulator.Action { return emulator.Pass().AnswerAfter(time.Millisecond) })
	p := w.producer(eventhubs.Options{MaxBufferedEvents: 20, MaxBufferedBytes: 2000, MaxWaitTime: eventhubs.UntilFull})
	var callers sync.WaitGroup
	for c := range 10 {
		callers.Go(func() {
			for i := range 50 {
				if err := p.Enqueue(w.Context(), data(fmt.Sprint(c, i))); err != nil {
					w.Error(err)
				}
				if n := p.BufferedEvents(); n > 20 {
					w.Errorf("%d events are buffered, want at most 20", n)
				}
			}
		})
	}
	callers.Wait()
	w.must(p.Flush(w.Context()))
	w.want("stored", w.server.Counts("hub", "").Events, 500)
}

func rowLinger(w *world) {
	p := w.producer(eventhubs.Options{MaxWaitTime: time.Millisecond})
	w.must(p.Enqueue(w.Context(), data("a")))
	w.must(w.server.WaitForEvents(w.Context(), "hub", 1)) // nobody flushes
}

func rowConcurrency(w *world) {
	var inFlight, most atomic.Int64
	gate := make(chan bool)
	w.server.SetHook(func(ctx context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return emulator.Pass().AnswerAfter(time.Millisecond)
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: 3, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) {
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
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, i), PartitionID: "0"}))
		w.must(w.server.WaitForEvents(w.Context(), "hub", i+1))
	}
	<-gate
	w.must(p.Close(w.Context()))
	w.want("senders at once", most.Load(), 3)
}

func rowEnqueueAgain(w *world) {
	w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n <= 3 {
			return emulator.Reject("amqp:not-allowed", "not yet")
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{MaxBufferedEvents: 4, MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(ctx context.Context, b *eventhubs.Batch) {
		if _, err := b.EnqueueAgain(ctx); err != nil {
			w.Error(err)
		}
	}})
	var callers sync.WaitGroup
	for c := range 30 {
		callers.Go(func() {
			w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: fmt.Append(nil, c), PartitionKey: "k"}))
		})
	}
	callers.Wait()
	w.must(w.server.WaitForEvents(w.Context(), "hub", 30))
}

func rowPoison(w *world) {
	var mu sync.Mutex
	var reasons []string
	p := w.producer(eventhubs.Options{OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		reasons = append(reasons, fmt.Sprint(b.Count, errors.Is(b.Outcome.Err, eventhubs.ErrEventTooLarge)))
	}})
	for _, size := range []int{10, 2_000_000, 20} {
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: make([]byte, size), PartitionID: "0"}))
	}
	undelivered, _ := errors.AsType[*eventhubs.UndeliveredError](p.Flush(w.Context()))
	w.want("failed", undelivered.Failed(), 1)
	w.want("told", reasons, "[1 true]")
	w.want("stored", w.server.Counts("hub", "0").Events, 2)
}

func rowFlush(w *world) {
	p := w.producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte(key), PartitionKey: key}))
	}
	id, err := p.PartitionForKey(w.Context(), "a")
	w.must(err)
	w.must(p.FlushPartition(w.Context(), id))
	w.want("the key's event is stored", slices.Contains(bodies(w.server, id), "a"), true)
	w.must(p.Flush(w.Context()))
	w.want("stored", w.server.Counts("hub", "").Events, 5)
}

func rowClear(w *world) {
	p := w.producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	w.must(p.Connect(w.Context(), nil))
	for i := range 8 {
		w.must(p.Enqueue(w.Context(), data(fmt.Sprint(i))))
	}
	n, err := p.ClearPartition(w.Context(), "0")
	w.must(err)
	w.want("cleared of one", n, 2)
	n, err = p.Clear(w.Context())
	w.must(err)
	w.want("cleared of all", n, 6)
	_ = p.Flush(w.Context())
	w.want("stored", w.server.Counts("hub", "").Events, 0)
}

func rowClose(w *world) {
	arrived, block := make(chan bool, 1), make(chan bool)
	w.onTransfer(func(int, emulator.Operation) emulator.Action { arrived <- true; <-block; return emulator.Pass() })
	var mu sync.Mutex
	told := map[string]eventhubs.Storage{}
	p := w.producer(eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
		mu.Lock()
		defer mu.Unlock()
		for e := range b.Events() {
			told[string(e.Body)] = b.Outcome.Storage
		}
	}})
	to := &eventhubs.Event{PartitionID: "0"}
	w.must(p.Enqueue(w.Context(), eventhubs.With(data("in flight"), to)))
	<-arrived
	w.must(p.Enqueue(w.Context(), eventhubs.With(data("behind"), to)))
	ctx, cancel := context.WithCancel(w.Context())
	cancel()
	err := p.Close(ctx)
	close(block)
	w.want("Close says why", errors.Is(err, eventhubs.ErrClosed) && errors.Is(err, context.Canceled), true)
	mu.Lock()
	defer mu.Unlock()
	w.want("told", told, "map[behind:not stored in flight:possibly stored]")
}

func rowAbandon(w *world) {
	p := w.producer(eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	w.must(p.Connect(w.Context(), nil))
	w.must(p.Enqueue(w.Context(), data("a")))
	err := p.Abandon(w.Context())
	w.want("Abandon says why", errors.Is(err, eventhubs.ErrAbandoned), true)
	w.want("stored", w.server.Counts("hub", "").Events, 0)
}

func rowNumbers(w *world) {
	w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n == 1 {
			return emulator.Release()
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{Retry: eventhubs.RetryOptions{RetryDelay: -1}})
	w.must(outcomeErr(p.Publish(w.Context(), data("a"))))
	s := p.Stats()
	w.want("stored, batches, retries", fmt.Sprint(s.StoredEvents, s.StoredBatches, s.Retries), "1 1 1")
	w.want("health", p.Health().Err, nil)
}

func rowStop(w *world) {
	w.onTransfer(func(n int, _ emulator.Operation) emulator.Action {
		if n == 1 {
			return emulator.Reject("amqp:not-allowed", "no")
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{StopPartitionOnFailure: true, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
	to := &eventhubs.Event{PartitionID: "2"}
	w.want("the first fails", outcomeErr(p.Publish(w.Context(), eventhubs.With(data("a"), to))) != nil, true)
	w.want("the partition is stopped", errors.Is(p.Enqueue(w.Context(), eventhubs.With(data("b"), to)), eventhubs.ErrPartitionStopped), true)
	w.must(p.ResumePartition("2"))
	w.must(outcomeErr(p.Publish(w.Context(), eventhubs.With(data("c"), to))))
}

func rowConnect(w *world) {
	var attaches atomic.Int64
	w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach && op.PartitionID != "" {
			attaches.Add(1)
		}
		return emulator.Pass()
	})
	p := w.producer(eventhubs.Options{})
	w.must(p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}))
	w.want("links", attaches.Load(), 4)
	for i := range 4 {
		w.must(outcomeErr(p.Publish(w.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: fmt.Sprint(i)})))
	}
	w.want("links after the first events", attaches.Load(), 4)
	wrong, err := eventhubs.NewBufferedProducerFromConnectionString(w.server.ConnectionString("nowhere"), "", &eventhubs.Options{Connection: eventhubs.ConnectionOptions{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.server.Dial(ctx) }}})
	w.must(err)
	defer wrong.Close(w.Context())
	e, ok := errors.AsType[*eventhubs.Error](wrong.Connect(w.Context(), nil))
	w.want("a hub that there is not", ok && e.Code == eventhubs.CodeNotFound, true)
}

// wantUndelivered checks how many events a Flush or Close says have failed.
func (w *world) wantUndelivered(what string, err error, failed int) {
	w.Helper()
	if u, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok || u.Failed() != failed || u.Pending != 0 {
		w.Errorf("%s returned %v, want %d failed", what, err, failed)
	}
}

// outcomeErr is what Publish returns, as an error, for a test that wants no more of it. Outcome and error must agree.
func outcomeErr(o eventhubs.Outcome, err error) error {
	if o.Err != err || (err == nil) != (o.Storage == eventhubs.Stored) {
		panic(fmt.Sprintf("Publish returned %+v and %v", o, err))
	}
	return err
}
