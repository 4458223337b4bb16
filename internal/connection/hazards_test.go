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

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// withPeer runs a test in a bubble against a peer. The peer accepts every link and hands it to
// serve, which ends when the link or the connection does. The function open opens a link of ours to
// it, without $cbs.
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
			l, _, err := newLink(t.Context(), cl, &amqp.Attach{Source: &amqp.Source{}, Target: &amqp.Target{Address: "hub/Partitions/0"}})
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

// flowFilter is our end of a connection. While dropping, it withholds the peer's flows, and with
// them session windows and credit. After each detach it adds late frames. It can withhold ends,
// too.
type flowFilter struct {
	net.Conn
	dropping atomic.Bool
	endless  atomic.Bool
	deaf     atomic.Bool // nothing gets through
	late     atomic.Pointer[[]byte]
	frame    []byte // not yet read; owned by the reader

	slow atomic.Bool // a transfer takes a millisecond

	mu        sync.Mutex // guards transfers
	transfers []uint16   // the channel of each transfer that was written
}

// Write notes whose transfers are written.
func (f *flowFilter) Write(p []byte) (int, error) {
	const transfer = "\x00\x53\x14"
	for rest := p; len(rest) > 8 && string(rest[:4]) != "AMQP"; rest = rest[binary.BigEndian.Uint32(rest):] {
		if !strings.HasPrefix(string(rest[8:]), transfer) {
			continue
		}
		f.mu.Lock()
		f.transfers = append(f.transfers, binary.BigEndian.Uint16(rest[6:]))
		f.mu.Unlock()
		if f.slow.Load() {
			time.Sleep(time.Millisecond) // virtual time
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
		if f.deaf.Load() || f.endless.Load() && strings.HasPrefix(string(body), end) {
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

// queue hands a batch to a link.
func queue(t *testing.T, l *link, events [][]byte) *amqp.Delivery {
	t.Helper()
	d := &amqp.Delivery{Format: batchFormat, Frames: events}
	if err := l.amqp.Queue(d); err != nil {
		t.Fatal(err)
	}
	return d
}

// sendOn makes a sender with this link and makes one try.
func sendOn(ctx context.Context, l *link, events [][]byte) Result {
	owner := l.client.owner
	owner.cfg.WithoutCBS = true
	l.permit.CompareAndSwap(nil, &permit{})
	s := owner.Sender("hub", "0", "")
	s.link = l
	return s.try(ctx, l, events)
}

// TestMessagesLeaveOneAfterTheOther sends messages of 16 frames over four links at once. The frames
// of each leave together, so that the first is complete while the last still leaves.
func TestMessagesLeaveOneAfterTheOther(t *testing.T) {
	withPeer(t, nil, accept, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		const links = 4
		filter := cl.raw.(*flowFilter)
		filter.slow.Store(true)
		var sends sync.WaitGroup
		for range links {
			l := open()
			sends.Go(func() { // ends with the outcome
				wantResult(t, sendOn(t.Context(), l, batch(16, 60_000)), Accepted, "")
			})
		}
		sends.Wait()
		filter.mu.Lock()
		defer filter.mu.Unlock()
		if turns := len(slices.Compact(slices.Clone(filter.transfers))); turns != links {
			t.Errorf("the frames of %d messages change %d times, in %v", links, turns, filter.transfers)
		}
	})
}

// TestAMessageThatIsHeldUpHoldsUpNoOther stops a message half way, with its session's window
// closed, and sends another over a second link.
func TestAMessageThatIsHeldUpHoldsUpNoOther(t *testing.T) {
	withPeer(t, &amqp.Config{SessionWindow: 4}, accept, func(t *testing.T, cl *client, flows *atomic.Bool, open func() *link) {
		held, other := open(), open()
		flows.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		sending.Go(func() { // ends with cancel
			wantResult(t, sendOn(ctx, held, batch(10, 60_000)), Unknown, CodeCanceled)
		})
		synctest.Wait()
		start := time.Now()
		wantResult(t, sendOn(t.Context(), other, batch(3, 60_000)), Accepted, "")
		wantElapsed(t, start, 0)
		cancel()
		sending.Wait()
		flows.Store(false)
		wantResult(t, sendOn(t.Context(), open(), batch(3, 60_000)), Accepted, "")
		wantElapsed(t, start, 0)
	})
}

// TestClosedSessionWindowDoesNotHoldASend has a peer whose session accepts one or four frames and
// no more (H1). Nothing follows the part of a message that has left (H2).
func TestClosedSessionWindowDoesNotHoldASend(t *testing.T) {
	for _, c := range []struct {
		name      string
		window    uint32
		events    [][]byte
		outcome   Outcome
		deadlines bool // the context is one of Deadlines
	}{
		{"before the first frame", 1, batch(1, 10), NotSent, false},
		{"within a message", 4, batch(10, 50_000), Unknown, false},
		{"within a message, with Deadlines", 4, batch(10, 50_000), Unknown, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			withPeer(t, &amqp.Config{SessionWindow: c.window}, accept, func(t *testing.T, cl *client, flows *atomic.Bool, open func() *link) {
				l := open()
				flows.Store(true)
				if c.outcome == NotSent { // use up the window
					wantResult(t, sendOn(t.Context(), l, batch(1, 10)), Accepted, "")
				}
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if c.deadlines {
					tries := NewDeadlines(t.Context())
					defer tries.Close()
					ctx = tries.Start(time.Second)
				}
				wantResult(t, sendOn(ctx, l, c.events), c.outcome, CodeTimeout)
				wantElapsed(t, start, time.Second)
				<-l.gone
				wantElapsed(t, start, time.Second)
				if cl.lost() {
					t.Error("the connection was broken, though the peer answers")
				}
				flows.Store(false)
				wantResult(t, sendOn(t.Context(), open(), batch(1, 10)), Accepted, "")
			})
		})
	}
}

// TestOutcomeIsNotLostToADetachBehindIt (H6): both arrive before the sender looks.
func TestOutcomeIsNotLostToADetachBehindIt(t *testing.T) {
	serve := func(l *amqp.Link) {
		d, err := l.Receive(context.Background())
		if err != nil {
			return
		}
		_ = d.Settle(amqp.Accepted{})
		_ = l.Detach(&amqp.Error{Condition: "amqp:link:detach-forced"})
	}
	withPeer(t, nil, serve, func(t *testing.T, _ *client, _ *atomic.Bool, open func() *link) {
		for i := range 100 {
			l := open()
			d := queue(t, l, batch(1, 10))
			if i%2 == 0 {
				synctest.Wait() // now both are there
			}
			state, err := d.Wait(t.Context())
			if _, ok := state.(amqp.Accepted); !ok {
				t.Fatalf("batch %d: %T, %v; want accepted", i, state, err)
			}
			l.leave()
		}
	})
}

// TestOutcomeBehindADetachEndsNoOtherLink (H7): an outcome for a link that is gone.
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

// TestLinkThatEndedWhileIdleIsStale: the end of an idle link shows only when it is used. The next
// Send opens another.
func TestLinkThatEndedWhileIdleIsStale(t *testing.T) {
	var first atomic.Bool
	serve := func(l *amqp.Link) {
		if !first.Swap(true) {
			time.Sleep(time.Second)
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
		time.Sleep(2 * time.Second)
		start := time.Now()
		wantStale(t, s.Send(t.Context(), batch(1, 10)))
		wantResult(t, s.Send(t.Context(), batch(1, 10)), Accepted, "")
		wantElapsed(t, start, 0)
	})
}

func wantStale(t *testing.T, r Result) {
	t.Helper()
	wantResult(t, r, NotSent, CodeConnectionLost)
	if !r.Stale {
		t.Error("the link is not said to be stale")
	}
}

// TestSilentPeerLosesTheConnection has a peer that reads and never answers. The try ends with its
// context. The connection is cut after the peer's time to answer.
func TestSilentPeerLosesTheConnection(t *testing.T) {
	wantLost(t, func(cl *client) { cl.raw.(*flowFilter).deaf.Store(true) })
}

// TestPeerThatDoesNotEndASessionLosesTheConnection has a peer that answers the detach but not the
// end.
func TestPeerThatDoesNotEndASessionLosesTheConnection(t *testing.T) {
	wantLost(t, func(cl *client) { cl.raw.(*flowFilter).endless.Store(true) })
}

// wantLost makes a peer leave a message unanswered, silences it, and expects that the connection is
// cut.
func wantLost(t *testing.T, silence func(cl *client)) {
	t.Helper()
	withPeer(t, nil, func(l *amqp.Link) { <-l.Done() }, func(t *testing.T, cl *client, _ *atomic.Bool, open func() *link) {
		l := open()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var sending sync.WaitGroup
		sending.Go(func() { // ends with ctx
			wantResult(t, sendOn(ctx, l, batch(1, 10)), Unknown, CodeTimeout)
			wantElapsed(t, start, time.Second)
		})
		synctest.Wait()
		silence(cl)
		sending.Wait()
		if cl.lost() {
			t.Error("the connection is lost at once")
		}
		<-l.gone
		wantElapsed(t, start, time.Second+closeTimeout)
		if !cl.lost() {
			t.Error("the connection lives on")
		}
	})
}
