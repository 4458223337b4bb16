package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestALinkThatNeverOpensEndsInAnOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &scripted.SlowHub{Hub: scripted.New(t, 2), Open: func(ctx context.Context, id string) error {
			if id == "0" {
				return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Err: errors.New("no role")}
			}
			return nil
		}}
		var failed world.Outcomes
		p := world.On(t, h, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Retry: eventhubs.RetryOptions{MaxRetries: 3}, OnBatchFailed: failed.Handle})
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "c")
		synctest.Wait()
		if health := p.Health(); health.Err == nil || fmt.Sprint(health.Partitions) != "[0]" || fmt.Sprint(h.StoredIn("1")) != "[c]" {
			t.Errorf("Health is %+v, partition 1 has %v: want the trouble, in its partition only", health, h.StoredIn("1"))
		}
		_ = p.Flush(t.Context())
		events := 0
		for _, b := range failed.All() {
			events += len(b.Bodies)
			if e, ok := errors.AsType[*eventhubs.Error](b.Outcome.Err); !ok || e.Code != eventhubs.CodeUnauthorized || e.Tries != 4 || b.Outcome.Storage != eventhubs.NotStored {
				t.Errorf("the outcome is %+v", b.Outcome)
			}
		}
		if events != 2 || len(h.StoredIn("0")) != 0 {
			t.Errorf("%d events failed, want 2", events)
		}
	})
}

// Applications of the .NET client write a callback for each event, and not for each batch, by hand.
func TestEachEventsDeliveryAndTagAreItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.MaxMessage = 1000
		tags := map[any]error{}
		var kept iter.Seq[any]
		var last []any
		note := func(_ context.Context, b *eventhubs.Batch) {
			var decoded []any
			for e := range b.Events() {
				tags[e.Tag] = b.Outcome.Err
				decoded = append(decoded, e.Tag)
			}
			kept, last = b.Tags(), decoded
			if bare := slices.Collect(kept); !slices.Equal(bare, decoded) {
				t.Errorf("Tags yields %v, the events have %v", bare, decoded)
			}
		}
		p := world.Over(peer, eventhubs.Options{OnBatchSucceeded: note, OnBatchFailed: note})
		deliveries := make([]eventhubs.Delivery, 20)
		for i := range deliveries {
			body := "small"
			if i%5 == 4 {
				body = strings.Repeat("large", 300)
			}
			o := &eventhubs.Event{PartitionID: "0", Delivery: &deliveries[i], Tag: i}
			if i%3 == 0 {
				o.Delivery = nil
			}
			if err := p.Enqueue(t.Context(), world.With(world.Event(body), o)); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Close(t.Context())
		if late := slices.Collect(kept); !slices.Equal(late, last) {
			t.Errorf("after the handler has returned Tags yields %v, want %v as before", late, last)
		}
		for i := range deliveries {
			tooLarge := i%5 == 4
			if errors.Is(tags[i], eventhubs.ErrEventTooLarge) != tooLarge {
				t.Errorf("the handler got %v for event %d", tags[i], i)
			}
			if i%3 == 0 {
				continue
			}
			select {
			case <-deliveries[i].Done():
			default:
				t.Errorf("event %d has no outcome", i)
			}
			if errors.Is(deliveries[i].Err(), eventhubs.ErrEventTooLarge) != tooLarge {
				t.Errorf("the Delivery of event %d got %v", i, deliveries[i].Err())
			}
		}
	})
}

func TestAFailureThatNobodyHearsOfIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		earlier := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
		defer slog.SetDefault(earlier)
		peer := scripted.New(t, 1)
		peer.Aloud = true
		peer.Answer = func(scripted.Sent) connection.Result {
			return scripted.Refused("go away")
		}
		p := world.Over(peer, eventhubs.Options{})
		world.Enqueue(t, p, "0", "the body is private", "b")
		// An event with a Delivery is not counted: its caller gets the outcome.
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("c"), PartitionID: "0", Delivery: new(eventhubs.Delivery)}); err != nil {
			t.Fatal(err)
		}
		_ = p.Close(t.Context())
		text := log.String()
		if strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "events=2") || !strings.Contains(text, "go away") || strings.Contains(text, "private") {
			t.Errorf("logged:\n%s", text)
		}
	})
}

func TestADeliveryIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Bodies[0] == "bad" {
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		var good, bad eventhubs.Delivery
		for d, body := range map[*eventhubs.Delivery]string{&good: "good", &bad: "bad"} {
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(body), PartitionID: "0", Delivery: d}); err != nil {
				t.Fatal(err)
			}
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(body), Delivery: d}); !errors.Is(err, eventhubs.ErrInvalidArgument) {
				t.Errorf("a second use of a Delivery returned %v, want ErrInvalidArgument", err)
			}
			if err := p.Flush(t.Context()); (err != nil) != (body == "bad") {
				t.Error(err)
			}
		}
		<-good.Done()
		<-bad.Done()
		if o := good.Outcome(); good.Err() != nil || o.Storage != eventhubs.Stored || o.Tries != 1 || o.OnWire != time.Second {
			t.Errorf("the good event's outcome is %+v", o)
		}
		if o := bad.Outcome(); bad.Err() == nil || o.Storage != eventhubs.NotStored {
			t.Errorf("the bad event's outcome is %+v", o)
		}
	})
}

func TestPublishWaitsForTheOutcomeAndEndsTheLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		scripted.Answers(peer)["1"] = scripted.Refused("no")
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", "a")
		var d eventhubs.Delivery
		if _, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("b"), PartitionID: "0", Delivery: &d}); err != nil || scripted.Now() != time.Second {
			t.Errorf("Publish returned %v at %v, want nil at 1s", err, scripted.Now())
		}
		if d.Outcome().Storage != eventhubs.Stored {
			t.Errorf("the Delivery says %v", d.Outcome().Storage)
		}
		if _, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("c"), PartitionID: "1"}); err == nil || !strings.Contains(err.Error(), "no") {
			t.Errorf("Publish of a refused event returned %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := p.Publish(ctx, &eventhubs.Event{Body: []byte("d"), PartitionID: "0"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "was accepted") {
			t.Errorf("Publish with an impatient context returned %v", err)
		}
		world.WantFailed(t, "Close", p.Close(t.Context()), 1)
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a b d]" {
			t.Errorf("stored %s, want [a b d]: an event is delivered even if its Publish has stopped waiting", got)
		}
	})
}

func TestPublishAndAbandonInAHandlerRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		var p *eventhubs.BufferedProducer
		p = world.Over(peer, eventhubs.Options{OnBatchSucceeded: func(ctx context.Context, _ *eventhubs.Batch) {
			for name, err := range map[string]error{"Publish": world.OutcomeErr(p.Publish(ctx, world.Event("x"))), "Abandon": p.Abandon(ctx), "FlushPartition": p.FlushPartition(ctx, "0")} {
				if !errors.Is(err, eventhubs.ErrInHandler) {
					t.Errorf("%s returned %v, want ErrInHandler", name, err)
				}
			}
		}})
		world.Enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPublishSaysWhetherAnotherTryMayMakeADuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.Answer = func(s scripted.Sent) connection.Result {
			switch s.Partition {
			case "1":
				return scripted.Refused("no")
			case "2":
				return connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("lost")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
		defer p.Close(context.WithoutCancel(t.Context()))
		impatient, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, c := range []struct {
			name    string
			ctx     context.Context
			options *eventhubs.Event
			event   string
			storage eventhubs.Storage
			in      string
			matches error
		}{
			{"stored", t.Context(), &eventhubs.Event{PartitionID: "0"}, "a", eventhubs.Stored, "0", nil},
			{"refused by the service", t.Context(), &eventhubs.Event{PartitionID: "1"}, "a", eventhubs.NotStored, "1", nil},
			{"acknowledgement lost", t.Context(), &eventhubs.Event{PartitionID: "2"}, "a", eventhubs.PossiblyStored, "2", nil},
			{"not accepted", t.Context(), &eventhubs.Event{PartitionID: "9"}, "a", eventhubs.NotStored, "9", eventhubs.ErrPartitionUnknown},
			{"expired", t.Context(), &eventhubs.Event{ExpiresAt: time.Now().Add(-1)}, "a", eventhubs.NotStored, "", eventhubs.ErrExpired},
			{"impatient", impatient, &eventhubs.Event{PartitionID: "3"}, "a", eventhubs.Pending, "3", eventhubs.ErrPending},
		} {
			if c.name == "impatient" {
				time.AfterFunc(500*time.Millisecond, cancel)
			}
			o, err := p.Publish(c.ctx, world.With(world.Event(c.event), c.options))
			if o.Storage != c.storage || o.PartitionID != c.in || o.Err != err || (err == nil) != (c.storage == eventhubs.Stored) {
				t.Errorf("%s: Publish returned %+v and %v, want %v in partition %q", c.name, o, err, c.storage, c.in)
			}
			if c.matches != nil && !errors.Is(err, c.matches) {
				t.Errorf("%s: the error is %v, want one that matches %v", c.name, err, c.matches)
			}
		}
	})
}

func TestPublishInAHandlerIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *eventhubs.BufferedProducer
		var o eventhubs.Outcome
		p = world.Over(scripted.New(t, 1), eventhubs.Options{OnBatchSucceeded: func(ctx context.Context, _ *eventhubs.Batch) { o, _ = p.Publish(ctx, world.Event("b")) }})
		world.Enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o.Storage != eventhubs.NotStored || !errors.Is(o.Err, eventhubs.ErrInHandler) {
			t.Errorf("Publish in a handler returned %+v, want not stored, ErrInHandler", o)
		}
	})
}

func TestAPendingDeliveryIsNeverTakenForAStoredOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Minute }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		var d eventhubs.Delivery
		pending := func(when string, o eventhubs.Outcome, err error) {
			t.Helper()
			if o.Storage != eventhubs.Pending || !errors.Is(o.Err, eventhubs.ErrPending) || !errors.Is(err, eventhubs.ErrPending) {
				t.Errorf("%s: the Delivery says %+v and %v, want pending and ErrPending", when, o, err)
			}
		}
		pending("before Enqueue", d.Outcome(), d.Err())
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), Delivery: &d}); err != nil {
			t.Fatal(err)
		}
		pending("after Enqueue", d.Outcome(), d.Err())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		o, err := d.Wait(ctx)
		pending("after an impatient Wait", o, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait returned %v, want one that matches the context's error", err)
		}
		if o, err = d.Wait(t.Context()); o.Storage != eventhubs.Stored || o.PartitionID != "0" || err != nil {
			t.Errorf("Wait returned %+v, %v, want stored in partition 0", o, err)
		}
		if o, err = d.Wait(ctx); o.Storage != eventhubs.Stored || err != nil {
			t.Errorf("with an ended context, Wait for a known outcome returned %+v, %v, want stored", o, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStorageHasANameForEachValue(t *testing.T) {
	if got, want := fmt.Sprint(eventhubs.Pending, eventhubs.Stored, eventhubs.NotStored, eventhubs.PossiblyStored, eventhubs.Outcome{}.Storage), "pending stored not stored possibly stored pending"; got != want {
		t.Errorf("the storages are %q, want %q", got, want)
	}
}

// An event that fails while the partitions are unknown is reported with the partition that its
// caller has named.
func TestAnOutcomeOfWhatIsStagedNamesItsPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := unlisted(t, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}, OnBatchFailed: func(_ context.Context, b *eventhubs.Batch) {
			if b.Outcome.PartitionID != b.PartitionID {
				t.Errorf("the batch of partition %q has an outcome of %q", b.PartitionID, b.Outcome.PartitionID)
			}
		}})
		deliveries := map[string]*eventhubs.Delivery{}
		for _, id := range []string{"0", "", "1", "3"} {
			deliveries[id] = new(eventhubs.Delivery)
			if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(id), PartitionID: id, Delivery: deliveries[id]}); err != nil {
				t.Fatal(err)
			}
		}
		for id, d := range deliveries {
			if o, err := d.Wait(t.Context()); o.PartitionID != id || o.Storage != eventhubs.NotStored || err == nil {
				t.Errorf("the event for %q has the outcome %+v", id, o)
			}
		}
		world.WantFailed(t, "Close", p.Close(t.Context()), 4)
	})
}
