package connection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

func TestManySendersShareOneConnectionAndOnePutToken(t *testing.T) {
	inBubble(t, emulator.Options{Hubs: []emulator.Hub{{Name: testHub, Partitions: 32}}}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() { // ends when the link is open
				s := b.Sender(testHub, strconv.Itoa(i), "me")
				if s.MaxMessageSize() != 0 {
					t.Error("a size is known before the link is open")
				}
				if err := s.Open(t.Context()); err != nil {
					t.Error(err)
				}
				if got := s.MaxMessageSize(); got != 1_046_528 {
					t.Errorf("MaxMessageSize = %d, want the emulator's 1046528", got)
				}
			})
		}
		wg.Wait()
		for kind, want := range map[emulator.Kind]int{emulator.KindConnection: 1, emulator.KindPutToken: 1} {
			if got := b.tap.count(kind); got != want {
				t.Errorf("%d operations of kind %v, want %d", got, kind, want)
			}
		}
	})
}

func TestHubAndPartitionPropertiesAreRead(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		hub, err := b.HubProperties(t.Context(), testHub)
		if err != nil {
			t.Fatal(err)
		}
		if hub.Name != testHub || len(hub.PartitionIDs) != 4 || hub.PartitionIDs[3] != "3" || hub.GeoReplicationEnabled || hub.CreatedOn.IsZero() {
			t.Errorf("hub properties %+v", hub)
		}
		wantResult(t, b.Sender(testHub, "2", "").Send(t.Context(), batch(3, 10)), Accepted, "")
		partition, err := b.PartitionProperties(t.Context(), testHub, "2")
		if err != nil {
			t.Fatal(err)
		}
		if partition.PartitionID != "2" || partition.EventHubName != testHub || partition.LastEnqueuedSequenceNumber != 2 || partition.IsEmpty || partition.LastEnqueuedOn.IsZero() {
			t.Errorf("partition properties %+v", partition)
		}
	})
}

func TestManagementRequestsRunAtTheSameTime(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() { // ends with the reply
				id := strconv.Itoa(i % 4)
				got, err := b.PartitionProperties(t.Context(), testHub, id)
				if err != nil || got.PartitionID != id {
					t.Errorf("partition %s: got %q, %v", id, got.PartitionID, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestRequestEndsWithItsContextAndLeavesOthersAlone(t *testing.T) {
	hook := once(emulator.KindManagement, emulator.Silence())
	inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.HubProperties(ctx, testHub)
		if e := wantCode(t, err, CodeTimeout); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("error %v does not match the context's", err)
		}
		wantElapsed(t, start, time.Second)
		if _, err := b.HubProperties(t.Context(), testHub); err != nil {
			t.Errorf("the next request: %v", err)
		}
		if got := b.tap.count(emulator.KindConnection); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

func TestWhatDoesNotExistIsNotFound(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		_, err := b.HubProperties(t.Context(), "nowhere")
		if e := wantCode(t, err, CodeNotFound); e.Transient || e.Condition != "amqp:not-found" || e.TrackingID == "" {
			t.Errorf("error %+v", e)
		}
		e := wantResult(t, b.Sender("nowhere", "0", "").Send(t.Context(), batch(1, 1)), NotSent, CodeNotFound)
		if e.Transient {
			t.Errorf("error %+v is transient", e)
		}
		wantResult(t, b.Sender(testHub, "77", "").Send(t.Context(), batch(1, 1)), NotSent, CodePartitionUnknown)
	})
}

// TestOneDialServesAllAndEachWaitsAsLongAsItWants has a dial of 10 s, one caller that waits and one
// that does not.
func TestOneDialServesAllAndEachWaitsAsLongAsItWants(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var dials atomic.Int32
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			time.Sleep(10 * time.Second)
			return b.server.Dial(ctx)
		}})
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // ends with its context
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			wantCode(t, c.Sender(testHub, "0", "").Open(ctx), CodeTimeout)
			wantElapsed(t, start, time.Second)
		})
		wg.Go(func() { // ends when the link is open
			if err := c.Sender(testHub, "1", "").Open(t.Context()); err != nil {
				t.Error(err)
			}
			wantElapsed(t, start, 10*time.Second)
		})
		wg.Wait()
		if got := dials.Load(); got != 1 {
			t.Errorf("%d dials, want 1", got)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestFailedDialIsTriedAgainWhenNextNeeded(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
		fail := true
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if network != "tcp" || addr != "n:5672" {
				t.Errorf("dialled %s %s", network, addr)
			}
			if fail {
				return nil, refused
			}
			return b.server.Dial(ctx)
		}})
		s := c.Sender(testHub, "0", "")
		e := wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		if !e.Transient || !errors.Is(e, refused) {
			t.Errorf("error %+v, want a transient one with its cause", e)
		}
		fail = false
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		_ = c.Close(t.Context())
	})
}

