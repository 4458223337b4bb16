package eventhubs

import (
	"context"
	"math"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// One partition holds nearly all of the buffer. The few events of the others still do not leave in
// small batches.
func TestPressureDoesNotScatterSmallBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hot, linger = "0", 5 * time.Millisecond
		var mu sync.Mutex
		batches, events := 0, 0
		peer := scripted.New(t, 8)
		peer.Answer = func(s scripted.Sent) connection.Result {
			if s.Partition == hot {
				time.Sleep(time.Millisecond)
			} else {
				mu.Lock()
				defer mu.Unlock()
				batches++
				events += len(s.Bodies)
			}
			return connection.Result{Outcome: connection.Accepted}
		}
		p := connectedOver(peer, Options{MaxWaitTime: linger, MaxBufferedEvents: 800})
		for i := range 20_000 {
			id := hot
			if i%10 == 0 {
				id = strconv.Itoa(1 + i/10%7)
			}
			enqueue(t, p, id, "x")
		}
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if share := 800 / 8 / leastShare; events < batches*share*9/10 {
			t.Errorf("the partitions that are not hot have sent %d events in %d batches, want about %d in each", events, batches, share)
		}
	})
}

// The bound in bytes must not overflow an int.
func TestBytesNearTheLargestInt(t *testing.T) {
	a := newAdmission(math.MaxInt, math.MaxInt, nil, func(*partition) {})
	if _, err := a.enter(context.Background(), wish{bytes: math.MaxInt - 10}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.try(t.Context(), wish{bytes: 100}); err == nil {
		t.Error("room beyond the bound was given")
	}
}
