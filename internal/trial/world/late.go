package world

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A LateNetwork is a producer's way to the emulator, on which what the producer writes may take a while, and arrives also when the producer has given the
// connection up: bytes of an old try come after those of the next one.
type LateNetwork struct {
	Server *emulator.Server
	Late   *atomic.Int64        // counts writes that have arrived from connections that were given up
	Lag    func() time.Duration // of what is read next; what is behind it waits too
	Refuse func() bool          // whether nobody can connect now
	Work   sync.WaitGroup       // the goroutines of all connections

	mu    sync.Mutex // guards the fields below
	dead  bool
	lost  bool // nothing arrives any more
	conns []*memnet.Conn
}

var errNoNetwork = errors.New("there is no network")

func (n *LateNetwork) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.isDead() || n.Refuse() {
		return nil, errNoNetwork
	}
	out, err := n.Server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	client, in := memnet.Pipe()
	n.mu.Lock()
	n.conns = append(n.conns, client)
	n.mu.Unlock()
	// Both end when either side has ended the connection, the first with its lag; whoever has made the network waits for work.
	n.Work.Go(func() { n.carry(out, in) })
	n.Work.Go(func() { carryBack(in, out) })
	return client, nil
}

// carry brings what the client writes to the server, until all of it is there.
func (n *LateNetwork) carry(out net.Conn, in *memnet.Conn) {
	defer func() {
		if !n.isLost() { // or the server closes it, when it has heard nothing for long enough
			_ = out.Close()
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		size, err := in.Read(buffer)
		if err != nil {
			return
		}
		if lag := n.Lag(); lag > 0 {
			time.Sleep(lag)
		}
		if n.isLost() {
			continue
		}
		if isGone(in) {
			n.Late.Add(1)
		}
		if _, err := out.Write(buffer[:size]); err != nil {
			_ = in.Close()
			return
		}
	}
}

// carryBack brings what the server writes to the client, and goes on reading when nobody is there any more.
func carryBack(in *memnet.Conn, out net.Conn) {
	defer in.Close()
	buffer := make([]byte, 64<<10)
	for {
		size, err := out.Read(buffer)
		if err != nil {
			return
		}
		_, _ = in.Write(buffer[:size])
	}
}

// isGone reports whether the other end was closed.
func isGone(c *memnet.Conn) bool {
	_, err := c.Write(nil)
	return err != nil
}

// Kill ends the process that uses the network: nobody says goodbye. Silently: the server does not even see that its connections are gone.
func (n *LateNetwork) Kill(silently bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead, n.lost = true, silently
	for _, c := range n.conns {
		_ = c.Close()
	}
}

func (n *LateNetwork) isDead() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dead
}

func (n *LateNetwork) isLost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// Stragglers returns lags: mostly none, now and then up to a minute.
func Stragglers(random *rand.Rand, perMille int) func() time.Duration {
	var mu sync.Mutex
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if random.IntN(1000) >= perMille {
			return 0
		}
		return time.Duration(random.Int64N(int64(math.Pow(10, float64(random.IntN(3)))) * int64(6*time.Second) / 10))
	}
}
