package scripted

import (
	"context"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/testseam"
)

// A HangingHub never returns its list of partitions.
type HangingHub struct {
	*Hub
	Hang bool
}

func (h *HangingHub) Properties(ctx context.Context) (connection.HubProperties, error) {
	if h.Hang {
		<-ctx.Done()
		return connection.HubProperties{}, ctx.Err()
	}
	return connection.HubProperties{}, Transient(connection.NotSent).Err
}

// A SlowHub is a hub whose links open as the test says, and which counts its closes.
type SlowHub struct {
	*Hub
	Open   func(ctx context.Context, id string) error
	Closes atomic.Int32
}

func (h *SlowHub) Link(id string) testseam.Link { return &slowLink{Link{Peer: h.Hub, ID: id}, h} }

func (h *SlowHub) Close(ctx context.Context) error {
	h.Closes.Add(1)
	return h.Hub.Close(ctx)
}

type slowLink struct {
	Link
	hub *SlowHub
}

func (l *slowLink) Open(ctx context.Context) error {
	if l.hub.Open != nil {
		return l.hub.Open(ctx, l.ID)
	}
	return ctx.Err()
}
