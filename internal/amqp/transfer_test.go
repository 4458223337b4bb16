package amqp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
)

func TestOutcomesReachTheSender(t *testing.T) {
	states := []DeliveryState{
		Accepted{}, Released{}, Rejected{&Error{Condition: "com.microsoft:server-busy", Description: "wait", Info: Map{{Symbol("k"), int32(4)}}}}, Rejected{},
		Modified{DeliveryFailed: true, UndeliverableHere: true, Annotations: Map{{Symbol("a"), "b"}}}, Described{uint64(0x34), List{[]byte("txn")}},
	}
	for _, second := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			client, server := pair(t, nil, nil)
			mode := ReceiverFirst
			if second {
				mode = ReceiverSecond
			}
			sender, receiver := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, ReceiverSettleMode: &mode, Target: &Target{}})
			if err := receiver.Credit(100); err != nil {
				t.Fatal(err)
			}
			for _, state := range states {
				if _, ok := state.(Described); ok && second {
					continue // not an outcome, so the sender goes on waiting
				}
				d := &Delivery{}
				if err := sender.Send(try(t), d); err != nil {
					t.Fatal(err)
				}
				got, err := receiver.Receive(try(t))
				if err != nil {
					t.Fatal(err)
				}
				if err := got.Settle(state); err != nil {
					t.Fatal(err)
				}
				_ = got.Settle(Accepted{}) // too late, and ignored
				if outcome, err := d.Wait(try(t)); err != nil || fmt.Sprintf("%+v", outcome) != fmt.Sprintf("%+v", state) {
					t.Errorf("second %v: outcome %+v, %v; want %+v", second, outcome, err, state)
				}
			}
			synctest.Wait()
			client.mu.Lock()
			defer client.mu.Unlock()
			if n := len(sender.s.unsettled); n != 0 {
				t.Errorf("%d deliveries are remembered", n)
			}
		})
	}
}

// sentTo makes an engine send a number of deliveries, which the peer has seen.
func sentTo(t *testing.T, deliveries int) (p *peer, l *Link, sent []*Delivery) {
	t.Helper()
	p, c := newPeer(t, nil, nil)
	p.begin(0)
	l = p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
	p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 99, Handle: Some[uint32](0), LinkCredit: Some[uint32](99)}, nil)
	for range deliveries {
		d := &Delivery{}
		if err := l.Send(try(t), d); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, d)
		want[*Transfer](p, 0)
	}
	return p, l, sent
}

func TestDispositionRanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _, ds := sentTo(t, 10)
		accept := func(role Role, first uint32, last Optional[uint32], state DeliveryState) {
			p.send(0, &Disposition{Role: role, First: first, Last: last, Settled: true, State: state}, nil)
			synctest.Wait()
		}
		settled := func() (n int) {
			for _, d := range ds {
				if d.outcomeNow() {
					n++
				}
			}
			return n
		}
		accept(RoleReceiver, 3, Some[uint32](5), Accepted{})
		if n := settled(); n != 3 || !ds[3].outcomeNow() || !ds[5].outcomeNow() {
			t.Errorf("%d settled, want 3 to 5", n)
		}
		accept(RoleReceiver, 9, Optional[uint32]{}, Released{})
		if n := settled(); n != 4 {
			t.Errorf("%d settled, want 4", n)
		}
		accept(RoleSender, 0, Some[uint32](9), Accepted{}) // about the peer's own deliveries
		accept(RoleReceiver, 50, Some[uint32](60), Accepted{})
		accept(RoleReceiver, 1<<31+9, Some[uint32](8), nil) // nearly half of all possible ids
		if n := settled(); n != 10 {
			t.Errorf("%d settled, want all: a range may wrap around", n)
		}
		if state, err := ds[0].Wait(try(t)); state != nil || err != nil {
			t.Errorf("outcome %v, %v; want settled without a state", state, err)
		}
	})
}

