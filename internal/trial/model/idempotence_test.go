package model

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var (
	idempotenceSeed  = flag.Uint64("idempotence.seed", 0, "run the models of the idempotent producer with this seed only")
	idempotenceSeeds = flag.Uint64("idempotence.seeds", 60, "how many seeds the models of the idempotent producer run with")
)

// inTheirMode runs a model with each seed, each in one of the modes in turn, and in all of them if one seed was asked for.
func inTheirMode(t *testing.T, run func(t *testing.T, seed uint64, mode emulator.Idempotence)) {
	names := []string{"echoes", "reports", "echoes and trusts", "reports and trusts"}
	if *idempotenceSeed != 0 {
		for _, name := range names {
			t.Run(name, func(t *testing.T) { run(t, *idempotenceSeed, world.Modes[name]) })
		}
		return
	}
	seed := uint64(1)
	defer func() {
		if t.Failed() {
			t.Logf("it was seed %d, in the mode %q", seed, names[seed%4])
		}
	}()
	for ; seed <= *idempotenceSeeds; seed++ {
		run(t, seed, world.Modes[names[seed%4]]) // it does not return if it fails
	}
}

// What is told as stored is stored once and in its place, what is told as not stored is not there, whatever is cut when: random operations of producers that are
// restarted, some of which live on as zombies, against an emulator with random faults, over a network on which bytes of old tries may arrive
// late, in virtual time. With -idempotence.seed=N it runs the one seed that a failure has printed.
func TestIdempotentRetriesStoreNothingTwiceAndLoseNothing(t *testing.T) {
	var total idempotentTally
	inTheirMode(t, func(t *testing.T, seed uint64, mode emulator.Idempotence) {
		synctest.Test(t, func(t *testing.T) {
			m := newIdempotentModel(t, seed, mode, true)
			m.run()
			if faults := m.judge(); len(faults) > 0 {
				t.Errorf("seed %d, %+v: %d faults\n%s", seed, mode, len(faults), strings.Join(faults[:min(20, len(faults))], "\n"))
			}
			m.addTo(&total)
		})
	})
	t.Logf("%+v", total)
	if *idempotenceSeed == 0 && *idempotenceSeeds >= 60 && (total.Stored == 0 || total.NotStored == 0 || total.PossiblyStored == 0 || total.Duplicates == 0 ||
		total.Late == 0 || total.Raised == 0 || total.Fenced == 0 || total.Restarts == 0 || total.Cut == 0) {
		t.Errorf("the runs do not cover everything: %+v", total)
	}
}

// If nothing were stored twice without it, the model would prove nothing.
func TestWithoutIdempotentRetriesTheSameRunsDoStoreTwice(t *testing.T) {
	var total idempotentTally
	judged := 0
	for seed := uint64(1); seed <= 20; seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newIdempotentModel(t, seed, emulator.Idempotence{}, false)
			m.run()
			if strings.Contains(strings.Join(m.judge(), "\n"), "is stored 2 times; it was told as stored 1 times") {
				judged++
			}
			m.addTo(&total)
		})
	}
	t.Logf("%+v; the judge has complained %d times", total, judged)
	if total.Duplicates == 0 || judged == 0 {
		t.Errorf("without EnableIdempotentRetries %d events are stored twice, and the judge has complained %d times", total.Duplicates, judged)
	}
}

// An idempotentTally shows that the runs of the model were not idle. Duplicates counts the events that were accepted once and are stored twice or, with idempotence, those
// that were sent more than once and are stored.
type idempotentTally struct{ Stored, NotStored, PossiblyStored, Duplicates, Late, Raised, Fenced, Restarts, Cut int }

type idempotentModel struct {
	t          *testing.T
	random     *rand.Rand // owned by run; others get their own
	partitions int
	severity   int
	again      bool // failed handlers enqueue again, now and then
	fleeting   bool // many events expire
	honest     bool // nobody steals
	stingy     *world.Stingy
	options    eventhubs.Options
	server     *emulator.Server
	state      *world.SharedState // nil: each life is a producer of its own
	perMille   int                // of what is written is late
	darkUntil  atomic.Int64       // until when nobody can connect, in nanoseconds
	calm       atomic.Bool        // nothing goes wrong any more
	late       atomic.Int64
	lives      int

	mu sync.Mutex // guards the fields below
	history
	thieves []place
	sizes   []string // what is wrong with how batches ended for their size
	tally   idempotentTally
}

