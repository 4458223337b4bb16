package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestStickyFillsOneBatchAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		p := peer.producer(Options{Partitioning: Sticky})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for round := range 4 {
			for i := range 5 {
				if err := p.Enqueue(t.Context(), event(fmt.Sprint(round, i))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
		}
		var got []string
		for _, s := range peer.sent() {
			got = append(got, fmt.Sprint(s.partition, len(s.bodies)))
		}
		if fmt.Sprint(got) != "[05 15 25 05]" {
			t.Errorf("batches went to %v, want one of 5 to each partition in turn", got)
		}
	})
}

// Peers begin the next batch with the one event that did not fit, in the same partition, where it then lingers alone.
func TestStickyLeavesNoStragglers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.maxMessage = 4096
		p := peer.producer(Options{Partitioning: Sticky})
		if err := p.Connect(t.Context(), &ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.Enqueue(t.Context(), event(strings.Repeat("x", 400))); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		sizes := map[int]int{}
		for _, s := range peer.sent() {
			sizes[len(s.bodies)]++
		}
		// Nine of these fit into 4096 bytes.
		if fmt.Sprint(sizes) != "map[1:1 9:11]" {
			t.Errorf("batches by their size: %v, want 11 full ones and the rest", sizes)
		}
	})
}

func TestServiceAssignedUsesOneLinkWithoutAPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		p := peer.producer(Options{Partitioning: ServiceAssigned})
		for _, body := range []string{"a", "b", "c"} {
			if err := p.Enqueue(t.Context(), event(body)); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("one batch without a partition, and nobody asks for the list", "0s  [a b c]")
		if peer.asked != 0 {
			t.Errorf("the list was asked for %d times", peer.asked)
		}
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("k"), PartitionKey: "7"}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		peer.wantSends("a key is still mapped here", "0s  [a b c]", "0s 2 [k]")
	})
}

func TestAHashOfTheCallersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.properties = func(int) error { time.Sleep(time.Second); return nil }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle, KeyPartitioner: func(k KeyPlacement) int {
			switch k.Key {
			case "out of range":
				return k.Partitions
			case "panic":
				panic("boom")
			}
			return len(k.Key) % k.Partitions
		}})
		// Staged: a fault is told by the outcome.
		for _, key := range []string{"xxx", "out of range", "panic", "xx"} {
			if err := p.Enqueue(t.Context(), &Event{Body: []byte(key), PartitionKey: key}); err != nil {
				t.Fatal(err)
			}
		}
		_ = p.Flush(t.Context())
		if all := told.all(); len(all) != 2 || !errors.Is(all[0].outcome.Err, ErrInvalidArgument) || !strings.Contains(all[1].outcome.Err.Error(), "boom") {
			t.Errorf("told: %+v", all)
		}
		if got := fmt.Sprint(peer.storedIn("3"), peer.storedIn("2")); got != "[xxx] [xx]" {
			t.Errorf("stored %s", got)
		}
		// Known: it is told by Enqueue, and leaves no trace.
		for _, key := range []string{"out of range", "panic"} {
			err := p.Enqueue(t.Context(), &Event{Body: []byte(key), PartitionKey: key})
			if !errors.Is(err, ErrInvalidArgument) || !strings.Contains(err.Error(), key) {
				t.Errorf("Enqueue returned %v", err)
			}
		}
		if p.BufferedEvents() != 0 {
			t.Errorf("%d events are counted", p.BufferedEvents())
		}
	})
}

func TestAStoppedPartitionKeepsNoGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		down := true
		peer.answer = func(s sent) connection.Result {
			peer.mu.Lock()
			defer peer.mu.Unlock()
			if s.partition == "0" && down {
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var told outcomes
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		enqueue(t, p, "0", "b", "c")
		time.Sleep(5 * time.Second)
		all := told.all()
		if len(all) != 2 || fmt.Sprint(all[0].bodies, all[1].bodies) != "[a] [b c]" || errors.Is(all[0].outcome.Err, ErrPartitionStopped) || !errors.Is(all[1].outcome.Err, ErrPartitionStopped) {
			t.Fatalf("told: %+v", all)
		}
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("d"), PartitionID: "0"}); !errors.Is(err, ErrPartitionStopped) {
			t.Errorf("Enqueue for a stopped partition returned %v", err)
		}
		if got := p.Stats().Partitions[0].Waiting; got != WaitingStopped {
			t.Errorf("the partition waits %v, want stopped", got)
		}
		for range 4 {
			if err := p.Enqueue(t.Context(), event("any")); err != nil {
				t.Errorf("an event for any partition: %v", err)
			}
		}
		if p.BufferedEvents() != 4 {
			t.Errorf("%d events are counted, want 4", p.BufferedEvents())
		}
		peer.mu.Lock()
		down = false
		peer.mu.Unlock()
		if err := p.ResumePartition("0"); err != nil {
			t.Fatal(err)
		}
		enqueue(t, p, "0", "e")
		wantFailed(t, "Close", p.Close(t.Context()), 3)
		if got := fmt.Sprint(peer.storedIn("0")); got != "[e]" {
			t.Errorf("stored %s, want [e]", got)
		}
	})
}

func TestFailFastEndsWhatWillNotPass(t *testing.T) {
	for _, fast := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.properties = func(int) error {
				return &connection.Error{Code: connection.CodeNotFound, Err: errors.New("no such hub")}
			}
			var told outcomes
			p := peer.producer(Options{FailFast: fast, OnBatchFailed: told.handle})
			enqueue(t, p, "", "a")
			_ = p.Flush(t.Context())
			if asked := peer.asked; fast && asked != 1 || !fast && asked != 16 {
				t.Errorf("FailFast %v: the list was asked for %d times", fast, asked)
			}
		})
	}
}

func TestTheListIsRefreshedByTheFirstEventAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		p := peer.producer(Options{PartitionRefreshInterval: time.Hour, MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		time.Sleep(24 * time.Hour)
		if peer.asked != 1 {
			t.Errorf("an idle producer asked %d times, want 1", peer.asked)
		}
		peer.mu.Lock()
		peer.partitions = []string{"0", "1", "2"}
		peer.mu.Unlock()
		enqueue(t, p, "0", "b", "c")
		synctest.Wait()
		if peer.asked != 2 {
			t.Errorf("the list was asked for %d times, want 2", peer.asked)
		}
		enqueue(t, p, "2", "d")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.storedIn("0"), peer.storedIn("2")); got != "[a b c] [d]" {
			t.Errorf("stored %s", got)
		}
	})
}

func TestAPartitionUnknownToTheServiceRefreshesTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return connection.Result{Outcome: connection.NotSent, Err: &connection.Error{Code: connection.CodePartitionUnknown, Err: errors.New("unknown")}}
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		enqueue(t, p, "0", "a")
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if peer.asked != 2 {
			t.Errorf("the list was asked for %d times, want 2", peer.asked)
		}
	})
}

