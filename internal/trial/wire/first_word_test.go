package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A terminal is the output of slog.Default, as the user of a program without a Logger sees it.
type terminal struct {
	mu    sync.Mutex // guards the field below
	lines []string
}

// watchTerminal replaces slog.Default by a terminal until the test ends.
func watchTerminal(t *testing.T) *terminal {
	tty, earlier := new(terminal), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(tty, nil)))
	t.Cleanup(func() { slog.SetDefault(earlier) })
	return tty
}

func (tty *terminal) Write(line []byte) (int, error) {
	tty.mu.Lock()
	defer tty.mu.Unlock()
	tty.lines = append(tty.lines, strings.TrimSpace(string(line)))
	return len(line), nil
}

// read returns the lines since the last read.
func (tty *terminal) read() []string {
	synctest.Wait()
	tty.mu.Lock()
	defer tty.mu.Unlock()
	lines := tty.lines
	tty.lines = nil
	// Lines about health come from a goroutine of their own.
	slices.SortStableFunc(lines, func(a, b string) int {
		return cmp.Compare(strings.Count(a, "level=ERROR"), strings.Count(b, "level=ERROR"))
	})
	return lines
}

// want checks that the new output is one line for each pattern.
func (tty *terminal) want(t *testing.T, why string, patterns ...string) {
	t.Helper()
	lines := tty.read()
	fits := len(lines) == len(patterns)
	for i := 0; fits && i < len(lines); i++ {
		fits = regexp.MustCompile(patterns[i]).MatchString(lines[i])
	}
	if !fits {
		t.Errorf("%s: the terminal shows\n\t%s\nwant lines that match\n\t%s", why, strings.Join(lines, "\n\t"), strings.Join(patterns, "\n\t"))
	}
}

// A firstProgram is the program that a newcomer writes first: a producer without Connect, and
// without options except for the way to the emulator.
type firstProgram struct {
	*testing.T
	server  *emulator.Server
	network *world.Network
	tty     *terminal
	p       *eventhubs.BufferedProducer
	hold    chan struct{} // the handler of partition 1 waits for it
}

func newFirstProgram(t *testing.T, hub, key string, handler bool) *firstProgram {
	f := &firstProgram{T: t, network: &world.Network{}, tty: watchTerminal(t), hold: make(chan struct{})}
	t.Cleanup(f.network.Carries.Wait)
	f.server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: []emulator.Hub{{Name: "hub", Partitions: 2}},
		Authentication: &emulator.Authentication{}, Logger: slog.New(slog.DiscardHandler)})
	f.network.LeadTo(f.server)
	text := regexp.MustCompile(`SharedAccessKey=[^;]*`).ReplaceAllString(f.server.ConnectionString(hub), "SharedAccessKey="+key)
	if key == "" {
		text = f.server.ConnectionString(hub)
	}
	options := &eventhubs.Options{Connection: eventhubs.ConnectionOptions{DialContext: f.network.Dial}}
	if handler {
		options.OnBatchSucceeded = func(_ context.Context, batch *eventhubs.Batch) {
			if batch.PartitionID == "1" {
				<-f.hold
			}
		}
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(text, "", options)
	if err != nil {
		t.Fatal(err)
	}
	f.p = p
	return f
}

func (f *firstProgram) enqueue(partition string) {
	f.Helper()
	if err := f.p.Enqueue(f.Context(), &eventhubs.Event{Body: []byte("event"), PartitionID: partition}); err != nil {
		f.Error(err)
	}
}

// meets returns a strike. From then on, operations of a kind, for partition 1 or for no partition,
// end that way.
func meets(kind emulator.Kind, action emulator.Action) func(f *firstProgram) {
	return func(f *firstProgram) {
		f.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == kind && (op.PartitionID == "" || op.PartitionID == "1") {
				return action
			}
			return emulator.Pass()
		})
	}
}

// relent has the service behave again for new connections. Operations that it left unanswered stay
// so.
func relent(f *firstProgram) {
	f.server.SetHook(nil)
	f.server.CutAll()
}

// A firstWord is a trouble that a first program meets, and the lines that it shows.
type firstWord struct {
	name     string
	hub, key string // wrong ones; empty: the right ones
	handler  bool
	fresh    bool // it begins before anything is stored
	strike   func(f *firstProgram)
	mend     func(f *firstProgram) // nil: the program must be corrected

	within time.Duration // zero: one second
	state  eventhubs.HealthState
	says   string
	error  string // a pattern
	also   string // a pattern of another line, at once
	// Patterns of the lines in the next minute; nil: the line that says that it lasts.
	then []string
}

