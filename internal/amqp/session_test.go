package amqp

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestManySessionsAndChannelReuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		for round := range 3 {
			var sessions []*Session
			for i := range 300 {
				s, err := client.NewSession(t.Context())
				if err != nil {
					t.Fatalf("round %d, session %d: %v", round, i, err)
				}
				sessions = append(sessions, s)
			}
			sender, receiver := linkedIn(t, sessions[299], server, nil)
			exchange(t, sender, receiver, []byte("x"))
			for _, s := range sessions {
				s.End(nil)
			}
			<-receiver.Session().Done()
			synctest.Wait()
			for name, c := range map[string]*Conn{"client": client, "server": server} {
				c.mu.Lock()
				if len(c.incoming) != 0 || len(c.outgoing) != 0 {
					t.Errorf("%s remembers %d and %d sessions", name, len(c.incoming), len(c.outgoing))
				}
				c.mu.Unlock()
			}
		}
	})
}

// exchange sends payload and expects its arrival and its acceptance.
func exchange(t *testing.T, sender, receiver *Link, payload []byte) {
	t.Helper()
	if err := receiver.Credit(10); err != nil {
		t.Fatal("Credit:", err)
	}
	d := &Delivery{Payload: payload}
	sent := make(chan error, 1)
	go func() { sent <- sender.Send(t.Context(), d) }() // ends when sent
	got, err := receiver.Receive(try(t))
	if err != nil {
		t.Fatal("Receive:", err)
	}
	if string(got.Payload) != string(payload) {
		t.Errorf("received %d bytes that differ from the %d sent", len(got.Payload), len(payload))
	}
	if err := <-sent; err != nil {
		t.Fatal("Send:", err)
	}
	if err := got.Settle(Accepted{}); err != nil {
		t.Fatal("Settle:", err)
	}
	if state, err := d.Wait(try(t)); state != (Accepted{}) || err != nil {
		t.Errorf("outcome %v, %v; want accepted", state, err)
	}
}

func TestSessionsAreRefusedBeyondChannelMax(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, _ := pair(t, nil, &Config{ChannelMax: 1})
		for range 2 {
			if _, err := client.NewSession(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.NewSession(t.Context()); err == nil {
			t.Error("a third session on two channels")
		}
	})
}

// If a session's begin is not answered, Attach waits no longer than its context. A late answer does
// no harm and frees the channel.
func TestAttachInASessionThatIsNotBegunEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		s, err := c.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Attach(try(t), &Attach{Name: "l", Role: RoleSender, Target: &Target{}}); !errors.Is(err, context.DeadlineExceeded) || s.Begun() {
			t.Errorf("Attach: %v, begun: %v; want deadline exceeded", err, s.Begun())
		}
		s.End(nil)
		want[*Begin](p, 0)
		want[*Attach](p, 0)
		want[*Detach](p, 0)
		want[*End](p, 0)
		p.send(4, &Begin{RemoteChannel: new(uint16)}, nil)
		p.send(4, &Attach{Name: "l", Role: RoleReceiver, Target: &Target{}}, nil)
		p.send(4, &Detach{Closed: true}, nil)
		p.send(4, &End{}, nil)
		p.begin(0)
	})
}

func TestEndTellsThePeerWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, nil)
		d := &Delivery{}
		if err := receiver.Credit(1); err != nil {
			t.Fatal(err)
		}
		if err := sender.Send(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		receiver.Session().End(&Error{Condition: "x:y", Description: "z"})
		_, err := d.Wait(t.Context())
		remote, ok := errors.AsType[*RemoteError](err)
		if !ok || remote.Frame != "end" || remote.Err.Condition != "x:y" || !errors.Is(err, ErrEnded) {
			t.Errorf("Wait: %v", err)
		}
		if err := sender.Session().Err(); !errors.Is(err, ErrEnded) {
			t.Errorf("session: %v", err)
		}
		if client.Err() != nil || server.Err() != nil {
			t.Errorf("connection: %v, %v", client.Err(), server.Err())
		}
	})
}

func TestWindowsCountTransferFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		// Frames of 512 bytes and windows of 4: 100 KB in either direction take many renewals.
		cfg := &Config{MaxFrameSize: 512, SessionWindow: 4}
		client, server := pair(t, cfg, cfg)
		payload := make([]byte, 100_000)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		sender, receiver := linked(t, client, server, nil)
		back, front := linkedIn(t, sender.Session(), server, &Attach{
			Name: "back", Role: RoleReceiver, Source: &Source{Address: "hub"}, Target: &Target{},
		})
		for range 3 {
			exchange(t, sender, receiver, payload)
			exchange(t, front, back, payload)
		}
	})
}

