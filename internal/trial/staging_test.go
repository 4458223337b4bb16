package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestWhatIsStagedBehindAFailureFailsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error {
			if call <= 3 {
				return scripted.Transient(connection.NotSent).Err
			}
			return nil
		}
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{MaxRetries: 2, Mode: eventhubs.RetryFixed, RetryDelay: time.Second}})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(1500 * time.Millisecond)
		world.Enqueue(t, p, "0", "b")
		time.Sleep(time.Minute)
		if got := peer.StoredIn("0"); len(got) != 0 {
			t.Errorf("stored %v after the failure of a: a gap", got)
		}
	})
}

func TestThrottledDiscoveryIsNotARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error {
			if call <= 2 {
				return &connection.Error{Code: connection.CodeThrottled, Condition: "com.microsoft:server-busy", Transient: true, Err: errors.New("busy")}
			}
			return nil
		}
		p := world.Over(peer, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: -1}, OnBatchFailed: world.Ignore})
		world.Enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("Flush returned %v at %v", err, scripted.Now())
		}
	})
}

func TestEnqueueAcceptsBeforeTheHubWasEverReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 3)
		peer.List = func(call int) error {
			if call <= 3 {
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("no network")}
			}
			return nil
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			world.Enqueue(t, p, "2", fmt.Sprint(i))
		}
		if scripted.Now() != 0 {
			t.Errorf("Enqueue took %v", scripted.Now())
		}
		if p.BufferedEvents() != 100 || p.PartitionBufferedEvents("2") != 100 || p.PartitionBufferedEvents("1") != 0 {
			t.Errorf("staged events count %d in total and %d in their partition, want 100 and 100", p.BufferedEvents(), p.PartitionBufferedEvents("2"))
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := peer.StoredIn("2"); !slices.Equal(got, want) {
			t.Errorf("stored %v", got)
		}
		if peer.Asked != 4 {
			t.Errorf("the list was asked for %d times, want 4", peer.Asked)
		}
	})
}

func TestAnUnknownPartitionFailsThroughItsOutcomeIfItWasStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.List = func(int) error { time.Sleep(time.Second); return nil }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		world.Enqueue(t, p, "77", "b")
		world.Enqueue(t, p, "0", "c")
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](p.Flush(t.Context()))
		if !ok || undelivered.Failed() != 1 {
			t.Errorf("Flush returned %v, want 1 failed", undelivered)
		}
		if all := told.All(); len(all) != 1 || fmt.Sprint(all[0].Bodies) != "[b]" || !errors.Is(all[0].Outcome.Err, eventhubs.ErrPartitionUnknown) {
			t.Errorf("outcomes: %+v", all)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a c]" {
			t.Errorf("stored %s", got)
		}
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("d"), PartitionID: "77"}); !errors.Is(err, eventhubs.ErrPartitionUnknown) {
			t.Errorf("once the list is known Enqueue returned %v, want ErrPartitionUnknown", err)
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are counted", got)
		}
	})
}

func TestStagedEventsFailWhenTheirTriesAreUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(int) error {
			time.Sleep(time.Millisecond) // until both events are staged
			return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Description: "no role", Err: errors.New("no role")}
		}
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{MaxRetries: 2}})
		world.Enqueue(t, p, "", "a", "b")
		_ = p.Flush(t.Context())
		all := told.All()
		if len(all) != 1 || all[0].Outcome.Storage != eventhubs.NotStored || all[0].Partition != "" {
			t.Fatalf("outcomes: %+v", all)
		}
		if e, ok := errors.AsType[*eventhubs.Error](all[0].Outcome.Err); !ok || e.Code != eventhubs.CodeUnauthorized || e.Tries != 3 {
			t.Errorf("the reason is %#v", all[0].Outcome.Err)
		}
		asked := peer.Asked
		time.Sleep(time.Hour)
		if peer.Asked != asked {
			t.Errorf("with nothing staged the service was asked %d more times", peer.Asked-asked)
		}
		peer.List = nil
		world.Enqueue(t, p, "", "c")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("the next event starts discovery again: %v", err)
		}
	})
}

// unlisted returns a producer that never gets its list of partitions.
func unlisted(t *testing.T, o eventhubs.Options) *eventhubs.BufferedProducer {
	peer := scripted.New(t, 4)
	peer.List = func(int) error { return scripted.Unauthorized() }
	o.MaxWaitTime = eventhubs.SendAtOnce
	return world.Over(peer, o)
}

