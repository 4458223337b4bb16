package world

import (
	"context"
	"net"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// NewProducer returns a producer for the server's hub. It connects over TCP, or in memory if the
// server does not listen.
func NewProducer(t *testing.T, server *emulator.Server, options eventhubs.Options) *eventhubs.BufferedProducer {
	t.Helper()
	if server.Addr() == emulator.InMemory {
		options.Connection.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return server.Dial(ctx) }
	}
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.ConnectionString("hub"), "", &options)
	if err != nil {
		t.Fatal(err)
	}
	return producer
}

func Hubs(partitions int) []emulator.Hub {
	return []emulator.Hub{{Name: "hub", Partitions: partitions}}
}

func Bodies(server *emulator.Server, partition string) (all []string) {
	for e := range server.Events("hub", partition) {
		all = append(all, string(e.Body))
	}
	return all
}
