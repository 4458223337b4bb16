package eventhubs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// A FlushPartition for an unknown partition takes no failure away from later calls, and keeps
// nothing in memory.
func TestFlushPartitionOfAnUnknownPartitionKeepsWhatFailedForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 1)
		peer.List = func(int) error { return scripted.Unauthorized() }
		p := producerOver(peer, Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: -1}, OnBatchFailed: func(context.Context, *Batch) {}})
		enqueue(t, p, "0", "a")
		time.Sleep(time.Minute)
		peer.Mu.Lock()
		peer.List = nil
		peer.Mu.Unlock()
		if err := p.Connect(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if err := p.FlushPartition(t.Context(), "nowhere"); !errors.Is(err, ErrPartitionUnknown) {
				t.Fatalf("FlushPartition returned %v", err)
			}
		}
		if n := len(p.directory.staging.unreported[0].holders); n > 0 {
			t.Errorf("%d calls are remembered", n)
		}
		wantFailed(t, `FlushPartition("0")`, p.FlushPartition(t.Context(), "0"), 1)
		wantFailed(t, "Close", p.Close(t.Context()), 0)
	})
}
