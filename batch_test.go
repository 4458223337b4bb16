package eventhubs

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/trial/scripted"
)

// TestATCPThatTakesNothingHoldsOneMessageOutsideTheBounds fills a buffer whose socket has a peer
// that stopped reading. Each event gets its outcome in time and gives its room back. After their
// outcomes, no more events stay in memory than the message that is being written.
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
		held = slices.DeleteFunc(append(held, b.lent.batch), func(b *batch) bool { return !isHeld(b) })
		bytes := 0
		for _, b := range held {
			bytes += b.bytes
		}
		most = max(most, bytes)
	}
	const bound = 4 << 20
	producer, err := NewBufferedProducerFromConnectionString(server.ConnectionString("events"), "", &Options{
		// The first batches shall be larger than the sockets' buffers, whatever else the machine does.
		MaxBufferedBytes: bound, MaxWaitTime: 100 * time.Millisecond, OnBatchFailed: failed, Logger: scripted.Unlogged, Retry: RetryOptions{TryTimeout: 300 * time.Millisecond, MaxRetries: -1},
		Connection: ConnectionOptions{DialContext: path.dial},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 { // opens every link
		if _, err := producer.Publish(t.Context(), &Event{Body: []byte("first"), PartitionID: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	path.stall()
	body := make([]byte, 10_000)
	_, _ = rand.Read(body)
	accepted := 0
	for ; accepted < 3*bound/len(body); accepted++ { // three times the size of the buffer
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
		t.Errorf("%d of %d events were reported as failed", told, accepted)
	}
	const write = 160 << 10 // the part of several batches that one write takes
	if limit := batchBytesCeiling + write; most > limit || most == 0 {
		t.Errorf("batches of %d bytes had an outcome while the connection still held them, want some, at most %d", most, limit)
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

// A stallingPath leads over loopback sockets with small buffers. After a stall it takes nothing
// more.
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
	// Both goroutines end with the sockets.
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
