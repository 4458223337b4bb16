package wire

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
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
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

var fleetSize = flag.Int("fleet", 400, "how many producers TestAFleetComesBackWithoutAStampede has; with -short a quarter of that")

// A fleet is many producers of one event hub, in a namespace of 2 throughput units. They share
// 2,000 events and 50 management calls a second.
type fleet struct {
	*testing.T
	server  *emulator.Server
	members []*member

	door  world.Door
	reads atomic.Int64 // management calls
}

// A member is a producer with the outcomes of its events.
type member struct {
	p       *eventhubs.BufferedProducer
	name    string
	entered int

	mu        sync.Mutex // guards the fields below
	first     time.Time  // the time of its first success
	last      time.Time  // and of the latest
	stored    int
	failures  []error
	waits     int // tries that the service was too busy for
	slowest   time.Duration
	ambiguous int // events of batches that took more than one try
}

func newFleet(t *testing.T, size int) *fleet {
	f := &fleet{T: t}
	f.server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4), ThroughputUnits: 2, Hook: f.hook, MaxConnections: 2 * size})
	for i := range size {
		m := &member{name: fmt.Sprint("p", i)}
		p, err := eventhubs.NewBufferedProducerFromConnectionString(f.server.ConnectionString("hub"), "", &eventhubs.Options{
			Partitioning:     eventhubs.Sticky,
			MaxWaitTime:      100 * time.Millisecond,
			OnBatchSucceeded: m.succeeded,
			OnBatchFailed:    m.failed,
			Trace:            &eventhubs.Trace{Throttled: m.throttled},
			Connection:       eventhubs.ConnectionOptions{DialContext: f.dial},
		})
		if err != nil {
			t.Fatal(err)
		}
		m.p = p
		f.members = append(f.members, m)
	}
	return f
}

func (m *member) succeeded(_ context.Context, b *eventhubs.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = time.Now()
	if m.first.IsZero() {
		m.first = m.last
	}
	m.stored += b.Count
	m.slowest = max(m.slowest, b.Outcome.Queued+b.Outcome.OnWire)
	if b.Outcome.Tries > 1 {
		m.ambiguous += b.Count
	}
}

func (m *member) failed(_ context.Context, b *eventhubs.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = append(m.failures, b.Outcome.Err)
}

func (m *member) throttled(eventhubs.TracedFailure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waits++
}

// hook counts calls to $management. It delays every acknowledgement, so that a cut meets batches in
// flight.
func (f *fleet) hook(_ context.Context, op emulator.Operation) emulator.Action {
	switch op.Kind {
	case emulator.KindManagement:
		f.reads.Add(1)
	case emulator.KindTransfer:
		return emulator.Pass().AnswerAfter(world.Trip)
	}
	return emulator.Pass()
}

func (f *fleet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if err := f.door.Pass(ctx); err != nil {
		return nil, err
	}
	return f.server.Dial(ctx)
}

// publish has every member enqueue that many events at once.
func (f *fleet) publish(each int) {
	f.Helper()
	for _, m := range f.members {
		accepted, err := m.p.EnqueueAll(f.Context(), func(yield func(*eventhubs.Event, error) bool) {
			for range each {
				if !yield(world.Event(fmt.Sprint(m.name, "-", m.entered)), nil) {
					return
				}
				m.entered++
			}
		})
		if accepted != each || err != nil {
			f.Errorf("%s accepted %d events: %v", m.name, accepted, err)
		}
	}
}

// settle waits until every event has its outcome. It returns how long the members took, from began
// to their latest success: the median and the longest time.
func (f *fleet) settle(began time.Time) (middle, slowest time.Duration) {
	f.Helper()
	var took []time.Duration
	for _, m := range f.members {
		if err := m.p.Flush(f.Context()); err != nil {
			f.Errorf("%s: %v", m.name, err)
		}
		m.mu.Lock()
		took = append(took, m.last.Sub(began))
		m.mu.Unlock()
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)-1]
}

// in counts attempts by intervals of that length.
func in(interval time.Duration, after []time.Duration) (counts []int) {
	for _, d := range after {
		i := int(d / interval)
		for len(counts) <= i {
			counts = append(counts, 0)
		}
		counts[i]++
	}
	return counts
}

// histogram draws how many attempts there were in each second.
func histogram(after []time.Duration) string {
	var b strings.Builder
	for i, n := range in(time.Second, after) {
		fmt.Fprintf(&b, "\n%4d s %4d %s", i, n, strings.Repeat("#", (n+7)/8))
	}
	return b.String()
}

// TestAFleetComesBackWithoutAStampede starts a fleet, has it throttled, and cuts all its
// connections at once. Then it cuts them again and blocks the network for 10 s.
func TestAFleetComesBackWithoutAStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		size := *fleetSize
		if testing.Short() {
			size /= 4
		}
		f := newFleet(t, size)
		f.comeUp()
		f.overload()
		f.cut()
		f.outage()
		f.count()
	})
}