// notAnswered is when a try or a handler that began after MaxWaitTime has run for 10 s.
const notAnswered = 10*time.Second + 500*time.Millisecond

const (
	tried     = "publishing has begun to fail; the producer retries"
	waitedFor = "the service does not answer; the producer waits"
	gaveUp    = `level=WARN msg="eventhubs: publishing has begun to fail; the producer retries" hub=hub state=unreachable error=` // when the try has timed out
	succeeds  = `level=INFO msg="eventhubs: publishing succeeds again"`
)

var firstWords = []firstWord{
	{
		name: "throttled", state: eventhubs.HealthThrottled, says: "the service is too busy; the producer retries", error: `throughput`,
		strike: meets(emulator.KindTransfer, emulator.Reject("com.microsoft:server-busy", world.Tracked("The request was terminated. Please wait 4 seconds and try again."))),
		mend:   relent,
	},
	{
		name: "no acknowledgement", within: notAnswered, state: eventhubs.HealthSilent, says: waitedFor,
		error:  `partition 1: the service has not acknowledged a batch for 10s; the oldest of 1 events has waited for 10s; `,
		strike: meets(emulator.KindTransfer, emulator.Silence()), mend: relent, then: []string{gaveUp},
	},
	{
		name: "no credit", within: notAnswered, state: eventhubs.HealthSilent, says: waitedFor,
		error:  `partition 1: the service has not allowed a message \(no credit\) for 10s; the oldest of 1 events has waited for 10s; `,
		strike: meets(emulator.KindAttach, emulator.WithholdCredit(0)), mend: relent, then: []string{gaveUp},
	},
	{
		name: "no link", within: notAnswered, state: eventhubs.HealthSilent, says: waitedFor,
		error:  `partition 1: the link has not opened for 10s; the oldest of 1 events has waited for 10s; `,
		strike: meets(emulator.KindAttach, emulator.Silence()), mend: relent, then: []string{gaveUp},
	},
	{
		name: "half open", within: notAnswered, state: eventhubs.HealthSilent, says: waitedFor,
		error:  `partition 1: the link has not opened for 10s; the oldest of 1 events has waited for 10s; `,
		strike: func(f *firstProgram) { f.network.Swallow() }, mend: func(*firstProgram) {}, then: []string{gaveUp, succeeds},
	},
	{
		name: "no list", fresh: true, within: notAnswered, state: eventhubs.HealthSilent, says: waitedFor,
		error:  `eventhubs: the service has not sent the list of partitions for 10s; the oldest of 1 events has waited for 10s; `,
		strike: meets(emulator.KindManagement, emulator.Silence()), mend: relent, then: []string{gaveUp},
	},
	{
		name: "a fault of the service", state: eventhubs.HealthFailing, says: tried, error: `tracking id.*support`,
		strike: meets(emulator.KindTransfer, emulator.Reject("amqp:internal-error", world.Tracked("The service was unable to process the request."))), mend: relent,
	},
	{
		name: "refused for good", state: eventhubs.HealthRefused, says: "the service refuses events; they are not retried", error: `amqp:not-allowed: No\.`,
		also:   `level=ERROR msg="eventhubs: events failed without a handler or a Delivery`,
		strike: meets(emulator.KindTransfer, emulator.Reject("amqp:not-allowed", world.Tracked("No."))),
		mend: func(f *firstProgram) {
			relent(f)
			f.enqueue("1")
		},
		then: []string{}, // nothing is left to be tried
	},
	{
		name: "the Send right is missing", state: eventhubs.HealthUnauthorized, says: tried, error: `'Send' claim`,
		strike: meets(emulator.KindAttach, emulator.Reject("amqp:unauthorized-access", world.Tracked("Unauthorized access. 'Send' claim(s) are required to perform this operation."))),
		mend:   relent,
	},
	{
		name: "no server", state: eventhubs.HealthUnreachable, says: tried, error: `connection refused`,
		strike: func(f *firstProgram) {
			f.network.Block(fmt.Errorf("dial tcp: connect: %w", syscall.ECONNREFUSED))
			f.server.CutAll()
		},
		mend: func(f *firstProgram) { f.network.Block(nil) },
	},
	{
		name: "a handler that hangs", handler: true, within: notAnswered, state: eventhubs.HealthBlocked,
		says: "a handler does not return; its partition waits for it", error: `a handler of partition \\"1\\" has not returned for 10s`,
		mend: func(f *firstProgram) { close(f.hold) },
	},
	{name: "a wrong hub", fresh: true, hub: "hubb", state: eventhubs.HealthUnreachable, says: tried, error: `hubb' could not be found`},
	{name: "a wrong key", fresh: true, key: "d3Jvbmc=", state: eventhubs.HealthUnauthorized, says: tried, error: `InvalidSignature`},
	{
		name: "no server from the start", fresh: true, state: eventhubs.HealthUnreachable, says: tried, error: `connection refused`,
		strike: func(f *firstProgram) { f.network.Block(fmt.Errorf("dial tcp: connect: %w", syscall.ECONNREFUSED)) },
	},
}

