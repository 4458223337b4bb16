package wire

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
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

// One partition never stops the others (guarantee 7). These tests use the default options, with
// each kind of trouble and each route of an event.

var isolationLong = flag.Bool("isolation.long", false, "run the tests of isolation for ten minutes, with 4 and 32 partitions, 200 and 5,000 events a second")

// A plight is a way in which one partition is in trouble.
type plight struct {
	name   string
	strike func(op emulator.Operation) emulator.Action // the service's answer on the victim's links
	handle time.Duration                               // how long the victim's handler takes
	slow   bool                                        // no trouble: it takes its time
}

const forEver = 24 * time.Hour

var plightNone = plight{name: "none", slow: true}

var plights = []plight{
	{name: "never answers a transfer", strike: onTransfer(emulator.Silence())},
	{name: "gives no credit", strike: func(op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach {
			return emulator.WithholdCredit(forEver)
		}
		return emulator.Pass()
	}},
	{name: "never answers an attach", strike: func(op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindAttach {
			return emulator.Silence()
		}
		return emulator.Pass()
	}},
	{name: "is throttled", strike: onTransfer(emulator.Reject("com.microsoft:server-busy", "The request was terminated because the entity is being throttled. Please wait 4 seconds and try again."))},
	{name: "is refused", strike: onTransfer(emulator.Reject("amqp:internal-error", "The service was unable to process the request; please retry the operation."))},
	{name: "has a handler that hangs", handle: forEver},
	{name: "has a handler that takes 2 s", handle: 2 * time.Second, slow: true},
}

func onTransfer(action emulator.Action) func(emulator.Operation) emulator.Action {
	return func(op emulator.Operation) emulator.Action {
		if op.Kind == emulator.KindTransfer {
			return action
		}
		return emulator.Pass()
	}
}

// A ward is a producer with its callers and the results of their events.
type ward struct {
	*testing.T
	plight     plight
	partitions int
	perSecond  int
	route      string // key, id, none
	callers    int    // 0: one for each partition
	lasts      time.Duration
	options    eventhubs.Options

	server *emulator.Server
	p      *eventhubs.BufferedProducer
	keys   [][]string // by partition

	mu      sync.Mutex
	offered []int         // to the others, in each second
	counted []int         // stored by the others, after each second
	failed  int           // events that the handler got as failed
	release chan struct{} // closed when the trouble ends
}

func (w *ward) ids() (ids []string) {
	for i := range w.partitions {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

// open makes a producer that knows the partitions, one of which is in trouble from now on.
func (w *ward) open() {
	w.server = world.NewEmulator(w.T, w.partitions)
	w.release = make(chan struct{})
	o := w.options
	handler := func(ctx context.Context, b *eventhubs.Batch) {
		if b.Outcome.Err != nil {
			w.mu.Lock()
			w.failed += b.Count
			w.mu.Unlock()
			if b.PartitionID != victim {
				w.Errorf("partition %s is not in trouble, and %d events have failed: %v", b.PartitionID, b.Count, b.Outcome.Err)
			}
		}
		if b.PartitionID == victim && w.plight.handle > 0 {
			select {
			case <-time.After(w.plight.handle):
			case <-w.release:
			}
		}
	}
	o.OnBatchSucceeded, o.OnBatchFailed, o.Logger = handler, handler, slog.New(slog.DiscardHandler)
	p := world.NewProducer(w.T, w.server, o)
	w.p = p
	if w.plight.strike != nil {
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.PartitionID != victim {
				return emulator.Pass()
			}
			return w.plight.strike(op)
		})
	}
	if err := p.Connect(w.Context(), nil); err != nil {
		w.Fatal(err)
	}
	w.keys = make([][]string, w.partitions)
	for i := 0; slices.ContainsFunc(w.keys, func(k []string) bool { return len(k) < 5 }); i++ {
		key := fmt.Sprint("key-", i)
		id, err := p.PartitionForKey(w.Context(), key)
		if err != nil {
			w.Fatal(err)
		}
		at := slices.Index(w.ids(), id)
		w.keys[at] = append(w.keys[at], key)
	}
}

// stored returns how many events the other partitions have. If the producer chooses the partition,
// a victim that is only slow counts too.
func (w *ward) stored() (events int) {
	for _, id := range w.ids() {
		if id != victim || w.route == "by neither" && w.plight.slow {
			events += w.server.Counts("hub", id).Events
		}
	}
	return events
}

