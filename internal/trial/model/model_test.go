package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A model is one run: an emulator with random faults, and producers with random options and operations.
type model struct {
	t          *testing.T
	random     *rand.Rand // owned by run; others get their own
	partitions int
	severity   int
	prompt     bool // the service stores a batch at once or never: else a late try overtakes what comes after a failure
	ordered    bool // one send at a time for each partition
	again      bool // failed handlers enqueue again, now and then
	fleeting   bool // many events expire
	quiet      bool // nobody flushes or clears
	honest     bool // nobody steals
	tempo      tempo
	stingy     *world.Stingy
	options    eventhubs.Options
	server     *emulator.Server
	state      *world.SharedState // nil: each life is a producer of its own
	perMille   int                // of what is written is late
	darkUntil  atomic.Int64       // until when nobody can connect, in nanoseconds
	calm       atomic.Bool        // nothing goes wrong any more
	stragglers atomic.Int64       // writes that have arrived from connections that were given up
	lives      int

	mu sync.Mutex // guards the fields below
	history
	handled int // events whose outcome a handler was told
	thieves []place
	tally   tally
}

// A tempo is how fast streams go.
type tempo struct {
	events int // in a stream, at most
	rests  int // one in so many events is followed by a rest
	rest   time.Duration
	expiry time.Duration // of events that expire, at most
}

// A tally shows that the runs of the model were not idle. Duplicates counts the events that were accepted once and are stored twice or, with idempotence, those
// that were sent more than once and are stored.
type tally struct {
	Stored, NotStored, PossiblyStored, Duplicates, Refused, Late, Raised, Fenced, Restarts, Cut int
}

func emptyModel(t *testing.T, seed, draws uint64) *model {
	return &model{t: t, stingy: world.ModelStinginess(seed), random: rand.New(rand.NewPCG(seed, draws)), ordered: true,
		history: history{told: map[place][]end{}, stored: map[string][]string{}}}
}

func (m *model) newServer(random *rand.Rand, mode emulator.Idempotence, largest int) *emulator.Server {
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
			return mishap(op, random, m.severity, m.prompt)
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return server
}

// flush notes which events of a life had no outcome when a Flush that covers them returned.
func (m *model) flush(ctx context.Context, l *life) {
	m.mu.Lock()
	covered := m.accepted[:len(m.accepted):len(m.accepted)]
	m.mu.Unlock()
	if gaveUp(l.producer.Flush(ctx)) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.early = append(m.early, m.untoldLocked(covered, l.number)...)
}

// withoutOutcome returns the names of what was accepted and has no outcome.
func (m *model) withoutOutcome(l *life) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.untoldLocked(m.accepted, l.number)
}

func (m *model) untoldLocked(of []offer, life int) (names []string) {
	told := map[string]bool{}
	for _, ends := range m.told {
		for _, e := range ends {
			told[e.name] = true
		}
	}
	for _, a := range of {
		if a.life == life && !told[a.name] {
			names = append(names, a.name)
		}
	}
	return names
}

// accept notes that Enqueue took an event.
func (m *model) accept(o offer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted = append(m.accepted, o)
}

// judge reads the log, and judges what happened.
func (m *model) judge() []string {
	for _, id := range m.server.PartitionIDs("hub") {
		for e := range m.server.Events("hub", id) {
			name := e.Properties["name"].(string)
			m.stored[id] = append(m.stored[id], name)
			if strings.Trim(string(e.Body), name) != "" {
				m.seen = append(m.seen, fmt.Sprintf("%s has another body: %.50q", name, e.Body))
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
	return m.history.judge()
}

// wantNoFaults judges a run, and fails the test with what contradicts the guarantees.
func (m *model) wantNoFaults(run string) {
	m.t.Helper()
	if faults := m.judge(); len(faults) > 0 {
		m.t.Errorf("%s: %d faults\n%s", run, len(faults), strings.Join(faults[:min(20, len(faults))], "\n"))
	}
}

func (m *model) addTo(total *tally) {
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
	total.Refused += m.tally.Refused
	total.Fenced += m.tally.Fenced
	total.Raised += m.tally.Raised
	total.Late += int(m.stragglers.Load())
	total.Restarts += m.lives - 1
	refused, _ := m.stingy.Taken()
	total.Cut += len(slices.DeleteFunc(refused, func(events int) bool { return events == 1 }))
}
