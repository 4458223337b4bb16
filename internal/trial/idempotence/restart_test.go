package idempotence

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A source that can be read again is stored without duplicates, even if the service refuses every
// producer while the application restarts.
func TestARestartWhileTheServiceTakesNobodyStoresNothingTwice(t *testing.T) {
	for _, condition := range []string{"com.microsoft:argument-out-of-range", "amqp:not-allowed", "amqp:not-found", world.OutOfOrder} {
		t.Run(condition, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				state := eventhubs.NewFileProducerStore(w.TempDir())
				source := []string{"a", "b", "c", "d", "e"}
				life := func(upTo int) (connects int) {
					p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, ProducerStore: state, StopPartitionOnFailure: true})
					for connects = 1; p.Connect(w.Context(), &eventhubs.ConnectOptions{Links: true}) != nil; connects++ {
						time.Sleep(time.Second)
					}
					w.Enqueue(p, "0", source[p.Stats().Partitions[0].LastNumber:upTo]...)
					w.Must(p.Close(w.Context()))
					return connects
				}
				life(3)
				refusals := 0
				w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindAttach && op.PartitionID == "0" && refusals < 4 {
						refusals++
						return emulator.Reject(condition, "the partition is being moved")
					}
					return emulator.Pass()
				})
				w.Want("calls of Connect", life(5), 3)
				w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 b 0/3 c 1/4 d 1/5 e]")
			})
		})
	}
}

// A refusal below the attach fences no producer, whatever it says, not even while a batch is in
// flight.
func TestATokenThatIsRefusedFencesNobody(t *testing.T) {
	for name, refusal := range map[string]emulator.Action{
		"410":              emulator.Reject("", "the node is gone").WithStatus(410),
		"amqp:link:stolen": emulator.Reject("amqp:link:stolen", "gone for a moment"),
	} {
		for _, underWay := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", underWay), func(t *testing.T) {
				world.InMemory(t, func(w *world.World) {
					p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true})
					w.Must(w.Publish(p, "0", "a").Err)
					refused, cut := false, !underWay
					w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
						switch {
						case op.Kind == emulator.KindPutToken && !refused:
							refused = true
							return refusal
						case op.Kind == emulator.KindTransfer && !cut:
							cut = true
							return emulator.Cut().Stored()
						}
						return emulator.Pass()
					})
					if !underWay {
						w.Server.CutAll()
						synctest.Wait()
					}
					w.Must(w.Publish(p, "0", "b").Err)
					w.Must(w.Publish(p, "0", "c").Err)
					w.Want("partition 0", fmt.Sprint(w.NumbersIn("0"), refused), "[0/1 a 0/2 b 0/3 c] true")
				})
			})
		}
	}
}

// A service that reports its own failure or a timeout may still have stored the batch. No other
// event gets its numbers, because the service would take it for the stored one.
func TestARefusalThatLeavesOpenWhatIsStoredRaisesTheEpoch(t *testing.T) {
	for _, condition := range []string{"com.microsoft:timeout", "amqp:internal-error"} {
		t.Run(condition, func(t *testing.T) {
			world.InEachMode(t, func(w *world.World) {
				w.OnTransfer(func(n int, _ emulator.Operation) emulator.Action {
					if n == 2 {
						return emulator.Reject(condition, "The operation did not complete within the allotted time.").Stored()
					}
					return emulator.Pass()
				})
				p := w.Producer(eventhubs.Options{EnableIdempotentRetries: true, Retry: eventhubs.RetryOptions{MaxRetries: -1}})
				w.Must(w.Publish(p, "0", "a").Err)
				w.Want("the service's answer for b", w.Publish(p, "0", "b").Storage, eventhubs.NotStored)
				w.Must(w.Publish(p, "0", "c").Err)
				w.Want("partition 0", w.NumbersIn("0"), "[0/1 a 0/2 b 1/3 c]")
			})
		})
	}
}
