package wire

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// The end of an idle link shows only when the link is used. The producer opens another one within
// the same try, at once.
func TestALinkThatEndedWhileIdleIsReplacedWithinOneTry(t *testing.T) {
	for name, options := range map[string]eventhubs.Options{"plain": {}, "idempotent": {EnableIdempotentRetries: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var attaches, sent, failed atomic.Int32
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindAttach && op.PartitionID != "" {
						attaches.Add(1)
					}
					return emulator.Pass()
				}})
				options.Trace = &eventhubs.Trace{
					Sending:  func(eventhubs.TracedBatch) { sent.Add(1) },
					Retrying: func(eventhubs.TracedFailure) { failed.Add(1) },
				}
				p := world.NewProducer(t, server, options)
				for i := range int32(2) {
					began := time.Now()
					o, err := p.Publish(t.Context(), &eventhubs.Event{Body: []byte("a")})
					if err != nil || o.Tries != 1 || time.Since(began) > time.Second {
						t.Errorf("event %d: %v, %d tries, after %v; want one try, at once", i, err, o.Tries, time.Since(began))
					}
					if attaches.Load() != i+1 || sent.Load() != i+1 || failed.Load() != 0 {
						t.Errorf("event %d: %d attaches, %d reports of Sending, %d of Retrying; want %d, %d, 0", i, attaches.Load(), sent.Load(), failed.Load(), i+1, i+1)
					}
					// The service detaches a link that is idle for 30 minutes.
					time.Sleep(31 * time.Minute)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