func newIdempotentModel(t *testing.T, seed uint64, mode emulator.Idempotence, idempotent bool) *idempotentModel {
	m := &idempotentModel{t: t, stingy: world.ModelStinginess(seed), random: rand.New(rand.NewPCG(seed, 11)), history: history{idempotent: idempotent, told: map[place][]end{}, stored: map[string][]string{}}}
	pick := m.random.IntN
	m.partitions, m.severity, m.again = 1+pick(4), []int{3, 15, 30, 50}[pick(4)], pick(3) == 0
	m.perMille, m.fleeting = []int{0, 5, 50}[pick(3)], pick(4) == 0
	shared := pick(3) > 0
	m.server = m.newServer(seed, mode, []int{1_046_528, 262_144, 3000}[pick(3)])
	m.options = eventhubs.Options{
		EnableIdempotentRetries:  idempotent,
		MaxWaitTime:              []time.Duration{eventhubs.SendAtOnce, 5 * time.Millisecond, 250 * time.Millisecond, eventhubs.UntilFull}[pick(4)],
		MaxBufferedEvents:        []int{1, 7, 100, 2500}[pick(4)],
		MaxBufferedBytes:         []int{15_000, 1 << 20}[pick(2)],
		DeliveryTimeout:          []time.Duration{5 * time.Second, time.Minute, 15 * time.Minute}[pick(3)],
		Partitioning:             []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky}[pick(2)],
		StopPartitionOnFailure:   pick(4) == 0,
		FailFast:                 pick(4) == 0,
		PartitionRefreshInterval: []time.Duration{-1, time.Second}[pick(2)],
		Logger:                   slog.New(slog.DiscardHandler),
		Retry: eventhubs.RetryOptions{
			MaxRetries: []int{-1, 1, 3, 15, 15}[pick(5)], TryTimeout: []time.Duration{time.Second, 5 * time.Second, 20 * time.Second}[pick(3)], RetryDelay: 100 * time.Millisecond,
		},
	}
	if m.options.MaxWaitTime == eventhubs.UntilFull && m.options.DeliveryTimeout == 5*time.Second {
		m.options.DeliveryTimeout = time.Minute
	}
	if shared && idempotent {
		m.state = world.NewSharedState(rand.New(rand.NewPCG(seed, 13)), m.severity, &m.calm)
	}
	return m
}