func TestAPartitionInTroubleHoldsAtMostHalfOfTheBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.answer = func(s sent) connection.Result {
			if s.partition == "0" {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, MaxBufferedEvents: 10, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		synctest.Wait()
		blocked := make(chan error)
		go func() {
			_, err := p.EnqueueAll(t.Context(), func(yield func(*Event, error) bool) {
				e := &Event{PartitionID: "0"} // one for all
				for _, body := range []string{"b", "c", "d", "e", "f"} {
					e.Body = []byte(body)
					if !yield(e, nil) {
						return
					}
				}
			})
			blocked <- err
		}()
		synctest.Wait()
		if got := p.PartitionBufferedEvents("0"); got != 5 {
			t.Errorf("the partition in trouble holds %d events, want 5 of 10", got)
		}
		began := now()
		for i := range 50 {
			enqueue(t, p, "1", fmt.Sprint(i))
		}
		if now() != began {
			t.Errorf("those who wait for it held up the others for %v", now()-began)
		}
		synctest.Wait() // until what was sent is settled
		if err := p.TryEnqueue(t.Context(), &Event{Body: []byte("x"), PartitionID: "0"}); !errors.Is(err, ErrBufferFull) {
			t.Errorf("TryEnqueue for it returned %v, want ErrBufferFull", err)
		}
		if err := p.TryEnqueue(t.Context(), &Event{Body: []byte("y"), PartitionID: "1"}); err != nil {
			t.Errorf("TryEnqueue for the other returned %v", err)
		}
		_ = p.Abandon(t.Context())
		if err := <-blocked; !errors.Is(err, ErrClosed) {
			t.Errorf("the one who waited for it got %v, want ErrClosed", err)
		}
	})
}

func TestStatsCountWhatHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.latency = func() time.Duration { return time.Second }
		peer.answer = func(s sent) connection.Result {
			switch {
			case s.bodies[0] == "retry" && s.try == 1:
				return transient(connection.Unknown)
			case s.bodies[0] == "busy" && s.try == 1:
				return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeThrottled, Transient: true, Err: errors.New("busy")}}
			case s.bodies[0] == "bad":
				return refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := peer.producer(Options{OnBatchFailed: func(context.Context, *Batch) {}})
		for _, body := range []string{"retry", "busy", "bad", "good"} {
			enqueue(t, p, "0", body)
			if body == "good" {
				time.Sleep(100 * time.Millisecond)
				s := p.Stats()
				part := s.Partitions[0]
				if s.BufferedEvents != 1 || s.BufferedBytes == 0 || s.OldestEventAge != 100*time.Millisecond || part.Waiting != WaitingForEvents || part.BufferedEvents != 1 {
					t.Errorf("while an event lingers Stats is %+v", s)
				}
				time.Sleep(200 * time.Millisecond)
				if part := p.Stats().Partitions[0]; part.Waiting != WaitingForService || part.BatchesInFlight != 1 {
					t.Errorf("while it is sent the partition is %+v", part)
				}
			}
			_ = p.Flush(t.Context())
		}
		s := p.Stats()
		if s.StoredEvents != 3 || s.StoredBatches != 3 || s.NotStoredEvents != 1 || s.FailedBatches != 1 || s.Retries != 1 || s.AmbiguousTries != 1 || s.ThrottledTries != 1 ||
			s.ThrottledTotal < 4*time.Second || s.BufferedEvents != 0 || s.OldestEventAge != 0 || s.OnWireTotal < 8*time.Second || s.QueuedTotal == 0 || s.Fill <= 0 || s.Fill > 1 || s.StoredBytes == 0 {
			t.Errorf("Stats is %+v", s)
		}
	})
}

func TestATraceIsToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []string
		add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		type key struct{}
		peer := newPeer(t, 1)
		peer.answer = func(s sent) connection.Result {
			if s.try == 1 {
				return transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var properties map[string]any
		p := peer.producer(Options{
			OnBatchSucceeded: func(_ context.Context, b *Batch) {
				for e := range b.Events() {
					properties = e.Properties
				}
				add("handler")
			},
			Trace: &Trace{
				Encoding: func(ctx context.Context, e TracedEncoding) {
					e.Properties.Add("traceparent", ctx.Value(key{}).(string))
					add("encoding")
				},
				Accepted: func(_ context.Context, e TracedEvent) { add("accepted %q", e.PartitionKey) },
				Sealed:   func(b TracedBatch) { add("sealed %s %d", b.PartitionID, b.Events) },
				Sending:  func(b TracedBatch) { add("sent, try %d", b.Try) },
				Retrying: func(f TracedFailure) { add("retrying: %v", f.Err != nil) },
				Settled:  func(o TracedOutcome) { add("settled %v", o.Outcome.Storage) },
			}})
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		e := event("a")
		if err := p.Enqueue(context.WithValue(t.Context(), key{}, "00-1"), With(e, &Event{PartitionKey: "k"})); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := `encoding; accepted "k"; sealed 0 1; sent, try 1; retrying: true; sent, try 2; settled stored; handler`
		if got := strings.Join(lines, "; "); got != want {
			t.Errorf("told\n%s\nwant\n%s", got, want)
		}
		if e.Properties != nil || properties["traceparent"] != "00-1" {
			t.Errorf("the caller's event has %v, the one sent %v", e.Properties, properties)
		}
	})
}

