package connection

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
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

var errCut = errors.New("the network is cut")

// A cutConn is our end of a network that accepts a number of bytes and is then cut, even in the
// middle of a Write.
type cutConn struct {
	net.Conn

	mu      sync.Mutex // guards the fields below
	left    int        // bytes
	offered []byte     // to the network, accepted or not
}

func (c *cutConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offered = append(c.offered, p...)
	n := min(c.left, len(p))
	c.left -= n
	if n > 0 {
		if m, err := c.Conn.Write(p[:n]); err != nil {
			return m, err
		}
	}
	if n < len(p) {
		_ = c.Close()
		return n, errCut
	}
	return n, nil
}

// Close lets the server read the bytes that the network has accepted. Closing a socket with unread
// input would discard them.
func (c *cutConn) Close() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return c.Conn.Close()
	}
	return errors.Join(tcp.CloseWrite(), tcp.SetReadDeadline(time.Unix(1, 0)))
}

// A recordingConn is the server's end. It keeps the bytes that the server's socket has read, and is
// not closed before it has read all.
type recordingConn struct {
	net.Conn
	mu   sync.Mutex // guards read
	read []byte
}

func (c *recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	c.read = append(c.read, p[:n]...)
	c.mu.Unlock()
	return n, err
}

func (c *recordingConn) Close() error { return nil }

// serveRecorded answers a connection, as a service that stores everything, until it ends. It
// returns all received bytes.
func serveRecorded(nc net.Conn, cfg *amqp.Config) []byte {
	recorded := &recordingConn{Conn: nc}
	if conn, err := amqp.Server(context.Background(), recorded, cfg); err == nil {
		var links sync.WaitGroup
		for {
			l, err := conn.AcceptLink(context.Background())
			if err != nil {
				break
			}
			_ = errors.Join(l.Accept(nil), l.Credit(10))
			links.Go(func() { accept(l) }) // ends with the link
		}
		links.Wait()
		<-conn.Done()
	}
	_, _ = io.Copy(io.Discard, recorded) // the rest that the engine left unread after it could not write any more
	_ = nc.Close()
	return recorded.read
}

// firstBytes finds the first byte of each partition's first transfer in a stream of whole frames;
// the last may be cut.
func firstBytes(t *testing.T, stream []byte) map[string]int {
	t.Helper()
	partitions := make(map[uint16]string) // by channel
	first := make(map[string]int)
	for at := 0; len(stream)-at >= 8; {
		frame := stream[at:]
		if string(frame[:4]) == "AMQP" {
			at += 8
			continue
		}
		size, channel := int(binary.BigEndian.Uint32(frame)), binary.BigEndian.Uint16(frame[6:])
		body := frame[8:min(size, len(frame))]
		switch {
		case bytes.HasPrefix(body, []byte("\x00\x53\x12")): // attach
			if _, address, ok := strings.Cut(string(body), "/Partitions/"); ok {
				id, _, _ := strings.Cut(address, "@")
				partitions[channel] = id
			}
		case frame[5] == 0 && partitions[channel] != "": // on this channel only transfers follow, before anything is given up
			if id := partitions[channel]; bytes.HasPrefix(body, []byte("\x00\x53\x14")) || len(body) < 3 {
				if _, known := first[id]; !known {
					first[id] = at
				}
			}
		}
		at += size
	}
	return first
}

// A network makes both ends of a connection. Our end is cut after a number of bytes; the bytes that
// the server reads are kept.
type network struct {
	dial   func() (ours, theirs net.Conn, err error)
	server func(net.Conn) net.Conn // nil, or TLS
	tls    *tls.Config             // ours
}

