package pairs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// This file has the application of a pairRun: its handlers, trace and store, and the calls that it
// makes now and then.

// begin writes a handler's call into the ledger at its begin. The returned function does so at its
// end.
func (r *pairRun) begin(b *eventhubs.Batch) (c *handlerCall, end func()) {
	c = &handlerCall{partition: b.PartitionID, outcome: b.Outcome, began: r.count.Add(1), at: time.Now()}
	for e := range b.Events() {
		n, _ := e.Properties["id"].(int64)
		c.ids = append(c.ids, int(n))
		if e.Tag != nil && e.Tag != int(n) {
			r.saw("%d has the tag %v", n, e.Tag)
		}
	}
	if len(c.ids) != b.Count {
		r.saw("a batch of %d events yields %d", b.Count, len(c.ids))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.calls = append(r.book.calls, c)
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		c.ended = r.count.Add(1)
		for _, id := range c.ids {
			r.ended[id]++
		}
	}
}

// note is a handler that only writes into the ledger.
func (r *pairRun) note(_ context.Context, b *eventhubs.Batch) {
	_, end := r.begin(b)
	end()
}

// handle is the row's handler.
func (r *pairRun) handle(ctx context.Context, b *eventhubs.Batch) {
	c, end := r.begin(b)
	defer end()
	if c.recovered = b.Recovered; r.second.Load() {
		return
	}
	start := time.Now()
	kind := get[string](r.row, "handler")
	switch kind {
	case "slow":
		time.Sleep(r.upTo(200 * time.Millisecond))
		return
	case "hangs":
		if r.spend(25) {
			time.Sleep(40 * time.Second)
		}
		return
	case "again":
		r.again(ctx, b, c)
	case "enqueues":
		for range 2 {
			if r.spend(1) {
				o := r.offer(r.route(r.below(3)), "Enqueue", r.below(100), time.Time{})
				o.inHandler = true
				r.enqueue(ctx, o, func() error { return r.p.Enqueue(ctx, world.With(o.data(), o.options())) })
			}
		}
	case "clears":
		if r.spend(4) {
			r.clear(b.PartitionID, r.chance(50))
		}
	case "flushes":
		for call, err := range map[string]error{
			"Flush": r.p.Flush(ctx), "FlushPartition": r.p.FlushPartition(ctx, "0"), "Close": r.p.Close(ctx), "Abandon": r.p.Abandon(ctx), "Publish": world.OutcomeErr(r.p.Publish(ctx, world.Event("x"))),
		} {
			if !errors.Is(err, eventhubs.ErrInHandler) {
				r.saw("in a handler %s returned %v", call, err)
			}
		}
	case "panics":
		if r.chance(30) {
			panic("a handler's panic, on purpose")
		}
	case "exits":
		if r.chance(30) {
			runtime.Goexit()
		}
	case "looks":
		r.lookFromHandler(ctx, b)
		return // Connect takes its time
	}
	if took := time.Since(start); took > 0 {
		r.saw("a handler's calls took %v: they must not wait", took)
	}
}

// clear clears a partition, or all. With a journal it must be refused.
func (r *pairRun) clear(partition string, all bool) {
	call, err := "Clear", error(nil)
	if all {
		_, err = r.p.Clear(context.Background())
	} else {
		call = "ClearPartition"
		_, err = r.p.ClearPartition(context.Background(), partition)
	}
	if r.book.rules.journal && !errors.Is(err, eventhubs.ErrInvalidArgument) && !errors.Is(err, eventhubs.ErrClosed) {
		r.saw("with a journal %s returned %v", call, err)
	}
}

// spend takes that much from the handlers' budget, if it has that much left.
func (r *pairRun) spend(cost int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.budget < cost {
		return false
	}
	r.budget -= cost
	return true
}

