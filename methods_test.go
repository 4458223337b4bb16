package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestTryEnqueueNeverWaitsAndNeverOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxWaitTime: UntilFull, MaxBufferedEvents: 3})
		for _, body := range []string{"a", "b", "c"} {
			if err := p.TryEnqueue(t.Context(), event(body)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), event("d")); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue into a full buffer returned %v, want ErrBufferFull", err)
		}
		peer.wantSends("a refusal is pressure, which makes even an UntilFull batch leave", "0s 0 [a b c]")
		go enqueue(t, p, "0", strings.Repeat("w", 10))
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), event("e")); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue while another waits returned %v, want ErrBufferFull", err)
		}
		time.Sleep(2 * time.Second)
		if err := p.TryEnqueue(t.Context(), event("f")); err != nil {
			t.Errorf("TryEnqueue with room returned %v", err)
		}
	})
}

func TestARefusedTryEnqueueKeepsNobodyElseOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{MaxBufferedBytes: 1000, MaxWaitTime: UntilFull})
		enqueue(t, p, "0", strings.Repeat("a", 500))
		synctest.Wait()
		if err := p.TryEnqueue(t.Context(), event(strings.Repeat("b", 900))); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue of a large event returned %v, want ErrBufferFull", err)
		}
		if err := p.TryEnqueue(t.Context(), event("c")); err != nil {
			t.Errorf("TryEnqueue of a small one that fits returned %v", err)
		}
	})
}

func TestPublishWaitsForTheOutcomeAndEndsTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		peer.answer = func(s sent) connection.Result {
			if s.partition == "1" {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: UntilFull, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		var d Delivery
		if _, err := p.Publish(t.Context(), &Event{Body: []byte("b"), PartitionID: "0", Delivery: &d}); err != nil || now() != time.Second {
			t.Errorf("Publish returned %v at %v, want nil at 1s", err, now())
		}
		if d.Outcome().Storage != Stored {
			t.Errorf("the Delivery says %v", d.Outcome().Storage)
		}
		if _, err := p.Publish(t.Context(), &Event{Body: []byte("c"), PartitionID: "1"}); err == nil || !strings.Contains(err.Error(), "no") {
			t.Errorf("Publish of what is refused returned %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := p.Publish(ctx, &Event{Body: []byte("d"), PartitionID: "0"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "was accepted") {
			t.Errorf("Publish with an impatient context returned %v", err)
		}
		wantFailed(t, "Close", p.Close(t.Context()), 1)
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a b d]" {
			t.Errorf("stored %s, want [a b d]: what Publish stopped waiting for is delivered all the same", got)
		}
	})
}

func TestPublishAndAbandonInAHandlerRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		var p *BufferedProducer
		p = peer.producer(Options{OnBatchSucceeded: func(ctx context.Context, _ *Batch) {
			for name, err := range map[string]error{"Publish": outcomeErr(p.Publish(ctx, event("x"))), "Abandon": p.Abandon(ctx), "FlushPartition": p.FlushPartition(ctx, "0")} {
				if !errors.Is(err, ErrInHandler) {
					t.Errorf("%s returned %v, want ErrInHandler", name, err)
				}
			}
		}})
		enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnEventIsReadBackAsItWasEnqueued(t *testing.T) {
	full := &Event{
		Properties: map[string]any{"a": int64(1), "uuid": [16]byte{5}}, PartitionKey: "k", ContentType: "text/plain", Tag: "full", ExpiresAt: time.Now().Add(time.Hour * 24 * 365 * 100),
		AMQP: &AMQPMessage{
			Body:                &AMQPBody{Data: [][]byte{[]byte("one"), []byte("two")}},
			DeliveryAnnotations: map[any]any{"d": "x"},
			Footer:              map[any]any{"f": true},
			Header:              &AMQPHeader{Durable: true, Priority: new(uint8(7)), TTL: time.Minute, DeliveryCount: 2},
			MessageAnnotations:  map[any]any{"m": "y"},
			Properties: &AMQPProperties{
				MessageID: uint64(9), UserID: []byte{1}, To: new("to"), Subject: new("subject"), ReplyTo: new("reply"), CorrelationID: [16]byte{3},
				ContentEncoding: new("gzip"), AbsoluteExpiryTime: new(time.UnixMilli(5).UTC()), CreationTime: new(time.UnixMilli(6).UTC()),
				GroupID: new("g"), GroupSequence: new(uint32(4)), ReplyToGroupID: new("rg"),
			},
		},
	}
	for name, e := range map[string]*Event{
		"full": full, "plain": {Body: []byte("b"), PartitionID: "0", MessageID: "m", CorrelationID: "c", ContentType: "text/plain", Properties: map[string]any{"p": "q"}},
		"an id alone": {Body: []byte("b"), MessageID: "m"}, "a correlation alone": {Body: []byte("b"), CorrelationID: "c"}, "an empty body": {Body: []byte{}},
		"no properties, but a section of them": {Body: []byte{}, Properties: map[string]any{}, AMQP: &AMQPMessage{Properties: &AMQPProperties{}}},
		"empty ids":                            {Body: []byte{}, AMQP: &AMQPMessage{Properties: &AMQPProperties{MessageID: "", CorrelationID: "", ContentType: new("")}}},
		"ids beside a subject":                 {Body: []byte{}, MessageID: "m", CorrelationID: "c", AMQP: &AMQPMessage{Properties: &AMQPProperties{Subject: new("s")}}},
		"the default priority, said":           {Body: []byte{}, AMQP: &AMQPMessage{Header: &AMQPHeader{Priority: new(uint8(4))}}},
		"an empty key":                         {Body: []byte{}, AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": ""}}},
		"value":                                {AMQP: &AMQPMessage{Body: &AMQPBody{Value: map[any]any{"k": []any{int64(1), "two", nil}}}}},
		"null":                                 {AMQP: &AMQPMessage{Body: &AMQPBody{Value: Null{}}}},
		"none":                                 {PartitionKey: "k", AMQP: &AMQPMessage{Body: &AMQPBody{}}},
		"null data":                            {AMQP: &AMQPMessage{Body: &AMQPBody{Data: [][]byte{nil}}}},
		"sequences":                            {AMQP: &AMQPMessage{Body: &AMQPBody{Sequences: [][]any{{int64(1), "a"}, {true}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := newPeer(t, 4)
				var got []*Event
				p := peer.producer(Options{OnBatchSucceeded: func(_ context.Context, b *Batch) { got = slices.AppendSeq(got, b.Events()) }})
				var d Delivery
				sent := *e
				sent.Delivery = &d
				for i, e := range []*Event{&sent, nil} {
					if i == 1 {
						e = got[0] // as it is
					}
					if err := p.Enqueue(t.Context(), e); err != nil {
						t.Fatal(err)
					}
					if err := p.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if len(got) != 2 || !reflect.DeepEqual(got[0], e) || !reflect.DeepEqual(got[1], e) {
					t.Errorf("got %+v\nwant %+v", got, e)
				}
			})
		})
	}
}

// symbol is a type of strings as other AMQP packages have it.
type symbol string

func TestABadEventIsRefusedByName(t *testing.T) {
	tests := []struct {
		event *Event
		text  string
	}{
		{nil, "event is nil"},
		{&Event{AMQP: &AMQPMessage{Body: &AMQPBody{Value: 1, Data: [][]byte{{}}}}}, "more than one"},
		{&Event{AMQP: &AMQPMessage{Body: &AMQPBody{Value: make(chan int)}}}, "chan int"},
		{&Event{Properties: map[string]any{"bad": struct{ A int }{}}}, "bad"},
		{&Event{Properties: map[string]any{"nested": map[string]any{"x": func() {}}}}, `Event.Properties["nested"]: value of x: amqp: Go type func() has no AMQP form; a value may be a bool`},
		{&Event{Properties: map[string]any{"\xff": 1}}, `the key "\xff" in Event.Properties is not valid UTF-8`},
		{&Event{AMQP: &AMQPMessage{Body: &AMQPBody{Sequences: [][]any{{}, {"\xff"}}}}}, "Event.AMQP.Body.Sequences[1]: element 0: amqp: string is not valid UTF-8"},
		{&Event{AMQP: &AMQPMessage{Body: &AMQPBody{Value: struct{ A int }{}}}}, "Event.AMQP.Body.Value: amqp: Go type struct { A int }"},
		{&Event{AMQP: &AMQPMessage{MessageAnnotations: map[any]any{int64(7): 1}}}, "Event.AMQP.MessageAnnotations has the key 7, which is a int64: a key is a string, or a uint64"},
		{&Event{AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"ж": 1}}}, `Event.AMQP.MessageAnnotations has the key "ж": a key is ASCII`},
		{&Event{AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"m": func() {}}}}, `Event.AMQP.MessageAnnotations["m"]: amqp: Go type func()`},
		{&Event{AMQP: &AMQPMessage{DeliveryAnnotations: map[any]any{uint64(7): func() {}}}}, "Event.AMQP.DeliveryAnnotations[7]: amqp: Go type func()"},
		{&Event{AMQP: &AMQPMessage{Footer: map[any]any{"f": 1, symbol("f"): 2}}}, `Event.AMQP.Footer has the key "f" twice, as a eventhubs.symbol and as a string`},
		{&Event{AMQP: &AMQPMessage{Header: &AMQPHeader{TTL: -1}}}, "Event.AMQP.Header: amqp: header TTL -1ns must be between 0 and"},
		{&Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{MessageID: 7}}}, "Event.AMQP.Properties.MessageID is a int: it may be a uint64"},
		{&Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{CorrelationID: []any{}}}}, "Event.AMQP.Properties.CorrelationID is a []interface {}"},
		{&Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{Subject: new("\xff")}}}, `Event.AMQP.Properties.Subject "\xff" is not valid UTF-8`},
		{&Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{ContentEncoding: new("ж")}}}, `Event.AMQP.Properties.ContentEncoding "ж" is not ASCII`},
		{&Event{AMQP: &AMQPMessage{Properties: &AMQPProperties{CreationTime: new(time.Unix(1<<60, 0))}}}, "Event.AMQP.Properties.CreationTime: amqp: the time"},
		{&Event{PartitionKey: "b", AMQP: &AMQPMessage{MessageAnnotations: map[any]any{symbol("x-opt-partition-key"): "a"}}}, `"a"`},
		{&Event{AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "a", symbol("x-opt-partition-key"): "a"}}}, "twice"},
		{&Event{AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": 7}}}, "int"},
		{&Event{PartitionKey: "b", AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "a"}}}, `"a"`},
		{&Event{PartitionID: "0", AMQP: &AMQPMessage{MessageAnnotations: map[any]any{"x-opt-partition-key": "a"}}}, "both set"},
		{&Event{Body: []byte{}, AMQP: &AMQPMessage{Body: &AMQPBody{Value: 1}}}, "Event.Body and Event.AMQP.Body are both set"},
		{&Event{MessageID: "a", AMQP: &AMQPMessage{Properties: &AMQPProperties{MessageID: "a"}}}, "Event.MessageID and Event.AMQP.Properties.MessageID are both set"},
		{&Event{CorrelationID: "a", AMQP: &AMQPMessage{Properties: &AMQPProperties{CorrelationID: uint64(1)}}}, "Event.CorrelationID and Event.AMQP.Properties.CorrelationID are both set"},
		{&Event{ContentType: "a", AMQP: &AMQPMessage{Properties: &AMQPProperties{ContentType: new("a")}}}, "Event.ContentType and Event.AMQP.Properties.ContentType are both set"},
		{&Event{MessageID: "\xff", AMQP: &AMQPMessage{Properties: &AMQPProperties{}}}, `Event.MessageID "\xff" is not valid UTF-8`},
		{&Event{ContentType: "ж", AMQP: &AMQPMessage{Properties: &AMQPProperties{}}}, `Event.ContentType "ж" is not ASCII`},
	}
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		for _, tt := range tests {
			err := p.Enqueue(t.Context(), tt.event)
			if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Enqueue returned %v, want ErrInvalidArgument with %q in its text", err, tt.text)
			}
		}
		if p.BufferedEvents() != 0 {
			t.Error("a refused message was counted")
		}
	})
}

func TestAnExpiredEventIsNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return 10 * time.Second }
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: told.handle, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "first")
		synctest.Wait()
		for i, life := range []time.Duration{0, 5 * time.Second, 5 * time.Second, time.Minute, 5 * time.Second, 0} {
			o := &Event{PartitionID: "0"}
			if life > 0 {
				o.ExpiresAt = time.Now().Add(life)
			}
			if err := p.Enqueue(t.Context(), With(event(fmt.Sprint(i)), o)); err != nil {
				t.Fatal(err)
			}
		}
		undelivered, ok := errors.AsType[*UndeliveredError](p.Close(t.Context()))
		if !ok || undelivered.Failed() != 3 {
			t.Errorf("Close returned %v, want 3 failed", undelivered)
		}
		var order []string
		for _, b := range told.all() {
			order = append(order, fmt.Sprint(b.outcome.Storage, b.bodies))
			if b.outcome.Err != nil && (!errors.Is(b.outcome.Err, ErrExpired) || b.outcome.Tries != 0) {
				t.Errorf("%v failed with %v after %d tries", b.bodies, b.outcome.Err, b.outcome.Tries)
			}
		}
		want := "stored [first] not stored [1 2 4] stored [0 3 5]"
		if got := strings.Join(order, " "); got != want {
			t.Errorf("told\n %s, want\n %s", got, want)
		}
	})
}

func TestEnqueueRefusesWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("a"), ExpiresAt: time.Now()}); !errors.Is(err, ErrExpired) {
			t.Errorf("Enqueue returned %v, want ErrExpired", err)
		}
	})
}

func TestFlushPartitionLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.producer(Options{MaxWaitTime: UntilFull})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		id, err := p.PartitionForKey(t.Context(), "7")
		if err != nil || id != "1" {
			t.Fatalf("PartitionForKey returned %q, %v, want 1", id, err)
		}
		if err := p.FlushPartition(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("after FlushPartition", "0s 1 [b]")
		if err := p.FlushPartition(t.Context(), "9"); !errors.Is(err, ErrPartitionUnknown) {
			t.Errorf("FlushPartition(9) returned %v, want ErrPartitionUnknown", err)
		}
	})
}

func TestClearTakesOutWhatIsNotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "in flight")
		enqueue(t, p, "1", "in flight too")
		synctest.Wait()
		enqueue(t, p, "0", "a", "b")
		enqueue(t, p, "1", "c")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 2 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 2", n, err)
		}
		if got := p.BufferedEvents(); got != 3 {
			t.Errorf("%d events are buffered, want 3: the room of what was cleared is free at once", got)
		}
		if n, err := p.Clear(t.Context()); n != 1 || err != nil {
			t.Errorf("Clear returned %d, want 1", n)
		}
		enqueue(t, p, "0", "after")
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("Close returned %v, want nil: what Clear took out does not count", err)
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("1")); got != "[in flight after] [in flight too]" {
			t.Errorf("stored %s", got)
		}
		for _, b := range told.all() {
			if !errors.Is(b.outcome.Err, ErrCleared) || b.outcome.Storage != NotStored {
				t.Errorf("%v failed with %+v", b.bodies, b.outcome)
			}
		}
		if p.BufferedEvents() != 0 || p.PartitionBufferedEvents("0") != 0 {
			t.Error("events are counted after Close")
		}
	})
}

func TestClearWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(int) error { time.Sleep(time.Second); return nil }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle})
		enqueue(t, p, "", "a", "b")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := p.Clear(over); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("Clear with a context that is over returned %d, %v, want 0 and its error", n, err)
		}
		if n, err := p.Clear(t.Context()); n != 2 || err != nil {
			t.Errorf("Clear returned %d, want 2", n)
		}
		enqueue(t, p, "", "c")
		if err := p.Flush(t.Context()); err == nil {
			// The cleared events may have been told of before Flush began; then it covers c only.
			t.Log("the cleared events were told before")
		}
		if all := told.all(); len(all) != 1 || !errors.Is(all[0].outcome.Err, ErrCleared) {
			t.Errorf("told: %+v", all)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[c]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAbandonSendsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		peer.answer = func(s sent) connection.Result {
			if s.partition == "1" {
				return transient(connection.Unknown)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: told.handle, OnBatchFailed: told.handle, Retry: RetryOptions{RetryDelay: time.Minute}})
		enqueue(t, p, "1", "resting")
		time.Sleep(1500 * time.Millisecond)
		enqueue(t, p, "0", "in flight")
		synctest.Wait()
		enqueue(t, p, "0", "buffered")
		err := p.Abandon(t.Context())
		undelivered, ok := errors.AsType[*UndeliveredError](err)
		if !ok || undelivered.Failed() != 2 || !errors.Is(err, ErrAbandoned) {
			t.Errorf("Abandon returned %v, want 2 failed with ErrAbandoned", err)
		}
		want := map[string]Storage{"in flight": Stored, "buffered": NotStored, "resting": PossiblyStored}
		for _, b := range told.all() {
			if b.outcome.Storage != want[b.bodies[0]] {
				t.Errorf("%v is %v, want %v", b.bodies, b.outcome.Storage, want[b.bodies[0]])
			}
		}
		if len(told.all()) != 3 || now() != 2500*time.Millisecond {
			t.Errorf("%d outcomes were told by %v, want 3 by 2.5s", len(told.all()), now())
		}
		peer.wantSends("in all", "0s 1 [resting]", "1.5s 0 [in flight]")
		if err := p.Enqueue(t.Context(), event("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("Enqueue after Abandon returned %v", err)
		}
	})
}

func TestAbandonWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.properties = func(int) error { return errors.New("no network") }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Second)
		if err := p.Abandon(t.Context()); !errors.Is(err, ErrAbandoned) || now() != time.Second {
			t.Errorf("Abandon returned %v at %v", err, now())
		}
		if all := told.all(); len(all) != 1 || !errors.Is(all[0].outcome.Err, ErrAbandoned) {
			t.Errorf("told: %+v", all)
		}
	})
}

func TestEnqueueAgainKeepsTheRouting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		failed := map[string]bool{}
		peer.answer = func(s sent) connection.Result {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			if first := s.bodies[0]; !failed[first] {
				failed[first] = true
				return refused("not yet")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		keys := map[string]string{}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce,
			OnBatchFailed: func(ctx context.Context, b *Batch) {
				if n, err := b.EnqueueAgain(ctx); n != b.Count || err != nil {
					t.Errorf("EnqueueAgain returned %d, %v", n, err)
				}
			},
			OnBatchSucceeded: func(_ context.Context, b *Batch) {
				peer.mu.Lock()
				defer peer.mu.Unlock()
				for e := range b.Events() {
					keys[string(e.Body)] = fmt.Sprint(b.PartitionID, " ", e.PartitionKey, " ", e.Tag)
				}
			}})
		for body, o := range map[string]*Event{"id": {PartitionID: "2", Tag: 1}, "key": {PartitionKey: "131", Tag: 2}} {
			if err := p.Enqueue(t.Context(), With(event(body), o)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if keys["id"] != "2  1" || keys["key"] != "2 131 2" {
			t.Errorf("what was enqueued again went to %v", keys)
		}
	})
}

func TestEnqueueAgainDuringCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return refused("never") }
		var got error
		p := peer.producer(Options{OnBatchFailed: func(ctx context.Context, b *Batch) { _, got = b.EnqueueAgain(ctx) }})
		enqueue(t, p, "0", "a")
		_ = p.Close(t.Context())
		if !errors.Is(got, ErrClosed) {
			t.Errorf("EnqueueAgain returned %v, want ErrClosed", got)
		}
	})
}

func TestConnectTellsWhatIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		wrong := &connection.Error{Code: connection.CodeUnauthorized, Err: errors.New("no role")}
		peer.properties = func(call int) error {
			if call == 1 {
				return wrong
			}
			return nil
		}
		var opened atomic.Int32
		peer.open = func(string) error { opened.Add(1); return nil }
		p := peer.producer(Options{})
		err := p.Connect(t.Context(), nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeUnauthorized {
			t.Errorf("Connect returned %v", err)
		}
		if h := p.Health(); !errors.Is(h.Err, wrong) || h.Since.IsZero() {
			t.Errorf("Health is %+v", h)
		}
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		if h := p.Health(); h.Err != nil {
			t.Errorf("after a success Health is %+v", h)
		}
		if got := opened.Load(); got != 3 {
			t.Errorf("%d links were opened, want 3", got)
		}
	})
}

func TestPartitionPropertiesNamesThePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1).producer(Options{})
		if got, err := p.PartitionProperties(t.Context(), "0"); err != nil || got.PartitionID != "0" {
			t.Errorf("PartitionProperties returned %+v, %v", got, err)
		}
	})
}

// outcomeErr is what Publish returns, as an error, for a test that wants no more of it. Outcome and error must agree.
func outcomeErr(o Outcome, err error) error {
	if o.Err != err || (err == nil) != (o.Storage == Stored) {
		panic(fmt.Sprintf("Publish returned %+v and %v", o, err))
	}
	return err
}