// comeUp starts all members in the same instant. A namespace answers 50 management calls a second,
// so the best time is (400-50)/50 s = 7 s.
func (f *fleet) comeUp() {
	began := time.Now()
	f.publish(1)
	_, took := f.settle(began)
	size := len(f.members)
	refusals, most := 0, 0
	for _, m := range f.members {
		refusals += m.waits
		most = max(most, m.waits)
	}
	f.Logf("%d producers are up after %v; %d management calls, of which %d were refused, at most %d to one", size, took, f.reads.Load(), refusals, most)
	if took > 40*time.Second || refusals > 3*size || most > 6 {
		f.Errorf("want at most 40 s, and at most 3 refusals for each on average and 6 for one")
	}
	if n := len(f.door.DialledSince(began)); n != size {
		f.Errorf("%d connections, want one for each", n)
	}
	f.reads.Store(0)
}

// overload has them send in 3 s events that take the namespace 12 s.
func (f *fleet) overload() {
	began := time.Now()
	for range 3 {
		f.publish(20)
		time.Sleep(time.Second)
	}
	_, took := f.settle(began)
	var slowest time.Duration
	waits := 0
	for _, m := range f.members {
		slowest = max(slowest, m.slowest)
		waits += m.waits
	}
	f.Logf("%d events are stored after %v; the slowest batch took %v; throttled %d times", 60*len(f.members), took, slowest, waits)
	if took > 2*time.Minute {
		f.Errorf("no batch should wait for 2 minutes")
	}
}

// cut breaks all connections at once while every member sends. The service stays up, and the
// members come back at once.
func (f *fleet) cut() {
	f.publish(1)
	// Every batch is stored, and no acknowledgement has come.
	time.Sleep(100*time.Millisecond + world.Trip/2)
	began := time.Now()
	if n := f.server.CutAll(); n != len(f.members) {
		f.Errorf("%d connections were cut", n)
	}
	_, took := f.settle(began)
	attempts := f.door.DialledSince(began)
	f.Logf("after a cut all are back in %v, with %d attempts", took, len(attempts))
	if took > 30*time.Second || len(attempts) != len(f.members) {
		f.Errorf("want at most 30 s and %d attempts", len(f.members))
	}
}

// outage is a cut after which no connection can be opened for 10 s.
func (f *fleet) outage() {
	f.publish(1)
	time.Sleep(100*time.Millisecond + world.Trip/2)
	f.door.Block(world.ErrRefused)
	began := time.Now()
	f.server.CutAll()
	time.Sleep(10 * time.Second)
	f.door.Block(nil)
	middle, took := f.settle(began)
	attempts := f.door.DialledSince(began)
	f.Logf("after a cut and 10 s without a network half are back in %v, all in %v; attempts to connect:%s", middle, took, histogram(attempts))
	// No pause is longer than twice MaxRetryDelay. An unlucky member with only one event waits
	// nearly that long.
	if middle > 30*time.Second || took > 10*time.Second+2*time.Minute+time.Second {
		f.Errorf("want half of them back in 30 s, and all in 2m11s")
	}
	// The first attempts come at once, since most losses concern one connection only. Later
	// attempts must not come in step.
	for i, n := range in(250*time.Millisecond, attempts) {
		if i >= 4 && n > len(f.members)/5+10 {
			f.Errorf("%d attempts within a quarter of a second, %.2f s after the cut", n, float64(i)/4)
		}
	}
}

// count closes the producers and compares their outcomes with the stored events.
func (f *fleet) count() {
	stored := map[string]int{}
	twice := 0
	for _, id := range f.server.PartitionIDs("hub") {
		for e := range f.server.Events("hub", id) {
			name, _, _ := strings.Cut(string(e.Body), "-")
			if stored[string(e.Body)]++; stored[string(e.Body)] > 1 {
				twice++
			} else {
				stored[name]++
			}
		}
	}
	ambiguous := 0
	for _, m := range f.members {
		if err := m.p.Close(f.Context()); err != nil {
			f.Errorf("%s: %v", m.name, err)
		}
		if m.stored != m.entered || stored[m.name] != m.entered || len(m.failures) != 0 {
			f.Errorf("%s accepted %d events, reported %d as stored, and %d are stored: %v", m.name, m.entered, m.stored, stored[m.name], errors.Join(m.failures...))
		}
		ambiguous += m.ambiguous
	}
	f.Logf("%d events are stored twice, of %d whose acknowledgement may have been lost; %d management calls since they were up", twice, ambiguous, f.reads.Load())
	if twice > ambiguous {
		f.Errorf("more events are stored twice than the cuts can explain")
	}
	if n := f.reads.Load(); n != 0 {
		f.Errorf("%d management calls were made to recover", n)
	}
}
