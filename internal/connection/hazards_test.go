package connection

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goamqp "github.com/Azure/go-amqp"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// withPeer runs a test in a bubble against a peer that accepts every link and
// hands it to serve, which ends when the link or the connection does. open opens a
// link of ours to it, without $cbs.
func withPeer(t *testing.T, cfg *amqp.Config, serve func(l *amqp.Link), test func(t *testing.T, cl *client, flows *atomic.Bool, open func() *link)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := memnet.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { // ends with the connection
			conn, err := amqp.Server(context.Background(), theirs, cfg)
			if err != nil {
				t.Error(err)
				return
			}
			for {
				l, err := conn.AcceptLink(context.Background())
				if err != nil {
					return
				}
				wg.Go(func() { // ends with the link
					if err := errors.Join(l.Accept(nil), l.Credit(10)); err != nil {
						t.Error(err)
					}
					serve(l)
				})
			}
		})
		filter := &flowFilter{Conn: ours}
		owner := New(Config{Namespace: "n", Plain: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			return filter, nil
		}})
		defer wg.Wait()
		defer func() { _ = owner.Close(context.Background()) }()
		cl, err := owner.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		test(t, cl, &filter.dropping, func() *link {
			l, err := newLink(t.Context(), cl, "hub/Partitions/0", nil)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // for the credit
			return l
		})
	})
}

// accept settles everything as accepted.
func accept(l *amqp.Link) {
	for {
		d, err := l.Receive(context.Background())
		if err != nil {
			return
		}
		_ = d.Settle(amqp.Accepted{})
	}
}

// flowFilter is our end of a connection. While dropping it withholds the peer's
// flows, and with them session windows and credit. Behind each detach it adds what
// is to come late. Ends can be withheld, too.
type flowFilter struct {
	net.Conn
	dropping atomic.Bool
	endless  atomic.Bool
	late     atomic.Pointer[[]byte]
	frame    []byte // not yet read; owned by the reader

	slow atomic.Bool // a transfer takes a millisecond

	mu        sync.Mutex // guards transfers
	transfers []uint16   // the channel of each transfer that was written
}

// Write notes whose transfers are written: go-amqp writes a frame at a time.
func (f *flowFilter) Write(p []byte) (int, error) {
	const transfer = "\x00\x53\x14"
	if len(p) > 8 && strings.HasPrefix(string(p[8:]), transfer) {
		f.mu.Lock()
		f.transfers = append(f.transfers, binary.BigEndian.Uint16(p[6:]))
		f.mu.Unlock()
		if f.slow.Load() {
			time.Sleep(time.Millisecond) // of the bubble's time
		}
	}
	return f.Conn.Write(p)
}

func (f *flowFilter) Read(p []byte) (int, error) {
	for len(f.frame) == 0 {
		header := make([]byte, 8)
		if _, err := io.ReadFull(f.Conn, header); err != nil {
			return 0, err
		}
		f.frame = header
		if string(header[:4]) == "AMQP" {
			break
		}
		body := make([]byte, binary.BigEndian.Uint32(header)-8)
		if _, err := io.ReadFull(f.Conn, body); err != nil {
			return 0, err
		}
		f.frame = append(f.frame, body...)
		const flow = "\x00\x53\x13"
		if f.dropping.Load() && strings.HasPrefix(string(body), flow) {
			f.frame = nil
		}
		const end = "\x00\x53\x17"
		if f.endless.Load() && strings.HasPrefix(string(body), end) {
			f.frame = nil
		}
		const detach = "\x00\x53\x16"
		if late := f.late.Load(); late != nil && strings.HasPrefix(string(body), detach) {
			f.frame = append(f.frame, *late...)
		}
	}
	n := copy(p, f.frame)
	f.frame = f.frame[n:]
	return n, nil
}

