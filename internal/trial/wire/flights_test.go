package wire

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/trial/world"
)

// A flight is everything that a client sends before it needs an answer. A round trip separates two
// flights. No flight goes past the SASL outcome. No flight has a flow or a transfer after an attach
// that may be refused.
var (
	flightsOfAConnection = []string{
		"header3, sasl-init",
		"header0, open, begin",
		"attach to $cbs, attach from $cbs",
		"flow from $cbs, transfer to $cbs",
		"begin, attach to partition",
		"transfer to partition",
	}
	flightsOfALink     = []string{"begin, attach to partition", "transfer to partition"}
	flightsOfAQuestion = []string{"begin, attach to $management, attach from $management", "flow from $management, transfer to $management"}
)

// A flown is a producer over a network with round trips, whose frames are written down.
type flown struct {
	*testing.T
	network world.Network
	server  *emulator.Server
	record  recording
	p       *eventhubs.BufferedProducer
}

func newFlown(t *testing.T, options eventhubs.Options) *flown {
	f := &flown{T: t}
	t.Cleanup(f.network.Carries.Wait) // when the server is closed
	f.server = emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: world.Hubs(1), Authentication: &emulator.Authentication{}, Logger: slog.New(slog.DiscardHandler)})
	f.network.LeadTo(f.server)
	options.MaxWaitTime, options.PartitionRefreshInterval = eventhubs.SendAtOnce, -1
	options.Logger = slog.New(slog.DiscardHandler)
	options.Connection.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := f.network.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return f.record.over(nc), nil
	}
	p, err := eventhubs.NewBufferedProducerFromConnectionString(f.server.ConnectionString("hub"), "", &options)
	if err != nil {
		t.Fatal(err)
	}
	f.p = p
	t.Cleanup(func() { _ = p.Abandon(context.Background()) })
	return f
}

// publish waits for an event's acknowledgement.
func (f *flown) publish() {
	f.Helper()
	if _, err := f.p.Publish(f.Context(), &eventhubs.Event{Body: []byte("x"), PartitionID: "0"}); err != nil {
		f.Fatal(err)
	}
}

// since returns the client's frames from a time on, one flight for each instant. It leaves out the
// frames that end what is gone.
func (f *flown) since(start time.Time) (flights []string) {
	f.record.mu.Lock()
	defer f.record.mu.Unlock()
	var last time.Time
	for _, s := range f.record.said {
		switch {
		case !s.client || s.at.Before(start) || s.name == "detach" || s.name == "end" || s.name == "close" || s.name == "disposition":
		case len(flights) > 0 && s.at.Equal(last):
			flights[len(flights)-1] += ", " + s.kind
		default:
			flights, last = append(flights, s.kind), s.at
		}
	}
	return flights
}

// wantFlights expects those flights since a time. The first comes after a wait for the network. The
// answer to the last has just arrived.
func (f *flown) wantFlights(start time.Time, wait time.Duration, want []string) {
	f.Helper()
	if got := f.since(start); !slices.Equal(got, want) {
		f.Errorf("%d flights:\n  %s\nwant %d:\n  %s", len(got), strings.Join(got, "\n  "), len(want), strings.Join(want, "\n  "))
	}
	if took := time.Since(start) - wait; took != time.Duration(len(want))*world.Trip {
		f.Errorf("it took %v, %.1f round trips; want %d", took, float64(took)/float64(world.Trip), len(want))
	}
}

// The time runs from when the producer learns of the loss, in the middle of a batch, until that
// batch is acknowledged.
func TestALossIsOverAfterAsFewFlightsAsOfficialClientsNeed(t *testing.T) {
	for _, c := range []struct {
		loss    string
		action  emulator.Action
		wait    time.Duration // for TCP
		flights []string
	}{
		{"connection closed", emulator.CloseConnection("amqp:connection:forced", "moved"), world.Trip, flightsOfAConnection},
		{"connection cut", emulator.Cut(), world.Trip, flightsOfAConnection},
		{"link", emulator.Detach("amqp:link:detach-forced", "moved"), 0, flightsOfALink},
	} {
		for _, idempotent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/idempotent %v", c.loss, idempotent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFlown(t, eventhubs.Options{EnableIdempotentRetries: idempotent})
					f.publish()
					time.Sleep(time.Second)
					struck := false
					f.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
						if struck || op.Kind != emulator.KindTransfer {
							return emulator.Pass()
						}
						struck = true
						return c.action
					})
					heard := time.Now().Add(world.Trip) // of the batch's fault
					f.publish()
					f.wantFlights(heard, c.wait, c.flights)
				})
			})
		}
	}
}

// The next event finds a loss that happened while nothing was in flight.
func TestALossInSilenceIsOverAfterAsFewFlights(t *testing.T) {
	for _, idempotent := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFlown(t, eventhubs.Options{EnableIdempotentRetries: idempotent})
			f.publish()
			f.server.CutAll()
			time.Sleep(time.Second)
			start := time.Now()
			f.publish()
			f.wantFlights(start, world.Trip, flightsOfAConnection)
		})
	}
}

// The first event asks for the partitions before its link is opened.
func TestTheFirstEventIsStoredAfterAsFewFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlown(t, eventhubs.Options{})
		start := time.Now()
		f.publish()
		f.wantFlights(start, world.Trip, slices.Concat(flightsOfAConnection[:4], flightsOfAQuestion, flightsOfALink))
	})
}
