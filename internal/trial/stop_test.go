package trial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestAStoppedPartitionRefusesWhateverTheBound(t *testing.T) {
	for name, o := range map[string]eventhubs.Options{"events": {MaxBufferedEvents: 1}, "bytes": {MaxBufferedBytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peer := scripted.New(t, 2)
				peer.Answer = func(scripted.Sent) connection.Result { return scripted.Refused("no") }
				o.MaxWaitTime, o.StopPartitionOnFailure, o.OnBatchFailed = eventhubs.SendAtOnce, true, world.Ignore
				p := world.Over(peer, o)
				_ = p.Connect(t.Context(), nil)
				world.Enqueue(t, p, "0", "a")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				err := p.Enqueue(ctx, &eventhubs.Event{Body: []byte(string(make([]byte, 700))), PartitionID: "0"})
				if !errors.Is(err, eventhubs.ErrPartitionStopped) || scripted.Now() != 0 {
					t.Errorf("Enqueue returned %v at %v, want ErrPartitionStopped at once", err, scripted.Now())
				}
			})
		})
	}
}

func TestResumeWakesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		bad := true
		peer.Answer = func(scripted.Sent) connection.Result {
			if bad {
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxBufferedEvents: 1, MaxWaitTime: eventhubs.SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: world.Ignore})
		_ = p.Connect(t.Context(), nil)
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Enqueue(ctx, &eventhubs.Event{Body: []byte("b"), PartitionID: "0"}) }()
		synctest.Wait()
		bad = false
		if err := p.ResumePartition("0"); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if scripted.Now() != 0 {
			t.Errorf("Enqueue returned %v at %v, want at once", err, scripted.Now())
		}
	})
}

func TestAStoppedPartitionKeepsNoGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		down := true
		peer.Answer = func(s scripted.Sent) connection.Result {
			peer.Mu.Lock()
			defer peer.Mu.Unlock()
			if s.Partition == "0" && down {
				return scripted.Refused("no")
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, StopPartitionOnFailure: true, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		world.Enqueue(t, p, "0", "b", "c")
		time.Sleep(5 * time.Second)
		all := told.All()
		if len(all) != 2 || fmt.Sprint(all[0].Bodies, all[1].Bodies) != "[a] [b c]" || errors.Is(all[0].Outcome.Err, eventhubs.ErrPartitionStopped) || !errors.Is(all[1].Outcome.Err, eventhubs.ErrPartitionStopped) {
			t.Fatalf("outcomes: %+v", all)
		}
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("d"), PartitionID: "0"}); !errors.Is(err, eventhubs.ErrPartitionStopped) {
			t.Errorf("Enqueue for a stopped partition returned %v", err)
		}
		if got := p.Stats().Partitions[0].Waiting; got != eventhubs.WaitingStopped {
			t.Errorf("the partition waits %v, want stopped", got)
		}
		for range 4 {
			if err := p.Enqueue(t.Context(), world.Event("any")); err != nil {
				t.Errorf("an event for any partition: %v", err)
			}
		}
		if p.BufferedEvents() != 4 {
			t.Errorf("%d events are counted, want 4", p.BufferedEvents())
		}
		peer.Mu.Lock()
		down = false
		peer.Mu.Unlock()
		if err := p.ResumePartition("0"); err != nil {
			t.Fatal(err)
		}
		world.Enqueue(t, p, "0", "e")
		world.WantFailed(t, "Close", p.Close(t.Context()), 3)
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[e]" {
			t.Errorf("stored %s, want [e]", got)
		}
	})
}

// With StopPartitionOnFailure an expired event stops its partition too: the events after it are not
// sent.
func TestAStoppedPartitionKeepsNoGapsWhereEventsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Minute / 2 }
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, StopPartitionOnFailure: true, OnBatchSucceeded: told.Handle, OnBatchFailed: told.Handle})
		world.Enqueue(t, p, "0", "first")
		synctest.Wait()
		fleeting(t, p, 6, func(i int) time.Duration { return []time.Duration{0, 0, time.Second, 0, time.Second, 0}[i] })
		time.Sleep(time.Hour)
		var got []string
		for _, b := range told.All() {
			switch {
			case b.Outcome.Err == nil:
				got = append(got, fmt.Sprint("stored ", b.Bodies))
			case errors.Is(b.Outcome.Err, eventhubs.ErrPartitionStopped):
				got = append(got, fmt.Sprint("stopped ", b.Bodies))
			case errors.Is(b.Outcome.Err, eventhubs.ErrExpired):
				got = append(got, fmt.Sprint("expired ", b.Bodies))
			}
		}
		if want := "stored [first], stored [0 1], expired [2 4], stopped [3 5]"; strings.Join(got, ", ") != want {
			t.Errorf("outcomes %s, want %s", strings.Join(got, ", "), want)
		}
	})
}