func try(ctx context.Context, l *link, events [][]byte) (goamqp.SendReceipt, *attempt, error) {
	a := &attempt{caller: ctx, message: goamqp.Message{Format: batchFormat, Data: events}}
	receipt, err := l.transmit(a)
	return receipt, a, err
}

// contextCalls is a context that writes down what it is asked.
type contextCalls struct {
	*attempt
	mu    sync.Mutex // guards calls
	calls []string
}

func (c *contextCalls) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *contextCalls) Done() <-chan struct{}       { c.note("Done"); return c.attempt.Done() }
func (c *contextCalls) Err() error                  { c.note("Err"); return c.attempt.Err() }
func (c *contextCalls) Deadline() (time.Time, bool) { c.note("Deadline"); return c.attempt.Deadline() }

// TestSendAsksItsContextAsWeRelyOn pins what attempt relies on to the version of
// go-amqp in go.mod: Done once per frame, before it; Err once per frame, just
// before it is written; nothing else that matters.
func TestSendAsksItsContextAsWeRelyOn(t *testing.T) {
	withPeer(t, nil, accept, func(t *testing.T, _ *client, _ *atomic.Bool, open func() *link) {
		l := open()
		for frames, events := range map[int][][]byte{1: batch(1, 10), 3: batch(3, 50_000)} {
			c := &contextCalls{attempt: &attempt{caller: t.Context(), link: l}}
			receipt, err := l.sender.SendWithReceipt(c, &goamqp.Message{Format: batchFormat, Data: events}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := receipt.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := slices.Repeat([]string{"Done", "Err", "Deadline"}, frames); !slices.Equal(c.calls, want) {
				t.Errorf("a message of %d frames asks %q, want %q", frames, c.calls, want)
			}
		}
	})
}

// TestMessagesLeaveOneAfterTheOther sends messages of 16 frames over four links at once:
// but for their first frames, those of a message leave together.
func TestMessagesLeaveOneAfterTheOther(t *testing.T) {
	withPeer(t, nil, accept, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		const links = 4
		filter := cl.raw.(*flowFilter)
		filter.slow.Store(true)
		var sends sync.WaitGroup
		for range links {
			l := open()
			sends.Go(func() { // ends with the outcome
				receipt, _, err := try(t.Context(), l, batch(16, 60_000))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := l.await(t.Context(), &receipt); err != nil {
					t.Error(err)
				}
			})
		}
		sends.Wait()
		filter.mu.Lock()
		defer filter.mu.Unlock()
		first := map[uint16]bool{}
		var rest []uint16
		for _, channel := range filter.transfers {
			if first[channel] {
				rest = append(rest, channel)
			}
			first[channel] = true
		}
		if turns := len(slices.Compact(rest)); turns != links {
			t.Errorf("behind the first frames of %d messages others change %d times, in %v", links, turns, filter.transfers)
		}
	})
}

// TestAMessageThatIsHeldUpDoesNotHoldUpOthersForEver has a message stay in the lane, with
// its session's window closed, and sends another over a second link.
func TestAMessageThatIsHeldUpDoesNotHoldUpOthersForEver(t *testing.T) {
	withPeer(t, &amqp.Config{SessionWindow: 4}, accept, func(t *testing.T, cl *client, flows *atomic.Bool, open func() *link) {
		held, other := open(), open()
		flows.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() { // ends with cancel
			if _, _, err := try(ctx, held, batch(10, 60_000)); err == nil {
				t.Error("ten frames went through a window for four")
			}
		})
		synctest.Wait()
		start := time.Now()
		receipt, _, err := try(t.Context(), other, batch(3, 60_000))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.await(t.Context(), &receipt); err != nil {
			t.Fatal(err)
		}
		wantElapsed(t, start, lanePatience)
		cancel()
		sending.Wait()
		flows.Store(false)
		l := open()
		start = time.Now() // the lane is free again
		if _, _, err := try(t.Context(), l, batch(3, 60_000)); err != nil {
			t.Fatal(err)
		}
		wantElapsed(t, start, 0)
	})
}

func TestDoneWorksAtItsFirstCallOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &attempt{caller: ctx, link: &link{client: &client{lane: make(chan struct{}, 1)}}}
	if first := a.Done(); first != ctx.Done() {
		t.Error("the first Done is not the caller's")
	}
	if second := a.Done(); second != nil {
		t.Error("the second Done is not nil")
	}
	if a.Err() != nil {
		t.Error("Err tells that the caller's context has ended")
	}
	if _, ok := a.Deadline(); ok {
		t.Error("there is a deadline")
	}
}

// TestClosedSessionWindowDoesNotHoldASend has a peer whose session takes one or
// four frames and no more (H1): go-amqp alone waits without regard to its context,
// and sends the next message behind what it has left of one (H2).
func TestClosedSessionWindowDoesNotHoldASend(t *testing.T) {
	for _, c := range []struct {
		name      string
		window    uint32
		events    [][]byte
		written   bool
		deadlines bool // the context is one of Deadlines
	}{
		{"before the first frame", 1, batch(1, 10), false, false},
		{"within a message", 4, batch(10, 50_000), true, false},
		{"within a message, with Deadlines", 4, batch(10, 50_000), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			withPeer(t, &amqp.Config{SessionWindow: c.window}, accept, func(t *testing.T, cl *client, flows *atomic.Bool, open func() *link) {
				l := open()
				flows.Store(true)
				if !c.written {
					receipt, _, err := try(t.Context(), l, batch(1, 10)) // uses up the window
					if err != nil {
						t.Fatal(err)
					}
					if _, err := l.await(t.Context(), &receipt); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if c.deadlines {
					tries := NewDeadlines(t.Context())
					defer tries.Close()
					ctx = tries.Start(time.Second)
				}
				_, a, err := try(ctx, l, c.events)
				wantElapsed(t, start, time.Second+grace)
				if !errorOfLink(err) || a.written.Load() != c.written {
					t.Errorf("error %v, written %v; want the link's end, and %v", err, a.written.Load(), c.written)
				}
				if cl.lost() {
					t.Error("the connection was broken, though the peer answers")
				}
				flows.Store(false)
				receipt, _, err := try(t.Context(), open(), batch(1, 10))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.await(t.Context(), &receipt); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestOutcomeIsNotLostToADetachBehindIt (H6): when both are there, go-amqp alone
// reports the detach half of the time. The peer waits a second,
// until the send call has returned: if the detach overtakes that, go-amqp gives no receipt to ask.
func TestOutcomeIsNotLostToADetachBehindIt(t *testing.T) {
	serve := func(l *amqp.Link) {
		d, err := l.Receive(context.Background())
		if err != nil {
			return
		}
		time.Sleep(time.Second)
		_ = d.Settle(amqp.Accepted{})
		_ = l.Detach(&amqp.Error{Condition: "amqp:link:detach-forced"})
	}
	withPeer(t, nil, serve, func(t *testing.T, _ *client, _ *atomic.Bool, open func() *link) {
		for i := range 100 {
			l := open()
			receipt, _, err := try(t.Context(), l, batch(1, 10))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second) // now both are there
			state, err := l.await(t.Context(), &receipt)
			if _, ok := state.(*goamqp.StateAccepted); !ok {
				t.Fatalf("batch %d: %T, %v; want accepted", i, state, err)
			}
			l.end()
		}
	})
}

// TestOutcomeBehindADetachEndsNoOtherLink (H7): go-amqp ends the whole session of an
// outcome for a link that is gone.
func TestOutcomeBehindADetachEndsNoOtherLink(t *testing.T) {
	serve := func(l *amqp.Link) {
		d, err := l.Receive(context.Background())
		if err != nil {
			return
		}
		time.Sleep(time.Second)
		if strings.HasSuffix(l.Remote().Target.Address, "/0") {
			_ = l.Detach(&amqp.Error{Condition: "amqp:link:detach-forced"})
			return
		}
		time.Sleep(time.Second)
		_ = d.Settle(amqp.Accepted{})
	}
	withPeer(t, nil, serve, func(t *testing.T, cl *client, _ *atomic.Bool, _ func() *link) {
		cl.owner.cfg.WithoutCBS = true
		// On the first session's channel, for its first delivery: accepted.
		cl.raw.(*flowFilter).late.Store(new([]byte("\x00\x00\x00\x16\x02\x00\x00\x00\x00\x53\x15\xc0\x09\x05\x41\x43\x40\x41\x00\x53\x24\x45")))
		lost, other := cl.owner.Sender("hub", "0", ""), cl.owner.Sender("hub", "1", "")
		for _, s := range []*Sender{lost, other} {
			if err := s.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { // ends with the detach, a second later
			if r := lost.Send(t.Context(), batch(1, 10)); r.Outcome != Unknown && r.Outcome != Accepted {
				t.Errorf("outcome %v of what came late, want unknown, or accepted if it was heard", r.Outcome)
			}
		})
		synctest.Wait()
		wantResult(t, other.Send(t.Context(), batch(1, 10)), Accepted, "")
		wg.Wait()
		if cl.lost() {
			t.Error("the connection was broken")
		}
	})
}

// TestLinkThatEndedWhileIdleIsReplacedWithinOneSend: nothing tells of the end of an
// idle link until it is used.
func TestLinkThatEndedWhileIdleIsReplacedWithinOneSend(t *testing.T) {
	var first atomic.Bool
	serve := func(l *amqp.Link) {
		if !first.Swap(true) {
			_ = l.Detach(&amqp.Error{Condition: "amqp:link:detach-forced", Description: "idle"})
			return
		}
		accept(l)
	}
	withPeer(t, nil, serve, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		s := cl.owner.Sender("hub", "0", "")
		cl.grants["hub"] = &grant{given: true}
		s.link = open()
		s.link.permit.Store(&permit{path: "hub"})
		start := time.Now()
		wantResult(t, s.Send(t.Context(), batch(1, 10)), Accepted, "")
		wantElapsed(t, start, 0)
	})
}

// TestSilentPeerLosesTheConnection has a peer that reads and never answers.
func TestSilentPeerLosesTheConnection(t *testing.T) {
	withPeer(t, nil, func(l *amqp.Link) { <-l.Done() }, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		l := open()
		receipt, _, err := try(t.Context(), l, batch(1, 10))
		if err != nil {
			t.Fatal(err)
		}
		// From now on nothing of the peer's gets through.
		filter := cl.raw.(*flowFilter)
		filter.Conn = &deafConn{filter.Conn}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := l.await(ctx, &receipt); err == nil {
			t.Error("an outcome came from nowhere")
		}
		wantElapsed(t, start, time.Second+closeTimeout)
		if !cl.lost() {
			t.Error("the connection lives on")
		}
	})
}

// TestPeerThatDoesNotEndASessionLosesTheConnection has a peer that answers the detach
// and no more.
func TestPeerThatDoesNotEndASessionLosesTheConnection(t *testing.T) {
	withPeer(t, nil, func(l *amqp.Link) { <-l.Done() }, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		l := open()
		receipt, _, err := try(t.Context(), l, batch(1, 10))
		if err != nil {
			t.Fatal(err)
		}
		cl.raw.(*flowFilter).endless.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := l.await(ctx, &receipt); err == nil {
			t.Error("an outcome came from nowhere")
		}
		wantElapsed(t, start, time.Second+closeTimeout)
		if !cl.lost() {
			t.Error("the connection lives on")
		}
	})
}

// deafConn drops what the peer sends.
type deafConn struct{ net.Conn }

func (c *deafConn) Read(p []byte) (int, error) {
	for {
		if _, err := c.Conn.Read(p); err != nil {
			return 0, err
		}
	}
}
