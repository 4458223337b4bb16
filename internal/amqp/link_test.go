package amqp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

func TestAcceptEchoesWhatWasAsked(t *testing.T) {
	tests := []struct {
		name   string
		attach Attach
	}{
		{"nothing explicit", Attach{Role: RoleSender}},
		{"go-amqp's sender", Attach{Role: RoleSender, SenderSettleMode: new(SenderMixed)}},
		{"go-amqp's management receiver", Attach{Role: RoleReceiver, SenderSettleMode: new(SenderSettled), ReceiverSettleMode: new(ReceiverFirst)}},
		{"Java's receiver", Attach{Role: RoleReceiver, SenderSettleMode: new(SenderUnsettled), ReceiverSettleMode: new(ReceiverSecond)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, nil, nil)
				p.begin(0)
				a := tt.attach
				a.Name, a.Handle, a.Source, a.Target = "the name", 9, &Source{Address: "s", Filter: Map{{Symbol("f"), Described{uint64(1), "x"}}}}, &Target{Address: "t"}
				p.send(0, &a, nil)
				l, err := c.AcceptLink(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Accept(&Attach{OfferedCapabilities: []Symbol{"cap"}, MaxMessageSize: 1234}); err != nil {
					t.Fatal(err)
				}
				got := want[*Attach](p, 0)
				if got.Name != "the name" || got.Role == a.Role || got.Handle != 0 || got.MaxMessageSize != 1234 {
					t.Errorf("attach %+v", got)
				}
				if fmt.Sprint(deref(got.SenderSettleMode), deref(got.ReceiverSettleMode)) != fmt.Sprint(deref(a.SenderSettleMode), deref(a.ReceiverSettleMode)) {
					t.Errorf("settle modes differ: %+v", got)
				}
				if fmt.Sprintf("%+v %+v", got.Source, got.Target) != fmt.Sprintf("%+v %+v", a.Source, a.Target) {
					t.Errorf("termini differ: %+v %+v", got.Source, got.Target)
				}
				if wantCount := a.Role == RoleReceiver; (got.InitialDeliveryCount != nil) != wantCount {
					t.Errorf("initial-delivery-count %v", got.InitialDeliveryCount)
				}
			})
		})
	}
}

// deref returns what p points to, or nil.
func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

func TestRefuseAttachesWithoutTerminusAndThenDetaches(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		p.send(0, &Attach{Name: "x", Handle: 2, Role: RoleReceiver, Source: &Source{Address: "s"}, Target: &Target{}, SenderSettleMode: new(SenderSettled)}, nil)
		l, err := c.AcceptLink(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Refuse(&Error{Condition: ErrorNotFound, Description: "no hub"}); err != nil {
			t.Fatal(err)
		}
		a := want[*Attach](p, 0)
		if a.Source != nil || a.Target != nil || a.Role != RoleSender || *a.SenderSettleMode != SenderSettled {
			t.Errorf("attach %+v", a)
		}
		d := want[*Detach](p, 0)
		p.wantError("detach", d.Error, ErrorNotFound)
		if !d.Closed || d.Handle != a.Handle {
			t.Errorf("detach %+v", d)
		}
		// Credit that crosses the refusal is no error; the answer to the detach frees the handle.
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), Handle: Some[uint32](2), LinkCredit: Some[uint32](9), Echo: true}, nil)
		p.send(0, &Detach{Handle: 2, Closed: true}, nil)
		p.attach(c, 2, Attach{Role: RoleSender}, nil)
	})
}

func TestARefusedAttachSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		s, err := client.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { // ends with the refusal
			if l, err := server.AcceptLink(t.Context()); err == nil {
				_ = l.Refuse(&Error{Condition: ErrorUnauthorizedAccess})
			}
		}()
		_, err = s.Attach(try(t), &Attach{Name: "x", Role: RoleSender, Target: &Target{Address: "hub"}})
		if e, ok := errors.AsType[*RemoteError](err); !ok || e.Err.Condition != ErrorUnauthorizedAccess {
			t.Errorf("Attach: %v", err)
		}
	})
}

func TestLinksAreAcceptedInTheirOrderAndRefusedBeyondTheBacklog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{LinkBacklog: 3}, nil)
		p.begin(0)
		for h := range uint32(5) {
			p.send(0, &Attach{Name: fmt.Sprint(h), Handle: h, Target: &Target{}}, nil)
		}
		for range 2 {
			want[*Attach](p, 0)
			p.wantError("detach", want[*Detach](p, 0).Error, ErrorResourceLimit)
		}
		for h := range 3 {
			l, err := c.AcceptLink(try(t))
			if err != nil || l.Remote().Name != fmt.Sprint(h) {
				t.Errorf("link %d: %v, %v", h, l.Remote(), err)
			}
		}
		if _, err := c.AcceptLink(try(t)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("AcceptLink: %v, want deadline exceeded", err)
		}
	})
}

func TestALinkThatThePeerGivesUpBeforeAccept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{LinkBacklog: 1}, nil)
		p.begin(0)
		for range 3 { // would overflow the backlog
			p.send(0, &Attach{Name: "x", Target: &Target{}}, nil)
			p.send(0, &Detach{Closed: true}, nil)
			if a := want[*Attach](p, 0); a.Target != nil {
				t.Errorf("attach %+v", a)
			}
			if d := want[*Detach](p, 0); d.Error != nil {
				t.Errorf("detach %+v", d)
			}
		}
		p.send(0, &Attach{Name: "y", Target: &Target{}}, nil)
		l, err := c.AcceptLink(try(t))
		if err != nil || l.Remote().Name != "y" {
			t.Fatalf("AcceptLink: %v", err)
		}
		p.send(0, &Detach{Closed: true}, nil)
		synctest.Wait()
		if err := l.Accept(nil); !errors.Is(err, ErrDetached) {
			t.Errorf("Accept: %v, want ErrDetached", err)
		}
	})
}

func TestDetachFailsWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, nil)
		if err := receiver.Credit(1); err != nil {
			t.Fatal(err)
		}
		sent := &Delivery{Payload: []byte("x")}
		if err := sender.Send(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 1)
		go func() { waiting <- sender.Send(t.Context(), &Delivery{}) }() // ends with the link
		synctest.Wait()
		if err := receiver.Detach(&Error{Condition: ErrorDetachForced}); err != nil {
			t.Fatal(err)
		}
		<-sender.Done()
		for name, err := range map[string]error{"Send": <-waiting, "Wait": waitError(t, sent), "Err": sender.Err()} {
			if e, ok := errors.AsType[*RemoteError](err); !ok || e.Frame != "detach" || e.Err.Condition != ErrorDetachForced {
				t.Errorf("%s: %v", name, err)
			}
		}
		// Deliveries from before the end can still be received.
		if d, err := receiver.Receive(t.Context()); err != nil || string(d.Payload) != "x" {
			t.Errorf("Receive: %v, %v", d, err)
		} else if err := d.Settle(Accepted{}); !errors.Is(err, ErrDetached) {
			t.Errorf("Settle: %v", err)
		}
		if _, err := receiver.Receive(t.Context()); !errors.Is(err, ErrDetached) {
			t.Errorf("Receive: %v", err)
		}
		if sender.Session().Err() != nil {
			t.Errorf("session: %v", sender.Session().Err())
		}
	})
}

func waitError(t *testing.T, d *Delivery) error {
	_, err := d.Wait(t.Context())
	return err
}

func TestUnansweredDetachKeepsTheHandle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleSender}, nil)
		_ = l.Detach(nil)
		want[*Detach](p, 0)
		// Frames that cross the detach are discarded.
		p.send(0, transfer(0, 0), []byte("x"))
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), Handle: Some[uint32](0), Echo: true}, nil)
		p.wantIdle("the link is detached")
		p.attach(c, 1, Attach{Role: RoleSender}, nil)
	})
}

// Without a reason, or without the news of the end, a peer would wait forever.
func TestAnErrorThatDoesNotFitThePeersFramesIsToldInBrief(t *testing.T) {
	long := strings.Repeat("ä", 600) // an odd number of bytes is cut within a character
	for _, e := range []*Error{
		{Condition: Symbol("com.example:" + strings.Repeat("c", 300)), Description: long},
		{Condition: Symbol("com.example:" + strings.Repeat("c", 400)), Description: long},
		{Condition: ErrorInvalidField, Description: long},
		{Condition: ErrorInvalidField, Description: "short", Info: Map{{Symbol("k"), struct{}{}}}}, // which cannot be encoded
		{Condition: ErrorInvalidField, Description: "x" + long, Info: Map{{Symbol("k"), long}}},
	} {
		check := func(frame string, err error) {
			t.Helper()
			got, ok := errors.AsType[*Error](err)
			if !ok || got.Condition != e.Condition || !strings.HasPrefix(e.Description, strings.TrimSuffix(got.Description, "…")) {
				t.Errorf("%s tells %v, want %s and the beginning of the description", frame, err, e.Condition)
				return
			}
			// The rest of a frame takes less than a hundred bytes.
			if told := len(got.Condition) + len(got.Description); e.Info == nil && told < 512-100 {
				t.Errorf("%s tells %d bytes of condition and description, though 512 fit", frame, told)
			}
		}
		bubble(t, func(t *testing.T) {
			client, server := pair(t, &Config{MaxFrameSize: 512}, nil)
			sender, receiver := linked(t, client, server, nil)
			if err := receiver.Credit(1); err != nil {
				t.Fatal(err)
			}
			d := &Delivery{}
			if err := sender.Send(try(t), d); err != nil {
				t.Fatal(err)
			}
			got, err := receiver.Receive(try(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := got.Settle(Rejected{e}); err != nil {
				t.Errorf("Settle returned %v", err)
			}
			outcome, err := d.Wait(try(t))
			if rejected, ok := outcome.(Rejected); ok {
				err = rejected.Error
			}
			check("a disposition", err)
			if err := receiver.Detach(e); err != nil {
				t.Errorf("Detach returned %v", err)
			}
			synctest.Wait()
			check("a detach", sender.Err())

			s, err := client.NewSession(try(t))
			if err != nil {
				t.Fatal(err)
			}
			go func() { // ends with the refusal, for which Attach waits below
				if refused, err := server.AcceptLink(try(t)); err == nil {
					_ = refused.Refuse(e)
				}
			}()
			refused, err := s.Attach(try(t), &Attach{Name: "refused", Role: RoleSender, Target: &Target{}})
			if err == nil {
				<-refused.Done()
				err = refused.Err()
			}
			check("a refusal", err)

			_, receiver = linkedIn(t, s, server, nil)
			receiver.Session().End(e)
			synctest.Wait()
			check("an end", s.Err())
			_ = server.Close(e)
			synctest.Wait()
			check("a close", client.Err())
		})
	}
}

func TestALinkThatNobodyAcceptsEndsItsSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{LinkBacklog: -1}, nil)
		p.begin(0)
		p.send(0, &Attach{Name: "unasked", Role: RoleSender, InitialDeliveryCount: new(uint32)}, nil)
		if end := want[*End](p, 0); end.Error == nil || end.Error.Condition != ErrorNotAllowed {
			t.Errorf("end with %v, want %s", end.Error, ErrorNotAllowed)
		}
		if c.Err() != nil {
			t.Errorf("the connection is over: %v", c.Err())
		}
	})
}