// converse sends a batch to each of some partitions at once over a network that is cut. It compares
// each reported outcome with the bytes that the server has read. It returns how many bytes were
// offered to the network, and how many batches had each outcome.
func (n *network) converse(t *testing.T, left, partitions, size int) (offered int, outcomes map[Outcome]int) {
	t.Helper()
	ours, theirs, err := n.dial()
	if err != nil {
		t.Fatal(err)
	}
	if n.server != nil {
		theirs = n.server(theirs)
	}
	cut := &cutConn{Conn: ours, left: left}
	var read []byte
	var serving sync.WaitGroup
	serving.Go(func() { read = serveRecorded(theirs, nil) }) // ends with the connection
	dials := make(chan net.Conn, 1)
	dials <- cut
	c := New(Config{Namespace: "localhost", Plain: n.tls == nil, TLSConfig: n.tls, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		select {
		case nc := <-dials:
			return nc, nil
		default:
			return nil, errCut
		}
	}})
	results := make([]Result, partitions)
	opened := c.Connect(context.Background()) == nil
	var sends sync.WaitGroup
	for i := range results {
		if !opened {
			break // each would only wait for a pause to end
		}
		sends.Go(func() { // ends with the outcome
			results[i] = c.Sender("hub", strconv.Itoa(i)+"@", "").Send(context.Background(), batch(1, size))
		})
	}
	sends.Wait()
	_ = c.Close(context.Background())
	serving.Wait()
	_ = ours.Close()

	stream := read
	if n.tls == nil {
		stream = cut.offered
		if took := min(left, len(cut.offered)); len(read) != took {
			t.Fatalf("the server has read %d bytes through a network that took %d", len(read), took)
		}
	}
	first := firstBytes(t, stream)
	outcomes = make(map[Outcome]int)
	for i, r := range results {
		at, offered := first[strconv.Itoa(i)]
		reached := offered && at < len(read)
		if told := r.Outcome != NotSent; told != reached {
			t.Errorf("cut after %d bytes, of which the server has read %d: the batch that begins at byte %d (offered: %v) is told to be %v (%v)", left, len(read), at, offered, r.Outcome, r.Err)
		}
		outcomes[r.Outcome]++
	}
	return len(cut.offered), outcomes
}

func inMemory() *network {
	return &network{dial: func() (net.Conn, net.Conn, error) {
		ours, theirs := memnet.Pipe()
		return ours, theirs, nil
	}}
}

// overSockets connects through a listener on loopback.
func overSockets(t *testing.T) *network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return &network{dial: func() (ours, theirs net.Conn, err error) {
		accepted := make(chan error, 1)
		go func() { // ends with the connection
			var err error
			theirs, err = listener.Accept()
			accepted <- err
		}()
		ours, err = net.Dial("tcp", listener.Addr().String())
		return ours, theirs, errors.Join(err, <-accepted)
	}}
}

func overTLS(t *testing.T) *network {
	t.Helper()
	n := overSockets(t)
	cert, roots := certificate(t, "localhost")
	n.tls = &tls.Config{RootCAs: roots}
	n.server = func(nc net.Conn) net.Conn {
		return tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
	}
	return n
}

// TestWhatIsToldIsWhatTheServerHasRead cuts a conversation of three links, with a batch on each, at
// every byte that we send.
func TestWhatIsToldIsWhatTheServerHasRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		bubble bool
		make   func(t *testing.T) *network
	}{
		{"in memory", true, func(*testing.T) *network { return inMemory() }},
		{"over TCP", false, overSockets},
		{"over TLS", false, overTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel() // sockets take real time, and each network is a case's own
			n := c.make(t)
			total := make(map[Outcome]int)
			converse := func(left int) (offered int) {
				run := func(t *testing.T) {
					var outcomes map[Outcome]int
					offered, outcomes = n.converse(t, left, 3, 20)
					for o, count := range outcomes {
						total[o] += count
					}
				}
				if c.bubble {
					synctest.Test(t, run)
				} else {
					run(t)
				}
				return offered
			}
			whole := converse(1 << 30)
			if total[Accepted] != 3 {
				t.Fatalf("without a cut: %v", total)
			}
			for left := range whole {
				converse(left)
				if t.Failed() {
					return
				}
			}
			for _, o := range []Outcome{NotSent, Accepted, Unknown} {
				if total[o] == 0 {
					t.Errorf("no batch was %v, of %v", o, total)
				}
			}
			t.Logf("%d bytes, %v", whole, total)
		})
	}
}

// TestABreakUnder48BatchesLeavesThoseNotSentThatAreNot: the network accepts a part of the first
// message only. Nothing of the others has left.
func TestABreakUnder48BatchesLeavesThoseNotSentThatAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches = 48
		_, outcomes := inMemory().converse(t, 300_000, batches, 200_000)
		if sent := outcomes[Unknown] + outcomes[Accepted]; sent > 2 || outcomes[NotSent] != batches-sent {
			t.Errorf("outcomes %v of %d batches of 200,000 bytes, of which the network has taken 300,000", outcomes, batches)
		}
	})
}

