package trial

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestWhatIsClearedIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told world.Outcomes
		p := world.Connected(scripted.New(t, 2), eventhubs.Options{MaxWaitTime: eventhubs.UntilFull, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		world.Enqueue(t, p, "1", "b")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 1 || err != nil {
			t.Errorf("ClearPartition returned %d, %v", n, err)
		}
		synctest.Wait()
		if got := len(told.All()); got != 1 {
			t.Errorf("%d batches have an outcome after ClearPartition, want 1", got)
		}
		p.Clear(t.Context())
		synctest.Wait()
		if got := len(told.All()); got != 2 {
			t.Errorf("%d batches have an outcome after Clear, want 2", got)
		}
	})
}

func TestClearTakesOutWhatIsNotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "in flight")
		world.Enqueue(t, p, "1", "in flight too")
		synctest.Wait()
		world.Enqueue(t, p, "0", "a", "b")
		world.Enqueue(t, p, "1", "c")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 2 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 2", n, err)
		}
		if got := p.BufferedEvents(); got != 3 {
			t.Errorf("%d events are buffered, want 3: the room of cleared events is free at once", got)
		}
		if n, err := p.Clear(t.Context()); n != 1 || err != nil {
			t.Errorf("Clear returned %d, want 1", n)
		}
		world.Enqueue(t, p, "0", "after")
		if err := p.Close(t.Context()); err != nil {
			t.Errorf("Close returned %v, want nil: cleared events do not count", err)
		}
		if got := fmt.Sprint(peer.StoredIn("0"), peer.StoredIn("1")); got != "[in flight after] [in flight too]" {
			t.Errorf("stored %s", got)
		}
		for _, b := range told.All() {
			if !errors.Is(b.Outcome.Err, eventhubs.ErrCleared) || b.Outcome.Storage != eventhubs.NotStored {
				t.Errorf("%v failed with %+v", b.Bodies, b.Outcome)
			}
		}
		if p.BufferedEvents() != 0 || p.PartitionBufferedEvents("0") != 0 {
			t.Error("events are counted after Close")
		}
	})
}

func TestClearWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(int) error { time.Sleep(time.Second); return nil }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "", "a", "b")
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := p.Clear(over); n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("Clear with a context that is over returned %d, %v, want 0 and its error", n, err)
		}
		if n, err := p.Clear(t.Context()); n != 2 || err != nil {
			t.Errorf("Clear returned %d, want 2", n)
		}
		world.Enqueue(t, p, "", "c")
		if err := p.Flush(t.Context()); err == nil {
			// The outcomes of the cleared events may come before Flush begins. Then it covers c
			// only.
			t.Log("the cleared events had their outcomes before")
		}
		if all := told.All(); len(all) != 1 || !errors.Is(all[0].Outcome.Err, eventhubs.ErrCleared) {
			t.Errorf("outcomes: %+v", all)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[c]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAbandonSendsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		scripted.Answers(peer)["1"] = scripted.Transient(connection.Unknown)
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: told.Handle, OnBatchFailed: told.Handle, Retry: eventhubs.RetryOptions{RetryDelay: time.Minute}})
		world.Enqueue(t, p, "1", "resting")
		time.Sleep(1500 * time.Millisecond)
		world.Enqueue(t, p, "0", "in flight")
		synctest.Wait()
		world.Enqueue(t, p, "0", "buffered")
		err := p.Abandon(t.Context())
		undelivered, ok := errors.AsType[*eventhubs.UndeliveredError](err)
		if !ok || undelivered.Failed() != 2 || !errors.Is(err, eventhubs.ErrAbandoned) {
			t.Errorf("Abandon returned %v, want 2 failed with ErrAbandoned", err)
		}
		want := map[string]eventhubs.Storage{"in flight": eventhubs.Stored, "buffered": eventhubs.NotStored, "resting": eventhubs.PossiblyStored}
		for _, b := range told.All() {
			if b.Outcome.Storage != want[b.Bodies[0]] {
				t.Errorf("%v is %v, want %v", b.Bodies, b.Outcome.Storage, want[b.Bodies[0]])
			}
		}
		if len(told.All()) != 3 || scripted.Now() != 2500*time.Millisecond {
			t.Errorf("there are %d outcomes at %v, want 3 at 2.5s", len(told.All()), scripted.Now())
		}
		peer.WantSends("in all", "0s 1 [resting]", "1.5s 0 [in flight]")
		if err := p.Enqueue(t.Context(), world.Event("x")); !errors.Is(err, eventhubs.ErrClosed) {
			t.Errorf("Enqueue after Abandon returned %v", err)
		}
	})
}

func TestAbandonWhileTheListIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.List = func(int) error { return errors.New("no network") }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		time.Sleep(time.Second)
		if err := p.Abandon(t.Context()); !errors.Is(err, eventhubs.ErrAbandoned) || scripted.Now() != time.Second {
			t.Errorf("Abandon returned %v at %v", err, scripted.Now())
		}
		if all := told.All(); len(all) != 1 || !errors.Is(all[0].Outcome.Err, eventhubs.ErrAbandoned) {
			t.Errorf("outcomes: %+v", all)
		}
	})
}

func TestStagedEventsAreCountedAndClearedByThePartitionThatTheyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told world.Outcomes
		p := unlisted(t, eventhubs.Options{DeliveryTimeout: -1, Retry: eventhubs.RetryOptions{MaxRetries: 1000}, OnBatchFailed: told.Handle})
		three, one := &eventhubs.Event{PartitionID: "3"}, &eventhubs.Event{PartitionID: "1"}
		place(t, p, three, nil, one, &eventhubs.Event{PartitionKey: "k"}, three)
		// This makes several batches: events that come after a failed try are in another one.
		time.Sleep(time.Minute)
		place(t, p, three, three)
		for id, want := range map[string]int{"3": 4, "1": 1, "2": 0, "": 0} {
			if got := p.PartitionBufferedEvents(id); got != want {
				t.Errorf("%d events are buffered for partition %q, want %d", got, id, want)
			}
		}
		if n, err := p.ClearPartition(t.Context(), ""); !errors.Is(err, eventhubs.ErrPartitionUnknown) {
			t.Errorf(`ClearPartition("") returned %d, %v`, n, err)
		}
		if n, err := p.ClearPartition(t.Context(), "3"); n != 4 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 4", n, err)
		}
		if n := p.BufferedEvents(); n != 3 || p.PartitionBufferedEvents("3") != 0 {
			t.Errorf("%d events are left, of them %d for partition 3, want 3 and none", n, p.PartitionBufferedEvents("3"))
		}
		place(t, p, three)
		synctest.Wait()
		cleared := 0
		for _, b := range told.All() {
			if b.Partition != "3" || !errors.Is(b.Outcome.Err, eventhubs.ErrCleared) {
				t.Errorf("outcome for partition %q: %v", b.Partition, b.Outcome.Err)
			}
			cleared += len(b.Bodies)
		}
		if cleared != 4 {
			t.Errorf("%d events were reported as cleared, want 4", cleared)
		}
		u, ok := errors.AsType[*eventhubs.UndeliveredError](p.Abandon(t.Context()))
		if !ok || u.NotStored != 4 {
			t.Errorf("Abandon returned %v, want 4 not stored", u)
		}
	})
}

// Some events of a batch were cleared while it was staged. The rest goes to its partition when the
// list comes.
func TestWhatIsLeftOfAClearedStagedBatchIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.List = func(int) error {
			time.Sleep(time.Minute)
			return nil
		}
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
		three, one := &eventhubs.Event{PartitionID: "3"}, &eventhubs.Event{PartitionID: "1"}
		place(t, p, one, three, one, three)
		place(t, p, three)
		if n, err := p.ClearPartition(t.Context(), "3"); n != 3 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 3", n, err)
		}
		place(t, p, one, three)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.StoredIn("1"), peer.StoredIn("3")); got != "[0 2 0] [1]" {
			t.Errorf("stored %s, want [0 2 0] [1]", got)
		}
	})
}
