package eventhubs

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// A sender without work waits for any partition. Few senders wait, none for long, and none after
// the producer is closed.
func TestIdleSendersAreFewAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 40)
		peer.Answer = func(scripted.Sent) connection.Result {
			time.Sleep(time.Millisecond) // gives each partition a sender of its own
			return connection.Result{Outcome: connection.Accepted}
		}
		p := connectedOver(peer, Options{MaxWaitTime: SendAtOnce})
		busy := func() {
			t.Helper()
			for i := range 40 {
				enqueue(t, p, fmt.Sprint(i), "x")
			}
			if err := p.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		busy()
		if got := p.crew.idle.Load(); got != idleSenders {
			t.Errorf("after 40 partitions have sent %d senders are idle, want %d", got, idleSenders)
		}
		time.Sleep(idleTime)
		synctest.Wait()
		if got := p.crew.idle.Load(); got != 0 {
			t.Errorf("%v later %d senders are idle, want none", idleTime, got)
		}
		busy()
		start := time.Now()
		if err := p.Close(t.Context()); err != nil || time.Since(start) != 0 {
			t.Errorf("Close with idle senders returned %v after %v, want nil at once", err, time.Since(start))
		}
	})
}
