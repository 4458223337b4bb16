package trial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var (
	stressSeed  = flag.Uint64("stress.seed", 0, "run the stress test with this seed only")
	stressSeeds = flag.Uint64("stress.seeds", 100, "how many seeds the stress test runs with")
)

// Many goroutines and handlers call every method of a producer at once. The hub has no network, and
// fails in every way: links do not open, lists do not come, and the hub grows. With -stress.seed=N
// it runs only the seed that a failure has printed.
//
// The model in package model runs over a real connection. Here the seed controls more of the run.
// The lock order, the hand-over from staging, Clear, ResumePartition, Connect and handlers that
// call the producer meet far more often.
func TestEverythingAtOnceKeepsTheGuarantees(t *testing.T) {
	first, count := uint64(1), *stressSeeds
	if *stressSeed != 0 {
		first, count = *stressSeed, 1
	}
	var stored, failed int
	for seed := first; seed < first+count; seed++ {
		synctest.Test(t, func(t *testing.T) {
			s := newStress(t, seed)
			s.run()
			s.judge()
			stored += s.stored
			failed += s.failed
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d outcomes were of stored events, %d of failed ones", stored, failed)
	if count >= 20 && (stored == 0 || failed == 0) {
		t.Error("the runs do not cover everything")
	}
}

// A stress is one run. It is also the hub: its list, links and answers depend on chance.
type stress struct {
	*scripted.Hub
	t        *testing.T
	producer *eventhubs.BufferedProducer
	options  eventhubs.Options
	severity int // per cent of operations that go wrong
	again    bool
	fleeting bool // many events expire
	changing bool // a link takes more or less each time that it is opened
	quiet    bool // no flushes and no clears: time alone ends lingers

	mu       sync.Mutex // guards the fields below
	random   *rand.Rand
	lists    int
	accepted map[string]int // by name: how often, since a handler may enqueue again
	told     map[string][]eventhubs.Outcome
	streams  map[string][]string // names in the order of their Enqueue calls, by route
	running  map[string]int      // handlers, by partition
	pending  map[string]*eventhubs.Delivery
	stored   int
	failed   int
}

func newStress(t *testing.T, seed uint64) *stress {
	s := &stress{t: t, random: rand.New(rand.NewPCG(seed, 7)), accepted: map[string]int{}, told: map[string][]eventhubs.Outcome{}, streams: map[string][]string{},
		running: map[string]int{}, pending: map[string]*eventhubs.Delivery{}}
	s.Hub = scripted.New(t, 1+s.n(5))
	s.severity = []int{0, 5, 20, 60}[s.n(4)]
	s.again, s.fleeting, s.changing, s.quiet = s.n(3) == 0, s.n(3) == 0, s.n(3) == 0, s.n(2) == 0
	most := time.Duration(1+s.n(200)) * time.Millisecond
	s.Hub.Latency = func() time.Duration { return s.upTo(most) }
	s.Hub.Answer = s.answerTo
	s.Hub.MaxMessage = []uint64{400, 3000, 1 << 20}[s.n(3)]
	s.options = eventhubs.Options{
		MaxWaitTime:                    []time.Duration{eventhubs.SendAtOnce, 5 * time.Millisecond, 250 * time.Millisecond, eventhubs.UntilFull}[s.n(4)],
		MaxBufferedEvents:              []int{1, 2, 7, 100}[s.n(4)],
		MaxBufferedBytes:               []int{600, 5000, 1 << 20}[s.n(3)],
		MaxConcurrentSendsPerPartition: []int{1, 1, 3}[s.n(3)],
		Partitioning:                   []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.RoundRobin, eventhubs.Sticky, eventhubs.ServiceAssigned}[s.n(4)],
		DeliveryTimeout:                []time.Duration{5 * time.Second, 2 * time.Minute}[s.n(2)],
		StopPartitionOnFailure:         s.n(4) == 0,
		FailFast:                       s.n(2) == 0,
		PartitionRefreshInterval:       []time.Duration{time.Second, time.Hour, -1}[s.n(3)],
		Retry:                          eventhubs.RetryOptions{MaxRetries: []int{-1, 2, 15}[s.n(3)], TryTimeout: 2 * time.Second, RetryDelay: 50 * time.Millisecond},
		OnBatchSucceeded:               s.handle,
		OnBatchFailed:                  s.handle,
		Logger:                         slog.New(slog.DiscardHandler),
	}
	if s.options.Partitioning == eventhubs.ServiceAssigned || s.options.MaxConcurrentSendsPerPartition > 1 {
		s.options.StopPartitionOnFailure = false
	}
	s.producer = world.On(t, s, s.options)
	return s
}

// n returns a random number below most. Any goroutine may call it.
func (s *stress) n(most int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(most)
}

// upTo returns a random time below most.
func (s *stress) upTo(most time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.random.Int64N(int64(most)))
}

func (s *stress) bad() bool { return s.n(100) < s.severity }

func (s *stress) Properties(ctx context.Context) (connection.HubProperties, error) {
	select {
	case <-time.After(s.upTo(time.Second)):
	case <-ctx.Done():
		return connection.HubProperties{}, ctx.Err()
	case <-s.Hub.Cut:
		return connection.HubProperties{}, errors.New("closed")
	}
	if s.bad() {
		return connection.HubProperties{}, scripted.Transient(connection.NotSent).Err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := slices.Clone(s.Hub.Partitions)
	if s.lists++; s.lists > 2 { // the hub has grown
		ids = append(ids, "new")
	}
	return connection.HubProperties{PartitionIDs: ids}, nil
}

func (s *stress) Link(id string) testseam.Link {
	return &stressLink{scripted.Link{Peer: s.Hub, ID: id}, s}
}

type stressLink struct {
	scripted.Link
	stress *stress
}

func (l *stressLink) Open(ctx context.Context) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.stress.bad() && l.stress.n(10) == 0:
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.Peer.Cut:
			return errors.New("closed")
		}
	case l.stress.bad():
		return scripted.Transient(connection.NotSent).Err
	}
	return nil
}

