package amqp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A gate is a net.Conn that notes the memory of each Write, and accepts nothing while it is shut.
type gate struct {
	net.Conn
	shut   chan struct{} // nil, or closed: open
	writes [][]byte
}

func (g *gate) Write(b []byte) (int, error) {
	if g.shut != nil {
		<-g.shut
	}
	g.writes = append(g.writes, b)
	return g.Conn.Write(b)
}

// gated returns two engines with a gate between, and a link whose receiver grants credit.
func gated(t *testing.T, serverCfg *Config, links int) (g *gate, senders, receivers []*Link) {
	t.Helper()
	a, b := memnet.Pipe()
	g = &gate{Conn: a}
	client, server := pairOver(t, g, b, nil, serverCfg)
	t.Cleanup(func() {
		_ = client.Close(nil)
		_ = server.Close(nil)
	})
	for i := range links {
		sender, receiver := linked(t, client, server, &Attach{Name: fmt.Sprint(i), Role: RoleSender, Source: &Source{}, Target: &Target{}})
		if err := receiver.Credit(100); err != nil {
			t.Fatal(err)
		}
		senders, receivers = append(senders, sender), append(receivers, receiver)
	}
	synctest.Wait()
	g.writes = nil
	return g, senders, receivers
}

// within reports whether b lies in the memory of m.
func within(b, m []byte) bool {
	at, from := uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&m[0]))
	return from <= at && at+uintptr(len(b)) <= from+uintptr(len(m))
}

func TestPiecesThatFitAFrameLeaveFromWhereTheyAre(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, senders, receivers := gated(t, nil, 1)
		sizes := []int{MaxPiece, 10_000, FrameRoom + 100, MaxPiece, leastDirect + FrameRoom, 300_000}
		var frames [][]byte
		var message []byte
		for i, size := range sizes {
			piece := dataPiece(make([]byte, size), byte(i))
			frames = append(frames, piece)
			message = append(message, piece[FrameRoom:]...)
		}
		d := &Delivery{Frames: frames}
		if err := senders[0].Queue(d); err != nil {
			t.Fatal(err)
		}
		got, err := receivers[0].Receive(try(t))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Payload, message) {
			t.Errorf("a message of %d bytes arrived as %d that differ", len(message), len(got.Payload))
		}
		direct := make([]bool, len(sizes))
		for _, w := range g.writes {
			for i, piece := range frames {
				direct[i] = direct[i] || within(w, piece)
			}
			if len(w) < 20 { // the rest is transfers
				t.Errorf("a Write of %d bytes: a frame is cut into a tiny piece and a large one", len(w))
			}
		}
		if want := fmt.Sprint([]bool{true, true, false, true, true, false}); fmt.Sprint(direct) != want {
			t.Errorf("of pieces of %v bytes these were written from where they are: %v, want %s", sizes, direct, want)
		}
		if d.Held() != nil {
			t.Error("what has arrived is held")
		}
	})
}

func TestAPeerWithSmallFramesGetsWhatDoesNotFitThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, senders, receivers := gated(t, &Config{MaxFrameSize: 5000}, 1)
		piece := dataPiece(make([]byte, MaxPiece), 'x')
		before := bytes.Clone(piece[FrameRoom:])
		if err := senders[0].Queue(&Delivery{Frames: [][]byte{piece}}); err != nil {
			t.Fatal(err)
		}
		got, err := receivers[0].Receive(try(t))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Payload, before) || !bytes.Equal(piece[FrameRoom:], before) {
			t.Error("the message arrived otherwise than it was, or was written to")
		}
	})
}

func TestAPieceWithoutRoomIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, senders, _ := gated(t, nil, 1)
		for _, size := range []int{0, 8, FrameRoom} {
			err := senders[0].Queue(&Delivery{Frames: [][]byte{dataPiece(make([]byte, 100), 'x'), make([]byte, size)}})
			if e, ok := errors.AsType[*Error](err); !ok || e.Condition != ErrorInvalidField {
				t.Errorf("a piece of %d bytes: %v, want %s", size, err, ErrorInvalidField)
			}
		}
	})
}

