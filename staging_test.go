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

// What fails in staging is told before what was enqueued later for its partition, whatever ended either, and a handler that takes its time holds up no other partition.
func TestWhatFailsInStagingIsToldInItsPartitionsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := scripted.New(t, 2)
		known := make(chan struct{})
		var asked atomic.Bool // for the list, in vain
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
		synctest.Wait() // both have failed, and the handler of the first is at work
		asked.Store(true)
		padding := strings.Repeat(".", batchBytesUnknown*2/3)
		enqueue(t, p, "0", "c"+padding, "C"+padding) // in a batch each
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
				t.Errorf("of partition %s the handlers were told %v, want %s", partition, got, want)
			}
		}
		wantTold("1", "[0s b 0s d]")
		time.Sleep(10 * time.Minute)
		wantTold("0", "[0s a 1m0s c 2m0s C 3m0s e]")
	})
}
