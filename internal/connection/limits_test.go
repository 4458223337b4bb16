package connection

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A peer accepts every link and records what it receives.
type peer struct {
	config amqp.Config
	limit  uint64 // the largest message that its attaches state
	handle bool   // its begins state one handle per session
	serve  func(l *amqp.Link)

	mu     sync.Mutex // guards the fields below
	opens  []*amqp.Open
	frames []int // sizes of the received frames
}

// run runs a test in a bubble against the peer.
func (p *peer) run(t *testing.T, cfg Config, test func(t *testing.T, c *Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var serving sync.WaitGroup
		defer serving.Wait()
		cfg.Plain, cfg.WithoutCBS = true, true
		cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := memnet.Pipe()
			serving.Go(func() { p.accept(t, &serving, theirs) }) // ends with the connection
			return &frameSizes{Conn: ours, peer: p}, nil
		}
		c := New(cfg)
		defer func() { _ = c.Close(context.Background()) }()
		test(t, c)
	})
}

func (p *peer) accept(t *testing.T, serving *sync.WaitGroup, nc net.Conn) {
	conn, err := amqp.Server(context.Background(), nc, &p.config)
	if err != nil {
		t.Error(err)
		return
	}
	p.mu.Lock()
	p.opens = append(p.opens, conn.Peer())
	p.mu.Unlock()
	for {
		l, err := conn.AcceptLink(context.Background())
		if err != nil {
			return
		}
		l.LimitMessages(math.MaxUint64, p.limit)
		if err := l.Accept(nil); err != nil {
			t.Error(err)
		}
		if l.Role() == amqp.RoleReceiver {
			if err := l.Credit(10); err != nil {
				t.Error(err)
			}
		}
		if p.serve != nil {
			serving.Go(func() { p.serve(l) }) // ends with the link
		}
	}
}

// frameSizes records the sizes of the frames that we send.
type frameSizes struct {
	net.Conn
	peer *peer
}

func (c *frameSizes) Write(b []byte) (int, error) {
	for rest := b; len(rest) >= 8 && string(rest[:4]) != "AMQP"; {
		size := int(rest[0])<<24 | int(rest[1])<<16 | int(rest[2])<<8 | int(rest[3])
		c.peer.mu.Lock()
		c.peer.frames = append(c.peer.frames, size)
		c.peer.mu.Unlock()
		rest = rest[size:]
	}
	return c.Conn.Write(b)
}

// Read replaces the handle-max in a begin, 255, by the peer's.
func (c *frameSizes) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if at := bytes.Index(b[:n], []byte("\x00\x53\x11")); c.peer.handle && at >= 0 {
		if of := bytes.Index(b[at:n], []byte("\x52\xff")); of >= 0 {
			b[at+of+1] = 0
		}
	}
	return n, err
}