func TestSendWaitsForTheSessionsWindow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, &Open{ContainerID: "p", MaxFrameSize: 512})
		p.begin(0) // with a window of 100
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 2, Handle: Some[uint32](0), LinkCredit: Some[uint32](9)}, nil)
		sent := make(chan error, 1)
		go func() { sent <- l.Send(t.Context(), &Delivery{Payload: make([]byte, 1200)}) }() // ends when sent
		if tr := want[*Transfer](p, 0); !tr.More || !tr.DeliveryID.Set || tr.DeliveryTag == nil || !tr.MessageFormat.Set {
			t.Errorf("first frame %+v", tr)
		}
		if tr := want[*Transfer](p, 0); !tr.More || tr.DeliveryID.Set {
			t.Errorf("second frame %+v", tr)
		}
		p.wantIdle("the window is closed")
		p.send(0, &Flow{NextIncomingID: Some[uint32](2), IncomingWindow: 2}, nil)
		if tr := want[*Transfer](p, 0); tr.More {
			t.Errorf("third frame %+v", tr)
		}
		if err := <-sent; err != nil {
			t.Error("Send:", err)
		}
	})
}

func TestMoreFramesThanTheWindowEndTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{SessionWindow: 10}, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		// The window is renewed in time, so the test prevents the renewal.
		c.mu.Lock()
		l.s.incomingWindow = 0
		c.mu.Unlock()
		p.send(0, transfer(0, 0), nil)
		p.wantError("end", want[*End](p, 0).Error, ErrorWindowViolation)
	})
}

func TestUnknownHandlesEndTheSession(t *testing.T) {
	for _, f := range []appender{
		&Flow{Handle: Some[uint32](3)}, transfer(3, 0), &Detach{Handle: 3},
	} {
		t.Run(fmt.Sprintf("%T", f), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, nil, nil)
				p.begin(0)
				p.send(0, f, []byte("x"))
				p.wantError("end", want[*End](p, 0).Error, ErrorUnattachedHandle)
				// Until the peer ends too, all of its frames are discarded.
				p.send(0, f, []byte("x"))
				p.send(0, &Attach{Name: "late"}, nil)
				p.wantIdle("the session is over")
				p.send(0, &End{}, nil)
				p.begin(0)
				if c.Err() != nil {
					t.Errorf("connection: %v", c.Err())
				}
			})
		})
	}
}

func TestHandleRules(t *testing.T) {
	t.Run("beyond handle-max", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, _ := newPeer(t, &Config{HandleMax: 7}, nil)
			if b := p.begin(0); *b.HandleMax != 7 {
				t.Errorf("handle-max %d, want 7", *b.HandleMax)
			}
			p.send(0, &Attach{Name: "x", Handle: 8}, nil)
			p.wantClose(ErrorFraming)
		})
	})
	t.Run("in use", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, _ := newPeer(t, nil, nil)
			p.begin(0)
			p.send(0, &Attach{Name: "x"}, nil)
			p.send(0, &Attach{Name: "y"}, nil)
			p.wantError("end", want[*End](p, 0).Error, ErrorHandleInUse)
		})
	})
	t.Run("reused", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p, c := newPeer(t, &Config{HandleMax: 1}, nil)
			p.begin(0)
			for range 5 {
				p.attach(c, 0, Attach{Role: RoleSender}, nil)
				p.send(0, &Detach{Closed: true}, nil)
				if d := want[*Detach](p, 0); !d.Closed || d.Handle != 0 || d.Error != nil {
					t.Errorf("detach %+v", d)
				}
			}
		})
	})
}

func TestPeersHandleMaxIsRespected(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, &Config{HandleMax: 1})
		s, err := client.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		linkedIn(t, s, server, &Attach{Name: "a", Role: RoleSender, Target: &Target{}})
		linkedIn(t, s, server, &Attach{Name: "b", Role: RoleSender, Target: &Target{}})
		if _, err := s.Attach(t.Context(), &Attach{Name: "c", Role: RoleSender, Target: &Target{}}); err == nil {
			t.Error("a third link on two handles")
		}
	})
}

func TestSessionEchoIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := newPeer(t, &Config{SessionWindow: 30}, nil)
		p.begin(0)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), Echo: true}, nil)
		f := want[*Flow](p, 0)
		if f.NextIncomingID != Some[uint32](7) || f.IncomingWindow != 30 || f.NextOutgoingID != 1 || f.Handle.Set || f.Echo {
			t.Errorf("flow %+v", f)
		}
	})
}

func TestDeliveryIDsAreSequentialInTheSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		a := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		b := p.attach(c, 1, Attach{Role: RoleReceiver}, nil)
		for h := range uint32(2) {
			p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 99, Handle: Some(h), LinkCredit: Some[uint32](9)}, nil)
		}
		for id := range uint32(6) {
			l := []*Link{a, b}[id%2]
			if err := l.Send(try(t), &Delivery{Settled: id%3 == 0}); err != nil {
				t.Fatal(err)
			}
			if tr := want[*Transfer](p, 0); tr.DeliveryID != Some(id) || tr.Handle != id%2 || tr.Settled != Some(id%3 == 0) {
				t.Errorf("transfer %d: %+v", id, tr)
			}
		}
	})
}

func TestASessionOfOneConnectionDoesNotHoldUpAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		stuck, _ := linked(t, client, server, nil) // it never gets credit
		sent := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { sent <- stuck.Send(ctx, &Delivery{}) }() // ends when cancelled
		sender, receiver := linked(t, client, server, nil)
		exchange(t, sender, receiver, []byte("x"))
		time.Sleep(time.Minute)
		cancel()
		if err := <-sent; !errors.Is(err, context.Canceled) {
			t.Errorf("Send: %v, want cancelled", err)
		}
	})
}
