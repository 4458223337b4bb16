package model

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	idempotenceSeed  = flag.Uint64("idempotence.seed", 0, "run the models of the idempotent producer with this seed only")
	idempotenceSeeds = flag.Uint64("idempotence.seeds", 60, "how many seeds the models of the idempotent producer run with")
)

// inTheirMode runs a model with each seed, each in one of the modes by turns. A single requested
// seed runs in all modes.
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
			t.Logf("the seed was %d, the mode %q", seed, names[seed%4])
		}
	}()
	for ; seed <= *idempotenceSeeds; seed++ {
		run(t, seed, world.Modes[names[seed%4]]) // it does not return if it fails
	}
}

// An event that is reported as stored is stored once, in its place, whenever the connection breaks.
// An event that is reported as not stored is not there.
//
// The model runs random operations in virtual time, over an emulator with random faults. Producers
// restart, and some live on as zombies. The bytes of old tries may arrive late. With
// -idempotence.seed=N it runs only the seed that a failure has printed.
func TestIdempotentRetriesStoreNothingTwiceAndLoseNothing(t *testing.T) {
	var total tally
	inTheirMode(t, func(t *testing.T, seed uint64, mode emulator.Idempotence) {
		synctest.Test(t, func(t *testing.T) {
			m := newIdempotentModel(t, seed, mode, true)
			m.amidChaos(2*time.Hour, m.startLives)
			m.wantNoFaults(fmt.Sprintf("seed %d, %+v", seed, mode))
			m.addTo(&total)
		})
	})
	t.Logf("%+v", total)
	if *idempotenceSeed == 0 && *idempotenceSeeds >= 60 && (total.Stored == 0 || total.NotStored == 0 || total.PossiblyStored == 0 || total.Duplicates == 0 ||
		total.Late == 0 || total.Raised == 0 || total.Fenced == 0 || total.Restarts == 0 || total.Cut == 0) {
		t.Errorf("the runs do not cover everything: %+v", total)
	}
}

// The model proves something only if the same runs store events twice without idempotent retries.
func TestWithoutIdempotentRetriesTheSameRunsDoStoreTwice(t *testing.T) {
	var total tally
	judged := 0
	for seed := uint64(1); seed <= 20; seed++ {
		synctest.Test(t, func(t *testing.T) {
			m := newIdempotentModel(t, seed, emulator.Idempotence{}, false)
			m.amidChaos(2*time.Hour, m.startLives)
			if strings.Contains(strings.Join(m.judge(), "\n"), "is stored 2 times; it was reported as stored 1 times") {
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

func newIdempotentModel(t *testing.T, seed uint64, mode emulator.Idempotence, idempotent bool) *model {
	m := emptyModel(t, seed, 11)
	m.exact = true
	pick := m.random.IntN
	m.partitions, m.severity, m.again = 1+pick(4), []int{3, 15, 30, 50}[pick(4)], pick(3) == 0
	m.perMille, m.fleeting = []int{0, 5, 50}[pick(3)], pick(4) == 0
	shared := pick(3) > 0
	m.server = m.newServer(rand.New(rand.NewPCG(seed, 12)), mode, []int{1_046_528, 262_144, 3000}[pick(3)])
	m.tempo = tempo{events: 150, rests: 4, rest: time.Second, expiry: 10 * time.Second}
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

// amidChaos runs lives, and adds their ends to the group. They may end within rest after that.
func (m *model) amidChaos(rest time.Duration, lives func(ends *sync.WaitGroup)) {
	var ends sync.WaitGroup
	over, stop := context.WithCancel(m.t.Context())
	chaos := rand.New(rand.NewPCG(m.random.Uint64(), 1))
	ends.Go(func() { m.chaos(over, chaos) })
	lives(&ends)
	// Every goroutine except chaos ends by itself. The server's last answers end with it.
	time.Sleep(rest)
	stop()
	if err := m.server.Close(); err != nil {
		m.t.Error(err)
	}
	ends.Wait()
}

// startLives starts one life after the other. By then the former life has ended, was killed, or
// lives on.
func (m *model) startLives(ends *sync.WaitGroup) {
	for m.lives = 1; ; m.lives++ {
		l := m.newLife(m.lives)
		var streams sync.WaitGroup
		l.begin(&streams, 4)
		random := rand.New(rand.NewPCG(m.random.Uint64(), 3))
		streams.Go(func() { l.disturbNowAndThen(random) })
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
		ends.Go(finish)
		if last {
			return
		}
	}
}

// chaos brings faults upon all lives: it cuts connections, blocks new ones for a while, and steals
// identities.
func (m *model) chaos(over context.Context, random *rand.Rand) {
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

func (m *model) isDark() bool { return time.Now().UnixNano() < m.darkUntil.Load() }

// goesOn checks that every partition accepts events again after all faults, unless another producer
// has taken it over.
func (l *life) goesOn() {
	m := l.model
	time.Sleep(5 * time.Minute) // late bytes have arrived
	for _, id := range m.server.PartitionIDs("hub") {
		var err error
		for try := range 3 {
			_ = l.producer.ResumePartition(id)
			name := fmt.Sprintf("%d/last%d-%s.", l.number, try, id)
			var d eventhubs.Delivery
			e := &eventhubs.Event{Body: world.Body(name, 1), Properties: map[string]any{"name": name}}
			_, err = l.producer.Publish(m.t.Context(), world.With(e, &eventhubs.Event{PartitionID: id, Tag: name, Delivery: &d}))
			// Otherwise the event was refused: another failure has stopped the partition meanwhile.
			if d.Outcome().Storage != eventhubs.Pending {
				m.accept(offer{name, l.number, ""})
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

// disturbNowAndThen ends by itself or with the producer.
func (l *life) disturbNowAndThen(random *rand.Rand) {
	for range random.IntN(20) {
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		ctx, cancel := context.WithTimeout(l.model.t.Context(), time.Duration(random.IntN(10_000))*time.Millisecond)
		l.disturb(ctx, random)
		cancel()
		if l.producer.IsClosed() {
			return
		}
	}
}

// steal takes the identity of a partition's latest producer, with an epoch that no producer reaches
// by counting, and sends an event.
func (m *model) steal(random *rand.Rand, n int) {
	if !m.options.EnableIdempotentRetries {
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