// place enqueues one event for each of these: a partition's id, a key, or neither.
func place(t *testing.T, p *eventhubs.BufferedProducer, to ...*eventhubs.Event) {
	t.Helper()
	for i, o := range to {
		if err := p.Enqueue(t.Context(), world.With(world.Event(fmt.Sprint(i)), o)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatFailsWhileTheListIsUnknownNamesThePartitionThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex            // guards the fields below
		got := map[string][]string{} // by partition; the number of batches is left to chance
		count := 0
		note := func(_ context.Context, b *eventhubs.Batch) {
			mu.Lock()
			defer mu.Unlock()
			for e := range b.Events() {
				if e.PartitionID != b.PartitionID {
					t.Errorf("an event names partition %q, its batch %q", e.PartitionID, b.PartitionID)
				}
				got[b.PartitionID] = append(got[b.PartitionID], string(e.Body)+e.PartitionKey)
			}
			count += b.Count
		}
		p := unlisted(t, eventhubs.Options{Retry: eventhubs.RetryOptions{MaxRetries: 2}, OnBatchFailed: note})
		three, one := &eventhubs.Event{PartitionID: "3"}, &eventhubs.Event{PartitionID: "1"}
		deliveries := []*eventhubs.Delivery{new(eventhubs.Delivery), new(eventhubs.Delivery)}
		place(t, p, three, nil, one, &eventhubs.Event{PartitionKey: "k"}, three, &eventhubs.Event{PartitionID: "1", Delivery: deliveries[0]}, &eventhubs.Event{Delivery: deliveries[1]})
		world.WantFailed(t, "Flush", p.Flush(t.Context()), 7)
		if want := "map[:[1 3k 6] 1:[2 5] 3:[0 4]]"; fmt.Sprint(got) != want || count != 7 {
			t.Errorf("the handlers got %v, want %s", got, want)
		}
		for _, d := range deliveries {
			if d.Err() == nil {
				t.Error("a Delivery got no error")
			}
		}
		if n := p.BufferedEvents(); n != 0 {
			t.Errorf("%d events are in the buffer, want none", n)
		}
	})
}

// Handlers of one partition run one at a time, also when one of them reports staged events.
func TestAHandlerOfStagedEventsHoldsThePartitionsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(call int) error {
			if call == 1 {
				time.Sleep(time.Hour)
			}
			return nil
		}
		var running, most, told atomic.Int32
		handler := func(context.Context, *eventhubs.Batch) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(10 * time.Second)
			running.Add(-1)
			told.Add(1)
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: handler, OnBatchFailed: handler})
		place(t, p, &eventhubs.Event{PartitionID: "0"})
		if n, err := p.ClearPartition(t.Context(), "0"); n != 1 || err != nil {
			t.Errorf("ClearPartition returned %d, %v", n, err)
		}
		synctest.Wait() // the handler gets its outcome
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		place(t, p, &eventhubs.Event{PartitionID: "0"})
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if most.Load() != 1 || told.Load() != 2 || scripted.Now() != 20*time.Second {
			t.Errorf("%d handlers at once, %d calls, the last ended at %v, want 1, 2 and 20s", most.Load(), told.Load(), scripted.Now())
		}
	})
}

// A handler that hangs for staged events delays neither the list of partitions nor the outcomes of
// other partitions.
func TestAHungHandlerOfAStagedEventHoldsUpNoDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		known := false // set while the producer waits
		peer.List = func(int) error {
			if known {
				return nil
			}
			return &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}
		}
		hang := make(chan struct{})
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: time.Second, DeliveryTimeout: 20 * time.Second, OnBatchFailed: func(context.Context, *eventhubs.Batch) { <-hang }})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(30 * time.Second)
		world.Enqueue(t, p, "1", "b")
		synctest.Wait()
		peer.Mu.Lock()
		known = true
		peer.Mu.Unlock()
		time.Sleep(19 * time.Second)
		peer.Mu.Lock()
		if got := peer.Stored["1"]; len(got) != 1 {
			t.Errorf("partition 1 has %v, want b: its handler does not hang", got)
		}
		peer.Mu.Unlock()
		close(hang)
		world.WantFailed(t, "Close", p.Close(t.Context()), 1)
	})
}
