package model

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "run the model with this seed only")
	modelSeeds = flag.Uint64("model.seeds", 100, "how many seeds the model runs with")
)

// TestTheModel runs random operations against an emulator with random faults, in virtual time, and judges what happened. With -model.seed=N
// it runs the one seed that a failure has printed.
func TestTheModel(t *testing.T) {
	first, count := uint64(1), *modelSeeds
	if *modelSeed != 0 {
		first, count = *modelSeed, 1
	}
	var total tally
	for seed := first; seed < first+count; seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			if faults := judge(m.trace()); len(faults) > 0 {
				t.Errorf("seed %d: %d faults\n%s", seed, len(faults), strings.Join(faults[:min(20, len(faults))], "\n"))
			}
			m.addTo(&total)
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%+v", total)
	if count >= 100 && (total.Stored == 0 || total.NotStored == 0 || total.PossiblyStored == 0 || total.Duplicates == 0 || total.Refused == 0 || total.Cut == 0) {
		t.Errorf("the runs do not cover everything: %+v", total)
	}
}

// A tally shows that the runs of the model were not idle.
type tally struct{ Stored, NotStored, PossiblyStored, Duplicates, Refused, Cut int }

type model struct {
	t        *testing.T
	random   *rand.Rand // owned by run; others get their own
	ordered  bool       // one send at a time for each partition
	anywhere bool       // ServiceAssigned
	again    bool       // the failed handler enqueues again, now and then
	fleeting bool       // many events expire
	lingers  bool       // time alone ends a linger
	quiet    bool       // nobody flushes or clears
	stingy   *world.Stingy
	server   *emulator.Server
	producer *eventhubs.BufferedProducer

	mu       sync.Mutex // guards the fields below
	accepted []accepted
	told     []end
	early    []string
	late     []string
	sizes    []string
	refused  int
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1)), stingy: world.ModelStinginess(seed)}
	pick := func(n int) int { return m.random.IntN(n) }
	faults := rand.New(rand.NewPCG(seed, 2))
	var faultsMu sync.Mutex
	severity := []int{0, 2, 10, 30}[pick(4)] // per cent of transfers
	server, err := emulator.New(&emulator.Options{
		Addr:           emulator.InMemory,
		Hubs:           []emulator.Hub{{Name: "hub", Partitions: 1 + pick(8)}},
		MaxMessageSize: []int{1_046_528, 262_144, 3000}[pick(3)],
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			faultsMu.Lock()
			defer faultsMu.Unlock()
			if action, refused := m.stingy.Refuses(op); refused {
				return action
			}
			return fault(op, faults, severity)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.server = server
	concurrent := []int{1, 1, 1, 3}[pick(4)]
	partitioning := []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky, eventhubs.ServiceAssigned}[pick(3)]
	m.ordered, m.anywhere, m.again, m.fleeting = concurrent == 1, partitioning == eventhubs.ServiceAssigned, pick(3) == 0, pick(3) == 0
	wait := []time.Duration{eventhubs.SendAtOnce, 5 * time.Millisecond, 250 * time.Millisecond, eventhubs.UntilFull}[pick(4)]
	m.lingers, m.quiet = wait != eventhubs.UntilFull, pick(3) == 0
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{
		MaxWaitTime:                    wait,
		MaxBufferedEvents:              []int{1, 7, 100, 2500}[pick(4)],
		MaxBufferedBytes:               []int{10_000, 1 << 20}[pick(2)],
		Retry:                          eventhubs.RetryOptions{MaxRetries: []int{-1, 2, 15}[pick(3)], TryTimeout: 5 * time.Second, RetryDelay: 100 * time.Millisecond},
		DeliveryTimeout:                []time.Duration{20 * time.Second, 15 * time.Minute}[pick(2)],
		MaxConcurrentSendsPerPartition: concurrent,
		Partitioning:                   partitioning,
		StopPartitionOnFailure:         m.ordered && !m.anywhere && pick(4) == 0,
		FailFast:                       pick(4) == 0,
		PartitionRefreshInterval:       []time.Duration{-1, time.Second}[pick(2)],
		Logger:                         slog.New(slog.DiscardHandler),
		OnBatchSucceeded:               m.handle,
		OnBatchFailed:                  m.handle,
		Connection: eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return server.Dial(ctx)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.producer = producer
	return m
}

// fault is what becomes of an operation: mostly nothing.
func fault(op emulator.Operation, random *rand.Rand, severity int) emulator.Action {
	jitter := time.Duration(random.IntN(20)) * time.Millisecond
	if op.Kind != emulator.KindTransfer {
		if random.IntN(1000) < severity {
			return emulator.Cut()
		}
		return emulator.Pass()
	}
	if random.IntN(100) >= severity {
		return emulator.Pass().AnswerAfter(jitter)
	}
	switch random.IntN(10) {
	case 0:
		return emulator.Cut()
	case 1:
		return emulator.Cut().Stored()
	case 2:
		return emulator.Release()
	case 3:
		return emulator.Modify()
	case 4:
		return emulator.Reject("com.microsoft:server-busy", "busy")
	case 5:
		return emulator.Reject("amqp:not-allowed", "never")
	case 6:
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case 7:
		return emulator.Detach("amqp:link:detach-forced", "moved").Stored()
	case 8:
		return emulator.Silence().Stored()
	default:
		return emulator.CloseConnection("amqp:connection:forced", "upgrade")
	}
}

// handle records the outcome of each event; now and then it is slow, or panics.
func (m *model) handle(ctx context.Context, b *eventhubs.Batch) {
	var names []string
	m.mu.Lock()
	for e := range b.Events() {
		names = append(names, e.Tag.(string))
		m.told = append(m.told, end{e.Tag.(string), b.Outcome.Storage})
	}
	n := len(m.told)
	if fault := m.stingy.Judge(b, false, m.ordered); fault != "" {
		m.sizes = append(m.sizes, fault)
	}
	m.mu.Unlock()
	if b.Outcome.Err != nil && m.again && n%3 == 0 {
		m.mu.Lock() // the outcome of what is enqueued again may be told before EnqueueAgain returns
		accepted, _ := b.EnqueueAgain(ctx)
		for _, name := range names[:accepted] {
			m.accepted = append(m.accepted, acceptedAgain(name))
		}
		m.mu.Unlock()
	}
	switch {
	case n%50 == 0:
		time.Sleep(100 * time.Millisecond)
	case n%97 == 0:
		panic("a handler's panic, on purpose")
	}
}

// acceptedAgain has no stream: what is enqueued again comes last.
func acceptedAgain(name string) accepted { return accepted{name, ""} }

// run lets a few streams enqueue while somebody flushes, and closes in the end, sometimes with little patience.
func (m *model) run() {
	var streams sync.WaitGroup
	for s := range 1 + m.random.IntN(6) {
		random := rand.New(rand.NewPCG(m.random.Uint64(), uint64(s)))
		streams.Go(func() { m.stream(s, random) })
	}
	flushing, stop := context.WithCancel(m.t.Context())
	var flusher sync.WaitGroup
	pause := time.Duration(1+m.random.IntN(2000)) * time.Millisecond
	chaos := rand.New(rand.NewPCG(m.random.Uint64(), 3))
	flusher.Go(func() {
		for flushing.Err() == nil {
			time.Sleep(pause)
			m.disturb(flushing, chaos)
		}
	})
	patience := time.Hour
	if m.random.IntN(3) == 0 {
		patience = time.Duration(m.random.IntN(3000)) * time.Millisecond
		time.Sleep(patience) // and close on the streams
	} else {
		streams.Wait()
		if m.lingers && !m.again && (m.quiet || m.random.IntN(2) == 0) {
			stop()
			flusher.Wait()
			time.Sleep(time.Hour) // several times DeliveryTimeout
			m.late = m.withoutOutcome()
		}
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if m.random.IntN(5) == 0 {
		_ = m.producer.Abandon(ctx)
	} else {
		_ = m.producer.Close(ctx)
	}
	stop()
	streams.Wait()
	flusher.Wait()
	if n := m.producer.BufferedEvents(); n != 0 {
		m.t.Errorf("%d events are counted after Close", n)
	}
	if err := m.server.Close(); err != nil {
		m.t.Error(err)
	}
}

// disturb calls what a program calls now and then.
func (m *model) disturb(ctx context.Context, random *rand.Rand) {
	switch n := random.IntN(12); {
	case n != 3 && n != 4 && m.quiet:
	case n == 0:
		m.producer.Clear(context.Background())
	case n == 1:
		_, _ = m.producer.ClearPartition(context.Background(), "0")
	case n == 2:
		_ = m.producer.FlushPartition(ctx, "0")
	case n == 3:
		_ = m.producer.Connect(ctx, &eventhubs.ConnectOptions{Links: random.IntN(2) == 0})
	case n == 4:
		m.producer.Health()
		for _, p := range m.producer.Stats().Partitions {
			if p.BufferedEvents < 0 || p.BufferedBytes < 0 {
				m.t.Errorf("partition %s has %d events and %d bytes", p.ID, p.BufferedEvents, p.BufferedBytes)
			}
			_ = m.producer.ResumePartition(p.ID)
		}
	default:
		m.flush(ctx)
	}
}

// flush notes which events had no outcome when a Flush that covers them returned.
func (m *model) flush(ctx context.Context) {
	m.mu.Lock()
	covered := m.accepted[:len(m.accepted):len(m.accepted)]
	m.mu.Unlock()
	err := m.producer.Flush(ctx)
	if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); err != nil && (!ok || undelivered.Pending > 0) {
		return // it gave up
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.early = append(m.early, m.untoldLocked(covered)...)
}

// withoutOutcome returns the names of what was accepted and has no outcome.
func (m *model) withoutOutcome() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.untoldLocked(m.accepted)
}

func (m *model) untoldLocked(of []accepted) (names []string) {
	told := map[string]bool{}
	for _, e := range m.told {
		told[e.name] = true
	}
	for _, a := range of {
		if !told[a.name] {
			names = append(names, a.name)
		}
	}
	return names
}

// stream enqueues events with one route, one after the other.
func (m *model) stream(s int, random *rand.Rand) {
	options := &eventhubs.Event{}
	stream := fmt.Sprint("stream", s)
	switch random.IntN(3) {
	case 0:
		options.PartitionKey = stream
	case 1:
		options.PartitionID = "0"
	default:
		stream = "" // no order
	}
	if !m.ordered {
		stream = ""
	}
	for i := range random.IntN(300) {
		name := fmt.Sprintf("%d-%d", s, i)
		size := random.IntN(200)
		if random.IntN(50) == 0 {
			size = random.IntN(12_000) // too large for some links, or for the buffer
		}
		ctx, cancel := context.WithTimeout(m.t.Context(), time.Duration(random.IntN(100))*time.Second)
		options.Tag = name
		options.ExpiresAt = time.Time{}
		if n := random.IntN(20); n == 0 || n < 10 && m.fleeting {
			options.ExpiresAt = time.Now().Add(time.Duration(1+random.IntN(300)) * time.Millisecond)
		}
		e := &eventhubs.Event{Body: make([]byte, size), Properties: map[string]any{"name": name}}
		var err error
		accept := func() bool { return err == nil }
		switch random.IntN(10) {
		case 0:
			err = m.producer.TryEnqueue(ctx, world.With(e, options))
		case 1:
			// Whether it was accepted is told by its Delivery, or by the error.
			options.Delivery = new(eventhubs.Delivery)
			_, err = m.producer.Publish(ctx, world.With(e, options))
			accept = func(d *eventhubs.Delivery) func() bool {
				return func() bool {
					return d.Outcome().Storage != 0 || err != nil && errors.Is(err, eventhubs.ErrPending)
				}
			}(options.Delivery)
			options.Delivery = nil
		default:
			err = m.producer.Enqueue(ctx, world.With(e, options))
		}
		cancel()
		m.mu.Lock()
		if accept() {
			m.accepted = append(m.accepted, accepted{name, stream})
		} else {
			m.refused++
		}
		m.mu.Unlock()
		if errors.Is(err, eventhubs.ErrClosed) {
			return
		}
		if random.IntN(10) == 0 {
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		}
	}
}

// trace is what happened, after run.
func (m *model) trace() trace {
	tr := trace{accepted: m.accepted, told: m.told, stored: map[string][]string{}, early: m.early, late: m.late, sizes: m.sizes, anywhere: m.anywhere}
	for p := range 8 {
		id := fmt.Sprint(p)
		for e := range m.server.Events("hub", id) {
			tr.stored[id] = append(tr.stored[id], e.Properties["name"].(string))
		}
	}
	return tr
}

func (m *model) addTo(total *tally) {
	refused, _ := m.stingy.Taken()
	total.Cut += len(slices.DeleteFunc(refused, func(events int) bool { return events == 1 }))
	for _, e := range m.told {
		switch e.storage {
		case eventhubs.Stored:
			total.Stored++
		case eventhubs.NotStored:
			total.NotStored++
		case eventhubs.PossiblyStored:
			total.PossiblyStored++
		}
	}
	seen := map[string]bool{}
	for _, names := range m.trace().stored {
		for _, name := range names {
			if seen[name] {
				total.Duplicates++
			}
			seen[name] = true
		}
	}
	total.Refused += m.refused
}
