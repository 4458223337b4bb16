package model

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "run the model with this seed only")
	modelSeeds = flag.Uint64("model.seeds", 100, "how many seeds the model runs with")
)

// TestTheModel runs random operations over an emulator with random faults, in virtual time, and
// judges the results. With -model.seed=N it runs only the seed that a failure has printed.
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
			m.wantNoFaults(fmt.Sprintf("seed %d", seed))
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

// newModel returns a model of one producer with random options.
func newModel(t *testing.T, seed uint64) *model {
	m := emptyModel(t, seed, 1)
	pick := m.random.IntN
	m.prompt, m.severity, m.partitions = true, []int{0, 2, 10, 30}[pick(4)], 1+pick(8)
	m.server = m.newServer(rand.New(rand.NewPCG(seed, 2)), emulator.Idempotence{}, []int{1_046_528, 262_144, 3000}[pick(3)])
	m.tempo = tempo{events: 300, rests: 10, rest: 100 * time.Millisecond, expiry: 300 * time.Millisecond}
	m.options = eventhubs.Options{
		MaxWaitTime:                    []time.Duration{eventhubs.SendAtOnce, 5 * time.Millisecond, 250 * time.Millisecond, eventhubs.UntilFull}[pick(4)],
		MaxBufferedEvents:              []int{1, 7, 100, 2500}[pick(4)],
		MaxBufferedBytes:               []int{10_000, 1 << 20}[pick(2)],
		Retry:                          eventhubs.RetryOptions{MaxRetries: []int{-1, 2, 15}[pick(3)], TryTimeout: 5 * time.Second, RetryDelay: 100 * time.Millisecond},
		DeliveryTimeout:                []time.Duration{20 * time.Second, 15 * time.Minute}[pick(2)],
		MaxConcurrentSendsPerPartition: []int{1, 1, 1, 3}[pick(4)],
		Partitioning:                   []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky, eventhubs.ServiceAssigned}[pick(3)],
		FailFast:                       pick(4) == 0,
		PartitionRefreshInterval:       []time.Duration{-1, time.Second}[pick(2)],
		Logger:                         slog.New(slog.DiscardHandler),
	}
	m.ordered, m.anywhere = m.options.MaxConcurrentSendsPerPartition == 1, m.options.Partitioning == eventhubs.ServiceAssigned
	m.options.StopPartitionOnFailure = m.ordered && !m.anywhere && pick(4) == 0
	m.again, m.fleeting, m.quiet = pick(3) == 0, pick(3) == 0, pick(3) == 0
	return m
}

// run has a few streams enqueue and another goroutine flush. In the end it closes the producer,
// sometimes with little patience.
func (m *model) run() {
	m.lives = 1
	l := m.newLife(1)
	var streams sync.WaitGroup
	l.begin(&streams, 6)
	flushing, stop := context.WithCancel(m.t.Context())
	var flusher sync.WaitGroup
	pause := time.Duration(1+m.random.IntN(2000)) * time.Millisecond
	random := rand.New(rand.NewPCG(m.random.Uint64(), 3))
	flusher.Go(func() {
		for flushing.Err() == nil {
			time.Sleep(pause)
			l.disturb(flushing, random)
		}
	})
	patience := time.Hour
	if m.random.IntN(3) == 0 {
		patience = time.Duration(m.random.IntN(3000)) * time.Millisecond
		time.Sleep(patience) // and close while the streams run
	} else {
		streams.Wait()
		if m.options.MaxWaitTime != eventhubs.UntilFull && !m.again && (m.quiet || m.random.IntN(2) == 0) {
			stop()
			flusher.Wait()
			time.Sleep(time.Hour) // several times DeliveryTimeout
			m.late = m.withoutOutcome(l)
		}
	}
	how := 0
	if m.random.IntN(5) == 0 {
		how = 2
	}
	l.end(how, patience, false)
	stop()
	streams.Wait()
	flusher.Wait()
	if n := l.producer.BufferedEvents(); n != 0 {
		m.t.Errorf("%d events are counted after Close", n)
	}
	if err := m.server.Close(); err != nil {
		m.t.Error(err)
	}
	l.network.Work.Wait()
}
