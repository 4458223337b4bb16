package connection

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A mutedConn is our end of a network that silently goes dead. After a number of bytes nothing more
// arrives, or nothing more is accepted.
type mutedConn struct {
	net.Conn
	done    chan struct{} // closed by Close
	closing sync.Once

	mu   sync.Mutex    // guards the fields below
	in   int           // bytes that still come; negative: all
	out  int           // bytes that are still accepted; negative: all
	read int           // bytes that have come
	sent int           // accepted bytes
	ends [2]time.Time  // the deadlines of reads and writes that wait forever
	wake chan struct{} // closed and replaced when ends changes
}

func newMutedConn(nc net.Conn, in, out int) *mutedConn {
	return &mutedConn{Conn: nc, done: make(chan struct{}), wake: make(chan struct{}), in: in, out: out}
}

const reading, writing = 0, 1

// hang waits until a deadline or Close, otherwise forever.
func (c *mutedConn) hang(what int) error {
	for {
		c.mu.Lock()
		wake, end := c.wake, c.ends[what]
		c.mu.Unlock()
		var over <-chan time.Time
		if !end.IsZero() {
			over = time.After(time.Until(end))
		}
		select {
		case <-over:
			return os.ErrDeadlineExceeded
		case <-c.done:
			return net.ErrClosed
		case <-wake:
		}
	}
}

func (c *mutedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	in := c.in
	c.mu.Unlock()
	switch {
	case in == 0:
		return 0, c.hang(reading)
	case in > 0:
		p = p[:min(len(p), in)]
	}
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += n
	if c.in > 0 {
		c.in -= n
	}
	return n, err
}

func (c *mutedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	n := len(p)
	if c.out >= 0 {
		n = min(n, c.out)
		c.out -= n
	}
	c.sent += n
	c.mu.Unlock()
	if m, err := c.Conn.Write(p[:n]); err != nil {
		return m, err
	}
	if n < len(p) {
		return n, c.hang(writing)
	}
	return n, nil
}

func (c *mutedConn) endAt(t time.Time, what ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range what {
		c.ends[w] = t
	}
	close(c.wake)
	c.wake = make(chan struct{})
}

func (c *mutedConn) SetDeadline(t time.Time) error {
	c.endAt(t, reading, writing)
	return c.Conn.SetDeadline(t)
}

func (c *mutedConn) SetReadDeadline(t time.Time) error {
	c.endAt(t, reading)
	return c.Conn.SetReadDeadline(t)
}

func (c *mutedConn) SetWriteDeadline(t time.Time) error {
	c.endAt(t, writing)
	return c.Conn.SetWriteDeadline(t)
}

func (c *mutedConn) Close() error {
	c.closing.Do(func() { close(c.done) })
	return c.Conn.Close()
}

// TestCallsEndWithTheirContextsWhereverThePeerFallsSilent has a network go dead at every byte of a
// conversation, in either direction. That is in the middle of a frame, before an answer, or during
// a write. Every call ends with its context, and no batch that is reported as not sent is stored.
func TestCallsEndWithTheirContextsWhereverThePeerFallsSilent(t *testing.T) {
	var read, sent int
	outcomes := make(map[Outcome]int)
	run := func(in, out int) {
		inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
			var nc *mutedConn
			var raw net.Conn
			c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				if nc != nil {
					<-ctx.Done() // the network is gone
					return nil, ctx.Err()
				}
				var err error
				raw, err = b.server.Dial(ctx)
				nc = newMutedConn(raw, in, out)
				return nc, err
			}})
			const patience = time.Second
			call := func(name string, f func(ctx context.Context)) {
				t.Helper()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				f(ctx)
				if got := time.Since(start); got > patience {
					t.Errorf("%s takes %v with a network dead after %d bytes in, %d bytes out; want %v", name, got, in, out, patience)
				}
			}
			s := c.Sender(testHub, "0", "")
			call("Send", func(ctx context.Context) {
				r := s.Send(ctx, batch(2, 100_000))
				outcomes[r.Outcome]++
				synctest.Wait()
				if stored := b.stored("0") > 0; stored && r.Outcome == NotSent || !stored && r.Outcome == Accepted {
					t.Errorf("%d bytes in, %d bytes out: %v, and stored: %v", in, out, r.Outcome, stored)
				}
			})
			call("HubProperties", func(ctx context.Context) { _, _ = c.HubProperties(ctx, testHub) })
			call("Close of the sender", s.Close)
			call("Close", func(ctx context.Context) {
				if err := c.Close(ctx); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			read, sent = nc.read, nc.sent
			_ = raw.Close()
		})
	}
	run(-1, -1)
	for in := range read {
		run(in, -1)
	}
	// Within the message all bytes are alike.
	for out := 0; out < sent; out++ {
		if out > 1200 && out < sent-600 {
			out += 997
		}
		run(-1, out)
	}
	for _, o := range []Outcome{NotSent, Accepted, Unknown} {
		if outcomes[o] == 0 {
			t.Errorf("no batch was %v, of %v", o, outcomes)
		}
	}
	t.Log(outcomes)
}

// TestAPeersLastWordIsHeard: an error that a peer sends instead of its open is why there is no
// connection.
func TestAPeersLastWordIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frame := func(kind byte, descriptor uint64, fields ...any) []byte {
			f, err := amqp.AppendValue([]byte{0, 0, 0, 0, 2, kind, 0, 0}, amqp.Described{Descriptor: descriptor, Value: amqp.List(fields)})
			if err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint32(f, uint32(len(f)))
			return f
		}
		ours, theirs := memnet.Pipe()
		_, err := theirs.Write(slices.Concat(
			[]byte("AMQP\x03\x01\x00\x00"), frame(1, 0x40, []amqp.Symbol{"ANONYMOUS"}), frame(1, 0x44, uint8(0)), []byte("AMQP\x00\x01\x00\x00"),
			frame(0, 0x18, amqp.Described{Descriptor: uint64(0x1d), Value: amqp.List{amqp.Symbol("amqp:resource-limit-exceeded"), "no more connections"}}),
		))
		if err != nil {
			t.Fatal(err)
		}
		c := New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
		if e := wantCode(t, c.Connect(t.Context()), CodeQuotaExceeded); e.Condition != "amqp:resource-limit-exceeded" || e.Description != "no more connections" || !e.Unreached || e.Lost {
			t.Errorf("error %+v", e)
		}
		_ = c.Close(t.Context())
	})
}
