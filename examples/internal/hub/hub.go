// Package hub gives an example its event hub. It is your own hub if the environment variable
// EVENTHUBS_CONNECTION_STRING names one with its EntityPath, or a hub of an emulator inside the
// program.
package hub

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// A Hub is an event hub to publish to.
type Hub struct {
	ConnectionString string // names the hub

	server *emulator.Server // nil for your own hub
}

// Open returns your own hub, if there is one. Otherwise it starts an emulator with a hub of so many
// partitions. A message may have maxMessageSize bytes there; zero means the service's limit. A
// variable that is set and empty is an error, since a secret is missing and the emulator is not
// meant.
func Open(partitions, maxMessageSize int) (*Hub, error) {
	if yours, set := os.LookupEnv("EVENTHUBS_CONNECTION_STRING"); set {
		if strings.TrimSpace(yours) == "" {
			return nil, errors.New("the environment variable EVENTHUBS_CONNECTION_STRING is set and empty; give it a connection string, or unset it for an emulator")
		}
		return &Hub{ConnectionString: yours}, nil
	}
	server, err := emulator.New(&emulator.Options{
		Hubs:           []emulator.Hub{{Name: "example", Partitions: partitions}},
		MaxMessageSize: maxMessageSize,
	})
	if err != nil {
		return nil, err
	}
	return &Hub{ConnectionString: server.ConnectionString("example"), server: server}, nil
}

// OnTransfer sets the function that decides about each message from now on; nil accepts all. It
// works only on the emulator. On your own hub nothing is provoked.
func (h *Hub) OnTransfer(decide func(emulator.Operation) emulator.Action) {
	switch {
	case h.server == nil:
	case decide == nil:
		h.server.SetHook(nil)
	default:
		h.server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
			if op.Kind == emulator.KindTransfer {
				return decide(op)
			}
			return emulator.Pass()
		})
	}
}

// Stored returns the bodies in a partition of the emulator, in their order; nil for your own hub.
func (h *Hub) Stored(partitionID string) (bodies []string) {
	if h.server == nil {
		return nil
	}
	for event := range h.server.Events("example", partitionID) {
		bodies = append(bodies, string(event.Body))
	}
	return bodies
}

// Close stops the emulator, if there is one.
func (h *Hub) Close() {
	if h.server != nil {
		_ = h.server.Close() // always nil
	}
}
