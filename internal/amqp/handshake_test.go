package amqp

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// clientPeer is a scripted server that has read only the client's login.
func clientPeer(t *testing.T, cfg *Config) (p *peer, client <-chan *Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	p = &peer{t: t, nc: b, r: newFrameReader(b, 1<<20)}
	opened := make(chan *Conn, 1)
	go func() { // ends with the handshake
		c, err := Client(t.Context(), a, cfg)
		if err != nil {
			t.Error("Client:", err)
		}
		opened <- c
	}()
	t.Cleanup(func() { _ = b.Close() })
	p.wantHeader(headerSASL)
	if f, err := p.r.next(); err != nil || f.kind != frameSASL {
		t.Fatalf("after the header: %+v, %v; want a SASL init", f, err)
	}
	return p, opened
}

// welcome answers the login.
func (p *peer) welcome() {
	p.t.Helper()
	b, _ := appendFrame(headerSASL[:], frameSASL, 0, &SASLMechanisms{[]Symbol{"ANONYMOUS"}})
	b, _ = appendFrame(b, frameSASL, 0, &SASLOutcome{})
	p.write(b)
}

func (p *peer) wantHeader(want [8]byte) {
	p.t.Helper()
	if h, err := p.r.protocolHeader(); err != nil || h != want {
		p.t.Fatalf("protocol header %q, %v; want %q", h, err, want)
	}
}

// opened reads the client's header, open and begin, answers the first two, and returns the client.
func (p *peer) opened(client <-chan *Conn) *Conn {
	p.t.Helper()
	p.welcome()
	p.wantHeader(headerAMQP)
	want[*Open](p, 0)
	want[*Begin](p, 0)
	p.write(headerAMQP[:])
	p.send(0, &Open{ContainerID: "peer"}, nil)
	c := <-client
	p.t.Cleanup(func() {
		_ = p.nc.Close()
		<-c.Done()
	})
	return c
}

// begun answers the begin of the client's session on channel, on the same.
func (p *peer) begun(channel uint16, handleMax uint32) {
	p.t.Helper()
	p.send(channel, &Begin{RemoteChannel: &channel, IncomingWindow: 100, OutgoingWindow: 100, HandleMax: &handleMax}, nil)
}

// answer answers an attach, with the same handle.
func (p *peer) answer(channel uint16, a *Attach) {
	p.t.Helper()
	reply := &Attach{Name: a.Name, Handle: a.Handle, Role: !a.Role, Source: a.Source, Target: a.Target}
	if reply.Role == RoleSender {
		reply.InitialDeliveryCount = new(uint32)
	}
	p.send(channel, reply, nil)
}

// Some servers drop a client when they read more together with the init.
func TestAClientSaysNothingBehindItsLoginBeforeTheOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		p.wantIdle("before the offer")
		b, _ := appendFrame(headerSASL[:], frameSASL, 0, &SASLMechanisms{[]Symbol{"ANONYMOUS"}})
		p.write(b)
		p.wantIdle("between the offer and the outcome")
		b, _ = appendFrame(nil, frameSASL, 0, &SASLOutcome{})
		p.write(b)
		p.wantHeader(headerAMQP)
		want[*Open](p, 0)
		want[*Begin](p, 0)
		p.wantIdle("before the server's open")
		p.write(headerAMQP[:])
		p.send(0, &Open{ContainerID: "peer"}, nil)
		c := <-client
		p.wantIdle("before anybody has attached anything")
		_ = p.nc.Close()
		<-c.Done()
	})
}