// A heldConn is the server's end of a socket, which can be made to accept nothing.
type heldConn struct {
	net.Conn
	held chan struct{} // closed when it may go on
	on   atomic.Bool
}

func (c *heldConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.on.Load() {
		<-c.held
	}
	return n, err
}

// A countedConn is our end. It counts the bytes that the kernel has accepted.
type countedConn struct {
	net.Conn
	enough chan struct{} // closed after the kernel has accepted more than 100,000 bytes

	mu      sync.Mutex // guards the fields below
	late    bool       // its time is over, whatever deadline the engine sets
	offered []byte
	taken   int
}

// expire ends present and later writes.
func (c *countedConn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = true
	_ = c.Conn.SetWriteDeadline(time.Unix(1, 0))
}

func (c *countedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.late {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.offered = append(c.offered, p...)
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.taken
	if c.taken += n; before <= 100_000 && c.taken > 100_000 {
		close(c.enough)
	}
	return n, err
}

// TestWhatTheKernelHasTakenIsTold has 48 batches under way over a socket whose other end reads
// nothing, so a Write is cut somewhere.
func TestWhatTheKernelHasTakenIsTold(t *testing.T) {
	for _, c := range []struct {
		name  string
		end   func(ours *countedConn, theirs *net.TCPConn)
		reads bool // the other end later reads the bytes that the kernel has accepted
	}{
		{"a write deadline", func(ours *countedConn, _ *net.TCPConn) { ours.expire() }, true},
		{"closed by us", func(ours *countedConn, _ *net.TCPConn) { _ = ours.Close() }, true},
		{"a reset", func(_ *countedConn, theirs *net.TCPConn) { _ = errors.Join(theirs.SetLinger(0), theirs.Close()) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			const partitions = 48
			ours, theirs, err := overSockets(t).dial()
			if err != nil {
				t.Fatal(err)
			}
			_ = errors.Join(ours.(*net.TCPConn).SetWriteBuffer(64<<10), theirs.(*net.TCPConn).SetReadBuffer(64<<10)) // far less than the batches
			held := &heldConn{Conn: theirs, held: make(chan struct{})}
			counted := &countedConn{Conn: ours, enough: make(chan struct{})}
			var read []byte
			var serving sync.WaitGroup
			serving.Go(func() { read = serveRecorded(held, nil) }) // ends with the connection
			dials := make(chan net.Conn, 1)
			dials <- counted
			conn := New(Config{Namespace: "localhost", Plain: true, WithoutCBS: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
				select {
				case nc := <-dials:
					return nc, nil
				default:
					return nil, errCut
				}
			}})
			senders := make([]*Sender, partitions)
			for i := range senders {
				senders[i] = conn.Sender("hub", strconv.Itoa(i)+"@", "")
				if err := senders[i].Open(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			held.on.Store(true)
			results := make([]Result, partitions)
			var sends sync.WaitGroup
			for i, s := range senders {
				sends.Go(func() { results[i] = s.Send(context.Background(), batch(1, 200_000)) }) // ends with the outcome
			}
			<-counted.enough
			c.end(counted, theirs.(*net.TCPConn))
			sends.Wait()
			close(held.held)
			_ = conn.Close(context.Background())
			serving.Wait()
			if c.reads && len(read) != counted.taken {
				t.Errorf("the server has read %d bytes, and the kernel had taken %d", len(read), counted.taken)
			}
			first := firstBytes(t, counted.offered)
			outcomes := make(map[Outcome]int)
			for i, r := range results {
				at, offered := first[strconv.Itoa(i)]
				if told, handed := r.Outcome != NotSent, offered && at < counted.taken; told != handed {
					t.Errorf("the batch that begins at byte %d (offered: %v) is told to be %v (%v), and the kernel has taken %d bytes", at, offered, r.Outcome, r.Err, counted.taken)
				}
				outcomes[r.Outcome]++
			}
			if outcomes[NotSent] < partitions/2 || outcomes[Unknown] == 0 {
				t.Errorf("the kernel has taken %d bytes, outcomes %v", counted.taken, outcomes)
			}
		})
	}
}
