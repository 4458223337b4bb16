package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// unlisted is a producer that never hears which partitions there are.
func unlisted(t *testing.T, o Options) *BufferedProducer {
	peer := newPeer(t, 4)
	peer.properties = func(int) error { return unauthorized() }
	o.MaxWaitTime = SendAtOnce
	return peer.producer(o)
}

// place enqueues an event for each of these: a partition's id, a key, or neither.
func place(t *testing.T, p *BufferedProducer, to ...*Event) {
	t.Helper()
	for i, o := range to {
		if err := p.Enqueue(t.Context(), With(event(fmt.Sprint(i)), o)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatFailsWhileTheListIsUnknownNamesThePartitionThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex            // guards the fields below
		got := map[string][]string{} // by partition; how many batches these were is up to chance
		count := 0
		note := func(_ context.Context, b *Batch) {
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
		p := unlisted(t, Options{Retry: RetryOptions{MaxRetries: 2}, OnBatchFailed: note})
		three, one := &Event{PartitionID: "3"}, &Event{PartitionID: "1"}
		deliveries := []*Delivery{new(Delivery), new(Delivery)}
		place(t, p, three, nil, one, &Event{PartitionKey: "k"}, three, &Event{PartitionID: "1", Delivery: deliveries[0]}, &Event{Delivery: deliveries[1]})
		wantFailed(t, "Flush", p.Flush(t.Context()), 7)
		if want := "map[:[1 3k 6] 1:[2 5] 3:[0 4]]"; fmt.Sprint(got) != want || count != 7 {
			t.Errorf("the handlers were told %v, want %s", got, want)
		}
		for _, d := range deliveries {
			if d.Err() == nil {
				t.Error("a Delivery was told of no error")
			}
		}
		if n := p.BufferedEvents(); n != 0 {
			t.Errorf("%d events are in the buffer, want none", n)
		}
	})
}

func TestStagedEventsAreCountedAndClearedByThePartitionThatTheyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told outcomes
		p := unlisted(t, Options{DeliveryTimeout: -1, Retry: RetryOptions{MaxRetries: 1000}, OnBatchFailed: told.handle})
		three, one := &Event{PartitionID: "3"}, &Event{PartitionID: "1"}
		place(t, p, three, nil, one, &Event{PartitionKey: "k"}, three)
		time.Sleep(time.Minute) // several batches: what comes after a failed try is in another
		place(t, p, three, three)
		for id, want := range map[string]int{"3": 4, "1": 1, "2": 0, "": 0} {
			if got := p.PartitionBufferedEvents(id); got != want {
				t.Errorf("%d events are buffered for partition %q, want %d", got, id, want)
			}
		}
		if n, err := p.ClearPartition(t.Context(), ""); !errors.Is(err, ErrPartitionUnknown) {
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
		for _, b := range told.all() {
			if b.partition != "3" || !errors.Is(b.outcome.Err, ErrCleared) {
				t.Errorf("told of partition %q: %v", b.partition, b.outcome.Err)
			}
			cleared += len(b.bodies)
		}
		if cleared != 4 {
			t.Errorf("%d events were told as cleared, want 4", cleared)
		}
		u, ok := errors.AsType[*UndeliveredError](p.Abandon(t.Context()))
		if !ok || u.NotStored != 4 {
			t.Errorf("Abandon returned %v, want 4 not stored", u)
		}
	})
}

// Handlers of one partition are called one at a time, also when one of them is told of what was staged for it.
func TestAHandlerOfStagedEventsHoldsThePartitionsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(call int) error {
			if call == 1 {
				time.Sleep(time.Hour)
			}
			return nil
		}
		var running, most, told atomic.Int32
		handler := func(context.Context, *Batch) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(10 * time.Second)
			running.Add(-1)
			told.Add(1)
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchSucceeded: handler, OnBatchFailed: handler})
		place(t, p, &Event{PartitionID: "0"})
		if n, err := p.ClearPartition(t.Context(), "0"); n != 1 || err != nil {
			t.Errorf("ClearPartition returned %d, %v", n, err)
		}
		synctest.Wait() // the handler is told of it
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		place(t, p, &Event{PartitionID: "0"})
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if most.Load() != 1 || told.Load() != 2 || now() != 20*time.Second {
			t.Errorf("%d handlers at once, %d calls, the last ended at %v, want 1, 2 and 20s", most.Load(), told.Load(), now())
		}
	})
}

