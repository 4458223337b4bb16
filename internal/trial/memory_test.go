package trial

import (
	"context"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A closed producer is not kept in memory, neither by its timers nor by a shared connection.
func TestAClosedProducerIsCollected(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		shared       bool
		partitioning eventhubs.Partitioning
		end          func(p *eventhubs.BufferedProducer) error
	}{
		"Close":               {end: func(p *eventhubs.BufferedProducer) error { return p.Close(t.Context()) }},
		"Close, impatient":    {end: func(p *eventhubs.BufferedProducer) error { return p.Close(ended) }},
		"Abandon":             {end: func(p *eventhubs.BufferedProducer) error { return p.Abandon(t.Context()) }},
		"shared connection":   {shared: true, end: func(p *eventhubs.BufferedProducer) error { return p.Close(t.Context()) }},
		"the service assigns": {partitioning: eventhubs.ServiceAssigned, end: func(p *eventhubs.BufferedProducer) error { return p.Close(t.Context()) }},
		"Flush before": {end: func(p *eventhubs.BufferedProducer) error {
			if err := p.Flush(t.Context()); err != nil {
				return err
			}
			return p.Close(t.Context())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(4)})
				dial := eventhubs.ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }}
				shared, err := eventhubs.NewConnectionFromConnectionString(server.ConnectionString("hub"), &dial)
				if err != nil {
					t.Fatal(err)
				}
				produce := func() weak.Pointer[eventhubs.BufferedProducer] {
					options := eventhubs.Options{MaxWaitTime: time.Hour, DeliveryTimeout: -1, Partitioning: test.partitioning}
					var p *eventhubs.BufferedProducer
					if test.shared {
						if p, err = shared.NewBufferedProducer("hub", &options); err != nil {
							t.Fatal(err)
						}
					} else {
						p = world.NewProducer(t, server, options)
					}
					if err := p.Connect(t.Context(), nil); err != nil {
						t.Fatal(err)
					}
					for range 8 {
						if err := p.Enqueue(t.Context(), world.Event("a")); err != nil {
							t.Fatal(err)
						}
					}
					if err := test.end(p); err != nil {
						t.Logf("the end: %v", err) // some producers lose buffered events
					}
					return weak.Make(p)
				}
				p := produce()
				// The test waits for the connection's goroutines, and for the runtime, which may
				// keep a stopped timer for a while. A linger would last an hour.
				time.Sleep(time.Minute)
				synctest.Wait()
				for range 3 {
					// A sync.Pool stays known to the runtime until the second collection.
					runtime.GC()
				}
				if p.Value() != nil {
					t.Error("a closed producer is still in memory")
				}
				if err := shared.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