// A frame that leaves before the peer's open is known must fit the smallest peer: one channel, and
// frames of 512 bytes.
func TestTheBeginThatLeavesWithTheOpenFitsAnyPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		p.welcome()
		p.wantHeader(headerAMQP)
		want[*Open](p, 0)
		if f, err := p.r.next(); err != nil || f.channel != 0 || frameHeaderSize+len(f.body) > minMaxFrameSize {
			t.Errorf("the begin has %d bytes on channel %d, %v", frameHeaderSize+len(f.body), f.channel, err)
		}
		p.write(headerAMQP[:])
		p.send(0, &Open{ContainerID: "peer", ChannelMax: new(uint16), MaxFrameSize: minMaxFrameSize}, nil)
		c := <-client
		s, err := c.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.NewSession(t.Context()); err == nil {
			t.Error("a second session on one channel")
		} else if e, ok := errors.AsType[*LimitError](err); !ok || e.Name != "channel-max" || e.Limit != 0 {
			t.Errorf("NewSession: %v, want the limit", err)
		}
		p.begun(0, 255)
		synctest.Wait()
		if c.Err() != nil || s.Err() != nil || !s.Begun() {
			t.Errorf("connection %v, session %v, begun: %v", c.Err(), s.Err(), s.Begun())
		}
		_ = p.nc.Close()
		<-c.Done()
	})
}

func TestTheFirstSessionIsTheOneThatWasBegunWithTheOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		c := p.opened(client)
		first, err := c.NewSession(t.Context())
		if err != nil || first.Begun() {
			t.Fatalf("NewSession: %v, begun: %v", err, first.Begun())
		}
		p.wantIdle("for the first session")
		if _, err := c.NewSession(t.Context()); err != nil {
			t.Fatal(err)
		}
		want[*Begin](p, 1)
		p.begun(0, 255)
		synctest.Wait()
		if !first.Begun() {
			t.Error("the first session is not begun though its begin is answered")
		}
	})
}

func TestAFirstSessionThatThePeerHasEndedIsGivenToNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		c := p.opened(client)
		p.begun(0, 255)
		p.send(0, &End{}, nil)
		want[*End](p, 0)
		s, err := c.NewSession(t.Context())
		if err != nil || s.Err() != nil {
			t.Fatalf("NewSession: %v, %v", err, s.Err())
		}
		want[*Begin](p, 0) // the channel is free again
	})
}

// attaching calls AttachAll for a pair of links, as a request needs, and returns the result.
func attaching(ctx context.Context, s *Session) <-chan attached {
	result := make(chan attached, 1)
	go func() { // ends with AttachAll
		links, err := s.AttachAll(ctx, &Attach{Name: "out", Role: RoleSender, Target: &Target{Address: "node"}}, &Attach{Name: "in", Role: RoleReceiver, Source: &Source{Address: "node"}})
		result <- attached{links, err}
	}()
	return result
}

type attached struct {
	links []*Link
	err   error
}

// session begins a session of a client that knows the peer's handle-max from another one.
func (p *peer) session(c *Conn, handleMax uint32) *Session {
	p.t.Helper()
	if _, err := c.NewSession(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.begun(0, handleMax)
	synctest.Wait()
	s, err := c.NewSession(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	want[*Begin](p, 1)
	return s
}

func TestAttachesLeaveTogetherBehindABeginThatIsNotAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		s := p.session(p.opened(client), 1)
		result := attaching(t.Context(), s)
		out, in := want[*Attach](p, 1), want[*Attach](p, 1)
		if out.Name != "out" || out.Handle != 0 || in.Name != "in" || in.Handle != 1 {
			t.Errorf("attaches %+v and %+v", out, in)
		}
		p.begun(1, 1)
		p.answer(1, in)
		p.wantIdle("with one of two attaches answered") // no flow
		p.answer(1, out)
		r := <-result
		if r.err != nil || len(r.links) != 2 || r.links[0].Role() != RoleSender || r.links[1].Role() != RoleReceiver || !s.Begun() {
			t.Errorf("AttachAll returned %v, %v", r.links, r.err)
		}
	})
}

// Every peer has the lowest handle; for more, the peer's limit must be known.
func TestASecondAttachWaitsWhereThePeersHandlesAreNotKnown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		c := p.opened(client)
		s, err := c.NewSession(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := attaching(ctx, s)
		p.wantIdle("before the answer to the first begin")
		cancel()
		if r := <-result; !errors.Is(r.err, context.Canceled) {
			t.Errorf("AttachAll: %v", r.err)
		}
		result = attaching(t.Context(), s)
		p.begun(0, 255)
		p.answer(0, want[*Attach](p, 0))
		p.answer(0, want[*Attach](p, 0))
		if r := <-result; r.err != nil {
			t.Error(r.err)
		}
	})
}

