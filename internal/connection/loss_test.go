package connection

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// TestWhatBrokeIsToldApartFromWhatWasRefused: an immediate try makes sense only after something
// open broke.
func TestWhatBrokeIsToldApartFromWhatWasRefused(t *testing.T) {
	const busy = "The entity is being throttled. Please wait 4 seconds and try again."
	for _, c := range []struct {
		name   string
		kind   emulator.Kind
		action emulator.Action
		code   Code
		lost   bool
		wait   time.Duration
	}{
		{"detached", emulator.KindTransfer, emulator.Detach("amqp:link:detach-forced", "moved"), CodeConnectionLost, true, 0},
		{"detached without a reason that we know", emulator.KindTransfer, emulator.Detach("com.microsoft:new", "?"), CodeInternal, true, 0},
		{"detached, its token being over", emulator.KindTransfer, emulator.Detach("amqp:unauthorized-access", "ExpiredToken"), CodeUnauthorized, true, 0},
		{"detached by another producer", emulator.KindTransfer, emulator.Detach("com.microsoft:producer-epoch-stolen", "epoch"), CodeFenced, false, 0},
		{"detached as throttled", emulator.KindTransfer, emulator.Detach("com.microsoft:server-busy", busy), CodeThrottled, false, 4 * time.Second},
		{"detached from a hub that is gone", emulator.KindTransfer, emulator.Detach("amqp:not-found", "gone"), CodeNotFound, false, 0},
		{"container closed", emulator.KindTransfer, emulator.Detach("com.microsoft:container-close", "upgrade"), CodeConnectionLost, true, 0},
		{"connection closed", emulator.KindTransfer, emulator.CloseConnection("amqp:connection:forced", "upgrade"), CodeConnectionLost, true, 0},
		{"connection cut", emulator.KindTransfer, emulator.Cut(), CodeConnectionLost, true, 0},
		{"rejected as throttled", emulator.KindTransfer, emulator.Reject("com.microsoft:server-busy", busy), CodeThrottled, false, 4 * time.Second},
		{"rejected by a fault", emulator.KindTransfer, emulator.Reject("amqp:internal-error", "?"), CodeInternal, false, 0},
		{"released", emulator.KindTransfer, emulator.Release(), CodeReleased, false, 0},
		{"attach refused", emulator.KindAttach, emulator.Reject("amqp:link:detach-forced", "moving"), CodeConnectionLost, false, 0},
		{"cut while attaching", emulator.KindAttach, emulator.Cut(), CodeConnectionLost, true, 0},
		{"put-token refused as throttled", emulator.KindPutToken, emulator.Reject("com.microsoft:server-busy", busy), CodeThrottled, false, 4 * time.Second},
		{"$cbs detached", emulator.KindPutToken, emulator.Detach("amqp:link:detach-forced", "moved"), CodeConnectionLost, true, 0},
		{"closed once open", emulator.KindPutToken, emulator.CloseConnection("amqp:connection:forced", "upgrade"), CodeConnectionLost, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			hook := func(_ context.Context, op emulator.Operation) emulator.Action {
				if op.Kind == c.kind && (op.Kind != emulator.KindAttach || op.PartitionID != "") {
					return c.action
				}
				return emulator.Pass()
			}
			inBubble(t, emulator.Options{Hook: hook}, func(t *testing.T, b *bench) {
				r := b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1))
				e := wantCode(t, r.Err, c.code)
				if e.Lost != c.lost || e.Wait != c.wait || e.Unreached {
					t.Errorf("lost %v, wait %v, unreached %v; want %v, %v, false (%v)", e.Lost, e.Wait, e.Unreached, c.lost, c.wait, e)
				}
			})
		})
	}
}

func TestLinkThatIsGivenUpForTheCallersContextIsNotLost(t *testing.T) {
	inBubble(t, emulator.Options{Hook: once(emulator.KindTransfer, emulator.Silence())}, func(t *testing.T, b *bench) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if e := wantResult(t, b.Sender(testHub, "0", "").Send(ctx, batch(1, 1)), Unknown, CodeTimeout); e.Lost || e.Unreached {
			t.Errorf("error %+v is lost or unreached", e)
		}
	})
}

// deafableConn is our end of a connection on which, once deaf, nothing arrives any more, as after a
// firewall has forgotten it.
type deafableConn struct {
	net.Conn
	deaf atomic.Bool
}