func (l *stressLink) MaxMessageSize() uint64 {
	if l.stress.changing {
		return []uint64{400, 3000, 1 << 20, 0, math.MaxUint64}[l.stress.n(5)]
	}
	return l.Peer.MaxMessage
}

func (s *stress) answerTo(batch scripted.Sent) connection.Result {
	if !s.bad() {
		return connection.Result{Outcome: connection.Accepted}
	}
	switch s.n(6) {
	case 0:
		return scripted.Transient(connection.NotSent)
	case 1:
		return scripted.Transient(connection.Released)
	case 2:
		return scripted.Transient(connection.Unknown)
	case 3:
		s.Hub.Store(batch)
		return scripted.Transient(connection.Unknown)
	case 4:
		return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
	default:
		return scripted.Refused("never")
	}
}

// handle notes the outcome of each event, and then does something that handlers do.
func (s *stress) handle(ctx context.Context, b *eventhubs.Batch) {
	var names []string
	s.mu.Lock()
	if s.running[b.PartitionID]++; b.PartitionID != "" && s.running[b.PartitionID] > s.options.MaxConcurrentSendsPerPartition {
		s.t.Errorf("%d handlers run at once for partition %s", s.running[b.PartitionID], b.PartitionID)
	}
	for e := range b.Events() {
		name := e.Tag.(string)
		names = append(names, name)
		s.told[name] = append(s.told[name], b.Outcome)
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running[b.PartitionID]--
	}()
	switch s.n(40) {
	case 0:
		time.Sleep(s.upTo(time.Second))
	case 1:
		panic("a handler's panic, on purpose")
	case 2:
		if !s.quiet {
			s.producer.Clear(context.Background())
		}
	case 3:
		connecting, cancel := context.WithTimeout(ctx, time.Minute) // some links never open
		_ = s.producer.Connect(connecting, &eventhubs.ConnectOptions{Links: true})
		cancel()
	case 4:
		if err := s.producer.Flush(ctx); !errors.Is(err, eventhubs.ErrInHandler) {
			s.t.Errorf("Flush in a handler returned %v", err)
		}
	}
	if b.Outcome.Err != nil && s.again {
		n, _ := b.EnqueueAgain(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range names[:n] {
			s.accepted[name]++
		}
	}
}

func (s *stress) run() {
	var workers sync.WaitGroup
	for w := range 1 + s.n(5) {
		workers.Go(func() { s.work(w) })
	}
	stop := make(chan bool)
	var helper sync.WaitGroup
	helper.Go(func() { s.meddle(stop) })
	end := sync.OnceFunc(func() {
		close(stop)
		helper.Wait()
	})
	if s.n(2) == 0 {
		time.Sleep(s.upTo(20 * time.Second)) // and close while the workers run
	} else {
		workers.Wait()
		if s.options.MaxWaitTime != eventhubs.UntilFull && !s.again {
			end()
			time.Sleep(6 * time.Hour)
			if n := s.producer.BufferedEvents(); n != 0 {
				s.t.Errorf("%d events linger for ever", n)
			}
		}
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), s.upTo(5*time.Minute))
	defer cancel()
	if s.n(3) == 0 {
		_ = s.producer.Abandon(ctx)
	} else {
		_ = s.producer.Close(ctx)
	}
	workers.Wait()
	end()
	stats := s.producer.Stats()
	if stats.BufferedEvents != 0 || stats.BufferedBytes != 0 || stats.WaitingCallers != 0 {
		s.t.Errorf("after Close %d events and %d bytes are counted, and %d callers wait", stats.BufferedEvents, stats.BufferedBytes, stats.WaitingCallers)
	}
	for _, part := range stats.Partitions {
		if part.BufferedEvents != 0 || part.BufferedBytes != 0 || part.OldestEventAge != 0 || part.BatchesInFlight != 0 || part.Waiting != eventhubs.WaitingForNothing && part.Waiting != eventhubs.WaitingStopped {
			s.t.Errorf("after Close partition %q holds something: %+v", part.ID, part)
		}
	}
}

