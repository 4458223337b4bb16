package journal

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// A home is a machine on which lives of one application follow each other: its disk, and the
// service.
type home struct {
	*world.World
	disk *forgetful.Disk
	late atomic.Int64
}

// atHome runs a test in virtual time, with a hub of that many partitions.
func atHome(t *testing.T, partitions int, test func(h *home)) {
	synctest.Test(t, func(t *testing.T) {
		test(&home{World: &world.World{T: t, Server: emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(partitions), Idempotence: emulator.Idempotence{ReportTracked: true}})}, disk: forgetful.New()})
	})
}

// A life is a process with a producer.
type life struct {
	*eventhubs.BufferedProducer
	home    *home
	process *process
	network *world.LateNetwork
	told    *world.Outcomes
}

// options are those of a life that says nothing and forgets nothing.
func (h *home) options() eventhubs.Options {
	return eventhubs.Options{
		EnableIdempotentRetries: true, Logger: slog.New(slog.DiscardHandler), MaxWaitTime: time.Millisecond,
		Retry:   eventhubs.RetryOptions{TryTimeout: 10 * time.Second, MaxRetryDelay: time.Second},
		Journal: &eventhubs.JournalOptions{Directory: "/journal", KeepFree: -1},
	}
}

// begin begins a life.
func (h *home) begin(o eventhubs.Options) *life {
	h.Helper()
	l, err := h.tryBegin(o)
	h.Must(err)
	return l
}

func (h *home) tryBegin(o eventhubs.Options) (*life, error) {
	l := &life{home: h, process: &process{Files: h.disk}, told: new(world.Outcomes)}
	l.network = &world.LateNetwork{Server: h.Server, Late: &h.late, Refuse: func() bool { return false }, Lag: func() time.Duration { return 0 }}
	j := *o.Journal
	o.Journal = &j
	testseam.JournalOn(o.Journal, l.process, 64<<10)
	o.Connection.DialContext = l.network.Dial
	if o.OnBatchSucceeded == nil {
		o.OnBatchSucceeded, o.OnBatchFailed = l.told.Handle, l.told.Handle
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(h.Server.ConnectionString("hub"), "", &o)
	if err != nil {
		return nil, err
	}
	l.BufferedProducer = p
	h.Cleanup(l.end)
	return l, nil
}

// end removes what is left of a life.
func (l *life) end() {
	l.network.Kill(false)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	_ = l.Close(ended)
	l.network.Work.Wait()
}

// kill is kill -9.
func (l *life) kill() {
	synctest.Wait()
	l.process.dead.Store(true)
	l.home.disk.Kill()
	l.network.Kill(true)
}

// cutPower ends the life, and loses what was not synced.
func (l *life) cutPower() {
	synctest.Wait()
	l.process.dead.Store(true)
	l.home.disk.Restart(forgetful.NoPages, forgetful.NoNames, rand.New(rand.NewPCG(1, 1)))
	l.network.Kill(true)
}

// close ends the life in peace.
func (l *life) close() {
	l.home.Helper()
	l.home.Must(l.Close(l.home.Context()))
	l.home.Want("events left in the journal", l.Journal().Events, 0)
}

// enqueue enqueues events for partition 0.
func (l *life) enqueue(bodies ...string) {
	l.home.Helper()
	l.home.Enqueue(l.BufferedProducer, "0", bodies...)
}

func numbered(prefix string, n int) (bodies []string) {
	for i := range n {
		bodies = append(bodies, fmt.Sprint(prefix, " ", i))
	}
	return bodies
}
