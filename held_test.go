package eventhubs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// The connection writes a batch from the batch's own memory. A try may end while it still does so.

func TestABatchIsNotTriedAgainBeforeTheConnectionHasLetGo(t *testing.T) {
	nothingBeforeItLetsGo(t, func(s sent) connection.Result {
		if s.try > 1 {
			return connection.Result{Outcome: connection.Accepted}
		}
		return transient(connection.Unknown)
	})
}

func TestABatchThatIsTooLargeIsNotCutBeforeTheConnectionHasLetGo(t *testing.T) {
	nothingBeforeItLetsGo(t, func(s sent) connection.Result {
		if len(s.bodies) == 1 {
			return connection.Result{Outcome: connection.Accepted}
		}
		return connection.Result{Outcome: connection.Rejected, Err: &connection.Error{Code: connection.CodeTooLarge, Err: errors.New("too large")}}
	})
}

// nothingBeforeItLetsGo has a peer hold what it does not store.
func nothingBeforeItLetsGo(t *testing.T, answer func(sent) connection.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1)
		held := make(chan struct{})
		p.answer = func(s sent) connection.Result {
			r := answer(s)
			if r.Err != nil {
				r.Held = held
			}
			return r
		}
		producer := p.producer(Options{})
		enqueue(t, producer, "0", "a", "b")
		time.Sleep(5 * time.Minute)
		if n := len(p.sent()); n != 1 {
			t.Errorf("%d tries while the connection writes from the batch's memory, want the first one only", n)
		}
		close(held)
		time.Sleep(time.Minute)
		if got := fmt.Sprint(p.storedIn("0")); got != "[a b]" {
			t.Errorf("stored %s when the connection has let go, want [a b]", got)
		}
	})
}

// TestWhatTheConnectionHoldsHasItsOutcomeInTime has a connection that never lets go: the outcome comes, with its room, and the memory is not used again.
func TestWhatTheConnectionHoldsHasItsOutcomeInTime(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // so that what is given back is what is taken next
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 1)
		var written [][]byte // the first batch, where the producer has it
		p.answer = func(s sent) connection.Result {
			if s.bodies[0] != "held" {
				return connection.Result{Outcome: connection.Accepted}
			}
			written = slices.Clone(s.batch)
			r := transient(connection.Unknown)
			r.Held = make(chan struct{})
			return r
		}
		producer := p.producer(Options{DeliveryTimeout: time.Minute, FlushOmitsTold: true})
		var d Delivery
		if err := producer.Enqueue(t.Context(), &Event{Body: []byte("held"), PartitionID: "0", Delivery: &d}); err != nil {
			t.Fatal(err)
		}
		<-d.Done()
		if o := d.Outcome(); o.Storage != PossiblyStored || !errors.Is(o.Err, ErrDeliveryTimeout) || now() != time.Minute {
			t.Errorf("after %v the outcome is %v, want possibly stored by the DeliveryTimeout of a minute", now(), o)
		}
		if s := producer.Stats(); s.BufferedEvents != 0 || s.BufferedBytes != 0 {
			t.Errorf("%d events in %d bytes are buffered, want none: the room is given back with the outcome", s.BufferedEvents, s.BufferedBytes)
		}
		was := bytes.Clone(slices.Concat(written...))
		for range 100 { // more, by far, than would find its memory again
			enqueue(t, producer, "0", strings.Repeat("x", 3000))
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(slices.Concat(written...), was) {
			t.Error("the batch's memory was used again, though the connection still writes it")
		}
	})
}