func (m *idempotentModel) newServer(seed uint64, mode emulator.Idempotence, largest int) *emulator.Server {
	random := rand.New(rand.NewPCG(seed, 12))
	var mu sync.Mutex // guards random
	server, err := emulator.New(&emulator.Options{
		Addr: emulator.InMemory, Hubs: world.Hubs(m.partitions), MaxMessageSize: largest, Idempotence: mode,
		Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
			if m.calm.Load() {
				return emulator.Pass()
			}
			mu.Lock()
			defer mu.Unlock()
			if action, refused := m.stingy.Refuses(op); refused {
				return action
			}
			return mishap(op, random, m.severity)
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return server
}

// run has one life begin after the other. Some have ended by then, some are killed, and some live on.
func (m *idempotentModel) run() {
	var others sync.WaitGroup
	over, stop := context.WithCancel(m.t.Context())
	chaos := rand.New(rand.NewPCG(m.random.Uint64(), 1))
	others.Go(func() { m.chaos(over, chaos) })
	for m.lives = 1; ; m.lives++ {
		l := m.newLife(m.lives)
		var streams sync.WaitGroup
		l.begin(&streams)
		last := m.lives == 4 || m.random.IntN(3) == 0
		end := m.random.IntN(5)
		if end == 0 || last {
			streams.Wait()
		} else {
			time.Sleep(time.Duration(m.random.IntN(20_000)) * time.Millisecond)
		}
		patience := time.Duration(m.random.IntN(5000)) * time.Millisecond
		if last || end < 2 {
			patience = time.Hour
		}
		if last && end < 2 {
			m.calm.Store(true)
			l.goesOn()
		}
		zombie := end > 3 && !last
		silently := m.random.IntN(2) == 0
		finish := func() {
			if zombie {
				streams.Wait()
			}
			l.end(end, patience, silently)
			streams.Wait()
			l.network.Work.Wait()
		}
		others.Go(finish)
		if last {
			break
		}
	}
	// Everybody but chaos ends by itself; what the server has to say ends with it.
	time.Sleep(2 * time.Hour)
	stop()
	if err := m.server.Close(); err != nil {
		m.t.Error(err)
	}
	others.Wait()
}

// chaos is what befalls all: connections are cut, nobody can connect for a while, and somebody steals an identity.
func (m *idempotentModel) chaos(over context.Context, random *rand.Rand) {
	for thieves := 0; over.Err() == nil; {
		time.Sleep(time.Duration(1+random.IntN(15_000)) * time.Millisecond)
		switch n := random.IntN(100); {
		case m.calm.Load():
		case n < m.severity:
			m.server.CutAll()
		case n < 2*m.severity:
			m.darkUntil.Store(time.Now().Add(time.Duration(random.IntN(8000)) * time.Millisecond).UnixNano())
			m.server.CutAll()
		case n == 99 && thieves < 2 && !m.honest:
			thieves++
			m.steal(random, thieves)
		}
	}
}

func (m *idempotentModel) isDark() bool { return time.Now().UnixNano() < m.darkUntil.Load() }

// judge reads the log, and looks at what the history cannot tell.
func (m *idempotentModel) judge() []string {
	var faults []string
	for _, id := range m.server.PartitionIDs("hub") {
		for e := range m.server.Events("hub", id) {
			name := e.Properties["name"].(string)
			m.stored[id] = append(m.stored[id], name)
			if strings.Trim(string(e.Body), name) != "" {
				faults = append(faults, fmt.Sprintf("%s has another body: %.50q", name, e.Body))
			}
			if epoch, _ := e.Annotations["com.microsoft:producer-epoch"].(int16); epoch > 0 {
				m.tally.Raised++
			}
		}
	}
	if m.state != nil {
		m.claimed = m.state.Claimed
		for _, thief := range m.thieves { // nobody takes anything back from them
			m.claimed[thief.partition] = append(m.claimed[thief.partition], thief.life)
		}
	}
	faults = append(faults, m.sizes...)
	return append(faults, m.history.judge()...)
}

func (m *idempotentModel) addTo(total *idempotentTally) {
	for _, ends := range m.told {
		for _, e := range ends {
			switch e.storage {
			case eventhubs.Stored:
				total.Stored++
			case eventhubs.NotStored:
				total.NotStored++
			case eventhubs.PossiblyStored:
				total.PossiblyStored++
			}
		}
	}
	acceptances, times := map[string]int{}, map[string]int{}
	for _, a := range m.accepted {
		acceptances[a.name]++
	}
	for _, names := range m.stored {
		for _, name := range names {
			if times[name]++; times[name] == 2 && acceptances[name] == 1 {
				total.Duplicates++
			}
		}
	}
	total.Duplicates += m.tally.Duplicates
	total.Fenced += m.tally.Fenced
	total.Raised += m.tally.Raised
	total.Late += int(m.late.Load())
	total.Restarts += m.lives - 1
	refused, _ := m.stingy.Taken()
	total.Cut += len(slices.DeleteFunc(refused, func(events int) bool { return events == 1 }))
}

// A modelLife is a producer of the model, with those who use it.
type modelLife struct {
	model    *idempotentModel
	number   int
	network  *world.LateNetwork
	producer *eventhubs.BufferedProducer
}

func (m *idempotentModel) newLife(number int) *modelLife {
	l := &modelLife{model: m, number: number}
	lag := world.Stragglers(rand.New(rand.NewPCG(m.random.Uint64(), 2)), m.perMille)
	l.network = &world.LateNetwork{Server: m.server, Late: &m.late, Refuse: m.isDark, Lag: func() time.Duration {
		if m.calm.Load() {
			return 0
		}
		return lag()
	}}
	o := m.options
	o.OnBatchSucceeded, o.OnBatchFailed = l.handle, l.handle
	o.Connection.DialContext = l.network.Dial
	if m.state != nil {
		o.ProducerStore = m.state.Of(number)
	}
	var err error
	if l.producer, err = eventhubs.NewBufferedProducerFromConnectionString(m.server.ConnectionString("hub"), "", &o); err != nil {
		m.t.Fatal(err)
	}
	return l
}

// begin starts a few streams of events, and somebody who calls what a program calls now and then. They end by themselves or with the producer.
func (l *modelLife) begin(streams *sync.WaitGroup) {
	m := l.model
	for s := range 1 + m.random.IntN(4) {
		random := rand.New(rand.NewPCG(m.random.Uint64(), uint64(s)))
		streams.Go(func() { l.stream(s, random) })
	}
	random := rand.New(rand.NewPCG(m.random.Uint64(), 3))
	streams.Go(func() { l.disturb(random) })
}

// goesOn checks that, when everything is well again, every partition takes events again, unless another producer has taken it over.
func (l *modelLife) goesOn() {
	m := l.model
	time.Sleep(5 * time.Minute) // whatever is late has arrived
	for _, id := range m.server.PartitionIDs("hub") {
		var err error
		for try := range 3 {
			_ = l.producer.ResumePartition(id)
			name := fmt.Sprintf("%d/last%d-%s.", l.number, try, id)
			var d eventhubs.Delivery
			e := &eventhubs.Event{Body: world.Body(name, 1), Properties: map[string]any{"name": name}}
			_, err = l.producer.Publish(m.t.Context(), world.With(e, &eventhubs.Event{PartitionID: id, Tag: name, Delivery: &d}))
			if d.Outcome().Storage != eventhubs.Pending { // else it was refused: the failure of something else has stopped the partition meanwhile
				m.mu.Lock()
				m.accepted = append(m.accepted, offer{name, l.number, ""})
				m.mu.Unlock()
			}
			if err == nil {
				break
			}
		}
		if e, ok := errors.AsType[*eventhubs.Error](err); err != nil && (!ok || e.Code != eventhubs.CodeFenced) {
			m.t.Errorf("everything is well again, and partition %s still fails: %v", id, err)
		}
	}
}

// end closes, abandons or kills the producer; a killed one is abandoned without a network, so that it tells what it has held.
func (l *modelLife) end(how int, patience time.Duration, silently bool) {
	ctx, cancel := context.WithTimeout(l.model.t.Context(), patience)
	defer cancel()
	switch how {
	case 2:
		_ = l.producer.Abandon(ctx)
	case 3:
		l.network.Kill(silently)
		_ = l.producer.Abandon(ctx)
	default:
		_ = l.producer.Close(ctx)
	}
}

// handle notes what it is told; now and then it is slow, or enqueues again.
func (l *modelLife) handle(ctx context.Context, b *eventhubs.Batch) {
	m := l.model
	m.mu.Lock()
	var names []string
	at := place{l.number, b.PartitionID}
	for e := range b.Events() {
		names = append(names, e.Tag.(string))
		m.told[at] = append(m.told[at], end{e.Tag.(string), b.Outcome.Storage})
	}
	n := len(m.told[at])
	if fault := m.stingy.Judge(b, m.idempotent, true); fault != "" {
		m.sizes = append(m.sizes, fault)
	}
	fenced := false
	if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); ok && e.Code == eventhubs.CodeFenced {
		fenced = true
		m.tally.Fenced++
	}
	if m.idempotent && b.Outcome.Storage == eventhubs.Stored && b.Outcome.Tries > 1 {
		m.tally.Duplicates += b.Count
	}
	if b.Outcome.Err != nil && !fenced && m.again && n%3 == 0 { // who is fenced would go on so for ever
		accepted, _ := b.EnqueueAgain(ctx)
		for _, name := range names[:accepted] {
			m.accepted = append(m.accepted, offer{name, l.number, ""})
		}
	}
	m.mu.Unlock()
	if n%50 == 0 {
		time.Sleep(100 * time.Millisecond)
	}
}

func (l *modelLife) disturb(random *rand.Rand) {
	p := l.producer
	for range random.IntN(20) {
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		ctx, cancel := context.WithTimeout(l.model.t.Context(), time.Duration(random.IntN(10_000))*time.Millisecond)
		switch random.IntN(8) {
		case 0:
			p.Clear(context.Background())
		case 1:
			_, _ = p.ClearPartition(context.Background(), "0")
		case 2:
			_ = p.FlushPartition(ctx, "0")
		case 3, 4:
			_ = p.Connect(ctx, &eventhubs.ConnectOptions{Links: random.IntN(3) > 0})
		case 5:
			for _, partition := range p.Stats().Partitions {
				_ = p.ResumePartition(partition.ID)
			}
		default:
			_ = p.Flush(ctx)
		}
		cancel()
		if p.IsClosed() {
			return
		}
	}
}

// stream enqueues events with one route, one after the other.
func (l *modelLife) stream(s int, random *rand.Rand) {
	m := l.model
	o := &eventhubs.Event{}
	stream := fmt.Sprint(l.number, "/", s)
	switch random.IntN(3) {
	case 0:
		o.PartitionKey = stream
	case 1:
		o.PartitionID = fmt.Sprint(random.IntN(m.partitions))
	default:
		stream = "" // no order
	}
	for i := range 1 + random.IntN(150) {
		name := fmt.Sprintf("%d/%d-%d.", l.number, s, i)
		size := random.IntN(200)
		if random.IntN(50) == 0 {
			size = random.IntN(12_000) // too large for some links, or for the buffer
		}
		accepted, closed := l.enqueue(name, size, o, random)
		if accepted {
			m.mu.Lock()
			m.accepted = append(m.accepted, offer{name, l.number, stream})
			m.mu.Unlock()
		}
		if closed {
			return
		}
		if random.IntN(4) == 0 {
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		}
	}
}

// enqueue does so in one of the ways there are.
func (l *modelLife) enqueue(name string, size int, o *eventhubs.Event, random *rand.Rand) (accepted, closed bool) {
	ctx, cancel := context.WithTimeout(l.model.t.Context(), time.Duration(random.IntN(100))*time.Second)
	defer cancel()
	o.Tag, o.Delivery, o.ExpiresAt = name, nil, time.Time{}
	if n := random.IntN(20); n == 0 || n < 10 && l.model.fleeting {
		o.ExpiresAt = time.Now().Add(time.Duration(1+random.IntN(10_000)) * time.Millisecond)
	}
	properties := map[string]any{"name": name}
	e := &eventhubs.Event{Body: world.Body(name, size), Properties: properties}
	var err error
	switch random.IntN(8) {
	case 0:
		err = l.producer.TryEnqueue(ctx, world.With(e, o))
	case 1:
		o.Delivery = new(eventhubs.Delivery)
		_, err = l.producer.Publish(ctx, world.With(e, o))
		return o.Delivery.Outcome().Storage != 0 || err != nil && errors.Is(err, eventhubs.ErrPending), errors.Is(err, eventhubs.ErrClosed)
	case 2:
		err = l.producer.Enqueue(ctx, world.With(&eventhubs.Event{Body: e.Body, Properties: properties, AMQP: &eventhubs.AMQPMessage{
			Header: &eventhubs.AMQPHeader{Durable: true}, MessageAnnotations: map[any]any{"com.microsoft:producer-epoch": "somebody's own", "other": int64(1)},
		}}, o))
	default:
		err = l.producer.Enqueue(ctx, world.With(e, o))
	}
	return err == nil, errors.Is(err, eventhubs.ErrClosed)
}

// steal takes the identity of a partition's latest producer, with an epoch that nobody comes to by counting, and sends an event.
func (m *idempotentModel) steal(random *rand.Rand, n int) {
	if !m.idempotent {
		return
	}
	partition := fmt.Sprint(random.IntN(m.partitions))
	var victim eventhubs.ProducerID
	if m.state != nil {
		victim = m.state.All()[partition]
	} else {
		for e := range m.server.Events("hub", partition) {
			victim.ID, _ = e.Annotations["com.microsoft:producer-id"].(int64)
			victim.Epoch, _ = e.Annotations["com.microsoft:producer-epoch"].(int16)
		}
	}
	if victim == (eventhubs.ProducerID{}) {
		return
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Second)
	defer cancel()
	victim.Epoch += int16(1000 * n)
	thief, err := world.AttachForeigner(ctx, m.server.Dial, partition, victim, -1)
	if err != nil {
		return
	}
	defer thief.Conn.Close()
	life, name := -n, fmt.Sprintf("%d/thief-0.", -n)
	outcome := eventhubs.Stored
	if err := thief.Send(ctx, name); err != nil {
		outcome = eventhubs.PossiblyStored
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted = append(m.accepted, offer{name, life, ""})
	m.told[place{life, partition}] = append(m.told[place{life, partition}], end{name, outcome})
	m.thieves = append(m.thieves, place{life, partition})
}