// TestADialerThatEndsItsGoroutineIsAFailedDial: a test's Fatal in a fake dialer does that.
func TestADialerThatEndsItsGoroutineIsAFailedDial(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		dial := b.Conn.cfg.DialContext
		b.Conn.cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		}
		s := b.Sender(testHub, "0", "")
		start := time.Now()
		for range 2 {
			wantResult(t, s.Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		}
		wantElapsed(t, start, againPause)
		b.Conn.cfg.DialContext = dial
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
	})
}

// TestTheEndOfAConnectionIsToldThoughItIsClosedAtOnce: Close comes while Connected still runs.
func TestTheEndOfAConnectionIsToldThoughItIsClosedAtOnce(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var told []string // by one goroutine after another
		var closing sync.WaitGroup
		b.Conn.cfg.Connected = func() {
			closing.Go(func() { // ends with the connection
				if err := b.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // for the connection's end
			told = append(told, "connected")
		}
		b.Conn.cfg.Disconnected = func(err error) { told = append(told, fmt.Sprint("disconnected: ", err)) }
		_ = b.Connect(t.Context())
		closing.Wait()
		if want := []string{"connected", "disconnected: <nil>"}; !slices.Equal(told, want) {
			t.Errorf("told of %q, want %q", told, want)
		}
	})
}

func TestPeerThatDoesNotSpeakIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe()
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(context.Context, string, string) (net.Conn, error) {
			return client, nil
		}})
		start := time.Now()
		wantCode(t, c.Sender(testHub, "0", "").Open(t.Context()), CodeTimeout)
		wantElapsed(t, start, openTimeout)
		if _, err := io.ReadAll(server); err != nil {
			t.Errorf("the transport was not closed: %v", err)
		}
		_ = c.Close(t.Context())
	})
}

func TestClosedConnectionRefusesEverything(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		open, idle := b.Sender(testHub, "0", ""), b.Sender(testHub, "1", "")
		wantResult(t, open.Send(t.Context(), batch(1, 1)), Accepted, "")
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"an open sender": open.Open(t.Context()), "an idle sender": idle.Open(t.Context())} {
			if !errors.Is(wantCode(t, err, CodeClosed), ErrClosed) {
				t.Errorf("%s: error %v, want ErrClosed", name, err)
			}
		}
		wantResult(t, open.Send(t.Context(), batch(1, 1)), NotSent, CodeClosed)
		_, err := b.HubProperties(t.Context(), testHub)
		wantCode(t, err, CodeClosed)
	})
}

func TestCloseEndsWhatIsBeingOpened(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		var wg sync.WaitGroup
		wg.Go(func() { // ends with Close
			if !errors.Is(c.Sender(testHub, "0", "").Open(t.Context()), context.Canceled) {
				t.Error("Open did not end with the connection")
			}
		})
		synctest.Wait()
		start := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantElapsed(t, start, 0)
		wg.Wait()
	})
}

// stallingConn is a client's end whose writes wait while it is stalled, as on a network that drops
// everything. Or each write takes a while, as on a slow network.
type stallingConn struct {
	net.Conn
	stalled chan struct{} // not nil: writes wait until it, or the connection, is closed
	slow    time.Duration
	done    chan struct{}
	closing sync.Once
	on      atomic.Bool
}

func (c *stallingConn) Write(p []byte) (int, error) {
	if c.on.Load() {
		if c.stalled != nil {
			select {
			case <-c.stalled:
			case <-c.done:
				return 0, net.ErrClosed
			}
		}
		time.Sleep(c.slow)
	}
	return c.Conn.Write(p)
}

func (c *stallingConn) Close() error {
	c.closing.Do(func() { close(c.done) })
	return c.Conn.Close()
}

// through makes a connection whose last dial returns a stallingConn.
func (b *bench) through(stalled chan struct{}, slow time.Duration) (*Conn, *atomic.Pointer[stallingConn]) {
	var last atomic.Pointer[stallingConn]
	return New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		nc, err := b.server.Dial(ctx)
		if err != nil {
			return nil, err
		}
		last.Store(&stallingConn{Conn: nc, stalled: stalled, slow: slow, done: make(chan struct{})})
		return last.Load(), nil
	}}), &last
}

// TestCloseOfAStalledConnectionEndsInTime (H9), though the close cannot be written.
func TestCloseOfAStalledConnectionEndsInTime(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c, nc := b.through(make(chan struct{}), 0)
		wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		nc.Load().on.Store(true)
		start := time.Now()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wantElapsed(t, start, closeTimeout)

		// An earlier end of the caller's context applies.
		c, nc = b.through(make(chan struct{}), 0)
		wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		nc.Load().on.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		wantElapsed(t, start, time.Second)
	})
}
