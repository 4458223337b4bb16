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

// A model is one run: an emulator with random faults, and producers with random options and
// operations.
type model struct {
	t          *testing.T
	random     *rand.Rand // owned by run; other goroutines get their own
	partitions int
	severity   int
	// The service stores a batch at once or never: otherwise a late try overtakes events that were
	// sent after a failure.
	prompt     bool
	ordered    bool // one send at a time for each partition
	again      bool // failed handlers enqueue again, now and then
	fleeting   bool // many events expire
	quiet      bool // no flushes and no clears
	honest     bool // no stolen identities
	tempo      tempo
	stingy     *world.Stingy
	options    eventhubs.Options
	server     *emulator.Server
	state      *world.SharedState // nil: each life is a producer of its own
	perMille   int                // share of writes that are late
	darkUntil  atomic.Int64       // until when no connection can be opened, in nanoseconds
	calm       atomic.Bool        // nothing goes wrong any more
	stragglers atomic.Int64       // writes that arrived from abandoned connections
	lives      int

	mu sync.Mutex // guards the fields below
	history
	handled int // events whose outcome a handler got
	thieves []place
	tally   tally
}

// A tempo is the pace of the streams.
type tempo struct {
	events int // in a stream, at most
	rests  int // one in so many events is followed by a rest
	rest   time.Duration
	expiry time.Duration // of events that expire, at most
}

// A tally shows that the runs of the model did some work. Duplicates counts events that were
// accepted once and are stored twice. With idempotence it counts the stored events that were sent
// more than once.
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

// flush notes the events of a life that had no outcome when a Flush that covers them returned.
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

// withoutOutcome returns the names of accepted events without an outcome.
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

// judge reads the log and judges the run.
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
		for _, thief := range m.thieves { // no other producer takes the partition back from them
			m.claimed[thief.partition] = append(m.claimed[thief.partition], thief.life)
		}
	}
	return m.history.judge()
}

// wantNoFaults judges a run, and fails the test with each contradiction to the guarantees.
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