// A range of dispositions that ends before it begins contains nothing: no delivery is accepted.
func TestADispositionThatEndsBeforeItBeginsAcceptsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, l, ds := sentTo(t, 3)
		p.send(0, &Disposition{Role: RoleReceiver, First: 2, Last: Some[uint32](1), Settled: true, State: Accepted{}}, nil)
		synctest.Wait()
		for i, d := range ds {
			if state, err := d.Wait(try(t)); state != nil || err == nil {
				t.Errorf("delivery %d: %v, %v; want no outcome", i, state, err)
			}
		}
		if e, ok := errors.AsType[*Error](l.Err()); !ok || e.Condition != ErrorInvalidField {
			t.Errorf("the link ended with %v, want %s", l.Err(), ErrorInvalidField)
		}
	})
}

func (d *Delivery) outcomeNow() bool {
	select {
	case <-d.outcome:
		d.outcome <- struct{}{}
		return true
	default:
		return false
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, nil)
		_ = receiver.Credit(1)
		d := &Delivery{}
		if err := sender.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Wait(try(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v", err)
		}
		if _, err := receiver.Receive(try(t)); err != nil {
			t.Errorf("Receive: %v", err)
		}
		if _, err := receiver.Receive(try(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Receive: %v", err)
		}
	})
}

func TestMultiFrameDeliveries(t *testing.T) {
	for _, size := range []int{0, 1, 440, 449, 512, 5_000, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, server := pair(t, &Config{MaxFrameSize: 512}, &Config{SessionWindow: 10})
				sender, receiver := linked(t, client, server, nil)
				payload := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
				exchange(t, sender, receiver, payload)
				exchange(t, sender, receiver, payload)
			})
		})
	}
}

func TestFramesOfTwoLinksInterleave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		a := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		b := p.attach(c, 1, Attach{Role: RoleSender}, nil)
		_, _ = a.Credit(5), b.Credit(5)
		for h := range uint32(2) {
			first := transfer(h, h)
			first.More = true
			p.send(0, first, []byte{byte('a' + h)})
		}
		for h := range uint32(2) {
			p.send(0, &Transfer{Handle: h, More: true}, []byte{byte('A' + h)})
			p.send(0, &Transfer{Handle: h, DeliveryID: Some(h), Settled: Some(true)}, []byte("."))
		}
		for i, l := range []*Link{a, b} {
			d, err := l.Receive(try(t))
			if want := string([]byte{byte('a' + i), byte('A' + i), '.'}); err != nil || string(d.Payload) != want || !d.Settled || d.Size != 3 {
				t.Errorf("link %d: %+v, %v; want %q, settled by its last frame", i, d, err, want)
			}
		}
	})
}

// Azure's Python client attaches its senders in this mode, and waits for the settlement.
func TestOutcomesAreSettledAlsoWhereTheReceiverIsToSettleSecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender, ReceiverSettleMode: new(ReceiverSecond)}, nil)
		_ = l.Credit(5)
		want[*Flow](p, 0)
		p.send(0, transfer(0, 0), []byte("x"))
		d, err := l.Receive(try(t))
		if err != nil {
			t.Fatal("Receive:", err)
		}
		_ = d.Settle(Accepted{})
		if got := want[*Disposition](p, 0); !got.Settled || got.State != (Accepted{}) {
			t.Errorf("the disposition is %+v, want one that is accepted and settled", got)
		}
	})
}

func TestAbortedDeliveriesVanish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(2)
		first := transfer(0, 0)
		first.More = true
		p.send(0, first, []byte("lost"))
		p.send(0, &Transfer{Aborted: true}, []byte("ignored"))
		p.send(0, transfer(0, 1), []byte("kept"))
		if d, err := l.Receive(try(t)); err != nil || string(d.Payload) != "kept" {
			t.Errorf("Receive: %+v, %v", d, err)
		}
	})
}

func TestDeliveriesThatContradictThemselves(t *testing.T) {
	more := func(id uint32) *Transfer {
		t := transfer(0, id)
		t.More = true
		return t
	}
	tests := []struct {
		name   string
		frames []*Transfer
		want   Symbol
	}{
		{"no delivery-id", []*Transfer{{DeliveryTag: []byte("x")}}, ErrorInvalidField},
		{"no delivery-tag", []*Transfer{{DeliveryID: Some[uint32](0)}}, ErrorInvalidField},
		{"another delivery before the last frame", []*Transfer{more(0), more(1)}, ErrorNotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, nil, nil)
				p.begin(0)
				l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
				_ = l.Credit(5)
				want[*Flow](p, 0)
				for _, f := range tt.frames {
					p.send(0, f, []byte("x"))
				}
				p.wantError("detach", want[*Detach](p, 0).Error, tt.want)
			})
		})
	}
}

func TestADeliveryTooLargeIsCountedButNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, &Attach{MaxMessageSize: 1000})
		_ = l.Credit(5)
		want[*Flow](p, 0)
		first := transfer(0, 0)
		first.More = true
		p.send(0, first, make([]byte, 600))
		for range 10 {
			p.send(0, &Transfer{More: true}, make([]byte, 600))
		}
		p.send(0, &Transfer{}, make([]byte, 600))
		d, err := l.Receive(try(t))
		if err != nil || !d.TooLarge || d.Payload != nil || d.Size != 7200 {
			t.Fatalf("Receive: %+v, %v", d, err)
		}
		if err := d.Settle(Rejected{&Error{Condition: ErrorMessageSizeExceeded}}); err != nil {
			t.Fatal(err)
		}
		disposition := want[*Disposition](p, 0)
		if r, ok := disposition.State.(Rejected); !ok || r.Error.Condition != ErrorMessageSizeExceeded || !disposition.Settled || disposition.Role != RoleReceiver {
			t.Errorf("disposition %+v", disposition)
		}
		p.send(0, transfer(0, 1), make([]byte, 1000))
		if d, err := l.Receive(try(t)); err != nil || d.TooLarge {
			t.Errorf("Receive: %+v, %v; 1000 bytes are allowed", d, err)
		}
	})
}

func TestSendRefusesWhatThePeerDoesNotTake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, &Config{MaxMessageSize: 1000})
		sender, receiver := linked(t, client, server, nil)
		_ = receiver.Credit(5)
		err := sender.Send(try(t), &Delivery{Payload: make([]byte, 1001)})
		if e, ok := errors.AsType[*Error](err); !ok || e.Condition != ErrorMessageSizeExceeded {
			t.Errorf("Send: %v", err)
		}
		if err := sender.Send(try(t), &Delivery{Tag: make([]byte, 33)}); err == nil {
			t.Error("a tag of 33 bytes was taken")
		}
		if err := receiver.Send(try(t), &Delivery{}); err == nil {
			t.Error("a receiver sends")
		}
		if err := sender.Credit(1); err == nil {
			t.Error("a sender gives credit")
		}
		exchange(t, sender, receiver, make([]byte, 1000))
	})
}

func TestASendGivenUpHalfwayIsAborted(t *testing.T) {
	for _, open := range []bool{true, false} {
		t.Run(fmt.Sprintf("window open %v", open), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, nil, &Open{ContainerID: "p", MaxFrameSize: 512})
				p.begin(0)
				l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
				p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 1, Handle: Some[uint32](0), LinkCredit: Some[uint32](9)}, nil)
				ctx, cancel := context.WithCancel(t.Context())
				sent := make(chan error, 1)
				d := &Delivery{Payload: make([]byte, 5000)}
				go func() { sent <- l.Send(ctx, d) }() // ends when cancelled
				want[*Transfer](p, 0)
				synctest.Wait()
				cancel()
				if err := <-sent; !errors.Is(err, context.Canceled) {
					t.Errorf("Send: %v", err)
				}
				if _, err := d.Wait(try(t)); err == nil {
					t.Error("an aborted delivery has an outcome")
				}
				p.wantIdle("the window is closed")
				p.send(0, &Flow{NextIncomingID: Some[uint32](2), IncomingWindow: 9}, nil)
				go func() { sent <- l.Send(t.Context(), &Delivery{Payload: []byte("next")}) }() // ends when sent
				if tr := want[*Transfer](p, 0); !tr.Aborted || tr.More {
					t.Errorf("frame %+v, want aborted", tr)
				}
				if tr := want[*Transfer](p, 0); tr.DeliveryID != Some[uint32](1) || tr.More {
					t.Errorf("frame %+v, want the next delivery", tr)
				}
				if err := <-sent; err != nil {
					t.Error("Send:", err)
				}
			})
		})
	}
}

func TestConcurrentSendsDoNotMixTheirFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, &Config{MaxFrameSize: 512}, &Config{SessionWindow: 3})
		sender, receiver := linked(t, client, server, nil)
		_ = receiver.Credit(4)
		const n = 20
		errs := make(chan error, n)
		for i := range n {
			go func() { // ends when sent
				errs <- sender.Send(t.Context(), &Delivery{Settled: true, Payload: bytes.Repeat([]byte{byte(i)}, 3000)})
			}()
		}
		seen := make(map[byte]bool)
		for range n {
			d, err := receiver.Receive(try(t))
			if err != nil {
				t.Fatal(err)
			}
			if len(d.Payload) != 3000 || !bytes.Equal(d.Payload, bytes.Repeat(d.Payload[:1], 3000)) {
				t.Fatalf("delivery of %d bytes is mixed", len(d.Payload))
			}
			seen[d.Payload[0]] = true
		}
		for range n {
			if err := <-errs; err != nil {
				t.Error("Send:", err)
			}
		}
		if len(seen) != n {
			t.Errorf("%d deliveries, want %d", len(seen), n)
		}
	})
}

// Recycled memory serves one later delivery, and never two.
func TestARecycledPayloadIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, Target: &Target{}})
		if err := receiver.Credit(100); err != nil {
			t.Fatal(err)
		}
		receive := func(fill byte) *Delivery {
			payload := bytes.Repeat([]byte{fill}, 200_000)
			if err := sender.Send(try(t), &Delivery{Payload: payload}); err != nil {
				t.Fatal(err)
			}
			d, err := receiver.Receive(try(t))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.Payload, payload) {
				t.Fatalf("the delivery of %d arrived as %d bytes of something else", fill, len(d.Payload))
			}
			return d
		}
		first, second := receive(1), receive(2)
		memory := &second.Payload[0]
		second.Recycle()
		third, fourth := receive(3), receive(4)
		if &third.Payload[0] != memory {
			t.Error("the memory was not used again")
		}
		if &fourth.Payload[0] == memory || first.Payload[0] != 1 || third.Payload[0] != 3 {
			t.Error("memory is shared")
		}
	})
}

// Recycled deliveries serve later ones, of any size, and never two at once.
func TestRecycledDeliveriesAreUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, &Attach{Name: "l", Role: RoleSender, Target: &Target{}})
		if err := receiver.Credit(100); err != nil {
			t.Fatal(err)
		}
		var lent []*Delivery
		memory := map[*byte]int{}
		used := 0
		for round := range 20 {
			receiver.RecycleAll(lent)
			want := map[byte]int{}
			for i := range 10 {
				size := []int{1, 100, 1000, 200_000}[(round+i)%4]
				fill := byte(round*10 + i + 1)
				want[fill] = size
				if err := sender.Send(try(t), &Delivery{Payload: bytes.Repeat([]byte{fill}, size), Tag: []byte{fill}}); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			var err error
			if lent, err = receiver.ReceiveAll(try(t), nil); err != nil {
				t.Fatal(err)
			}
			now := map[*byte]bool{}
			for _, d := range lent {
				fill := d.Payload[0]
				if len(d.Payload) != want[fill] || len(bytes.ReplaceAll(d.Payload, []byte{fill}, nil)) > 0 || !bytes.Equal(d.Tag, []byte{fill}) || d.Size != uint64(len(d.Payload)) {
					t.Fatalf("round %d: the delivery of %d arrived as %d bytes with tag %v, want %d", round, fill, len(d.Payload), d.Tag, want[fill])
				}
				delete(want, fill)
				at := &d.Payload[0]
				if now[at] {
					t.Fatalf("round %d: two deliveries share memory", round)
				}
				now[at] = true
				if memory[at]++; memory[at] > 1 {
					used++
				}
			}
			if len(want) > 0 {
				t.Fatalf("round %d: %d deliveries are missing", round, len(want))
			}
		}
		if used < 100 {
			t.Errorf("memory was used again %d times in 200 deliveries", used)
		}
	})
}
