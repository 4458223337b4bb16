package eventhubs

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// Events that fail in staging are reported before events that were enqueued later for the same
// partition, whatever ended either. A slow handler holds up no other partition.
func TestWhatFailsInStagingIsToldInItsPartitionsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		known := make(chan struct{})
		var asked atomic.Bool // whether the first questions for the list have failed
		peer.List = func(int) error {
			if !asked.Load() {
				return scripted.Unauthorized()
			}
			<-known
			return nil
		}
		var told outcomes
		handler := func(ctx context.Context, b *Batch) {
			told.handle(ctx, b)
			if b.PartitionID == "0" {
				time.Sleep(time.Minute)
			}
		}
		p := producerOver(peer, Options{MaxWaitTime: SendAtOnce, Retry: RetryOptions{MaxRetries: -1}, OnBatchSucceeded: handler, OnBatchFailed: handler})
		enqueue(t, p, "0", "a")
		enqueue(t, p, "1", "b")
		synctest.Wait() // both have failed, and the handler of the first is running
		asked.Store(true)
		padding := strings.Repeat(".", batchBytesUnknown*2/3)
		enqueue(t, p, "0", "c"+padding, "C"+padding) // one batch each
		enqueue(t, p, "1", "d")
		if n, err := p.ClearPartition(t.Context(), "0"); n != 2 || err != nil {
			t.Errorf("ClearPartition returned %d, %v, want 2", n, err)
		}
		enqueue(t, p, "0", "e")
		close(known)
		time.Sleep(time.Second)
		wantTold := func(partition, want string) {
			t.Helper()
			var got []string
			for _, o := range told.all() {
				if o.partition == partition {
					got = append(got, fmt.Sprintf("%v %s", o.at, o.bodies[0][:1]))
				}
			}
			if fmt.Sprint(got) != want {
				t.Errorf("of partition %s the handlers got %v, want %s", partition, got, want)
			}
		}
		wantTold("1", "[0s b 0s d]")
		time.Sleep(10 * time.Minute)
		wantTold("0", "[0s a 1m0s c 2m0s C 3m0s e]")
	})
}