// What fails in staging is told before what was enqueued later for its partition, whatever ended either, and a handler that takes its time holds up no other partition.
func TestWhatFailsInStagingIsToldInItsPartitionsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		known := make(chan struct{})
		var asked atomic.Bool // for the list, in vain
		peer.properties = func(int) error {
			if !asked.Load() {
				return unauthorized()
			}
			<-known
			return nil
		}
		var told outcomes
		handler := func(ctx context.Context, b *Batch) {
			told.handle(ctx, b)
			if b.PartitionID == "0" {
				time.Sleep(time.Minute)
			}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: -1}, OnBatchSucceeded: handler, OnBatchFailed: handler})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		synctest.Wait() // both have failed, and the handler of the first is at work
		asked.Store(true)
		padding := strings.Repeat(".", batchBytesUnknown*2/3)
		enqueue(t, p, "0", "c"+padding, "C"+padding) // in a batch each
		enqueue(t, p, "1", "d")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 2 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 2", n, err)
		}
		enqueue(t, p, "0", "e")
		close(known)
		time.Sleep(time.Second)
		wantTold := func(partition, want string) {
			t.Helper()
			var got []string
			for _, o := range told.all() {
				if o.partition == partition {
					got = append(got, fmt.Sprintf("%v %s", o.at, o.bodies[0][:1]))
				}
			}
			if fmt.Sprint(got) != want {
				t.Errorf("of partition %s the handlers were told %v, want %s", partition, got, want)
			}
		}
		wantTold("1", "[0s b 0s d]")
		time.Sleep(10 * time.Minute)
		wantTold("0", "[0s a 1m0s c 2m0s C 3m0s e]")
	})
}

// What is left of a batch after some of its events were cleared goes where it should when the list comes.
func TestWhatIsLeftOfAClearedStagedBatchIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.properties = func(int) error {
			time.Sleep(time.Minute)
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		three, one := &Event{PartitionID: "3"}, &Event{PartitionID: "1"}
		place(t, p, one, three, one, three)
		place(t, p, three)
		if n, err := p.ClearPartition(t.Context(), "3"); n != 3 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 3", n, err)
		}
		place(t, p, one, three)
		if err := p.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(peer.storedIn("1"), peer.storedIn("3")); got != "[0 2 0] [1]" {
			t.Errorf("stored %s, want [0 2 0] [1]", got)
		}
	})
}

// A handler that hangs for what was staged keeps neither the list of partitions nor an outcome from the events of other partitions.
func TestAHungHandlerOfAStagedEventHoldsUpNoDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		known := false // set while the producer waits
		peer.properties = func(int) error {
			if known {
				return nil
			}
			return &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}
		}
		hang := make(chan struct{})
		p := peer.producer(Options{MaxWaitTime: time.Second, DeliveryTimeout: 20 * time.Second, OnBatchFailed: func(context.Context, *Batch) { <-hang }})
		enqueue(t, p, "0", "a")
		time.Sleep(30 * time.Second)
		enqueue(t, p, "1", "b")
		synctest.Wait()
		peer.mu.Lock()
		known = true
		peer.mu.Unlock()
		time.Sleep(19 * time.Second)
		peer.mu.Lock()
		if got := peer.stored["1"]; len(got) != 1 {
			t.Errorf("partition 1 has %v, want b: its handler does not hang", got)
		}
		peer.mu.Unlock()
		close(hang)
		wantFailed(t, "Close", p.Close(t.Context()), 1)
	})
}
