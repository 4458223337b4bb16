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

// A LateNetwork is a producer's way to the emulator. The producer's writes may arrive late, even
// after the producer has given the connection up. Then bytes of an old try arrive after those of
// the next one.
type LateNetwork struct {
	Server *emulator.Server
	Late   *atomic.Int64        // counts writes that arrived from abandoned connections
	Lag    func() time.Duration // of the next read; later bytes wait too
	Refuse func() bool          // whether no connection can be opened now
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
	// Both goroutines end when either side has ended the connection, the first after its lag. The
	// owner of the network waits for Work.
	n.Work.Go(func() { n.carry(out, in) })
	n.Work.Go(func() { carryBack(in, out) })
	return client, nil
}

// carry moves the client's bytes to the server, until all of them are there.
func (n *LateNetwork) carry(out net.Conn, in *memnet.Conn) {
	defer func() {
		if !n.isLost() { // or the server closes it, after a long silence
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

// carryBack moves the server's bytes to the client. It goes on reading after the client is gone.
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

// Kill ends the process that uses the network, without any goodbye. Silently: the server does not
// even see the end of its connections.
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

// Stragglers returns a function of lags: mostly zero, now and then up to a minute.
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