// TestThePeersLimitsAreHonoured sends batches to peers that accept small frames, frames larger than
// ours, messages of any size or only small ones.
func TestThePeersLimitsAreHonoured(t *testing.T) {
	for _, c := range []struct {
		frame   uint32
		message uint64
		largest uint64 // the value of MaxMessageSize
		batch   int    // bytes
		outcome Outcome
	}{
		{512, 1 << 20, 1 << 20, 300_000, Accepted},
		{4096, 0, 0, 5 << 20, Accepted},
		{65536, math.MaxUint64, 0, 5 << 20, Accepted},
		{1 << 20, 10 << 20, 10 << 20, 9 << 20, Accepted},
		{math.MaxUint32, math.MaxUint64 - 1, math.MaxUint64 - 1, 5 << 20, Accepted},
		{512, 1000, 1000, 1001, NotSent},
	} {
		t.Run(fmt.Sprintf("frames of %d, messages of %d", c.frame, c.message), func(t *testing.T) {
			p := &peer{config: amqp.Config{MaxFrameSize: c.frame}, limit: c.message, serve: accept}
			p.run(t, Config{Namespace: "n"}, func(t *testing.T, conn *Conn) {
				s := conn.Sender("hub", "0", "")
				if err := s.Open(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := s.MaxMessageSize(); got != c.largest {
					t.Errorf("MaxMessageSize is %d, want %d", got, c.largest)
				}
				code := Code("")
				if c.outcome == NotSent {
					code = CodeTooLarge
				}
				wantResult(t, s.Send(t.Context(), batch(3, c.batch/3)), c.outcome, code)
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, size := range p.frames {
					if uint64(size) > uint64(c.frame) {
						t.Fatalf("a frame of %d bytes, the peer takes %d", size, c.frame)
					}
				}
			})
		})
	}
}

// TestFourThousandNineHundredLinks opens as many links as a peer allows, and one more.
func TestFourThousandNineHundredLinks(t *testing.T) {
	const links = 4900
	p := &peer{config: amqp.Config{ChannelMax: links - 1}}
	p.run(t, Config{Namespace: "n"}, func(t *testing.T, c *Conn) {
		senders := make([]*Sender, links)
		if err := c.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, goroutines := heap(), runtime.NumGoroutine()
		for i := range senders {
			senders[i] = c.Sender("hub", strconv.Itoa(i), "")
			if err := senders[i].Open(t.Context()); err != nil {
				t.Fatalf("link %d: %v", i, err)
			}
		}
		synctest.Wait()
		each := (heap() - before) / links
		more := runtime.NumGoroutine() - goroutines
		t.Logf("%d bytes for both ends of a link, %d more goroutines", each, more)
		if each > 8<<10 || more > 10 {
			t.Errorf("a link takes %d bytes, and %d take %d goroutines; want 8 KiB and O(1) at most", each, links, more)
		}
		for range 2 {
			start := time.Now()
			err := c.Sender("hub", "one more", "").Open(t.Context())
			if e := wantCode(t, err, CodeQuotaExceeded); !strings.Contains(e.Error(), "all 4900 channels") || !strings.Contains(e.Error(), "channel-max is 4899") || e.Transient {
				t.Errorf("error %v does not name the limit", e)
			}
			wantElapsed(t, start, 0)
		}
		senders[17].Close(t.Context())
		if err := c.Sender("hub", "one more", "").Open(t.Context()); err != nil {
			t.Errorf("with a channel that is free: %v", err)
		}
		runtime.KeepAlive(senders)
	})
}

// TestAPeerWithoutHandlesIsToldAsThat: a pair of links for requests needs two in a session.
func TestAPeerWithoutHandlesIsToldAsThat(t *testing.T) {
	p := &peer{handle: true}
	p.run(t, Config{Namespace: "n"}, func(t *testing.T, c *Conn) {
		_, err := c.HubProperties(t.Context(), "hub")
		if e := wantCode(t, err, CodeQuotaExceeded); !strings.Contains(e.Error(), "handle-max is 0") {
			t.Errorf("error %v does not name the limit", e)
		}
	})
}

// TestAPeersIdleTimeoutIsHonoured has a peer that ends a connection after twenty seconds of
// silence.
func TestAPeersIdleTimeoutIsHonoured(t *testing.T) {
	p := &peer{config: amqp.Config{IdleTimeout: 10 * time.Second}, serve: accept}
	var lost atomic.Int32
	p.run(t, Config{Namespace: "n", Disconnected: func(error) { lost.Add(1) }}, func(t *testing.T, c *Conn) {
		s := c.Sender("hub", "0", "")
		for range 3 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
			time.Sleep(time.Hour)
		}
		if lost.Load() != 0 || len(p.opens) != 1 {
			t.Errorf("%d connections, %d lost; want one that lasts", len(p.opens), lost.Load())
		}
	})
}

// TestOpenNamesHostAndConnection: the host has no port, and each connection has its own name, which
// begins with the identifier.
func TestOpenNamesHostAndConnection(t *testing.T) {
	for namespace, host := range map[string]string{"name.example": "name.example", "name.example:1234": "name.example", "[::1]:1234": "::1"} {
		var conns []net.Conn
		p := &peer{serve: accept}
		p.run(t, Config{Namespace: namespace, ContainerID: "me"}, func(t *testing.T, c *Conn) {
			dial := c.cfg.DialContext
			c.cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				nc, err := dial(ctx, network, addr)
				conns = append(conns, nc)
				return nc, err
			}
			s := c.Sender("hub", "0", "")
			for i := range 3 {
				wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
				_ = conns[i].Close()
				synctest.Wait()
			}
			for i, want := range []string{"me", "me-2", "me-3"} {
				if open := p.opens[i]; open.ContainerID != want || open.HostName != host {
					t.Errorf("%s: connection %d is %q to %q, want %q to %q", namespace, i+1, open.ContainerID, open.HostName, want, host)
				}
			}
		})
	}
}