// TestAWriteThatStandsStillHoldsLittle takes back messages of many links while a Write of some of
// them stands still.
func TestAWriteThatStandsStillHoldsLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, senders, _ := gated(t, nil, 40)
		shut := make(chan struct{})
		g.shut = shut
		var sent []*Delivery
		for i, l := range senders {
			d := &Delivery{}
			for range 3 {
				d.Frames = append(d.Frames, dataPiece(make([]byte, MaxPiece/2), byte(i)))
			}
			if err := l.Queue(d); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, d)
		}
		synctest.Wait()
		lent, held := 0, map[*Delivery]<-chan struct{}{}
		for _, d := range sent {
			if d.Withdraw() == Leaving {
				_ = d.link.Detach(nil)
			}
			if h := d.Held(); h != nil {
				held[d] = h
				lent += d.lent * MaxPiece / 2
			}
		}
		if limit := writeSize + MaxPiece; len(held) == 0 || lent > limit {
			t.Errorf("%d messages are held, with %d bytes; want some, and %d bytes at the most", len(held), lent, limit)
		}
		close(shut)
		for _, h := range held {
			<-h
		}
		for _, d := range sent {
			if d.Held() != nil {
				t.Error("what has been written is held")
			}
		}
	})
}

// TestAnOutcomeThatComesBeforeTheWriteIsOverWaitsForIt has a peer that settles a delivery before
// our Write has returned.
func TestAnOutcomeThatComesBeforeTheWriteIsOverWaitsForIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g, senders, receivers := gated(t, nil, 1)
		late := &lateConn{gate: g, returns: make(chan struct{})}
		senders[0].s.c.nc = late // the writer is idle
		d := &Delivery{Frames: [][]byte{dataPiece(make([]byte, MaxPiece), 'x')}}
		if err := senders[0].Queue(d); err != nil {
			t.Fatal(err)
		}
		got, err := receivers[0].Receive(try(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Settle(Accepted{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if state, err := d.Wait(ctx); err == nil {
			t.Errorf("the outcome %v was told while the memory is still read", state)
		}
		close(late.returns)
		if state, err := d.Wait(try(t)); state != (Accepted{}) || err != nil || d.Held() != nil {
			t.Errorf("after the Write the outcome is %v, %v, and held is %v", state, err, d.Held() != nil)
		}
	})
}

// A lateConn writes, and returns later.
type lateConn struct {
	*gate
	returns chan struct{}
}

func (l *lateConn) Write(b []byte) (int, error) {
	n, err := l.gate.Write(b)
	<-l.returns
	return n, err
}

// TestWithdrawTellsAnOutcomeThatTheWriterHoldsBack has a peer that settles a delivery before our
// Write has returned, once after all of it has left and once before.
func TestWithdrawTellsAnOutcomeThatTheWriterHoldsBack(t *testing.T) {
	for _, whole := range []bool{true, false} {
		t.Run(fmt.Sprintf("whole %v", whole), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				g, senders, receivers := gated(t, nil, 1)
				late := &lateConn{gate: g, returns: make(chan struct{})}
				senders[0].s.c.nc = late // the writer is idle
				d := &Delivery{Frames: [][]byte{dataPiece(make([]byte, MaxPiece), 'x')}}
				if !whole {
					for range 10 { // more than one write takes
						d.Frames = append(d.Frames, dataPiece(make([]byte, MaxPiece), 'x'))
					}
				}
				if err := senders[0].Queue(d); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				server := receivers[0].s.c
				server.mu.Lock()
				err := server.sendLocked(receivers[0].s.local, &Disposition{Role: RoleReceiver, First: d.ID(), Settled: true, State: Accepted{}})
				server.mu.Unlock()
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				want := Settled
				if !whole {
					want = Leaving
				}
				if p := d.Withdraw(); p != want {
					t.Errorf("it is at the step %d, want %d", p, want)
				}
				if err := senders[0].Detach(nil); err != nil {
					t.Fatal(err)
				}
				if p := d.Withdraw(); p != Settled {
					t.Errorf("when the link is over it is at the step %d, want %d", p, Settled)
				}
				if state, err := d.Result(); state != (Accepted{}) || err != nil {
					t.Errorf("the outcome is %v, %v", state, err)
				}
				held := d.Held()
				if held == nil {
					t.Fatal("the writer has it, and nothing says so")
				}
				close(late.returns)
				<-held
				if state, err := d.Wait(try(t)); state != (Accepted{}) || err != nil {
					t.Errorf("after the Write the outcome is %v, %v", state, err)
				}
			})
		})
	}
}
