package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestPublishSaysWhetherAnotherTryMayMakeADuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.answer = func(s sent) connection.Result {
			switch s.partition {
			case "1":
				return refused("no")
			case "2":
				return connection.Result{Outcome: connection.Unknown, Err: &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("lost")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		peer.latency = func() time.Duration { return time.Second }
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) {}, Retry: RetryOptions{MaxRetries: -1}})
		defer p.Close(context.WithoutCancel(t.Context()))
		impatient, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, c := range []struct {
			name    string
			ctx     context.Context
			options *Event
			event   string
			storage Storage
			in      string
			matches error
		}{
			{"stored", t.Context(), &Event{PartitionID: "0"}, "a", Stored, "0", nil},
			{"refused by the service", t.Context(), &Event{PartitionID: "1"}, "a", NotStored, "1", nil},
			{"acknowledgement lost", t.Context(), &Event{PartitionID: "2"}, "a", PossiblyStored, "2", nil},
			{"not accepted", t.Context(), &Event{PartitionID: "9"}, "a", NotStored, "9", ErrPartitionUnknown},
			{"expired", t.Context(), &Event{ExpiresAt: time.Now().Add(-1)}, "a", NotStored, "", ErrExpired},
			{"impatient", impatient, &Event{PartitionID: "3"}, "a", Pending, "3", ErrPending},
		} {
			if c.name == "impatient" {
				time.AfterFunc(500*time.Millisecond, cancel)
			}
			o, err := p.Publish(c.ctx, With(event(c.event), c.options))
			if o.Storage != c.storage || o.PartitionID != c.in || o.Err != err || (err == nil) != (c.storage == Stored) {
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
		var p *BufferedProducer
		var o Outcome
		p = newPeer(t, 1).producer(Options{OnBatchSucceeded: func(ctx context.Context, _ *Batch) { o, _ = p.Publish(ctx, event("b")) }})
		enqueue(t, p, "0", "a")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o.Storage != NotStored || !errors.Is(o.Err, ErrInHandler) {
			t.Errorf("Publish in a handler returned %+v, want not stored, ErrInHandler", o)
		}
	})
}

func TestAPendingDeliveryIsNeverTakenForAStoredOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.latency = func() time.Duration { return time.Minute }
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		var d Delivery
		pending := func(when string, o Outcome, err error) {
			t.Helper()
			if o.Storage != Pending || !errors.Is(o.Err, ErrPending) || !errors.Is(err, ErrPending) {
				t.Errorf("%s: the Delivery says %+v and %v, want pending and ErrPending", when, o, err)
			}
		}
		pending("before Enqueue", d.Outcome(), d.Err())
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("a"), Delivery: &d}); err != nil {
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
		if o, err = d.Wait(t.Context()); o.Storage != Stored || o.PartitionID != "0" || err != nil {
			t.Errorf("Wait returned %+v, %v, want stored in partition 0", o, err)
		}
		if o, err = d.Wait(ctx); o.Storage != Stored || err != nil {
			t.Errorf("with a context that is over, Wait for what is there returned %+v, %v, want stored", o, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestStorageHasANameForEachValue(t *testing.T) {
	if got, want := fmt.Sprint(Pending, Stored, NotStored, PossiblyStored, Outcome{}.Storage), "pending stored not stored possibly stored pending"; got != want {
		t.Errorf("the storages are %q, want %q", got, want)
	}
}

// What fails while the partitions are not known is told with the partition that the caller has named, each event with its own.
func TestAnOutcomeOfWhatIsStagedNamesItsPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := unlisted(t, Options{Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: func(_ context.Context, b *Batch) {
			if b.Outcome.PartitionID != b.PartitionID {
				t.Errorf("the batch of partition %q has an outcome of %q", b.PartitionID, b.Outcome.PartitionID)
			}
		}})
		deliveries := map[string]*Delivery{}
		for _, id := range []string{"0", "", "1", "3"} {
			deliveries[id] = new(Delivery)
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(id), PartitionID: id, Delivery: deliveries[id]}); err != nil {
				t.Fatal(err)
			}
		}
		for id, d := range deliveries {
			if o, err := d.Wait(t.Context()); o.PartitionID != id || o.Storage != NotStored || err == nil {
				t.Errorf("the event for %q has the outcome %+v", id, o)
			}
		}
		wantFailed(t, "Close", p.Close(t.Context()), 4)
	})
}
