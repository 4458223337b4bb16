package amqp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestReceiverStopsAtItsCredit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		if err := l.Credit(3); err != nil {
			t.Fatal(err)
		}
		if f := want[*Flow](p, 0); f.LinkCredit != Some[uint32](3) || f.DeliveryCount != Some[uint32](0) || f.NextIncomingID != Some[uint32](7) {
			t.Errorf("flow %+v", f)
		}
		for id := range uint32(3) {
			p.send(0, transfer(0, id), []byte{byte(id)})
		}
		p.wantIdle("nothing was received, so there is no room for more")
		p.send(0, transfer(0, 3), nil)
		p.wantError("detach", want[*Detach](p, 0).Error, ErrorTransferLimit)
		for id := range 3 {
			if d, err := l.Receive(t.Context()); err != nil || d.Payload[0] != byte(id) {
				t.Errorf("delivery %d: %v, %v", id, d, err)
			}
		}
	})
}

func TestCreditIsRenewedAtHalf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		if err := l.Credit(10); err != nil {
			t.Fatal(err)
		}
		want[*Flow](p, 0)
		for id := range uint32(6) {
			p.send(0, transfer(0, id), []byte("x"))
		}
		synctest.Wait()
		for range 4 {
			if _, err := l.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		p.wantIdle("4 of credit and 2 in the queue are more than half of 10")
		if _, err := l.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		if f := want[*Flow](p, 0); f.LinkCredit != Some[uint32](9) || f.DeliveryCount != Some[uint32](6) {
			t.Errorf("flow %+v, want credit 9 beside the one in the queue", f)
		}
	})
}

func TestCreditTakenBackMayStillBeUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Credit(2)
		_ = l.Credit(0)
		want[*Flow](p, 0)
		if f := want[*Flow](p, 0); f.LinkCredit != Some[uint32](0) {
			t.Errorf("flow %+v", f)
		}
		p.send(0, transfer(0, 0), []byte("crossed"))
		if d, err := l.Receive(try(t)); err != nil || string(d.Payload) != "crossed" {
			t.Errorf("Receive: %v, %v", d, err)
		}
		p.wantIdle("no credit is wanted")
	})
}

// drain is a flow that gives credit and asks for it back.
func drain(credit uint32) *Flow {
	return &Flow{
		NextIncomingID: Some[uint32](1), IncomingWindow: 99,
		Handle: Some[uint32](0), DeliveryCount: Some[uint32](0), LinkCredit: Some(credit), Drain: true,
	}
}

func TestDrainGivesCreditUpAtOnceWithNothingAvailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		p.send(0, drain(7), nil)
		if f := want[*Flow](p, 0); f.DeliveryCount != Some[uint32](7) || f.LinkCredit != Some[uint32](0) || !f.Drain || f.Handle != Some[uint32](0) {
			t.Errorf("flow %+v", f)
		}
		if err := l.Send(try(t), &Delivery{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send: %v, want no credit", err)
		}
	})
}

func TestDrainWaitsForWhatIsAvailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		l.SetAvailable(2)
		p.send(0, drain(7), nil)
		p.wantIdle("there are two to come")
		for range 2 {
			if err := l.Send(try(t), &Delivery{}); err != nil {
				t.Fatal(err)
			}
			want[*Transfer](p, 0)
		}
		p.wantIdle("the sender has not said that it has no more")
		l.SetAvailable(0)
		if f := want[*Flow](p, 0); f.DeliveryCount != Some[uint32](7) || f.LinkCredit != Some[uint32](0) || !f.Drain {
			t.Errorf("flow %+v", f)
		}
	})
}

func TestDrainIsOverWhenTheCreditIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		sent := make(chan error, 2)
		for range 2 {
			go func() { sent <- l.Send(t.Context(), &Delivery{}) }() // ends when sent
		}
		synctest.Wait()
		p.send(0, drain(1), nil)
		want[*Transfer](p, 0)
		if f := want[*Flow](p, 0); f.DeliveryCount != Some[uint32](1) || f.LinkCredit != Some[uint32](0) || !f.Drain {
			t.Errorf("flow %+v", f)
		}
		p.send(0, &Flow{NextIncomingID: Some[uint32](2), IncomingWindow: 99, Handle: Some[uint32](0), DeliveryCount: Some[uint32](1), LinkCredit: Some[uint32](5)}, nil)
		want[*Transfer](p, 0)
		for range 2 {
			if err := <-sent; err != nil {
				t.Error("Send:", err)
			}
		}
	})
}

func TestLinkEchoIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		l.SetAvailable(3)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 9, Handle: Some[uint32](0), LinkCredit: Some[uint32](4), Echo: true}, nil)
		if f := want[*Flow](p, 0); f.DeliveryCount != Some[uint32](0) || f.LinkCredit != Some[uint32](4) || f.Available != Some[uint32](3) || f.Drain || f.Echo {
			t.Errorf("sender's flow %+v", f)
		}
		if err := l.WaitCredit(try(t)); err != nil {
			t.Error("WaitCredit:", err)
		}
		r := p.attach(c, 1, Attach{Role: RoleSender}, nil)
		_ = r.Credit(6)
		want[*Flow](p, 0)
		// The sender gave up two of its credit.
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 9, Handle: Some[uint32](1), DeliveryCount: Some[uint32](2), LinkCredit: Some[uint32](4), Echo: true}, nil)
		if f := want[*Flow](p, 0); f.DeliveryCount != Some[uint32](2) || f.LinkCredit != Some[uint32](4) {
			t.Errorf("receiver's flow %+v", f)
		}
	})
}

func TestCreditBeforeAcceptCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		p.send(0, &Attach{Name: "x", Role: RoleReceiver, Source: &Source{}, Target: &Target{}}, nil)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 9, Handle: Some[uint32](0), LinkCredit: Some[uint32](1)}, nil)
		l, err := c.AcceptLink(try(t))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := l.Accept(nil); err != nil {
			t.Fatal(err)
		}
		if err := l.Send(try(t), &Delivery{Format: 5}); err != nil {
			t.Fatal(err)
		}
		want[*Attach](p, 0)
		if tr := want[*Transfer](p, 0); tr.MessageFormat != Some[uint32](5) {
			t.Errorf("transfer %+v", tr)
		}
	})
}

// WaitCredit waits until the sender's link has credit.
func (l *Link) WaitCredit(ctx context.Context) error {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for l.err == nil && l.sender.credit == 0 {
		if err := c.waitLocked(ctx, &l.changed); err != nil {
			return err
		}
	}
	return l.err
}
