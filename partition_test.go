package eventhubs

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

func TestAnIdleProducerHasNoGoroutineAndNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 4)
		peer.Latency = func() time.Duration { return time.Second }
		p := producerOver(peer, Options{})
		for i := range 100 {
			if err := p.Enqueue(t.Context(), event(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := scripted.Goroutines(); n != 4 {
			t.Errorf("%d goroutines send, want 4: the count below would prove nothing", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := scripted.Goroutines(); n > 0 || p.BufferedEvents() != 0 {
			t.Errorf("%d goroutines stay, %d events are buffered", n, p.BufferedEvents())
		}
		for _, part := range p.directory.table.Load().partitions {
			if part.linger.Stop() {
				t.Errorf("the timer of partition %s is running", part.id)
			}
		}
	})
}