func TestRetryModesAndPolicy(t *testing.T) {
	fixed := Options{Retry: RetryOptions{Mode: RetryFixed, RetryDelay: time.Second, MaxRetryDelay: time.Minute, MaxRetries: 3}}
	var failed retries
	for failures := range 4 {
		if pause, again := failed.after(errors.New("no"), "", false, &fixed); pause < 800*time.Millisecond || pause > 1200*time.Millisecond || again != (failures < 3) {
			t.Errorf("after %d failures: %v, %v", failures+1, pause, again)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.answer = func(sent) connection.Result { return transient(connection.NotSent) }
		var asked []int
		p := peer.producer(Options{MaxWaitTime: SendAtOnce, OnBatchFailed: func(context.Context, *Batch) {}, Retry: RetryOptions{Policy: func(f FailedTry) (time.Duration, bool) {
			if e, ok := errors.AsType[*Error](f.Err); !ok || e.Code != CodeConnectionLost || !e.Transient || e.PartitionID != "0" || e.Tries != f.Failures || f.PartitionID != "0" {
				t.Errorf("after %d failures, in partition %q, the policy is told %#v", f.Failures, f.PartitionID, f.Err)
			}
			asked = append(asked, f.Failures)
			return time.Second, f.Failures < 3
		}}})
		enqueue(t, p, "0", "a")
		_ = p.Close(t.Context())
		if fmt.Sprint(asked) != "[1 2 3]" || now() != 2*time.Second {
			t.Errorf("the policy was asked %v by %v", asked, now())
		}
	})
}

// A link that opens slowly leaves a try all its time to send, and DeliveryTimeout bounds both together.
func TestWhatOpeningTakesIsNotTheSends(t *testing.T) {
	const never = time.Hour
	for _, c := range []struct {
		deliveryTimeout, answers time.Duration
		sends                    int
		ends                     time.Duration
		storage                  Storage
	}{
		{time.Minute, 1500 * time.Millisecond, 1, 3300 * time.Millisecond, Stored},
		{time.Minute, never, 1, 3800 * time.Millisecond, PossiblyStored},
		{3 * time.Second, never, 1, 3 * time.Second, PossiblyStored},
		{time.Second, never, 0, 1800 * time.Millisecond, NotStored}, // the peer's link opens late without regard to its context
	} {
		synctest.Test(t, func(t *testing.T) {
			peer := newPeer(t, 1)
			peer.open = func(string) error {
				time.Sleep(1800 * time.Millisecond)
				return nil
			}
			peer.latency = func() time.Duration { return c.answers }
			p := peer.producer(Options{MaxWaitTime: SendAtOnce, DeliveryTimeout: c.deliveryTimeout, Retry: RetryOptions{TryTimeout: 2 * time.Second, MaxRetries: -1}})
			d := new(Delivery)
			_, err := p.Publish(t.Context(), &Event{Body: []byte("a"), Delivery: d})
			if sends := len(peer.sent()); sends != c.sends || now() != c.ends || d.Outcome().Storage != c.storage {
				t.Errorf("with %v to deliver and an answer after %v: %v (%v) at %v, %d sends; want %v at %v, %d", c.deliveryTimeout, c.answers, d.Outcome().Storage, err, now(), sends, c.storage, c.ends, c.sends)
			}
		})
	}
}
