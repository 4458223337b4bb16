package trial

import (
	"context"
	"fmt"
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

func TestEachPartitionHasItsOwnSenders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		var mu sync.Mutex
		flying, most := map[string]int{}, 0
		peer.Answer = func(s scripted.Sent) connection.Result {
			mu.Lock()
			flying[s.Partition]++
			most = max(most, flying["0"]+flying["1"]+flying["2"]+flying["3"])
			if flying[s.Partition] > 3 {
				t.Errorf("%d sends at once for partition %s", flying[s.Partition], s.Partition)
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			flying[s.Partition]--
			mu.Unlock()
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Connected(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: 3})
		for i := range 8 {
			for _, id := range peer.Partitions {
				world.Enqueue(t, p, id, fmt.Sprint(i))
			}
			time.Sleep(time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if most != 12 {
			t.Errorf("at most %d sends were in flight, want 12: 3 for each of 4 partitions", most)
		}
		for _, id := range peer.Partitions {
			if got := len(peer.StoredIn(id)); got != 8 {
				t.Errorf("partition %s has %d events, want 8", id, got)
			}
		}
	})
}

func TestSendersOfOnePartitionWorkAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, MaxConcurrentSendsPerPartition: 3})
		for _, body := range []string{"a", "b", "c", "d", "e"} {
			world.Enqueue(t, p, "0", body)
			time.Sleep(time.Millisecond)
		}
		peer.WantSends("three senders, then the rest waits", "0s 0 [a]", "1ms 0 [b]", "2ms 0 [c]")
		time.Sleep(time.Second)
		peer.WantSends("a free sender takes all the rest", "0s 0 [a]", "1ms 0 [b]", "2ms 0 [c]", "1s 0 [d e]")
	})
}

func TestPartitionsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		scripted.Answers(peer)["0"] = scripted.Transient(connection.NotSent)
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}, DeliveryTimeout: time.Minute})
		world.Enqueue(t, p, "0", "bad")
		synctest.Wait()
		for i := range 10 {
			if err := p.Enqueue(t.Context(), world.Event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := len(peer.StoredIn("1")); got != 10 {
			t.Errorf("%d of 10 events without a key went to the healthy partition at once", got)
		}
	})
}

// A batch of two events is cut for a link that takes one. The first piece is held up. The second
// gets a free sender.
func TestWhatIsCutOffGetsAFreeSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.MaxMessage = 800
		peer.Answer = func(s scripted.Sent) connection.Result {
			if strings.HasPrefix(s.Bodies[0], "a") {
				return scripted.Transient(connection.NotSent) // until its time is over
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := world.Over(peer, eventhubs.Options{MaxConcurrentSendsPerPartition: 2, Retry: eventhubs.RetryOptions{MaxRetries: 1000}, OnBatchFailed: func(context.Context, *eventhubs.Batch) {}})
		world.Enqueue(t, p, "0", strings.Repeat("a", 600))
		var second eventhubs.Delivery
		if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte(strings.Repeat("b", 600)), PartitionID: "0", Delivery: &second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if o := second.Outcome(); o.Storage != eventhubs.Stored || o.Queued > time.Second {
			t.Errorf("after a minute the outcome is %+v", o)
		}
	})
}