func TestAPeerWithOneHandleIsAskedForNoSecond(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		s := p.session(p.opened(client), 0)
		result := attaching(t.Context(), s)
		p.wantIdle("of a session that may have one handle")
		p.begun(1, 0)
		r := <-result
		if e, ok := errors.AsType[*LimitError](r.err); !ok || e.Name != "handle-max" || e.Limit != 0 {
			t.Errorf("AttachAll: %v, want the limit", r.err)
		}
		p.wantIdle("of a session that has one handle")
	})
}

// A peer may allow fewer handles in one session than in the one before. By then the client has sent
// an attach too many.
func TestASessionWithFewerHandlesThanTheOneBeforeIsALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, nil)
		c := p.opened(client)
		s := p.session(c, 255)
		result := attaching(t.Context(), s)
		out := want[*Attach](p, 1)
		want[*Attach](p, 1)
		p.begun(1, 0)
		r := <-result
		if e, ok := errors.AsType[*LimitError](r.err); !ok || e.Name != "handle-max" || e.Limit != 0 {
			t.Errorf("AttachAll: %v, want the limit", r.err)
		}
		want[*Detach](p, 1)
		p.answer(1, out)
		p.send(1, &Detach{Closed: true}, nil)
		s.End(nil)
		want[*End](p, 1)
		p.send(1, &End{}, nil)
		synctest.Wait()
		if c.Err() != nil {
			t.Errorf("the connection is over: %v", c.Err())
		}
	})
}

// Whichever is refused, in whatever order the answers come, the other one is detached and the error
// is the refusal.
func TestOfTwoAttachesOneThatIsRefusedEndsBoth(t *testing.T) {
	for _, refused := range []string{"out", "in"} {
		for _, first := range []bool{true, false} {
			bubble(t, func(t *testing.T) {
				p, client := clientPeer(t, nil)
				c := p.opened(client)
				s := p.session(c, 255)
				result := attaching(t.Context(), s)
				p.begun(1, 255)
				refuse := func(a *Attach) {
					reply := &Attach{Name: a.Name, Handle: a.Handle, Role: !a.Role}
					if reply.Role == RoleSender {
						reply.InitialDeliveryCount = new(uint32)
					}
					p.send(1, reply, nil)
					p.send(1, &Detach{Handle: a.Handle, Closed: true, Error: &Error{Condition: ErrorUnauthorizedAccess}}, nil)
				}
				a, b := want[*Attach](p, 1), want[*Attach](p, 1)
				if (a.Name == refused) != first {
					a, b = b, a
				}
				for _, a := range []*Attach{a, b} {
					if a.Name == refused {
						refuse(a)
					} else {
						p.answer(1, a)
					}
				}
				r := <-result
				if e, ok := errors.AsType[*RemoteError](r.err); !ok || e.Frame != "detach" || e.Err.Condition != ErrorUnauthorizedAccess {
					t.Errorf("%s refused, first: %v: AttachAll returned %v", refused, first, r.err)
				}
				for range 2 { // the answer to one detach, and the other
					want[*Detach](p, 1)
				}
				p.wantIdle("after both detaches")
				if c.Err() != nil || s.Err() != nil {
					t.Errorf("session %v, connection %v", s.Err(), c.Err())
				}
			})
		}
	}
}

// The peer's possible reactions to an attach that was sent right after a begin.
func TestAnAttachBehindABeginEndsWithWhateverThePeerDoes(t *testing.T) {
	refusal := &Error{Condition: ErrorResourceLimit}
	for name, c := range map[string]struct {
		act   func(p *peer)
		frame string
	}{
		"a begin and an end": {func(p *peer) { p.begun(1, 255); p.send(1, &End{refusal}, nil) }, "end"},
		"a close":            {func(p *peer) { p.send(0, &Close{refusal}, nil) }, "close"},
		"the end of TCP":     {func(p *peer) { _ = p.nc.Close() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, client := clientPeer(t, nil)
				s := p.session(p.opened(client), 255)
				result := attaching(t.Context(), s)
				want[*Attach](p, 1)
				want[*Attach](p, 1)
				c.act(p)
				r := <-result
				e, ok := errors.AsType[*RemoteError](r.err)
				if r.err == nil || ok != (c.frame != "") || ok && (e.Frame != c.frame || e.Err.Condition != refusal.Condition) {
					t.Errorf("AttachAll returned %v, want what the %q says", r.err, c.frame)
				}
			})
		})
	}
}

