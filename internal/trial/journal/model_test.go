package journal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/journal/forgetful"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var (
	modelSeeds = flag.Int("journal.seeds", 30, "how many seeds the model of lives with a journal runs, in each mode of the service")
	modelSeed  = flag.Uint64("journal.seed", 0, "run this seed only")
)

// TestLivesThatShareAJournalStoreEachEventOnce lets an application live several times with one
// journal. Each life enqueues events while the service and the network fail at random. It ends by a
// kill at any moment, or by a Close that has too little time. The last life is calm.
func TestLivesThatShareAJournalStoreEachEventOnce(t *testing.T) {
	for name, mode := range world.Modes {
		t.Run(name, func(t *testing.T) {
			for n := range *modelSeeds {
				seed := uint64(n + 1)
				if *modelSeed != 0 {
					seed = *modelSeed
				}
				if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { newModel(t, mode, seed).run() })
				}) || *modelSeed != 0 {
					break
				}
			}
		})
	}
}

// A model is one run of the application's lives.
type model struct {
	*world.World
	seed       uint64
	random     *rand.Rand
	idempotent bool
	disk       *forgetful.Disk
	process    *process // the present life
	powerCuts  bool     // lives end by power cuts, not by kills
	severity   int      // of a hundred operations, how many are disturbed
	calm       atomic.Bool
	late       atomic.Int64
	networks   []*world.LateNetwork

	mu       sync.Mutex
	faults   *rand.Rand
	accepted []string        // bodies, in the order of the calls
	maybe    map[string]bool // whose Enqueue did not return before the kill
	told     map[string]int  // as stored
	expired  map[string]bool // told as expired
	possibly map[string]bool // of these, told as possibly stored
	dead     int             // lives before this one are dead: what they still do counts for nothing
}

func newModel(t *testing.T, mode emulator.Idempotence, seed uint64) *model {
	m := &model{
		World: &world.World{T: t}, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), faults: rand.New(rand.NewPCG(seed, 2)),
		disk: forgetful.New(), maybe: map[string]bool{}, told: map[string]int{}, expired: map[string]bool{}, possibly: map[string]bool{},
	}
	m.idempotent = m.random.IntN(4) > 0
	m.severity = m.random.IntN(40)
	m.powerCuts = m.random.IntN(2) == 0
	m.disk.SyncTime = time.Duration(m.random.IntN(20)) * time.Millisecond
	m.Server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1 + m.random.IntN(3)), Idempotence: mode})
	m.Server.SetHook(m.disturb)
	return m
}

// disturb is the service's part in the trouble.
func (m *model) disturb(_ context.Context, op emulator.Operation) emulator.Action {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calm.Load() || m.faults.IntN(100) >= m.severity {
		return emulator.Pass()
	}
	actions := []emulator.Action{emulator.Cut(), emulator.Detach("amqp:internal-error", "a fault"), emulator.Reject("com.microsoft:server-busy", "busy"), emulator.Pass().After(time.Second)}
	if op.Kind == emulator.KindTransfer {
		actions = append(actions, emulator.Cut().Stored(), emulator.Cut().Stored(), emulator.Silence().Stored(), emulator.Detach("amqp:internal-error", "a fault").Stored(), emulator.Release(), emulator.Modify(),
			emulator.Pass().AnswerAfter(time.Duration(m.faults.IntN(100))*time.Second))
	}
	return actions[m.faults.IntN(len(actions))]
}

func (m *model) run() {
	lives := 2 + m.random.IntN(4)
	defer func() {
		for _, n := range m.networks {
			n.Work.Wait()
		}
	}()
	for life := range lives {
		m.calm.Store(life == lives-1)
		m.live(life, life == lives-1)
		if m.Failed() {
			m.Logf("run it again with -run '%s' -args -journal.seed=%d", m.Name(), m.seed)
			return
		}
	}
	m.judge()
}

