package trial

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
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestATraceIsToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		type key struct{}
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try == 1 {
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var properties map[string]any
		p := world.Over(peer, eventhubs.Options{
			OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
				for e := range b.Events() {
					properties = e.Properties
				}
				add("handler")
			},
			Trace: &eventhubs.Trace{
				Encoding: func(ctx context.Context, e eventhubs.TracedEncoding) {
					e.Properties.Add("traceparent", ctx.Value(key{}).(string))
					add("encoding")
				},
				Accepted: func(_ context.Context, e eventhubs.TracedEvent) { add("accepted %q", e.PartitionKey) },
				Sealed:   func(b eventhubs.TracedBatch) { add("sealed %s %d", b.PartitionID, b.Events) },
				Sending:  func(b eventhubs.TracedBatch) { add("sent, try %d", b.Try) },
				Retrying: func(f eventhubs.TracedFailure) { add("retrying: %v", f.Err != nil) },
				Settled:  func(o eventhubs.TracedOutcome) { add("settled %v", o.Outcome.Storage) },
			}})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		e := world.Event("a")
		if err := p.Enqueue(context.WithValue(t.Context(), key{}, "00-1"), world.With(e, &eventhubs.Event{PartitionKey: "k"})); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := `encoding; accepted "k"; sealed 0 1; sent, try 1; retrying: true; sent, try 2; settled stored; handler`
		if got := strings.Join(lines, "; "); got != want {
			t.Errorf("calls\n%s\nwant\n%s", got, want)
		}
		if e.Properties != nil || properties["traceparent"] != "00-1" {
			t.Errorf("the caller's event has %v, the one sent %v", e.Properties, properties)
		}
	})
}

func TestATracedBatchTellsAPropertyOfItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var sent, early []string
		p := world.Over(peer, eventhubs.Options{Trace: &eventhubs.Trace{
			Sealed: func(b eventhubs.TracedBatch) { sent = slices.Collect(b.Property("p")) },
			Settled: func(b eventhubs.TracedOutcome) {
				for text := range b.Property("p") {
					early = append(early, text)
					break
				}
				if b.MaxBytes < b.Bytes || b.MaxBytes > 1<<20 {
					t.Errorf("MaxBytes is %d", b.MaxBytes)
				}
			},
		}})
		key := "an annotation before the properties"
		for _, e := range []*eventhubs.Event{
			{Properties: map[string]any{"p": "a", "q": "not this"}}, {Body: []byte("p")}, {Properties: map[string]any{"p": 1}},
			{Properties: map[string]any{"p": "a"}, ContentType: "text/plain"}, {Properties: map[string]any{"p": strings.Repeat("b", 300)}}, {Properties: map[string]any{"p": ""}},
		} {
			if err := p.Enqueue(t.Context(), world.With(e, &eventhubs.Event{PartitionKey: key})); err != nil {
				t.Fatal(err)
			}
		}
		message := &eventhubs.Event{Properties: map[string]any{"p": "of a message"}, PartitionKey: key, AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{Value: "v"}}}
		if err := p.Enqueue(t.Context(), message); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "a", strings.Repeat("b", 300), "", "of a message"}; !slices.Equal(sent, want) {
			t.Errorf("got %q, want %q", sent, want)
		}
		if !slices.Equal(early, []string{"a"}) {
			t.Errorf("got %q, want the first", early)
		}
		for range (eventhubs.TracedBatch{}).Property("p") {
			t.Error("the zero TracedBatch has a property")
		}
	})
}

func TestATraceAddsProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		seen := 0
		wants := []string{"map[added:first mine:1]", "map[added:first mine:added]", "map[added:first mine:2]", "map[added:first mine:added]"}
		p := world.Over(peer, eventhubs.Options{
			Trace: &eventhubs.Trace{Encoding: func(_ context.Context, e eventhubs.TracedEncoding) {
				p := e.Properties
				if _, ok := p.Get("added"); ok {
					t.Error("an event has a property that was added to another")
				}
				p.Add("added", "first")
				p.Add("added", "second")
				p.Add("mine", "added")
				if value, ok := p.Get("added"); value != "first" || !ok {
					t.Errorf("Get returns %v, %v after Add", value, ok)
				}
			}},
			OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
				for e := range b.Events() {
					if got := fmt.Sprint(e.Properties); got != wants[seen] {
						t.Errorf("event %d has %s, want %s", seen, got, wants[seen])
					}
					seen++
				}
			},
		})
		own := map[string]any{"mine": int64(1)}
		for _, properties := range []map[string]any{own, nil} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Properties: properties, PartitionID: "0"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, properties := range []map[string]any{{"mine": int64(2)}, nil} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Properties: properties, PartitionID: "0", AMQP: &eventhubs.AMQPMessage{Body: &eventhubs.AMQPBody{}}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(own) != 1 || seen != len(wants) {
			t.Errorf("the caller's own map became %v; %d events were traced, want %d", own, seen, len(wants))
		}
	})
}

func TestAnAddedPropertyThatIsNoTextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		p := world.Over(peer, eventhubs.Options{Trace: &eventhubs.Trace{Encoding: func(_ context.Context, e eventhubs.TracedEncoding) { e.Properties.Add("name", "\xff") }}})
		err := errors.Join(p.Enqueue(t.Context(), world.Event("a")), p.Enqueue(t.Context(), &eventhubs.Event{AMQP: &eventhubs.AMQPMessage{}}))
		if got := strings.Count(fmt.Sprint(err), eventhubs.ErrInvalidArgument.Error()); got != 2 {
			t.Errorf("%d of 2 are refused: %v", got, err)
		}
	})
}

func TestATraceIsToldErrorsWithTheirCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		answers := []connection.Result{
			{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}},
			{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: errors.New("silence")}},
			{Outcome: connection.Accepted},
		}
		peer.Answer = func(scripted.Sent) connection.Result {
			answer := answers[0]
			answers = answers[1:]
			return answer
		}
		told := ""
		tell := func(b eventhubs.TracedFailure) {
			if e, ok := errors.AsType[*eventhubs.Error](b.Err); ok && b.Pause > 0 {
				told += fmt.Sprintf("%s in %s, try %d; ", e.Code, e.PartitionID, b.Try)
			}
		}
		p := world.Over(peer, eventhubs.Options{Trace: &eventhubs.Trace{Throttled: tell, Retrying: tell}})
		world.Enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "throttled in 0, try 1; timeout in 0, try 2; "; told != want {
			t.Errorf("calls %q, want %q", told, want)
		}
	})
}

// A told records the calls of a Trace, one line each, without the parts that differ from run to
// run.
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

// trace returns a Trace whose functions note which producer they belong to.
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
	world.InMemory(t, func(w *world.World) {
		failures := 0
		w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
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
		p := w.Producer(eventhubs.Options{Trace: joined, OnBatchSucceeded: func(context.Context, *eventhubs.Batch) { time.Sleep(time.Second) }})
		names[p] = " of p"
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("x"), PartitionKey: "k"}))
		w.Must(p.Flush(w.Context()))
		w.Must(p.Enqueue(w.Context(), &eventhubs.Event{Body: []byte("y"), PartitionKey: "k"}))
		w.Must(p.Close(context.WithoutCancel(w.Context())))
		var want []string
		for _, line := range []string{"created hub", "of p encoding", `of p accepted "k"`, "of p connected <nil>", "of p sealed 1", "of p sending 1, try 1", "of p throttled 1: throttled, true",
			"of p sending 1, try 2", "of p retrying 1: internal", "of p sending 1, try 3", "of p settled 1: stored, fits true", "of p handled 1: stored, 1s",
			"of p encoding", `of p accepted "k"`, "of p sealed 2", "of p sending 2, try 1", "of p settled 2: stored, fits true", "of p handled 2: stored, 1s", "of p disconnected <nil>", "of p closed: <nil>"} {
			want = append(want, "a "+line, "b "+line)
		}
		if got := of.all(); got != strings.Join(want, "\n") {
			t.Errorf("calls\n%s\nwant\n%s", got, strings.Join(want, "\n"))
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
		t.Errorf("a function that neither trace has is set: %+v", joined)
	}
}

// The second of two joined traces gets every call of the first, whatever the first has done.
func TestAJoinedTraceThatEndsItsGoroutineKeepsNothingFromTheNext(t *testing.T) {
	world.InMemory(t, func(w *world.World) {
		var log strings.Builder
		var heard []string
		bad := &eventhubs.Trace{
			Created: func(eventhubs.TracedProducer) { runtime.Goexit() }, Settled: func(eventhubs.TracedOutcome) { runtime.Goexit() }, Closed: func(eventhubs.TracedProducer) { runtime.Goexit() },
		}
		good := &eventhubs.Trace{
			Created: func(eventhubs.TracedProducer) { heard = append(heard, "created") }, Settled: func(eventhubs.TracedOutcome) { heard = append(heard, "settled") },
			Closed: func(c eventhubs.TracedProducer) { heard = append(heard, fmt.Sprint("closed ", c.Err)) },
		}
		p := w.Producer(eventhubs.Options{Trace: eventhubs.JoinTraces(bad, good), Logger: slog.New(slog.NewTextHandler(&log, nil))})
		w.Must(world.OutcomeErr(p.Publish(w.Context(), world.Event("a"))))
		w.Must(p.Close(context.WithoutCancel(w.Context())))
		if want := []string{"created", "settled", "closed <nil>"}; !slices.Equal(heard, want) {
			t.Errorf("the second got %q, want %q", heard, want)
		}
		for _, function := range []string{"Trace.Created", "Trace.Settled", "Trace.Closed"} {
			if !strings.Contains(log.String(), function+" ended its goroutine") {
				t.Errorf("the log does not name %s:\n%s", function, &log)
			}
		}
	})
}