// run has the callers enqueue for as long as the ward lasts. Together they keep the rate, unless
// they wait for the partition.
func (w *ward) run() {
	began := time.Now()
	seconds := int(w.lasts / time.Second)
	w.offered = make([]int, seconds+2)
	callers := w.callers
	if callers == 0 {
		callers = w.partitions
	}
	var work sync.WaitGroup
	pace := time.Second * time.Duration(callers) / time.Duration(w.perSecond)
	for c := range callers {
		random := rand.New(rand.NewPCG(1, uint64(c)))
		// This goroutine ends when the ward's time is over. run waits for it.
		work.Go(func() {
			for n := 0; time.Since(began) < w.lasts; n++ {
				at := random.IntN(w.partitions)
				if w.callers == 0 {
					at = c
				}
				options := &eventhubs.Event{}
				switch w.route {
				case "by key":
					options.PartitionKey = w.keys[at][random.IntN(len(w.keys[at]))]
				case "by id":
					options.PartitionID = fmt.Sprint(at)
				}
				next := time.Now().Add(pace)
				if fmt.Sprint(at) != victim || w.route == "by neither" {
					w.mu.Lock()
					w.offered[int(time.Since(began)/time.Second)]++
					w.mu.Unlock()
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				err := w.p.Enqueue(ctx, world.With(world.Event(fmt.Sprint(c, "-", n)), options))
				cancel()
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					w.Errorf("Enqueue: %v", err)
				}
				time.Sleep(time.Until(next))
			}
		})
	}
	for range seconds {
		w.counted = append(w.counted, w.stored())
		time.Sleep(time.Second)
	}
	w.counted = append(w.counted, w.stored())
	work.Wait()
}

// heal ends the trouble and closes the producer. It checks that each caller's events for a
// partition are stored in their order.
func (w *ward) heal() {
	w.server.SetHook(nil)
	close(w.release)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	err := w.p.Close(ctx)
	told, _ := errors.AsType[*eventhubs.UndeliveredError](err)
	if (err != nil) != (w.failed > 0) || told != nil && (told.Failed() != w.failed || told.Pending > 0) {
		w.Errorf("Close after the trouble: %v, and the handler got %d failures", err, w.failed)
	}
	for _, id := range w.ids() {
		latest := map[string]int{}
		for e := range w.server.Events("hub", id) {
			var caller string
			var n int
			who, number, _ := strings.Cut(string(e.Body), "-")
			caller = who + e.PartitionKey
			if _, err := fmt.Sscan(number, &n); err != nil {
				w.Fatal(err)
			}
			if last, known := latest[caller]; known && n < last {
				w.Errorf("partition %s: event %d of caller %s is stored after %d", id, n, caller, last)
			}
			latest[caller] = max(latest[caller], n)
		}
	}
}

// part returns the stored part of the events that were offered to the others from one second to
// another. Events that name no partition count wherever they go.
func (w *ward) part(from, to int) float64 {
	offered, stored := sum(w.offered[from:to]), w.counted[to]-w.counted[from]
	return float64(stored) / float64(offered)
}

// routes are how events find their partition under the i-th plight. The race detector makes these
// tests five times slower, so with it each plight has one route. CI also runs them without it.
func routes(i int) []string {
	all := []string{"by key", "by id", "by neither"}
	if raceDetector {
		return all[i%len(all):][:1]
	}
	return all
}

func TestAPartitionInTroubleLeavesTheOthersAlone(t *testing.T) {
	undisturbed := map[string]int{} // by route: the stored events when no partition is in trouble
	for i, trouble := range plights {
		for _, route := range routes(i) {
			t.Run(trouble.name+", "+route, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &ward{T: t, plight: trouble, partitions: 4, perSecond: 200, route: route, callers: 20, lasts: 2 * time.Minute}
					w.suffer()
				})
			})
			t.Run(trouble.name+", "+route+", a caller for each partition", func(t *testing.T) {
				stored := func(p plight) (events int) {
					synctest.Test(t, func(t *testing.T) {
						w := &ward{T: t, plight: p, partitions: 4, perSecond: 200, route: route, lasts: 2 * time.Minute}
						w.suffer()
						events = w.counted[120] - w.counted[5]
					})
					return events
				}
				if _, known := undisturbed[route]; !known {
					undisturbed[route] = stored(plightNone)
				}
				if got := stored(trouble); float64(got) < 0.95*float64(undisturbed[route]) {
					t.Errorf("%d events are stored in the other partitions, want 0.95 of the %d that are undisturbed", got, undisturbed[route])
				}
			})
		}
	}
}

