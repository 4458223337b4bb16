package wire

import (
	"context"
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
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// Three measurements of .NET's buffered producer, 5.12.2 on two processors, are repeated here with
// this one. Their figures were seen once. Ours come from these tests.

const (
	besideDotNetBegins = "<!-- The table is made by the tests: go test -run TestTheTableBesideDotNetIsTheTests ./internal/trial/wire -update -->\n"
	besideRoundTrip    = 10 * time.Millisecond
	besideWait         = time.Second // .NET's default
	// The most is the events of the second of linger, and of the 3 s after which silence counts as
	// trouble.
	silenceHolds = 4*200/8 + 1
)

// A beside is a producer with .NET's MaxWaitTime over a hub whose acknowledgements take a round
// trip.
type beside struct {
	*testing.T
	server *emulator.Server
	p      *eventhubs.BufferedProducer
	hold   chan struct{} // closed when hanging handlers may go on

	mu sync.Mutex
	// From Enqueue to outcome, for each event whose Tag is the time of its Enqueue.
	took []time.Duration
}

// newBeside returns a beside whose partitions below troubled answer no transfers, or have handlers
// that hang.
func newBeside(t *testing.T, partitions, troubled int, silent bool) *beside {
	b := &beside{T: t, server: world.NewEmulator(t, partitions), hold: make(chan struct{})}
	inTrouble := func(id string) bool {
		var n int
		if _, err := fmt.Sscan(id, &n); err != nil {
			t.Errorf("partition %q: %v", id, err)
		}
		return n < troubled
	}
	b.p = world.NewProducer(t, b.server, eventhubs.Options{
		MaxWaitTime: besideWait,
		Logger:      slog.New(slog.DiscardHandler),
		OnBatchSucceeded: func(_ context.Context, batch *eventhubs.Batch) {
			b.mu.Lock()
			for e := range batch.Events() {
				b.took = append(b.took, time.Since(e.Tag.(time.Time)))
			}
			b.mu.Unlock()
			if inTrouble(batch.PartitionID) && !silent {
				<-b.hold
			}
		},
	})
	latency := emulator.Latency(1, besideRoundTrip, 0)
	b.server.SetHook(func(ctx context.Context, op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer && silent && inTrouble(op.PartitionID) {
			return emulator.Silence()
		}
		return latency(ctx, op)
	})
	if err := b.p.Connect(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// offer enqueues 200 events a second, to each of the partitions in turn. Without partitions it
// names none. It returns the time of the longest Enqueue.
func (b *beside) offer(lasts time.Duration, ids ...string) (longest time.Duration) {
	began := time.Now()
	for n := 0; time.Since(began) < lasts; n++ {
		options := &eventhubs.Event{Tag: time.Now()}
		if len(ids) > 0 {
			options.PartitionID = ids[n%len(ids)]
		}
		if err := b.p.Enqueue(b.Context(), world.With(world.Event("event"), options)); err != nil {
			b.Errorf("Enqueue: %v", err)
		}
		longest = max(longest, time.Since(options.Tag.(time.Time)))
		time.Sleep(5 * time.Millisecond)
	}
	return longest
}

// taken returns the times so far, sorted, and forgets them.
func (b *beside) taken() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	took := b.took
	b.took = nil
	slices.Sort(took)
	return took
}

// heal releases the hanging handlers, and waits until everything is stored.
func (b *beside) heal() {
	b.server.SetHook(nil)
	close(b.hold)
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	if err := b.p.Close(ctx); err != nil {
		b.Errorf("Close after the trouble: %v", err)
	}
}

// A silence holds what one silent partition of eight costs a caller that names no partition.
type silence struct {
	longest time.Duration // Enqueue
	held    int           // by the silent partition
	offered int
	stored  int // in the others
}

func besideASilentPartition(t *testing.T) (s silence) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeside(t, 8, 1, true)
		s.longest = b.offer(10 * time.Minute)
		time.Sleep(besideWait + besideRoundTrip)
		s.held, s.offered = b.p.PartitionBufferedEvents("0"), 10*60*200
		for id := 1; id < 8; id++ {
			s.stored += b.server.Counts("hub", fmt.Sprint(id)).Events
		}
		b.heal()
	})
	return s
}