// TestATCPThatTakesNothingHoldsOneMessageOutsideTheBounds fills a buffer behind a socket whose other end reads no more. Each event has its outcome in time and its room is given back, and
// of what was told no more is held than the message that is being written.
func TestATCPThatTakesNothingHoldsOneMessageOutsideTheBounds(t *testing.T) {
	server, err := emulator.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var path stallingPath
	defer path.end()
	var mu sync.Mutex // guards the fields below
	told, held, most := 0, []*batch{}, 0
	failed := func(_ context.Context, b *Batch) {
		mu.Lock()
		defer mu.Unlock()
		told += b.Count
		held = slices.DeleteFunc(append(held, b.batch), func(b *batch) bool { return !isHeld(b) })
		bytes := 0
		for _, b := range held {
			bytes += b.bytes
		}
		most = max(most, bytes)
	}
	const bound = 4 << 20
	producer, err := NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &Options{
		MaxBufferedBytes: bound, MaxWaitTime: time.Millisecond, OnBatchFailed: failed, Logger: unlogged, Retry: RetryOptions{TryTimeout: 300 * time.Millisecond, MaxRetries: -1},
		Connection: ConnectionOptions{DialContext: path.dial},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // so that every link is open
		if _, err := producer.Publish(t.Context(), &Event{Body: []byte("first"), PartitionID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	path.stall()
	body := make([]byte, 10_000)
	_, _ = rand.Read(body)
	accepted := 0
	for ; accepted < 3*bound/len(body); accepted++ { // three times what the buffer holds
		if err := producer.Enqueue(t.Context(), &Event{Body: body}); err != nil {
			t.Fatal(err)
		}
		if s := producer.Stats(); s.BufferedBytes > bound {
			t.Fatalf("%d bytes are buffered, more than %d", s.BufferedBytes, bound)
		}
	}
	_ = producer.Close(t.Context())
	mu.Lock()
	defer mu.Unlock()
	if told != accepted {
		t.Errorf("%d of %d events were told to have failed", told, accepted)
	}
	const write = 160 << 10 // what one write takes of several batches
	if limit := batchBytesCeiling + write; most > limit || most == 0 {
		t.Errorf("batches of %d bytes were told while the connection had not let go of them, want some, and %d at the most", most, limit)
	}
	if path.dials() < 2 {
		t.Error("the connection whose write stands still was kept")
	}
}

func isHeld(b *batch) bool {
	select {
	case <-b.held:
		return false
	default:
		return b.held != nil
	}
}

// A stallingPath leads over sockets of the loopback, with little memory of their own, and takes nothing more once it has stalled.
type stallingPath struct {
	mu      sync.Mutex // guards the fields below
	dialled int
	stalled bool
	relays  []*net.TCPConn
	carries sync.WaitGroup // two goroutines for each connection
}

func (p *stallingPath) dial(ctx context.Context, network, address string) (net.Conn, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	near, err := (&net.Dialer{}).DialContext(ctx, network, listener.Addr().String())
	if err != nil {
		return nil, err
	}
	middle, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	far, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	_, _ = near.(*net.TCPConn).SetWriteBuffer(8<<10), middle.(*net.TCPConn).SetReadBuffer(8<<10)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dialled++
	p.relays = append(p.relays, middle.(*net.TCPConn), far.(*net.TCPConn))
	// Both end with the sockets.
	p.carries.Go(func() {
		chunk := make([]byte, 4<<10)
		for {
			n, err := middle.Read(chunk)
			if err != nil || p.stands() {
				return
			}
			if _, err := far.Write(chunk[:n]); err != nil {
				return
			}
		}
	})
	p.carries.Go(func() {
		for chunk := make([]byte, 4<<10); ; {
			n, err := far.Read(chunk)
			if err != nil {
				return
			}
			if _, err := middle.Write(chunk[:n]); err != nil {
				return
			}
		}
	})
	return near, nil
}

func (p *stallingPath) stands() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stalled
}

func (p *stallingPath) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled = true
}

func (p *stallingPath) dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialled
}

func (p *stallingPath) end() {
	p.mu.Lock()
	for _, c := range p.relays {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.carries.Wait()
}

// TestAnOutcomeCountsThoughItsWriteHasNotReturned has a network that takes a batch, and then stands still: the service's answer comes, and the Write does not return.
func TestAnOutcomeCountsThoughItsWriteHasNotReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, err := emulator.New(&emulator.Options{Addr: emulator.InMemory})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		producer, err := NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &Options{
			Logger: unlogged, Retry: RetryOptions{TryTimeout: 5 * time.Second},
			Connection: ConnectionOptions{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				nc, err := server.Dial(ctx)
				return &standingConn{Conn: nc, closed: make(chan struct{})}, err
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		outcome, err := producer.Publish(t.Context(), &Event{Body: make([]byte, 20_000), PartitionID: "0"})
		if outcome.Storage != Stored || err != nil || outcome.Tries != 1 {
			t.Errorf("the outcome is %v after %d tries, %v, want stored by the first", outcome.Storage, outcome.Tries, err)
		}
		time.Sleep(time.Minute)
		stored := 0
		for range server.Events("events", "0") {
			stored++
		}
		if stored != 1 {
			t.Errorf("the event is stored %d times", stored)
		}
		if _, err := producer.Publish(t.Context(), &Event{Body: []byte("next"), PartitionID: "0"}); err != nil {
			t.Errorf("the next event: %v", err)
		}
		if err := producer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A standingConn takes what is large, and does not return from there before it is closed.
type standingConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *standingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if len(b) > 10_000 {
		<-c.closed
	}
	return n, err
}

func (c *standingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
