package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestManyGoroutinesMayEnqueueForOnePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return 5 * time.Millisecond }
		p := world.Over(peer, eventhubs.Options{MaxBufferedEvents: 50})
		var callers sync.WaitGroup
		for c := range 200 {
			callers.Go(func() {
				for i := range 20 {
					world.Enqueue(t, p, "0", fmt.Sprintf("%d %02d", c, i))
				}
			})
		}
		callers.Wait()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		byCaller := map[string][]string{}
		for _, body := range peer.StoredIn("0") {
			c, _, _ := strings.Cut(body, " ")
			byCaller[c] = append(byCaller[c], body)
		}
		for c, bodies := range byCaller {
			if len(bodies) != 20 || !slices.IsSorted(bodies) {
				t.Errorf("of caller %s there are %v", c, bodies)
			}
		}
		if len(byCaller) != 200 {
			t.Errorf("the events of %d callers are stored, want 200", len(byCaller))
		}
	})
}

func TestTheOrderIsKeptWhileTheListArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.List = func(int) error { time.Sleep(50 * time.Millisecond); return nil }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: 5 * time.Millisecond})
		done := make(chan bool)
		for key := range 8 {
			go func() {
				for i := range 100 {
					err := p.Enqueue(t.Context(), &eventhubs.Event{Body: fmt.Appendf(nil, "%d %03d", key, i), PartitionKey: fmt.Sprint(key)})
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
		for _, id := range peer.Partitions {
			byKey := map[byte][]string{}
			for _, body := range peer.StoredIn(id) {
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

func TestHandlersOfOnePartitionRunInOrderAndBeforeTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		var order []string
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: func(_ context.Context, b *eventhubs.Batch) {
			time.Sleep(time.Second)
			if b.PartitionID == "0" {
				for e := range b.Events() {
					order = append(order, string(e.Body))
				}
			}
		}})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		world.Enqueue(t, p, "0", "b")
		world.Enqueue(t, p, "1", "x")
		time.Sleep(500 * time.Millisecond)
		peer.WantSends("a slow handler slows its own partition only", "0s 0 [a]", "0s 1 [x]")
		if got := p.BufferedEvents(); got != 1 {
			t.Errorf("%d events are buffered, want 1: room is given back before the handler runs", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if fmt.Sprint(order) != "[a b]" {
			t.Errorf("outcomes in the order %v", order)
		}
	})
}

func TestARetryKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Try < 4 {
				return scripted.Transient(connection.NotSent)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		var told world.Outcomes
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchSucceeded: told.Handle})
		world.Enqueue(t, p, "0", "a")
		synctest.Wait()
		world.Enqueue(t, p, "0", "b", "c")
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(peer.StoredIn("0")); got != "[a b c]" {
			t.Errorf("stored %s, want [a b c]", got)
		}
		if o := told.All()[0].Outcome; o.Tries != 4 || o.Storage != eventhubs.Stored || o.OnWire == 0 {
			t.Errorf("the first batch's outcome is %+v", o)
		}
	})
}