// A session that is ended before its begin is answered frees its channel after both answers, for
// the next caller.
func TestAChannelThatWasEndedBeforeItWasBegunIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, &Config{ChannelMax: 1})
		c := p.opened(client)
		s := p.session(c, 255)
		s.End(nil)
		want[*End](p, 1)
		begun := make(chan error, 1)
		go func() { // ends with NewSession
			_, err := c.NewSession(t.Context())
			begun <- err
		}()
		p.begun(1, 255)
		p.wantIdle("before the session's end is answered")
		p.send(1, &End{}, nil)
		want[*Begin](p, 1)
		if err := <-begun; err != nil {
			t.Error(err)
		}
	})
}

// A retired session keeps callers waiting for its channel while its begin is not answered. The
// limit is reported if no session will return a channel.
func TestWhoWaitsForAChannelIsToldTheLimitAtItsContextsEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, client := clientPeer(t, &Config{ChannelMax: 1})
		c := p.opened(client)
		p.session(c, 255).Retire()
		start := time.Now()
		_, err := c.NewSession(try(t))
		if e, ok := errors.AsType[*LimitError](err); !ok || e.Name != "channel-max" || e.Limit != 1 || time.Since(start) != time.Second {
			t.Errorf("NewSession: %v after %v, want the limit after a second", err, time.Since(start))
		}
	})
}

// The mechanism leaves before the offer comes. From the offer the client learns which one to use on
// its next connection.
func TestTheClientSendsAMechanismAndSaysWhichOneWouldDoInstead(t *testing.T) {
	const offers = "amqp: handshake: the server offers "
	for _, c := range []struct {
		offered    []Symbol
		send, want Symbol
		text       string
		instead    Symbol
	}{
		{[]Symbol{"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"}, "", "ANONYMOUS", "", ""},
		{[]Symbol{"PLAIN", "MSSBCBS"}, "", "", offers + "the SASL mechanisms PLAIN, MSSBCBS, but not ANONYMOUS", "MSSBCBS"},
		{[]Symbol{"PLAIN", "MSSBCBS"}, "MSSBCBS", "MSSBCBS", "", ""},
		{[]Symbol{"ANONYMOUS"}, "MSSBCBS", "", offers + "the SASL mechanisms ANONYMOUS, but not MSSBCBS", "ANONYMOUS"},
		{[]Symbol{"ANONYMOUS", "MSSBCBS"}, "PLAIN", "", offers + "the SASL mechanisms ANONYMOUS, MSSBCBS, but not PLAIN", ""},
		{[]Symbol{"PLAIN", "SCRAM SHA\n"}, "", "", offers + `the SASL mechanisms PLAIN, "SCRAM SHA\n", but not ANONYMOUS or MSSBCBS`, ""},
		{[]Symbol{}, "", "", offers + "no SASL mechanism; ANONYMOUS or MSSBCBS is required", ""},
	} {
		bubble(t, func(t *testing.T) {
			a, b := memnet.Pipe()
			got := make(chan *SASLInit, 1)
			go func() { // ends with the handshake
				if server, err := Server(t.Context(), b, &Config{Mechanisms: c.offered}); err == nil {
					got <- server.SASL()
				} else {
					got <- nil
				}
			}()
			client, err := Client(t.Context(), a, &Config{Mechanism: c.send})
			if c.want == "" {
				if e, ok := errors.AsType[*SASLError](err); !ok || err.Error() != c.text || e.Instead() != c.instead {
					t.Errorf("%q: %v, %+v, want %s and, instead, %q", c.offered, err, e, c.text, c.instead)
				}
				<-got
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close(nil)
			if init := <-got; init.Mechanism != c.want || (init.InitialResponse != nil) != (c.want == "ANONYMOUS") {
				t.Errorf("%q: chosen %+v, want %s", c.offered, init, c.want)
			}
		})
	}
}