// live is one life of the application.
func (m *model) live(life int, last bool) {
	network := &world.LateNetwork{Server: m.Server, Late: &m.late, Refuse: func() bool { return false },
		Lag: world.Stragglers(rand.New(rand.NewPCG(m.seed, uint64(100+life))), 50)}
	m.networks = append(m.networks, network)
	options := eventhubs.Options{
		EnableIdempotentRetries:  m.idempotent,
		Logger:                   m.logger(),
		MaxWaitTime:              time.Duration(1 + m.random.IntN(2000)*int(time.Millisecond)),
		PartitionRefreshInterval: 3 * time.Second,
		MaxBufferedEvents:        1 + m.random.IntN(40),
		Partitioning:             []eventhubs.Partitioning{eventhubs.RoundRobin, eventhubs.Sticky}[m.random.IntN(2)],
		Retry:                    eventhubs.RetryOptions{MaxRetryDelay: 5 * time.Second, TryTimeout: 10 * time.Second},
		Journal:                  &eventhubs.JournalOptions{Directory: "/journal", KeepFree: -1, Sync: eventhubs.JournalSync(m.random.IntN(3))},
		OnBatchSucceeded:         func(_ context.Context, b *eventhubs.Batch) { m.tell(b, life) },
		OnBatchFailed:            func(_ context.Context, b *eventhubs.Batch) { m.tell(b, life) },
		Connection:               eventhubs.ConnectionOptions{DialContext: network.Dial},
	}
	if m.powerCuts {
		options.Journal.Sync = eventhubs.SyncEach
	}
	m.process = &process{Files: m.disk}
	testseam.JournalOn(options.Journal, m.process, 16<<10)
	m.disk.CutAt(-1)
	if m.powerCuts && !last && m.random.IntN(2) == 0 {
		m.disk.CutAt(m.random.IntN(200)) // before the life ends, or during its recovery
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(m.Server.ConnectionString("hub"), "", &options)
	if m.disk.Off() {
		m.kill(life, network)
		return
	}
	m.Must(err)
	ctx, cancel := context.WithCancel(m.Context())
	var callers sync.WaitGroup
	for caller := range 1 + m.random.IntN(3) {
		events, random := m.random.IntN(30), rand.New(rand.NewPCG(m.seed, uint64(1000*life+caller)))
		callers.Go(func() { m.enqueue(ctx, p, life, caller, events, random) })
	}
	connects := rand.New(rand.NewPCG(m.seed, uint64(5000+life)))
	callers.Go(func() { // opens links beside the senders
		for range connects.IntN(4) {
			_ = p.Connect(ctx, &eventhubs.ConnectOptions{Links: true})
			if world.Sleep(ctx, time.Duration(connects.IntN(5000))*time.Millisecond) != nil {
				return
			}
		}
	})
	if m.random.IntN(3) == 0 {
		time.Sleep(time.Duration(m.random.IntN(10_000)) * time.Millisecond)
		m.Must(m.Server.AddPartitions("hub", 1+m.random.IntN(2)))
	}
	if last {
		callers.Wait()
		err := p.Close(m.Context())
		if err != nil && !errors.Is(err, eventhubs.ErrExpired) {
			m.Errorf("the last Close returned %v", err)
		}
		m.Want("events in the journal at the end", p.Journal().Events, 0)
	} else {
		time.Sleep(time.Duration(m.random.IntN(30_000)) * time.Millisecond)
		if m.random.IntN(3) == 0 && !m.disk.Off() {
			callers.Wait()
			short, end := context.WithTimeout(m.Context(), time.Duration(m.random.IntN(3000))*time.Millisecond)
			err := p.Close(short)
			end()
			if u, ok := errors.AsType[*eventhubs.UndeliveredError](err); err != nil && !m.disk.Off() && (!ok || u.NotStored+u.PossiblyStored+u.Pending > 0 && len(m.expired) == 0) {
				m.Errorf("life %d: Close returned %v, want only kept events", life, err)
			}
		}
		if !p.IsClosed() || m.disk.Off() {
			m.kill(life, network)
		}
	}
	network.Kill(true)
	cancel()
	ended, end := context.WithCancel(m.Context())
	end()
	_ = p.Close(ended)
	callers.Wait()
	if last || m.random.IntN(2) == 0 {
		network.Work.Wait() // otherwise the bytes of this life may arrive in the next
	}
}

// kill ends the process at this moment: by a kill -9, or by a power cut.
func (m *model) kill(life int, network *world.LateNetwork) {
	synctest.Wait()
	m.mu.Lock()
	m.dead = life + 1
	m.mu.Unlock()
	m.process.dead.Store(true)
	if m.powerCuts {
		m.disk.Restart(forgetful.Pages(m.random.IntN(4)), forgetful.Names(m.random.IntN(3)), m.random)
	} else {
		m.disk.Kill()
	}
	network.Kill(true)
}

// enqueue is one caller of a life.
func (m *model) enqueue(ctx context.Context, p *eventhubs.BufferedProducer, life, caller, events int, random *rand.Rand) {
	for n := range events {
		e := &eventhubs.Event{Body: fmt.Appendf(nil, "%d.%d.%03d", life, caller, n)}
		switch random.IntN(4) {
		case 0:
		case 1:
			e.PartitionID = "0"
			e.Body = append(e.Body, "@0"...)
		default:
			e.PartitionKey = fmt.Sprint("key ", caller)
			e.Body = append(e.Body, "!"...)
		}
		if random.IntN(10) == 0 {
			e.ExpiresAt = time.Now().Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
			e.Body = append(e.Body, " expires"...)
		}
		body := string(e.Body)
		m.mu.Lock()
		m.maybe[body] = true
		m.mu.Unlock()
		var err error
		if random.IntN(5) == 0 {
			_, err = p.EnqueueAll(ctx, eventhubs.Events(e))
		} else {
			err = p.Enqueue(ctx, e)
		}
		m.mu.Lock()
		if err == nil && life >= m.dead {
			delete(m.maybe, body)
			m.accepted = append(m.accepted, body)
		}
		m.mu.Unlock()
		if world.Sleep(ctx, time.Duration(random.IntN(1500))*time.Millisecond) != nil {
			return
		}
	}
}

// tell is both handlers.
func (m *model) tell(b *eventhubs.Batch, life int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := range b.Events() {
		body := string(e.Body)
		switch {
		case life < m.dead && b.Outcome.Err != nil:
		case b.Outcome.Storage == eventhubs.Stored:
			m.told[body]++
		case errors.Is(b.Outcome.Err, eventhubs.ErrExpired) && strings.HasSuffix(body, "expires"):
			m.expired[body] = true
			if b.Outcome.Storage == eventhubs.PossiblyStored && !m.idempotent && b.Recovered {
				m.possibly[body] = true // a former life may have sent it
			} else if b.Outcome.Storage != eventhubs.NotStored {
				m.Errorf("life %d: %s has expired and was told as %v", life, body, b.Outcome.Storage)
			}
		default:
			m.Errorf("life %d: %s was told as %v: %v", life, body, b.Outcome.Storage, b.Outcome.Err)
		}
		if !b.Recovered && !strings.HasPrefix(body, fmt.Sprint(life, ".")) {
			m.Errorf("life %d: %s is of another life, and its batch is not Recovered", life, body)
		}
	}
}

// judge compares what was accepted with the hub.
func (m *model) judge() {
	stored, at := map[string]int{}, map[string][]string{}
	for _, id := range m.Server.PartitionIDs("hub") {
		for _, body := range m.StoredIn(id) {
			stored[body]++
			at[body] = append(at[body], id)
		}
		m.judgeOrder(id)
	}
	for _, body := range m.accepted {
		switch n := stored[body]; {
		case n == 0 && !m.expired[body]:
			m.Errorf("%s was accepted and is lost", body)
		case n > 1 && m.idempotent:
			m.Errorf("%s is stored %d times, in %v", body, n, at[body])
		case n > 0 && m.told[body] == 0 && !m.possibly[body]:
			m.Errorf("%s is stored, and nobody was told", body)
		}
	}
	for body, n := range m.told {
		if n > 0 && stored[body] == 0 {
			m.Errorf("%s was told as stored and is lost", body)
		}
	}
	for body := range stored {
		if !slices.Contains(m.accepted, body) && !m.maybe[body] {
			m.Errorf("%s is stored, and Enqueue refused it", body)
		}
	}
}

// judgeOrder checks that the first copies of a caller's events with one route are in the order of
// its calls.
func (m *model) judgeOrder(id string) {
	newest, seen := map[string]string{}, map[string]bool{}
	for _, body := range m.StoredIn(id) {
		if seen[body] {
			continue
		}
		seen[body] = true
		route := ""
		switch {
		case strings.Contains(body, "@0"):
			route = "id"
		case strings.Contains(body, "!"):
			route = "key"
		default:
			continue // no order is promised
		}
		caller := route + body[:strings.LastIndex(body[:strings.IndexAny(body, "@!")], ".")]
		if body < newest[caller] {
			m.Errorf("partition %s: %s comes after %s", id, body, newest[caller])
		}
		newest[caller] = body
	}
}

// logger shows the log lines when one seed runs by itself.
func (m *model) logger() *slog.Logger {
	if *modelSeed == 0 {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}