func TestASilentPartitionHoldsUpNoEventWithoutAKey(t *testing.T) {
	s := besideASilentPartition(t)
	if s.longest != 0 {
		t.Errorf("an Enqueue without a key took %v, want 0 s: it need not wait for the silent partition", s.longest)
	}
	if s.held > silenceHolds || s.stored+s.held != s.offered {
		t.Errorf("of %d events the silent partition holds %d and the others have stored %d, want at most %d and all the rest", s.offered, s.held, s.stored, silenceHolds)
	}
}

// besideHungHandlers returns the longest time from Enqueue to outcome in the last of eight
// partitions. The handlers of others hang for ten minutes.
func besideHungHandlers(t *testing.T, hung int) (longest time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeside(t, 8, hung, false)
		for id := range hung {
			b.offer(5*time.Millisecond, fmt.Sprint(id))
		}
		b.offer(5*time.Millisecond, "7") // opens its link
		time.Sleep(10 * time.Second)
		b.taken()
		if waited := b.offer(10*time.Minute, "7"); waited != 0 {
			t.Errorf("an Enqueue took %v while %d handlers hung, want 0 s", waited, hung)
		}
		time.Sleep(besideWait + besideRoundTrip)
		took := b.taken()
		if got, want := len(took), 10*60*200; got != want {
			t.Fatalf("%d events had their outcome while %d handlers hung, want %d", got, hung, want)
		}
		longest = took[len(took)-1]
		b.heal()
	})
	return longest
}

func TestHandlersThatHangStopNoOtherPartition(t *testing.T) {
	for hung := range 8 {
		if got, want := besideHungHandlers(t, hung), besideWait+besideRoundTrip; got > want {
			t.Errorf("with %d handlers that hang an event of another partition had its outcome after %v, want at most %v", hung, got, want)
		}
	}
}

// besideAQuietHub returns the sorted times from Enqueue to outcome of one event for each partition,
// all enqueued at once.
func besideAQuietHub(t *testing.T, partitions int) (took []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		b := newBeside(t, partitions, 0, false)
		for range 2 { // the first round also opens the links
			b.taken()
			for id := range partitions {
				if err := b.p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("event"), PartitionID: fmt.Sprint(id), Tag: time.Now()}); err != nil {
					t.Errorf("Enqueue: %v", err)
				}
			}
			time.Sleep(time.Minute)
		}
		took = b.taken()
		b.heal()
	})
	if len(took) != partitions {
		t.Fatalf("%d events had their outcome within a minute, want %d", len(took), partitions)
	}
	return took
}

func TestInAQuietHubEachOutcomeComesWithinMaxWaitTimeAndARoundTrip(t *testing.T) {
	for _, partitions := range []int{1, 2, 32, 200} {
		took := besideAQuietHub(t, partitions)
		if got, want := took[partitions-1], besideWait+besideRoundTrip; got > want {
			t.Errorf("with %d partitions the last outcome came after %v, want %v", partitions, got, want)
		}
	}
}

func TestTheTableBesideDotNetIsTheTests(t *testing.T) {
	var table strings.Builder
	s, quiet := besideASilentPartition(t), besideAQuietHub(t, 32)
	fmt.Fprintf(&table, "| | .NET 5.12.2, seen | this producer |\n|---|---|---|\n")
	fmt.Fprintf(&table, "| One of 8 partitions acknowledges nothing; events without a key | the others go on until 1,500 events wait for the silent one; then Enqueue waits | for 10 min at 200 events/s: the longest Enqueue %v, the silent one holds %d events at the most, all others are stored |\n",
		s.longest, max(s.held, silenceHolds))
	fmt.Fprintf(&table, "| Two handlers hang, of 8 partitions | nothing for another partition until one returns | an event of another partition: its outcome after %v at the most; with seven that hang %v |\n",
		besideHungHandlers(t, 2), besideHungHandlers(t, 7))
	fmt.Fprintf(&table, "| 32 quiet partitions, one event each | outcomes after 1.1 s (first), 9.1 s (median), 16.2 s (last) | %v, %v, %v |\n", quiet[0], quiet[16], quiet[31])
	world.WantTable(t, "docs/from-dotnet.md", besideDotNetBegins, table.String())
}
