package world

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// NewEmulator returns a server with a hub in memory that keeps every event.
func NewEmulator(t *testing.T, partitions int) *emulator.Server {
	return emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Hubs: Hubs(partitions), Logger: slog.New(slog.DiscardHandler)})
}

// OneWay is how long a byte travels between a producer and the service, as from a client to a
// region nearby.
const OneWay = 20 * time.Millisecond

// Trip is a round trip.
const Trip = 2 * OneWay

// A Network is the way to a server, with a delay that memnet lacks. The server may be replaced, as
// when a name gets another address. The way may be closed.
type Network struct {
	Door
	Carries sync.WaitGroup // two goroutines for each direction of each wire

	mu     sync.Mutex // guards the fields below
	server *emulator.Server
	wires  []*wire
}

// Dial is a dialer for Options.Connection, with a name server of its own. A handshake takes a round
// trip, as with TCP.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	if err := n.Pass(ctx); err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(address); err != nil || net.ParseIP(host) != nil {
		return nil, errors.New(address + " is no host name: a saved address may be out of date")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	far, err := n.server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	near, end := memnet.Pipe()
	w := &wire{}
	n.wires = append(n.wires, w)
	w.carry(&n.Carries, far, end)
	w.carry(&n.Carries, end, far)
	return near, nil
}

// LeadTo makes the way lead to another server.
func (n *Network) LeadTo(server *emulator.Server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = server
}

// Swallow makes existing connections carry nothing any more, in either direction and without an
// error, like a firewall that has forgotten them.
func (n *Network) Swallow() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.wires {
		w.mu.Lock()
		w.deaf = true
		w.mu.Unlock()
	}
}

// A wire carries the bytes of one connection.
type wire struct {
	mu   sync.Mutex // guards the field below
	deaf bool
}

// A parcel is the bytes that arrived at one time. A parcel without bytes is the end of the
// connection.
type parcel struct {
	bytes []byte
	err   error
	due   time.Time
}

// carry moves bytes from one end to the other, OneWay later. It ends when either end does.
func (w *wire) carry(carries *sync.WaitGroup, from, to net.Conn) {
	under := make(chan parcel, 256) // on their way; beyond that the sender's socket fills up
	// This goroutine ends with from, or after a close of to, which closes from.
	carries.Go(func() {
		defer close(under)
		buffer := make([]byte, 32<<10)
		for {
			n, err := from.Read(buffer)
			w.mu.Lock()
			deaf := w.deaf
			w.mu.Unlock()
			if deaf && err == nil {
				continue
			}
			under <- parcel{slices.Clone(buffer[:n]), err, time.Now().Add(OneWay)}
			if err != nil {
				return
			}
		}
	})
	// This goroutine ends with the one above, after the last of its parcels.
	carries.Go(func() {
		for p := range under {
			time.Sleep(time.Until(p.due))
			w.mu.Lock()
			deaf := w.deaf
			w.mu.Unlock()
			switch {
			case deaf && p.err == nil:
			case p.err == nil:
				_, _ = to.Write(p.bytes) // a closed end takes nothing
			case deaf:
				_ = from.Close()
			case errors.Is(p.err, io.EOF):
				_ = to.Close()
			default:
				cutOff(to)
			}
		}
	})
}

// cutOff breaks a connection, as the other end broke.
func cutOff(c net.Conn) {
	if m, ok := c.(*memnet.Conn); ok {
		m.Cut()
		return
	}
	_ = c.Close()
}

// Sleep returns nil after d, or the context's error when that ends first.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tracked ends a text as the service does.
func Tracked(text string) string { return text + " TrackingId:2_G0, SystemTracker:t" }