// Each trouble shows at once, in one line. Then there is one line a minute, and one at the end.
// There is nothing else.
func TestAFirstProgramSaysAtOnceWhatIsWrong(t *testing.T) {
	for _, w := range firstWords {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { w.run(t) })
		})
	}
}

func (w *firstWord) run(t *testing.T) {
	f := newFirstProgram(t, cmp.Or(w.hub, "hub"), w.key, w.handler)
	if !w.fresh {
		f.enqueue("0")
		time.Sleep(10 * time.Second)
		f.tty.want(t, "while all is well")
	}
	if w.strike != nil {
		w.strike(f)
	}
	f.enqueue("1")
	time.Sleep(cmp.Or(w.within, time.Second) + time.Millisecond)
	begins := fmt.Sprintf("level=WARN msg=\"eventhubs: %s\" hub=%s state=%v error=.*%s", regexp.QuoteMeta(w.says), cmp.Or(w.hub, "hub"), w.state, w.error)
	first := []string{begins}
	if w.also != "" {
		first = append(first, w.also)
	}
	f.tty.want(t, "at once", first...)
	h := f.p.Health()
	if h.State != w.state || h.Err == nil || (w.fresh == slices.Equal(h.Partitions, []string{"1"})) {
		t.Errorf("Health is %v, partitions %v, %v; want %v, partition 1", h.State, h.Partitions, h.Err, w.state)
	}

	lasts := fmt.Sprintf(`level=WARN msg="eventhubs: .* still .*state=%v since=\S+ tries=\d+ buffered=\d oldest=\S+ error=.*%s`, w.state, strings.ReplaceAll(w.error, "10s", `1m\d\d?s`))
	if w.then == nil {
		w.then = []string{lasts}
	}
	time.Sleep(time.Minute)
	f.tty.want(t, "in the minute after that", w.then...)

	if w.mend == nil {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.p.Close(ctx); err == nil {
			t.Error("Close lost nothing")
		}
		f.tty.want(t, "Close", `level=ERROR msg="eventhubs: events failed without a handler or a Delivery`)
		time.Sleep(time.Hour)
		f.tty.want(t, "after Close")
		return
	}
	w.mend(f)
	time.Sleep(2 * time.Minute) // the longest pause between tries is 72 s
	lines := f.tty.read()
	if slices.Contains(w.then, succeeds) {
		lines = append(lines, "level=INFO, as seen before")
	}
	for i, line := range lines {
		if over := strings.Contains(line, "level=INFO"); over != (i == len(lines)-1) || !over && !strings.Contains(line, " still ") {
			t.Errorf("when it is over the terminal shows\n\t%s", strings.Join(lines, "\n\t"))
			break
		}
	}
	if h := f.p.Health(); len(lines) == 0 || h.State != eventhubs.HealthReady || h.Err != nil || len(h.Partitions) != 0 {
		t.Errorf("when it is over Health is %+v, and there are %d lines", h, len(lines))
	}
	time.Sleep(time.Hour)
	if err := f.p.Close(t.Context()); err != nil {
		if _, undelivered := errors.AsType[*eventhubs.UndeliveredError](err); !undelivered {
			t.Error(err)
		}
	}
	f.tty.want(t, "after that, and at Close")
}

// A program that wants no output says so with a discarding Logger.
func TestADiscardHandlerSilencesHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tty := watchTerminal(t)
		f := newFirstProgram(t, "hub", "", false)
		f.network.Block(syscall.ECONNREFUSED)
		options := &eventhubs.Options{Logger: slog.New(slog.DiscardHandler), Connection: eventhubs.ConnectionOptions{DialContext: f.network.Dial}}
		p, err := eventhubs.NewBufferedProducerFromConnectionString(f.server.ConnectionString("hub"), "", options)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Enqueue(t.Context(), world.Event("event")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Close(ctx); err == nil {
			t.Error("Close lost nothing")
		}
		if err := f.p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		tty.want(t, "with slog.DiscardHandler")
	})
}
