package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestATracedBatchTellsAPropertyOfItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var sent, early []string
		p := peer.producer(Options{Trace: &Trace{
			Sealed: func(b TracedBatch) { sent = slices.Collect(b.Property("p")) },
			Settled: func(b TracedOutcome) {
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
		for _, e := range []*Event{
			{Properties: map[string]any{"p": "a", "q": "not this"}}, {Body: []byte("p")}, {Properties: map[string]any{"p": 1}},
			{Properties: map[string]any{"p": "a"}, ContentType: "text/plain"}, {Properties: map[string]any{"p": strings.Repeat("b", 300)}}, {Properties: map[string]any{"p": ""}},
		} {
			if err := p.Enqueue(t.Context(), With(e, &Event{PartitionKey: key})); err != nil {
				t.Fatal(err)
			}
		}
		message := &Event{Properties: map[string]any{"p": "of a message"}, PartitionKey: key, AMQP: &AMQPMessage{Body: &AMQPBody{Value: "v"}}}
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
		for range (TracedBatch{}).Property("p") {
			t.Error("the zero TracedBatch has a property")
		}
	})
}

func TestATraceAddsProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		seen := 0
		wants := []string{"map[added:first mine:1]", "map[added:first mine:added]", "map[added:first mine:2]", "map[added:first mine:added]"}
		p := peer.producer(Options{
			Trace: &Trace{Encoding: func(_ context.Context, e TracedEncoding) {
				p := e.Properties
				if _, ok := p.Get("added"); ok {
					t.Error("an event has what was added to another")
				}
				p.Add("added", "first")
				p.Add("added", "second")
				p.Add("mine", "added")
				if value, ok := p.Get("added"); value != "first" || !ok {
					t.Errorf("Get returns %v, %v after Add", value, ok)
				}
			}},
			OnBatchSucceeded: func(_ context.Context, b *Batch) {
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
			if err := p.Enqueue(t.Context(), &Event{Properties: properties, PartitionID: "0"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, properties := range []map[string]any{{"mine": int64(2)}, nil} {
			if err := p.Enqueue(t.Context(), &Event{Properties: properties, PartitionID: "0", AMQP: &AMQPMessage{Body: &AMQPBody{}}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(own) != 1 || seen != len(wants) {
			t.Errorf("the caller's own map became %v; %d events were told, want %d", own, seen, len(wants))
		}
	})
}

func TestAnAddedPropertyThatIsNoTextIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		p := peer.producer(Options{Trace: &Trace{Encoding: func(_ context.Context, e TracedEncoding) { e.Properties.Add("name", "\xff") }}})
		err := errors.Join(p.Enqueue(t.Context(), event("a")), p.Enqueue(t.Context(), &Event{AMQP: &AMQPMessage{}}))
		if got := strings.Count(fmt.Sprint(err), ErrInvalidArgument.Error()); got != 2 {
			t.Errorf("%d of 2 are refused: %v", got, err)
		}
	})
}

func TestATraceIsToldErrorsWithTheirCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		answers := []connection.Result{
			{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}},
			{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeTimeout, Transient: true, Err: errors.New("silence")}},
			{Outcome: connection.Accepted},
		}
		peer.answer = func(sent) connection.Result {
			answer := answers[0]
			answers = answers[1:]
			return answer
		}
		told := ""
		tell := func(b TracedFailure) {
			if e, ok := errors.AsType[*Error](b.Err); ok && b.Pause > 0 {
				told += fmt.Sprintf("%s in %s, try %d; ", e.Code, e.PartitionID, b.Try)
			}
		}
		p := peer.producer(Options{Trace: &Trace{Throttled: tell, Retrying: tell}})
		enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "throttled in 0, try 1; timeout in 0, try 2; "; told != want {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestStatsTellWhoWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxBufferedEvents: 2, MaxBufferedBytes: 1000})
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 5 {
			// Ends when there is room, or is cancelled.
			go func() { _ = p.Enqueue(ctx, event(fmt.Sprint(i))) }()
		}
		synctest.Wait()
		if s := p.Stats(); s.WaitingCallers != 3 || s.MaxBufferedEvents != 2 || s.MaxBufferedBytes != 1000 {
			t.Errorf("%d callers wait, the bounds are %d and %d, want 3, 2 and 1000", s.WaitingCallers, s.MaxBufferedEvents, s.MaxBufferedBytes)
		}
		cancel()
		synctest.Wait()
		if got := p.Stats().WaitingCallers; got != 0 {
			t.Errorf("%d callers wait, want none", got)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
