package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// victim is the partition that a fault concerns, if it concerns one.
const victim = "1"

var wirePartitions = []string{"0", "1", "2", "3"}

// pace is how often the stream has an event for each partition.
const pace = 100 * time.Millisecond

// A rig has a producer, an emulator that verifies tokens, and a network between them with round
// trips. A steady stream goes to each of four partitions. All of it lives in virtual time.
type rig struct {
	*testing.T
	network *world.Network
	server  *emulator.Server
	log     *logbook
	options eventhubs.Options
	p       *eventhubs.BufferedProducer
	book    outcomeBook
	trouble trouble

	streams sync.WaitGroup
	stop    chan struct{}
}

// newRig makes a rig without a producer. Call it in a bubble.
func newRig(t *testing.T, options eventhubs.Options) *rig {
	r := &rig{T: t, network: &world.Network{}, log: &logbook{}, options: options, stop: make(chan struct{})}
	t.Cleanup(r.network.Carries.Wait) // when the server is closed
	r.server = r.newServer()
	r.network.LeadTo(r.server)
	r.options.MaxWaitTime = eventhubs.SendAtOnce
	r.options.OnBatchSucceeded, r.options.OnBatchFailed = r.book.note, r.book.note
	r.options.Logger = slog.New(r.log)
	if r.options.Trace == nil {
		r.options.Trace = r.trouble.trace()
	}
	r.options.Connection.DialContext = r.network.Dial
	return r
}

func (r *rig) newServer() *emulator.Server {
	return emulatortest.New(r.T, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(len(wirePartitions)), Authentication: &emulator.Authentication{},
		Logger: slog.New(slog.DiscardHandler)})
}

// open makes the producer, with the key of the server's connection string unless the rig has one
// already.
func (r *rig) open() {
	r.Helper()
	if r.p == nil {
		p, err := eventhubs.NewBufferedProducerFromConnectionString(r.server.ConnectionString("hub"), "", &r.options)
		if err != nil {
			r.Fatal(err)
		}
		r.p = p
	}
	r.Cleanup(func() { _ = r.p.Abandon(context.Background()) })
}

// stream begins the stream.
func (r *rig) stream() {
	for _, id := range wirePartitions {
		// This goroutine ends when stop is closed and the event that then waits for room is
		// accepted. judge waits for it.
		r.streams.Go(func() {
			for n := 0; ; n++ {
				r.enqueue(id, fmt.Sprint(id, "-", n))
				select {
				case <-r.stop:
					return
				case <-time.After(pace):
				}
			}
		})
	}
}

func (r *rig) enqueue(partition, body string) {
	if err := r.p.Enqueue(r.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: partition}); err != nil {
		r.Errorf("Enqueue of %s: %v", body, err)
		return
	}
	r.book.accepted(partition, body)
}

// A step is an operation that goes wrong, and how.
type step struct {
	kind   emulator.Kind
	action emulator.Action
}

// once answers the next operation of a kind by an action. The operation concerns the victim or no
// partition. once returns when that has happened.
func (r *rig) once(kind emulator.Kind, action emulator.Action) { r.sequence(step{kind, action}) }

// sequence is once for several steps, one after the other.
func (r *rig) sequence(steps ...step) {
	var mu sync.Mutex
	over := make(chan struct{})
	r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		mu.Lock()
		defer mu.Unlock()
		if len(steps) == 0 || op.Kind != steps[0].kind || op.PartitionID != "" && op.PartitionID != victim {
			return emulator.Pass()
		}
		action := steps[0].action
		if steps = steps[1:]; len(steps) == 0 {
			close(over)
		}
		return action
	})
	<-over
}

// during gives operations the action that answer returns for them, for that long.
func (r *rig) during(d time.Duration, answer func(op emulator.Operation) (emulator.Action, bool)) {
	r.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if action, ok := answer(op); ok {
			return action
		}
		return emulator.Pass()
	})
	time.Sleep(d)
	r.server.SetHook(nil)
}

// storedAfter returns when the next event of a partition was stored after a time. It waits no
// longer than patience, and then returns zero.
func (r *rig) storedAfter(partition string, after time.Time, patience time.Duration) time.Time {
	after = after.Truncate(time.Millisecond) // as the service keeps time
	for ends := time.Now().Add(patience); ; time.Sleep(time.Second) {
		for e := range r.server.Events("hub", partition) {
			if e.EnqueuedTime.After(after) {
				return e.EnqueuedTime
			}
		}
		if time.Now().After(ends) {
			return time.Time{}
		}
	}
}

