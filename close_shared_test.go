package eventhubs_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// When Close's context ends, what is in flight becomes possibly stored. On a connection of the producer's own that is cut; on a shared one the link is given
// up, for which the peer is given time. Close must not return before, or what it says of the event would not be all.
func TestCloseTellsWhatIsInFlightBeforeItReturns(t *testing.T) {
	for _, c := range []struct {
		name   string
		shared bool
		action emulator.Action
		silent bool // the network, from then on
		within time.Duration
	}{
		{"own connection", false, emulator.Silence(), false, time.Second},
		{"own connection, silent network", false, emulator.Silence(), true, time.Second},
		{"shared connection", true, emulator.Silence(), false, 2 * time.Second},
		{"shared connection, no answer to the detach", true, emulator.Silence().IgnoreDetach(), false, 5*time.Second + 500*time.Millisecond},
		{"shared connection, silent network", true, emulator.Silence(), true, 5*time.Second + 500*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{}
				t.Cleanup(n.carries.Wait)
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: hub(4), Hook: func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindTransfer {
						return c.action
					}
					return emulator.Pass()
				}})
				n.leadTo(server)
				connection := eventhubs.ConnectionOptions{DialContext: n.dial}
				make := func() (*eventhubs.BufferedProducer, error) {
					return eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce, Connection: connection})
				}
				if c.shared {
					shared, err := eventhubs.NewConnectionFromConnectionString(server.ConnectionString("hub"), &connection)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = shared.Close(context.Background()) })
					make = func() (*eventhubs.BufferedProducer, error) {
						return shared.NewBufferedProducer("hub", &eventhubs.Options{MaxWaitTime: eventhubs.SendAtOnce})
					}
				}
				p, err := make()
				if err != nil {
					t.Fatal(err)
				}
				var d eventhubs.Delivery
				if err := p.Enqueue(t.Context(), &eventhubs.Event{Body: []byte("a"), PartitionID: "1", Delivery: &d}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second) // it is sent, and not acknowledged
				if c.silent {
					n.swallow()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				began := time.Now()
				err = p.Close(ctx)
				if took := time.Since(began); err == nil || took > time.Second+c.within {
					t.Errorf("Close returned %v after %v", err, took)
				}
				if d.Outcome().Storage != eventhubs.PossiblyStored {
					t.Errorf("Close returned %v, and the outcome is %+v", err, d.Outcome())
				}
			})
		})
	}
}
