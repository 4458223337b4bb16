package model

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A source that can be read again is stored exactly once, in order and without a gap, through
// kills, hangs and faults. The condition: each life goes on after the number that Connect reports.
// docs/idempotence.md describes this.
func TestAReplayableSourceIsStoredExactlyOnce(t *testing.T) {
	lives, late := 0, int64(0)
	inTheirMode(t, func(t *testing.T, seed uint64, mode emulator.Idempotence) {
		synctest.Test(t, func(t *testing.T) {
			m := newReplay(t, seed, mode)
			m.amidChaos(time.Hour, m.startLives)
			for partition, source := range m.sources {
				var got []string
				for e := range m.server.Events("hub", fmt.Sprint(partition)) {
					got = append(got, string(e.Body))
				}
				if !slices.Equal(got, source) {
					t.Errorf("seed %d, %+v, after %d lives: partition %d has %d events, want %d, the same\n%v", seed, mode, m.lives, partition, len(got), len(source), got)
				}
			}
			lives, late = lives+m.lives, late+m.stragglers.Load()
		})
	})
	t.Logf("%d lives; %d times bytes of an old try were late", lives, late)
	if *idempotenceSeed == 0 && *idempotenceSeeds >= 60 && (lives < 2*int(*idempotenceSeeds) || late == 0) {
		t.Errorf("the runs do not cover everything: %d lives, %d late", lives, late)
	}
}

type replay struct {
	*model
	sources [][]string // of each partition
}

func newReplay(t *testing.T, seed uint64, mode emulator.Idempotence) *replay {
	m := &replay{model: emptyModel(t, seed, 21)}
	m.honest, m.partitions, m.severity, m.perMille = true, 1+m.random.IntN(3), []int{5, 20, 40}[m.random.IntN(3)], []int{0, 10, 50}[m.random.IntN(3)]
	m.server = m.newServer(rand.New(rand.NewPCG(seed, 12)), mode, []int{1_046_528, 3000}[m.random.IntN(2)])
	m.state = world.NewSharedState(rand.New(rand.NewPCG(seed, 23)), m.severity, &m.calm)
	for p := range m.partitions {
		var source []string
		for i := range 1 + m.random.IntN(200) {
			source = append(source, fmt.Sprintf("%d-%d", p, i))
		}
		m.sources = append(m.sources, source)
	}
	m.options = eventhubs.Options{
		EnableIdempotentRetries: true,
		StopPartitionOnFailure:  true, // a gap would shift the numbers against the source
		MaxWaitTime:             []time.Duration{eventhubs.SendAtOnce, 50 * time.Millisecond}[m.random.IntN(2)],
		MaxBufferedEvents:       []int{5, 500}[m.random.IntN(2)],
		DeliveryTimeout:         []time.Duration{10 * time.Second, 15 * time.Minute}[m.random.IntN(2)],
		Retry:                   eventhubs.RetryOptions{MaxRetries: []int{-1, 2, 15}[m.random.IntN(3)], TryTimeout: 3 * time.Second, RetryDelay: 100 * time.Millisecond},
		Logger:                  slog.New(slog.DiscardHandler),
	}
	return m
}

// startLives starts one life after the other until one gets through. Nothing goes wrong from the
// tenth life on.
func (m *replay) startLives(ends *sync.WaitGroup) {
	for through := false; !through && m.lives < 14; {
		m.lives++
		m.calm.Store(m.lives >= 10)
		l := m.newLife(m.lives)
		patience := time.Duration(1+m.random.IntN(40)) * time.Second
		if m.calm.Load() {
			patience = time.Hour
		}
		ctx, cancel := context.WithTimeout(m.t.Context(), patience)
		through = m.goOn(ctx, l)
		cancel()
		how, silently, after := m.random.IntN(5), m.random.IntN(2) == 0, time.Duration(m.random.IntN(60))*time.Second
		ends.Go(func() { // the former life may go on while the next one works
			if how == 4 {
				time.Sleep(after)
			}
			l.end(how, time.Second, silently)
			l.network.Work.Wait()
		})
	}
}

// goOn is the application. It goes on after the service's last number, and gives up at any failure.
// It reports whether everything is stored.
func (m *replay) goOn(ctx context.Context, l *life) bool {
	for l.producer.Connect(ctx, &eventhubs.ConnectOptions{Links: true}) != nil {
		if ctx.Err() != nil {
			return false
		}
		time.Sleep(time.Second)
	}
	var partitions sync.WaitGroup
	failed := make([]error, m.partitions)
	for _, s := range l.producer.Stats().Partitions {
		var index int
		if _, err := fmt.Sscan(s.ID, &index); err != nil {
			m.t.Error(err)
		}
		partitions.Go(func() {
			for _, body := range m.sources[index][s.LastNumber:] {
				e := &eventhubs.Event{Body: []byte(body)}
				if failed[index] = l.producer.Enqueue(ctx, world.With(e, &eventhubs.Event{PartitionID: s.ID, Tag: body})); failed[index] != nil {
					return
				}
			}
		})
	}
	partitions.Wait()
	if l.producer.Flush(ctx) != nil || slices.ContainsFunc(failed, func(err error) bool { return err != nil }) {
		return false
	}
	s := l.producer.Stats()
	// Flush does not report failures from before its call.
	return s.NotStoredEvents+s.PossiblyStoredEvents == 0
}