// wellAgain waits until every partition is ready, no longer than patience.
func (r *rig) wellAgain(patience time.Duration) {
	for ends := time.Now().Add(patience); r.p.Health().State != eventhubs.HealthReady && time.Now().Before(ends); {
		time.Sleep(time.Second)
	}
}

// judge ends the stream, closes the producer and checks every event's outcome. Events that were
// reported as stored are stored in their order, twice only if repeats. Exactly that many events
// have failed.
func (r *rig) judge(repeats bool, failed int) {
	r.Helper()
	close(r.stop)
	r.streams.Wait()
	err := r.p.Close(context.Background())
	if undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err); err != nil && (!ok || undelivered.Failed() > failed) {
		r.Errorf("Close returned %v", err)
	}
	synctest.Wait()
	for _, id := range wirePartitions {
		r.book.judge(r.T, id, world.Bodies(r.server, id), repeats)
	}
	if got := r.book.failures(); got != failed {
		r.Errorf("%d events were reported as failed, want %d", got, failed)
	}
}

// An outcomeBook holds the accepted events and their outcomes, by partition and in order.
type outcomeBook struct {
	mu      sync.Mutex // guards the fields below
	entered map[string][]string
	told    map[string][]string // stored
	failed  map[string][]string
	errs    []error
}

func (b *outcomeBook) accepted(partition, body string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entered == nil {
		b.entered = map[string][]string{}
	}
	b.entered[partition] = append(b.entered[partition], body)
}

func (b *outcomeBook) note(_ context.Context, batch *eventhubs.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told == nil {
		b.told, b.failed = map[string][]string{}, map[string][]string{}
	}
	book := b.told
	if batch.Outcome.Err != nil {
		book = b.failed
		b.errs = append(b.errs, batch.Outcome.Err)
	}
	for e := range batch.Events() {
		id, _, _ := strings.Cut(string(e.Body), "-") // a batch that failed early has no partition
		book[id] = append(book[id], string(e.Body))
	}
}

func (b *outcomeBook) failures() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, bodies := range b.failed {
		n += len(bodies)
	}
	return n
}

func (b *outcomeBook) judge(t *testing.T, id string, stored []string, repeats bool) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var firsts []string
	seen := map[string]bool{}
	for _, body := range stored {
		if !seen[body] {
			firsts = append(firsts, body)
		}
		seen[body] = true
	}
	if !slices.Equal(firsts, b.told[id]) {
		t.Errorf("partition %s holds %d events and %d were reported as stored, or in another order", id, len(firsts), len(b.told[id]))
	}
	if !repeats && len(firsts) != len(stored) {
		t.Errorf("partition %s holds %d events twice", id, len(stored)-len(firsts))
	}
	if len(b.entered[id]) == 0 || len(b.told[id])+len(b.failed[id]) != len(b.entered[id]) {
		t.Errorf("partition %s: %d events were accepted, %d stored, %d failed", id, len(b.entered[id]), len(b.told[id]), len(b.failed[id]))
	}
}

// A logbook keeps what a producer logs about its state, one word for each change. It also keeps the
// errors of those lines.
type logbook struct {
	mu     sync.Mutex // guards the fields below
	states []string
	errs   []error
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *logbook) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *logbook) WithGroup(string) slog.Handler                    { return l }

func (l *logbook) Handle(_ context.Context, line slog.Record) error {
	attributes := map[string]slog.Value{}
	line.Attrs(func(a slog.Attr) bool {
		attributes[a.Key] = a.Value
		return true
	})
	state, change := attributes["state"]
	if _, lasting := attributes["since"]; !change || lasting {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states = append(l.states, state.String())
	if err, ok := attributes["error"].Any().(error); ok {
		l.errs = append(l.errs, err)
	}
	return nil
}

// line returns the logged states in their order.
func (l *logbook) line() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.states, " ")
}

// A trouble records failed tries and failed batches of a Trace: those of the victim, and of events
// whose partition is unknown.
type trouble struct {
	mu   sync.Mutex // guards the field below
	last error
}

func (t *trouble) trace() *eventhubs.Trace {
	note := func(b eventhubs.TracedBatch, err error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if err != nil && (b.PartitionID == victim || b.PartitionID == "") {
			t.last = err
		}
	}
	again := func(f eventhubs.TracedFailure) { note(f.TracedBatch, f.Err) }
	return &eventhubs.Trace{Retrying: again, Throttled: again, Settled: func(o eventhubs.TracedOutcome) { note(o.TracedBatch, o.Outcome.Err) }}
}

func (t *trouble) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}