// work enqueues events one after the other, each in one of the possible ways.
func (s *stress) work(w int) {
	for i := range s.n(150) {
		name := fmt.Sprintf("%d-%d", w, i)
		o := &eventhubs.Event{Tag: name, Delivery: new(eventhubs.Delivery)}
		switch s.n(4) {
		case 0:
			o.PartitionID = fmt.Sprint(s.n(len(s.Hub.Partitions)))
		case 1:
			o.PartitionKey = fmt.Sprint("key", s.n(3))
		case 2:
			if s.n(20) == 0 {
				o.PartitionID = "unknown"
			}
		}
		if n := s.n(20); n == 0 || n < 10 && s.fleeting {
			o.ExpiresAt = time.Now().Add(s.upTo(3 * time.Second))
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), s.upTo(20*time.Second))
		accepted, closed := s.enqueueOne(ctx, name, o)
		cancel()
		s.mu.Lock()
		if accepted {
			s.accepted[name]++
			s.pending[name] = o.Delivery
			if route := o.PartitionID + "/" + o.PartitionKey; route != "/" {
				route = fmt.Sprint(w, " ", route)
				s.streams[route] = append(s.streams[route], name)
			}
		}
		s.mu.Unlock()
		if closed {
			return
		}
		if s.n(5) == 0 {
			time.Sleep(s.upTo(100 * time.Millisecond))
		}
	}
}

func (s *stress) enqueueOne(ctx context.Context, name string, o *eventhubs.Event) (accepted, closed bool) {
	data := world.Event(name)
	if s.n(10) == 0 {
		data.Properties = map[string]any{"filler": make([]byte, s.n(500))}
	}
	var err error
	switch s.n(6) {
	case 0:
		err = s.producer.TryEnqueue(ctx, world.With(data, o))
	case 1:
		err = s.producer.Enqueue(ctx, world.With(&eventhubs.Event{AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Data: [][]byte{data.Body}}}}, o))
	case 2:
		var outcome eventhubs.Outcome
		outcome, err = s.producer.Publish(ctx, world.With(data, o))
		return outcome.Storage == eventhubs.Pending || isDone(o.Delivery), errors.Is(err, eventhubs.ErrClosed)
	default:
		err = s.producer.Enqueue(ctx, world.With(data, o))
	}
	return err == nil, errors.Is(err, eventhubs.ErrClosed)
}

