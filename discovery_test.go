package eventhubs

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

func TestEnqueueAcceptsBeforeTheHubWasEverReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 3)
		peer.properties = func(call int) error {
			if call <= 3 {
				return &connection.Error{Code: connection.CodeConnectionLost, Transient: true, Err: errors.New("no network")}
			}
			return nil
		}
		p := peer.producer(Options{MaxWaitTime: SendAtOnce})
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			enqueue(t, p, "2", fmt.Sprint(i))
		}
		if now() != 0 {
			t.Errorf("Enqueue took %v", now())
		}
		if p.BufferedEvents() != 100 || p.PartitionBufferedEvents("2") != 100 || p.PartitionBufferedEvents("1") != 0 {
			t.Errorf("staged events count %d in total and %d in their partition, want 100 and 100", p.BufferedEvents(), p.PartitionBufferedEvents("2"))
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := peer.storedIn("2"); !slices.Equal(got, want) {
			t.Errorf("stored %v", got)
		}
		if peer.asked != 4 {
			t.Errorf("the list was asked for %d times, want 4", peer.asked)
		}
	})
}

func TestTheOrderIsKeptWhileTheListArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 4)
		peer.properties = func(int) error { time.Sleep(50 * time.Millisecond); return nil }
		p := peer.producer(Options{MaxWaitTime: 5 * time.Millisecond})
		done := make(chan bool)
		for key := range 8 {
			go func() {
				for i := range 100 {
					err := p.Enqueue(t.Context(), &Event{Body: fmt.Appendf(nil, "%d %03d", key, i), PartitionKey: fmt.Sprint(key)})
					if err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond) // half of them before the list arrives
				}
				done <- true
			}()
		}
		for range 8 {
			<-done
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, id := range peer.partitions {
			byKey := map[byte][]string{}
			for _, body := range peer.storedIn(id) {
				byKey[body[0]] = append(byKey[body[0]], body)
				total++
			}
			for key, bodies := range byKey {
				if !slices.IsSorted(bodies) || len(bodies) != 100 {
					t.Errorf("key %c has %d events in partition %s, or not in their order", key, len(bodies), id)
				}
			}
		}
		if total != 800 {
			t.Errorf("%d events are stored, want 800", total)
		}
	})
}

func TestAnUnknownPartitionFailsThroughItsOutcomeIfItWasStaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 2)
		peer.properties = func(int) error { time.Sleep(time.Second); return nil }
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "77", "b")
		enqueue(t, p, "0", "c")
		undelivered, ok := errors.AsType[*UndeliveredError](p.Flush(t.Context()))
		if !ok || undelivered.Failed() != 1 {
			t.Errorf("Flush returned %v, want 1 failed", undelivered)
		}
		if all := told.all(); len(all) != 1 || fmt.Sprint(all[0].bodies) != "[b]" || !errors.Is(all[0].outcome.Err, ErrPartitionUnknown) {
			t.Errorf("told: %+v", all)
		}
		if got := fmt.Sprint(peer.storedIn("0")); got != "[a c]" {
			t.Errorf("stored %s", got)
		}
		if err := p.Enqueue(t.Context(), &Event{Body: []byte("d"), PartitionID: "77"}); !errors.Is(err, ErrPartitionUnknown) {
			t.Errorf("once the list is known Enqueue returned %v, want ErrPartitionUnknown", err)
		}
		if got := p.BufferedEvents(); got != 0 {
			t.Errorf("%d events are counted", got)
		}
	})
}

func TestStagedEventsFailWhenTheirTriesAreUsedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := newPeer(t, 1)
		peer.properties = func(int) error {
			time.Sleep(time.Millisecond) // until both events are staged
			return &connection.Error{Code: connection.CodeUnauthorized, Condition: "amqp:unauthorized-access", Description: "no role", Err: errors.New("no role")}
		}
		var told outcomes
		p := peer.producer(Options{OnBatchFailed: told.handle, Retry: RetryOptions{MaxRetries: 2}})
		enqueue(t, p, "", "a", "b")
		_ = p.Flush(t.Context())
		all := told.all()
		if len(all) != 1 || all[0].outcome.Storage != NotStored || all[0].partition != "" {
			t.Fatalf("told: %+v", all)
		}
		if e, ok := errors.AsType[*Error](all[0].outcome.Err); !ok || e.Code != CodeUnauthorized || e.Tries != 3 {
			t.Errorf("the reason is %#v", all[0].outcome.Err)
		}
		asked := peer.asked
		time.Sleep(time.Hour)
		if peer.asked != asked {
			t.Errorf("with nothing staged the service was asked %d more times", peer.asked-asked)
		}
		peer.properties = nil
		enqueue(t, p, "", "c")
		if err := p.Flush(t.Context()); err != nil {
			t.Errorf("the next event starts discovery again: %v", err)
		}
	})
}