// again enqueues a failed batch again. The handler is promised the room that the batch gave back.
func (r *pairRun) again(ctx context.Context, b *eventhubs.Batch, c *handlerCall) {
	if b.Outcome.Err == nil || !r.spend(3) {
		return
	}
	n, err := b.EnqueueAgain(ctx)
	switch {
	case err == nil && n == b.Count, errors.Is(err, eventhubs.ErrClosed), errors.Is(err, eventhubs.ErrExpired):
	case errors.Is(err, eventhubs.ErrPartitionStopped) && r.book.rules.stops:
	case errors.Is(err, eventhubs.ErrPartitionUnknown) && strings.Contains(err.Error(), "nowhere"):
	default:
		r.saw("EnqueueAgain of %d events took %d and returned %v", b.Count, n, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range c.ids[:n] {
		for _, o := range r.book.offers {
			if o.id == id {
				o.again++
			}
		}
	}
}

// lookFromHandler makes the calls that a handler may make.
func (r *pairRun) lookFromHandler(ctx context.Context, b *eventhubs.Batch) {
	start := time.Now()
	_, _ = r.p.Health(), r.p.Stats()
	_ = r.p.ResumePartition("none")
	if r.spend(3) {
		o := r.offer(r.route(0), "TryEnqueue", 10, time.Time{})
		o.inHandler = true
		r.enqueue(ctx, o, func() error { return r.p.TryEnqueue(ctx, world.With(o.data(), o.options())) })
		s := r.offer(r.route(1), "EnqueueAll", 10, time.Time{})
		s.inHandler = true
		r.enqueue(ctx, s, func() error {
			_, err := r.p.EnqueueAll(ctx, datas([]*pairOffer{s}))
			return err
		})
	}
	if took := time.Since(start); took > 0 {
		r.saw("a handler's calls took %v: they must not wait", took)
	}
	if r.spend(10) {
		connecting, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = r.p.Connect(connecting, &eventhubs.ConnectOptions{Links: true})
	}
}

// trace counts the events that it gets. With exits, its functions also end their goroutines now and
// then.
func (r *pairRun) trace(exits bool) *eventhubs.Trace {
	r.book.traced = true
	exit := func() {
		if exits && r.chance(10) {
			runtime.Goexit()
		}
	}
	again := func(f eventhubs.TracedFailure) {
		if f.Err == nil || f.Pause < 0 {
			r.saw("the trace got a pause of %v after %v", f.Pause, f.Err)
		}
		exit()
	}
	return &eventhubs.Trace{
		Encoding: func(_ context.Context, e eventhubs.TracedEncoding) { e.Properties.Add("traced", "yes") },
		Accepted: func(context.Context, eventhubs.TracedEvent) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.book.traceAccepted++
		},
		Settled: func(b eventhubs.TracedOutcome) {
			r.mu.Lock()
			r.book.traceSettled += b.Events
			r.mu.Unlock()
			exit()
		},
		Sealed:   func(eventhubs.TracedBatch) { exit() },
		Sending:  func(eventhubs.TracedBatch) { exit() },
		Retrying: again, Throttled: again,
		Handled:   func(eventhubs.TracedHandler) { exit() },
		Connected: func(eventhubs.TracedConnection) { exit() }, Disconnected: func(eventhubs.TracedConnection) { exit() },
		Created: func(eventhubs.TracedProducer) { exit() }, Closed: func(eventhubs.TracedProducer) { exit() },
	}
}

// A pairState is a ProducerStore in memory. If it has a run, it fails now and then.
type pairState struct {
	run *pairRun

	mu   sync.Mutex // guards the field below
	kept map[string]eventhubs.ProducerID
}

func (s *pairState) bad() error {
	if s.run == nil {
		return nil
	}
	if s.run.chance(5) {
		runtime.Goexit()
	}
	if s.run.chance(15) {
		return errors.New("the disk is full")
	}
	return nil
}

func (s *pairState) Load(_ context.Context, id eventhubs.ProducerKey) (eventhubs.ProducerID, error) {
	if err := s.bad(); err != nil {
		return eventhubs.ProducerID{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[id.PartitionID], nil
}

func (s *pairState) Save(_ context.Context, id eventhubs.ProducerKey, old, new eventhubs.ProducerID) error {
	if err := s.bad(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[id.PartitionID] != old {
		return fmt.Errorf("%w: %v is kept", eventhubs.ErrProducerStateChanged, s.kept[id.PartitionID])
	}
	if s.kept == nil {
		s.kept = map[string]eventhubs.ProducerID{}
	}
	s.kept[id.PartitionID] = new
	return nil
}

// disturb makes the row's calls until ctx ends.
func (r *pairRun) disturb(ctx context.Context) {
	resumes := get[string](r.row, "stop") == "resumed"
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50*time.Millisecond + r.upTo(time.Second)):
		}
		if r.resting.Load() {
			continue
		}
		if resumes {
			for _, id := range r.server.PartitionIDs("hub") {
				_ = r.p.ResumePartition(id)
			}
		}
		switch get[string](r.row, "meanwhile") {
		case "flushes":
			if id := fmt.Sprint(r.below(get[int](r.row, "partitions"))); r.chance(50) {
				r.wait("FlushPartition", id, func(ctx context.Context) error { return r.p.FlushPartition(ctx, id) }, r.upTo(time.Minute))
			} else {
				r.wait("Flush", "", r.p.Flush, r.upTo(time.Minute))
			}
		case "clears":
			r.clear(fmt.Sprint(r.below(get[int](r.row, "partitions"))), r.chance(20))
		case "connects":
			connecting, cancel := context.WithTimeout(ctx, r.upTo(5*time.Second))
			_ = r.p.Connect(connecting, &eventhubs.ConnectOptions{Links: r.chance(50)})
			cancel()
		case "looks":
			r.p.Health()
			r.bounds()
			asking, cancel := context.WithTimeout(ctx, time.Second)
			_, _ = r.p.EventHubProperties(asking)
			_, _ = r.p.PartitionProperties(asking, "0")
			_, _ = r.p.PartitionForKey(asking, "key")
			cancel()
		}
	}
}

// grow gives the hub more partitions.
func (r *pairRun) grow(ctx context.Context) {
	times := map[string]int{"none": 0, "once": 1, "often": 4}[get[string](r.row, "growth")]
	for range times {
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.upTo(2 * time.Second)):
		}
		r.mu.Lock()
		n := r.grown[len(r.grown)-1]
		more := 1
		if times == 1 {
			more = n
		}
		r.grown = append(r.grown, n+more)
		r.mu.Unlock()
		if err := r.server.AddPartitions("hub", more); err != nil {
			r.saw("AddPartitions returned %v", err)
		}
	}
}