// This test has more partitions and, by its flag, runs for minutes with more events.
func TestAPartitionInTroubleLeavesManyOthersAlone(t *testing.T) {
	type load struct {
		partitions, perSecond int
		lasts                 time.Duration
	}
	loads := []load{{32, 200, time.Minute}}
	if *isolationLong {
		loads = []load{{4, 200, 10 * time.Minute}, {32, 200, 10 * time.Minute}, {4, 5000, 10 * time.Minute}, {32, 5000, 10 * time.Minute}}
	}
	for _, l := range loads {
		for i, trouble := range plights {
			for _, route := range routes(i) {
				t.Run(fmt.Sprintf("%d partitions, %d a second, %s, %s", l.partitions, l.perSecond, trouble.name, route), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := &ward{T: t, plight: trouble, partitions: l.partitions, perSecond: l.perSecond, route: route, callers: 20, lasts: l.lasts}
						if l.perSecond > 1000 {
							w.callers, w.options.MaxBufferedEvents = 100, 50_000
						}
						w.suffer()
					})
				})
			}
		}
	}
}

// suffer lives through the trouble and judges the others' events.
func (w *ward) suffer() {
	w.Helper()
	w.open()
	w.run()
	if got := w.part(5, len(w.counted)-1); got < 0.95 {
		w.Errorf("of the events offered to the others %.3f are stored, want 0.95; partition %s holds %d events", got, victim, w.p.PartitionBufferedEvents(victim))
	}
	w.heal()
}

// A hot partition takes all that it may, and then falls silent.
func TestAHotPartitionThatFallsSilentLeavesTheOthersTheLastPart(t *testing.T) {
	for _, partitions := range []int{4, 32} {
		synctest.Test(t, func(t *testing.T) {
			w := &ward{T: t, plight: plights[0], partitions: partitions, perSecond: 200, route: "by id", callers: 20, lasts: 2 * time.Minute}
			w.open()
			for err := error(nil); err == nil; {
				err = w.p.TryEnqueue(t.Context(), &eventhubs.Event{Body: []byte("hot-0"), PartitionID: victim})
				if err != nil && (!errors.Is(err, eventhubs.ErrBufferFull) || !strings.Contains(err.Error(), "partition "+victim+" holds")) {
					t.Errorf("TryEnqueue: %v, want ErrBufferFull with the partition that holds the room", err)
				}
			}
			if got, want := w.p.PartitionBufferedEvents(victim), 2500-2500/8; got != want {
				t.Errorf("the hot partition holds %d events, want %d", got, want)
			}
			w.run()
			if got := w.part(0, len(w.counted)-1); got < 0.9 {
				t.Errorf("of the events offered to the others %.3f are stored, want 0.9", got)
			}
			w.heal()
		})
	}
}

const isolationBegins = "<!-- The table is made by the tests: go test -run TestTheTableOfIsolationIsTheTests ./internal/trial/wire -update -->\n"

func TestTheTableOfIsolationIsTheTests(t *testing.T) {
	if raceDetector {
		t.Skip("it lives through ten minutes of each plight: CI runs it without the race detector")
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| Partition %s | of what is offered to the others, stored in minute 1 | in minutes 2 to 10 | it holds | Health says |\n|---|---|---|---|---|\n", victim)
	for _, trouble := range plights {
		synctest.Test(t, func(t *testing.T) {
			w := &ward{T: t, plight: trouble, partitions: 4, perSecond: 200, route: "by key", callers: 20, lasts: 10 * time.Minute}
			w.open()
			w.run()
			// After a batch ends, and before the waiting callers come in, the partition holds less.
			synctest.Wait()
			held := fmt.Sprintf("%.0f %% of the buffer", 100*float64(w.p.PartitionBufferedEvents(victim))/2500)
			switch events := w.p.PartitionBufferedEvents(victim); {
			case events < 250:
				held = "less than a tenth of the buffer"
			case events >= 1250 && events <= 1250+20:
				// There is one more for each caller at the moment when a batch fails for good.
				held = "half of the buffer"
			}
			fmt.Fprintf(&table, "| %s | %.2f | %.2f | %s | %s |\n", trouble.name, min(1, w.part(0, 60)), min(1, w.part(60, 600)), held, w.p.Health().State)
			w.heal()
		})
	}
	world.WantTable(t, "docs/evidence/guarantees-and-tests.md", isolationBegins, table.String())
}

func sum(numbers []int) (s int) {
	for _, n := range numbers {
		s += n
	}
	return s
}
