package eventhubs_test

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

// A lateNetwork is a producer's way to the emulator, on which what the producer writes may take a while, and arrives also when the producer has given the
// connection up: bytes of an old try come after those of the next one.
type lateNetwork struct {
	server *emulator.Server
	late   *atomic.Int64        // counts writes that have arrived from connections that were given up
	lag    func() time.Duration // of what is read next; what is behind it waits too
	refuse func() bool          // whether nobody can connect now
	work   sync.WaitGroup       // the goroutines of all connections

	mu    sync.Mutex // guards the fields below
	dead  bool
	lost  bool // nothing arrives any more
	conns []*memnet.Conn
}

var errNoNetwork = errors.New("there is no network")

func (n *lateNetwork) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if n.isDead() || n.refuse() {
		return nil, errNoNetwork
	}
	out, err := n.server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	client, in := memnet.Pipe()
	n.mu.Lock()
	n.conns = append(n.conns, client)
	n.mu.Unlock()
	// Both end when either side has ended the connection, the first with its lag; whoever has made the network waits for work.
	n.work.Go(func() { n.carry(out, in) })
	n.work.Go(func() { carryBack(in, out) })
	return client, nil
}

// carry brings what the client writes to the server, until all of it is there.
func (n *lateNetwork) carry(out net.Conn, in *memnet.Conn) {
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
		if lag := n.lag(); lag > 0 {
			time.Sleep(lag)
		}
		if n.isLost() {
			continue
		}
		if isGone(in) {
			n.late.Add(1)
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

// kill ends the process that uses the network: nobody says goodbye. Silently: the server does not even see that its connections are gone.
func (n *lateNetwork) kill(silently bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead, n.lost = true, silently
	for _, c := range n.conns {
		_ = c.Close()
	}
}

func (n *lateNetwork) isDead() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dead
}

func (n *lateNetwork) isLost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

// A mishap is what goes wrong with an operation of one that may go wrong, by chance; severity is a percentage of the transfers.
func mishap(op emulator.Operation, random *rand.Rand, severity int) emulator.Action {
	long := time.Duration(random.IntN(30_000)) * time.Millisecond
	switch op.Kind {
	case emulator.KindTransfer:
		if random.IntN(100) < severity {
			return badTransfer(random, long)
		}
		return emulator.Pass().AnswerAfter(time.Duration(random.IntN(20)) * time.Millisecond)
	case emulator.KindAttach:
		if random.IntN(200) < severity {
			return badAttach(random, long)
		}
	default:
		if random.IntN(1000) < severity {
			return emulator.Cut()
		}
	}
	return emulator.Pass()
}

// badTransfer lies to nobody: what is told as given back or refused is not stored.
func badTransfer(random *rand.Rand, long time.Duration) emulator.Action {
	switch random.IntN(18) {
	case 0:
		return emulator.Cut()
	case 1, 2:
		return emulator.Cut().Stored()
	case 3:
		return emulator.Silence()
	case 4, 5:
		return emulator.Silence().Stored()
	case 6:
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case 7:
		return emulator.Detach("amqp:link:detach-forced", "moved").Stored()
	case 8:
		return emulator.CloseConnection("amqp:connection:forced", "upgrade").Stored()
	case 9:
		return emulator.Release()
	case 10:
		return emulator.Modify()
	case 11:
		return emulator.Reject("com.microsoft:server-busy", "busy")
	case 12:
		return emulator.Reject("amqp:not-allowed", "never")
	case 13:
		return emulator.Reject("amqp:internal-error", "oops")
	case 14:
		return emulator.Pass().AnswerAfter(long)
	case 15:
		return emulator.Pass().After(long) // the server itself is late: the client may have given up
	case 16:
		return emulator.Pass().CloseWindow(long)
	default:
		return emulator.Silence().Stored().IgnoreDetach()
	}
}

func badAttach(random *rand.Rand, long time.Duration) emulator.Action {
	switch random.IntN(9) {
	case 0:
		return emulator.Cut()
	case 1:
		return emulator.Cut().Stored() // the service knows the producer, which does not know that
	case 2:
		return emulator.Silence()
	case 3:
		return emulator.Silence().Stored()
	case 4:
		return emulator.Reject("com.microsoft:server-busy", "busy")
	case 5:
		return emulator.Reject("amqp:internal-error", "oops")
	case 6:
		return emulator.Detach("amqp:link:detach-forced", "moved")
	case 7:
		return emulator.WithholdCredit(long)
	default:
		return emulator.Pass().After(long)
	}
}

// stragglers returns lags: mostly none, now and then up to a minute.
func stragglers(random *rand.Rand, perMille int) func() time.Duration {
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
