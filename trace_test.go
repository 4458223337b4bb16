package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// told is what a Trace was told, one line each, without what differs from run to run.
type told struct {
	mu    sync.Mutex // guards the field below
	lines []string
}

func (t *told) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *told) all() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// trace has every function say whose it is.
func (t *told) trace(whose string, names map[*eventhubs.BufferedProducer]string) *eventhubs.Trace {
	who := func(p *eventhubs.BufferedProducer) string { return whose + names[p] }
	return &eventhubs.Trace{
		Created:  func(c eventhubs.TracedProducer) { t.add("%s created %s", whose, c.Producer.EventHubName()) },
		Encoding: func(_ context.Context, e eventhubs.TracedEncoding) { t.add("%s encoding", who(e.Producer)) },
		Accepted: func(_ context.Context, e eventhubs.TracedEvent) {
			t.add("%s accepted %q", who(e.Producer), e.PartitionKey)
		},
		Sealed:  func(b eventhubs.TracedBatch) { t.add("%s sealed %d", who(b.Producer), b.ID) },
		Sending: func(b eventhubs.TracedBatch) { t.add("%s sending %d, try %d", who(b.Producer), b.ID, b.Try) },
		Retrying: func(f eventhubs.TracedFailure) {
			t.add("%s retrying %d: %s", who(f.Producer), f.ID, errCode(f.Err))
		},
		Throttled: func(f eventhubs.TracedFailure) {
			t.add("%s throttled %d: %s, %v", who(f.Producer), f.ID, errCode(f.Err), f.Pause >= 4*time.Second)
		},
		Settled: func(o eventhubs.TracedOutcome) {
			t.add("%s settled %d: %v, fits %v", who(o.Producer), o.ID, o.Outcome.Storage, o.Bytes <= o.MaxBytes)
		},
		Handled: func(h eventhubs.TracedHandler) {
			t.add("%s handled %d: %v, %v", who(h.Producer), h.ID, h.Outcome.Storage, h.Ran)
		},
		Connected:    func(c eventhubs.TracedConnection) { t.add("%s connected %v", who(c.Producer), c.Err) },
		Disconnected: func(c eventhubs.TracedConnection) { t.add("%s disconnected %v", who(c.Producer), c.Err) },
		Closed:       func(c eventhubs.TracedProducer) { t.add("%s closed: %v", who(c.Producer), c.Err) },
	}
}

func errCode(err error) eventhubs.Code {
	if e, ok := errors.AsType[*eventhubs.Error](err); ok {
		return e.Code
	}
	return ""
}

func TestJoinedTracesAreAllToldOfEverything(t *testing.T) {
	inMemory(t, func(w *world) {
		failures := 0
		w.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				switch failures++; failures {
				case 1:
					return emulator.Reject("com.microsoft:server-busy", "Please wait 4 seconds and try again.")
				case 2:
					return emulator.Reject("amqp:internal-error", "it fails")
				}
			}
			return emulator.Pass()
		})
		var of told
		names := map[*eventhubs.BufferedProducer]string{}
		joined := eventhubs.JoinTraces(of.trace("a", names), nil, &eventhubs.Trace{}, of.trace("b", names))
		p := w.producer(eventhubs.Options{Trace: joined, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { time.Sleep(time.Second) }})
		names[p] = " of p"
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("x"), PartitionKey: "k"}))
		w.must(p.Flush(w.Context()))
		w.must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("y"), PartitionKey: "k"}))
		w.must(p.Close(context.WithoutCancel(w.Context())))
		var want []string
		for _, line := range []string{"created hub", "of p encoding", `of p accepted "k"`, "of p connected <nil>", "of p sealed 1", "of p sending 1, try 1", "of p throttled 1: throttled, true",
			"of p sending 1, try 2", "of p retrying 1: internal", "of p sending 1, try 3", "of p settled 1: stored, fits true", "of p handled 1: stored, 1s",
			"of p encoding", `of p accepted "k"`, "of p sealed 2", "of p sending 2, try 1", "of p settled 2: stored, fits true", "of p handled 2: stored, 1s", "of p disconnected <nil>", "of p closed: <nil>"} {
			want = append(want, "a "+line, "b "+line)
		}
		if got := of.all(); got != strings.Join(want, "\n") {
			t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
	})
}

func TestJoinTracesOfNoneOrOneAddsNothing(t *testing.T) {
	one := new(eventhubs.Trace)
	if got := eventhubs.JoinTraces(nil, nil); got != nil {
		t.Errorf("of none it is %v, want nil", got)
	}
	if got := eventhubs.JoinTraces(nil, one); got != one {
		t.Error("of one it is another")
	}
	if joined := eventhubs.JoinTraces(one, &eventhubs.Trace{Sealed: func(eventhubs.TracedBatch) {}}); joined.Encoding != nil || joined.Settled != nil || joined.Sealed == nil {
		t.Errorf("what none of them has is set: %+v", joined)
	}
}

// Of two joined traces the second is told what the first was, whatever that has done.
func TestAJoinedTraceThatEndsItsGoroutineKeepsNothingFromTheNext(t *testing.T) {
	inMemory(t, func(w *world) {
		var log strings.Builder
		var heard []string
		bad := &eventhubs.Trace{
			Created: func(eventhubs.TracedProducer) { runtime.Goexit() }, Settled: func(eventhubs.TracedOutcome) { runtime.Goexit() }, Closed: func(eventhubs.TracedProducer) { runtime.Goexit() },
		}
		good := &eventhubs.Trace{
			Created: func(eventhubs.TracedProducer) { heard = append(heard, "created") }, Settled: func(eventhubs.TracedOutcome) { heard = append(heard, "settled") },
			Closed: func(c eventhubs.TracedProducer) { heard = append(heard, fmt.Sprint("closed ", c.Err)) },
		}
		p := w.producer(eventhubs.Options{Trace: eventhubs.JoinTraces(bad, good), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		w.must(outcomeErr(p.Publish(w.Context(), data("a"))))
		w.must(p.Close(context.WithoutCancel(w.Context())))
		if want := []string{"created", "settled", "closed <nil>"}; !slices.Equal(heard, want) {
			t.Errorf("the second was told %q, want %q", heard, want)
		}
		for _, function := range []string{"Trace.Created", "Trace.Settled", "Trace.Closed"} {
			if !strings.Contains(log.String(), function+" ended its goroutine") {
				t.Errorf("the log does not name %s:\n%s", function, &log)
			}
		}
	})
}