func (c *deafableConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

// TestPeerThatIsSilentForAMinuteIsLost: the peer keeps the connection alive every half minute, or
// it is gone.
func TestPeerThatIsSilentForAMinuteIsLost(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var nc *deafableConn
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := b.server.Dial(ctx)
			nc = &deafableConn{Conn: conn}
			return nc, err
		}})
		s := c.Sender(testHub, "0", "")
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		nc.deaf.Store(true)
		start := time.Now()
		if e := wantResult(t, s.Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost); !e.Lost || e.Unreached {
			t.Errorf("error %+v, want a lost one", e)
		}
		if got := time.Since(start); got > time.Minute {
			t.Errorf("it took %v to notice, want a minute at most", got)
		}
		wantResult(t, s.Send(t.Context(), batch(1, 1)), Accepted, "")
		_ = c.Close(t.Context())
	})
}

func TestNamespaceOutOfReachIsToldApart(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, c := range []struct {
		name string
		dial func(ctx context.Context) (net.Conn, error)
		code Code
	}{
		{"refused", func(context.Context) (net.Conn, error) { return nil, refused }, CodeConnectionLost},
		{"no such host", func(context.Context) (net.Conn, error) { return nil, &net.DNSError{IsNotFound: true} }, CodeNotFound},
		{"hangs up", func(context.Context) (net.Conn, error) {
			ours, theirs := memnet.Pipe()
			return ours, theirs.Close()
		}, CodeConnectionLost},
		{"does not answer", func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }, CodeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
				conn := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return c.dial(ctx)
				}})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				e := wantResult(t, conn.Sender(testHub, "0", "").Send(ctx, batch(1, 1)), NotSent, c.code)
				if !e.Unreached || e.Lost {
					t.Errorf("unreached %v, lost %v; want true, false (%v)", e.Unreached, e.Lost, e)
				}
				again, cancelAgain := context.WithTimeout(t.Context(), time.Second)
				defer cancelAgain()
				_, err := conn.HubProperties(again, testHub)
				if e := wantCode(t, err, c.code); !e.Unreached || e.Lost {
					t.Errorf("properties: unreached %v, lost %v; want true, false (%v)", e.Unreached, e.Lost, e)
				}
				_ = conn.Close(t.Context())
			})
		})
	}
}

// TestOpenedWakesWhoeverWaitsForAConnection: one partition's dial fails and it waits; another
// partition's dial succeeds.
func TestOpenedWakesWhoeverWaitsForAConnection(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		down := true
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if down {
				return nil, errors.New("down")
			}
			return b.server.Dial(ctx)
		}})
		opened := c.Opened()
		wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost)
		select {
		case <-opened:
			t.Error("a failed dial has woken somebody")
		default:
		}
		down = false
		wantResult(t, c.Sender(testHub, "1", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		select {
		case <-opened:
		default:
			t.Error("a dial that succeeded has woken nobody")
		}
		select {
		case <-c.Opened():
			t.Error("the channel was not replaced")
		default:
		}
		_ = c.Close(t.Context())
	})
}

func TestAFailedDialIsOneFailedTryOfAllWhoWaitForIt(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		var dials atomic.Int32
		c := New(Config{Namespace: "n", Plain: true, Tokens: TokensFromKey("r", "k"), DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			time.Sleep(time.Second)
			return nil, errors.New("down")
		}})
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { // ends with the dial
				if e := wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), NotSent, CodeConnectionLost); !e.Unreached {
					t.Errorf("error %+v is not unreached", e)
				}
			})
		}
		wg.Wait()
		if got := dials.Load(); got != 1 {
			t.Errorf("%d dials, want 1", got)
		}
		_ = c.Close(t.Context())
	})
}

func TestExpiryOfTheAuthorizationIsTold(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		if got := b.TokenExpires(testHub); !got.IsZero() {
			t.Errorf("it expires at %v before it was there", got)
		}
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		if got, want := b.TokenExpires(testHub), time.Now().Add(KeyTokenLifetime); !got.Equal(want) {
			t.Errorf("it expires at %v, want %v", got, want)
		}
		if got := b.TokenExpires("another"); !got.IsZero() {
			t.Errorf("another hub's expires at %v", got)
		}
		b.tap.set(once(emulator.KindTransfer, emulator.Cut()))
		wantResult(t, b.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Unknown, CodeConnectionLost)
		if got := b.TokenExpires(testHub); !got.IsZero() {
			t.Errorf("it expires at %v after the connection was lost", got)
		}
	})
}

func TestWithoutCBSNothingIsPut(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c := New(Config{Namespace: "n", Plain: true, WithoutCBS: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.server.Dial(ctx)
		}})
		wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)), Accepted, "")
		if _, err := c.HubProperties(t.Context(), testHub); err != nil {
			t.Error(err)
		}
		if got := b.tap.count(emulator.KindPutToken); got != 0 {
			t.Errorf("%d put-tokens, want none", got)
		}
		if got := b.tap.count(emulator.KindAttach); got != 3 {
			t.Errorf("%d links, want 3: the sender's, and the two to $management", got)
		}
		_ = c.Close(t.Context())
	})
}
