package trial

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

func TestCountsFollowEachEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		peer.Latency = func() time.Duration { return time.Second }
		p := world.Connected(peer, eventhubs.Options{})
		check := func(why string, total, zero, one int) {
			t.Helper()
			synctest.Wait()
			if a, b, c := p.BufferedEvents(), p.PartitionBufferedEvents("0"), p.PartitionBufferedEvents("1"); a != total || b != zero || c != one {
				t.Errorf("%s the counts are %d, %d and %d, want %d, %d and %d", why, a, b, c, total, zero, one)
			}
		}
		for i := range 6 {
			id := fmt.Sprint(i % 2)
			world.Enqueue(t, p, id, "e")
			check(fmt.Sprintf("after event %d", i+1), i+1, (i+2)/2, (i+1)/2)
		}
		time.Sleep(500 * time.Millisecond)
		check("in flight", 6, 3, 3)
		time.Sleep(time.Second)
		check("with their outcome", 0, 0, 0)
		if p.PartitionBufferedEvents("no such") != 0 || p.PartitionBufferedEvents("") != 0 {
			t.Error("an unknown partition has events")
		}
	})
}

// "Full" is exact: ten events fill the link's message to the last byte and are one batch. The
// eleventh opens the next batch.
func TestTheEventThatDoesNotFitOpensTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := strings.Repeat("x", 100)
		peer := scripted.New(t, 1)
		peer.MaxMessage = uint64(10 * takes(t, body))
		p := world.Over(peer, eventhubs.Options{MaxWaitTime: eventhubs.UntilFull})
		if err := p.Connect(t.Context(), &eventhubs.ConnectOptions{Links: true}); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			world.Enqueue(t, p, "0", body)
		}
		time.Sleep(time.Hour)
		peer.WantSends("ten fit, and an eleventh may still come")
		for i := range 4 {
			world.Enqueue(t, p, "0", body[:99]+fmt.Sprint(i))
		}
		synctest.Wait()
		if got := len(peer.Sent()); got != 1 || len(peer.Sent()[0].Bodies) != 10 || p.BufferedEvents() != 4 {
			t.Errorf("%d batches were sent and %d events stay, want one of 10, and 4", got, p.BufferedEvents())
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if sends := peer.Sent(); len(sends) != 2 || len(sends[1].Bodies) != 4 || sends[1].Bodies[3] != body[:99]+"3" {
			t.Errorf("on Flush the rest was sent as %v", sends[1:])
		}
	})
}

func TestAnEventTooLargeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.MaxMessage = 500
		var failed world.Outcomes
		p := world.Over(peer, eventhubs.Options{OnBatchFailed: failed.Handle})
		world.Enqueue(t, p, "0", strings.Repeat("x", 501))
		_ = p.Flush(t.Context())
		if all := failed.All(); len(all) != 1 || len(all[0].Bodies) != 1 || all[0].Outcome.Tries != 0 || !errors.Is(all[0].Outcome.Err, eventhubs.ErrEventTooLarge) {
			t.Errorf("outcomes: %+v", all)
		}
		if len(peer.Sent()) != 0 || p.BufferedEvents() != 0 {
			t.Errorf("%d batches were sent, %d events are buffered", len(peer.Sent()), p.BufferedEvents())
		}
	})
}