// isDone reports whether a Delivery has its outcome.
func isDone(d *eventhubs.Delivery) bool {
	select {
	case <-d.Done():
		return true
	default:
		return false
	}
}

// meddle makes any call except Enqueue and Close.
func (s *stress) meddle(stop chan bool) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(s.upTo(500 * time.Millisecond)):
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), s.upTo(5*time.Second))
		id := fmt.Sprint(s.n(len(s.Hub.Partitions)))
		switch n := s.n(20); {
		case n < 7 && s.quiet:
			s.look()
		case n < 3:
			_ = s.producer.Flush(ctx)
		case n < 5:
			_ = s.producer.FlushPartition(ctx, id)
		case n < 6:
			s.producer.Clear(context.Background())
		case n < 7:
			_, _ = s.producer.ClearPartition(context.Background(), id)
		case n < 9:
			_ = s.producer.ResumePartition(id)
		case n < 10:
			_ = s.producer.Connect(ctx, &eventhubs.ConnectOptions{Links: s.n(2) == 0})
		case n < 11:
			_, _ = s.producer.PartitionForKey(ctx, "key1")
		default:
			s.look()
		}
		cancel()
	}
}

// look checks the numbers at some moment.
func (s *stress) look() {
	_ = s.producer.Health()
	if events := s.producer.BufferedEvents(); events < 0 {
		s.t.Errorf("%d events are buffered", events)
	}
	for _, part := range s.producer.Stats().Partitions {
		if part.BufferedEvents < 0 || part.BufferedBytes < 0 || part.OldestEventAge < 0 {
			s.t.Errorf("partition %q has %+v", part.ID, part)
		}
	}
}

// judge compares the accepted, reported and stored events.
func (s *stress) judge() {
	position, where := map[string]int{}, map[string]string{}
	for id, names := range s.Hub.Stored {
		for i, name := range names {
			if _, ok := position[name]; !ok {
				position[name], where[name] = i, id
			}
		}
	}
	for name, n := range s.accepted {
		if got := len(s.told[name]); got != n {
			s.t.Errorf("%s was accepted %d times and has %d outcomes", name, n, got)
			continue
		}
		_, there := position[name]
		var claims, denies bool
		for _, o := range s.told[name] {
			claims = claims || o.Storage == eventhubs.Stored
			denies = denies || o.Storage != eventhubs.NotStored
			if (o.Err == nil) != (o.Storage == eventhubs.Stored) {
				s.t.Errorf("%s has the outcome %+v", name, o)
			}
			if o.Err == nil {
				s.stored++
			} else {
				s.failed++
			}
		}
		if claims && !there || !denies && there {
			s.t.Errorf("%s: stored %v, and reported as %+v", name, there, s.told[name])
		}
		if d := s.pending[name]; !isDone(d) || d.Outcome() != s.told[name][0] {
			s.t.Errorf("%s: its Delivery has an outcome: %v, %+v; the handler got %+v", name, isDone(d), d.Outcome(), s.told[name][0])
		}
	}
	for name := range s.told {
		if s.accepted[name] == 0 {
			s.t.Errorf("%s has an outcome and was never accepted", name)
		}
	}
	if s.again || s.options.MaxConcurrentSendsPerPartition > 1 {
		return // these events have no promised order
	}
	for route, names := range s.streams {
		// The latest name of the stream in each partition: keys move when the hub grows.
		last := map[string]string{}
		for _, name := range names {
			if _, ok := position[name]; !ok {
				continue
			}
			if before, ok := last[where[name]]; ok && position[before] > position[name] {
				s.t.Errorf("stream %s: %s comes before %s", route, name, before)
			}
			last[where[name]] = name
		}
	}
}
