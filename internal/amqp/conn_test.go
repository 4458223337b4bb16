package amqp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

func TestHandshakeTellsEachPeerAboutTheOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t,
			&Config{ContainerID: "c", HostName: "h:1", Mechanism: "PLAIN", InitialResponse: []byte("\x00u\x00p"), Properties: Map{{Symbol("product"), "x"}}},
			&Config{ContainerID: "s", MaxFrameSize: 4096, ChannelMax: 77, IdleTimeout: 240 * time.Second})
		open := server.Peer()
		if open.ContainerID != "c" || open.HostName != "h:1" {
			t.Errorf("server saw %+v", open)
		}
		if v, _ := open.Properties.Get("product"); v != "x" {
			t.Errorf("server saw product %v, want x", v)
		}
		sasl := server.SASL()
		if sasl == nil || sasl.Mechanism != "PLAIN" || string(sasl.InitialResponse) != "\x00u\x00p" || sasl.HostName != "h:1" {
			t.Errorf("server saw SASL %+v", sasl)
		}
		open = client.Peer()
		if open.ContainerID != "s" || open.MaxFrameSize != 4096 || *open.ChannelMax != 77 || open.IdleTimeout != 240*time.Second {
			t.Errorf("client saw %+v", open)
		}
	})
}

func TestServerGreetsAsEventHubsDoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		served := make(chan error, 1)
		go func() { // ends with the handshake
			c, err := Server(t.Context(), b, nil)
			if err == nil {
				defer c.Close(nil)
			}
			served <- err
		}()
		p := &peer{t: t, nc: a, r: newFrameReader(a, 1<<16)}
		p.write(headerSASL[:])
		if h, err := p.r.protocolHeader(); err != nil || h != headerSASL {
			t.Fatalf("header %q, %v", h, err)
		}
		f, err := p.r.next()
		if err != nil || f.kind != frameSASL {
			t.Fatalf("frame %+v, %v", f, err)
		}
		offer, err := readSASL(f.body)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := offer.(*SASLMechanisms).Mechanisms, []Symbol{"MSSBCBS", "PLAIN", "ANONYMOUS", "EXTERNAL"}; !slices.Equal(got, want) {
			t.Errorf("mechanisms %v, want %v", got, want)
		}
		// A client that pipelines everything right after its choice.
		init, _ := appendFrame(nil, frameSASL, 0, &SASLInit{Mechanism: "MSSBCBS"})
		init = append(init, headerAMQP[:]...)
		init, _ = appendFrame(init, frameAMQP, 0, &Open{ContainerID: "x"})
		p.write(init)
		if f, err = p.r.next(); err != nil {
			t.Fatal(err)
		}
		outcome, err := readSASL(f.body)
		if err != nil {
			t.Fatal(err)
		}
		if o := outcome.(*SASLOutcome); o.Code != 0 || string(o.AdditionalData) != "Welcome!" {
			t.Errorf("outcome %+v", o)
		}
		if h, err := p.r.protocolHeader(); err != nil || h != headerAMQP {
			t.Fatalf("header %q, %v", h, err)
		}
		open := p.want(0, &Open{}).(*Open)
		if open.MaxFrameSize != 65536 || *open.ChannelMax != 4999 || open.IdleTimeout != 4*time.Minute {
			t.Errorf("open %+v", open)
		}
		_ = a.Close()
		if err := <-served; err != nil {
			t.Error("Server:", err)
		}
	})
}

func TestHandshakeFailures(t *testing.T) {
	saslInit := func(m Symbol) []byte {
		b, _ := appendFrame(headerSASL[:], frameSASL, 0, &SASLInit{Mechanism: m})
		return b
	}
	tests := []struct {
		name string
		send []byte
		want string
	}{
		{"another protocol", []byte("GET / HTTP/1.1\r\n\r\n"), "protocol header"},
		{"another version", []byte("AMQP\x00\x00\x09\x01"), "protocol header"},
		{"an unknown mechanism", saslInit("GSSAPI"), "not accepted"},
		{"no open", append(headerAMQP[:], 0, 0, 0, 8, 2, 0, 0, 0), "ends within a value"},
		{"a frame too large", append(headerAMQP[:], 0x7f, 0, 0, 8, 2, 0, 0, 0), "more than the maximum"},
		{"the end of the stream", headerAMQP[:4], "EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				a, b := memnet.Pipe()
				if _, err := a.Write(tt.send); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(time.Second, func() { _ = a.Close() })
				_, err := Server(t.Context(), b, nil)
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Server: %v, want %q", err, tt.want)
				}
			})
		})
	}
}

func TestHandshakeEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, f := range map[string]func(context.Context, net.Conn, *Config) (*Conn, error){"Server": Server, "Client": Client} {
			_, b := memnet.Pipe()
			_, err := f(try(t), b, nil)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s with a silent peer: %v, want deadline exceeded", name, err)
			}
		}
	})
}

func TestRefusedCredentialsFailBothPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		served := make(chan error, 1)
		go func() { // ends with the handshake
			_, err := Server(t.Context(), b, &Config{Authenticate: func(i *SASLInit) bool { return string(i.InitialResponse) == "good" }})
			served <- err
		}()
		if _, err := Client(t.Context(), a, &Config{InitialResponse: []byte("bad")}); err == nil || strings.Contains(err.Error(), "bad") {
			t.Errorf("Client: %v", err)
		} else if e, ok := errors.AsType[*SASLError](err); !ok || e.Code != 1 {
			t.Errorf("Client: %v, want a SASLError with the outcome 1", err)
		}
		if err := <-served; err == nil || strings.Contains(err.Error(), "bad") {
			t.Errorf("Server: %v, want an error that does not tell the credentials", err)
		}
	})
}

func TestSilenceIsBrokenAtHalfOfThePeersTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := newPeer(t, &Config{IdleTimeout: -1}, &Open{ContainerID: "p", IdleTimeout: 30 * time.Second})
		start := time.Now()
		for i := range 3 {
			f, err := p.r.next()
			if err != nil || len(f.body) != 0 {
				t.Fatalf("frame %+v, %v; want an empty one", f, err)
			}
			if got, want := time.Since(start), time.Duration(i+1)*15*time.Second; got != want {
				t.Errorf("empty frame %d after %v, want %v", i, got, want)
			}
		}
	})
}

func TestASilentPeerIsClosedAfterTwiceTheTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{IdleTimeout: 10 * time.Second}, nil)
		start := time.Now()
		time.Sleep(15 * time.Second)
		p.write(appendEmptyFrame(nil)) // postpones it
		p.wantClose(ErrorResourceLimit)
		if got := time.Since(start); got != 35*time.Second {
			t.Errorf("closed after %v, want 35s", got)
		}
		// It does not answer either, and is given up.
		<-c.Done()
		if got := time.Since(start); got != 35*time.Second+closeTimeout {
			t.Errorf("gone after %v, want 40s", got)
		}
		p.wantEOF()
	})
}

func TestTwoEnginesStayConnectedForAnHour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, &Config{IdleTimeout: time.Minute}, &Config{IdleTimeout: 4 * time.Minute})
		time.Sleep(time.Hour)
		if client.Err() != nil || server.Err() != nil {
			t.Errorf("client %v, server %v", client.Err(), server.Err())
		}
	})
}

func TestCloseTellsThePeerWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		sender, receiver := linked(t, client, server, nil)
		_ = server.Close(&Error{Condition: ErrorConnectionForced, Description: "upgrade"})
		<-client.Done()
		remote, ok := errors.AsType[*RemoteError](client.Err())
		if !ok || remote.Frame != "close" || remote.Err.Condition != ErrorConnectionForced || remote.Err.Description != "upgrade" {
			t.Errorf("client: %v", client.Err())
		}
		if !errors.Is(server.Err(), ErrClosed) || !errors.Is(client.Err(), ErrClosed) {
			t.Errorf("server %v, client %v; want ErrClosed", server.Err(), client.Err())
		}
		if _, ok := errors.AsType[*RemoteError](server.Err()); ok {
			t.Errorf("server: %v is taken for the peer's", server.Err())
		}
		if err := sender.Send(t.Context(), &Delivery{}); !errors.Is(err, ErrClosed) {
			t.Errorf("Send: %v", err)
		}
		if _, err := receiver.Receive(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Receive: %v", err)
		}
		if _, err := server.AcceptLink(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("AcceptLink: %v", err)
		}
		if _, err := client.NewSession(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("NewSession: %v", err)
		}
		_ = server.Close(nil) // again
	})
}

func TestCutEndsBothPeers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		synctest.Wait() // the server's begin has been written
		client.Cut()
		<-client.Done()
		<-server.Done()
		if !errors.Is(client.Err(), ErrClosed) || !errors.Is(server.Err(), io.EOF) {
			t.Errorf("client %v, server %v", client.Err(), server.Err())
		}
	})
}

func TestABrokenConnectionEndsEverythingOnIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		sent := make(chan error, 1)
		go func() { sent <- l.Send(t.Context(), &Delivery{}) }() // ends with the connection
		synctest.Wait()
		_ = p.nc.Close()
		if err := <-sent; !errors.Is(err, io.EOF) {
			t.Errorf("Send: %v, want EOF", err)
		}
		<-c.Done()
		<-l.Done()
		<-l.Session().Done()
	})
}

func TestAPeerThatStopsReadingIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{WriteTimeout: 10 * time.Second}, &Open{ContainerID: "p", IdleTimeout: time.Second})
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		p.send(0, &Flow{IncomingWindow: 1 << 20, Handle: Some[uint32](0), LinkCredit: Some[uint32](1 << 20)}, nil)
		start := time.Now()
		payload := make([]byte, 10_000)
		var err error
		n := 0
		for ; err == nil; n++ {
			err = l.Send(t.Context(), &Delivery{Settled: true, Payload: payload})
		}
		if got := time.Since(start); got != 10*time.Second {
			t.Errorf("Send failed after %v, want 10s", got)
		}
		// One buffer is being written, one gathers, and the network has its own.
		if most := (memnet.BufferSize + 3*outLimit) / len(payload); n > most {
			t.Errorf("%d deliveries were taken, want at most %d", n, most)
		}
		<-c.Done()
	})
}

func TestAPeerThatSendsButDoesNotReadIsNotReadEither(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, &Config{WriteTimeout: time.Minute}, nil)
		p.begin(0)
		// Each flow asks for an answer.
		flow, _ := appendFrame(nil, frameAMQP, 0, &Flow{NextIncomingID: Some[uint32](1), Echo: true})
		_ = p.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		var err error
		n := 0
		for ; err == nil; n++ {
			_, err = p.nc.Write(bytes.Repeat(flow, 100))
		}
		c.mu.Lock()
		waiting := cap(c.out)
		c.mu.Unlock()
		if waiting > 3*outStop {
			t.Errorf("%d bytes of answers gathered, want at most about %d", waiting, outStop)
		}
		if n < 10 {
			t.Errorf("%d writes; the test does not test anything", n)
		}
	})
}

func TestMalformedFramesCloseTheConnection(t *testing.T) {
	tests := []struct {
		name string
		send []byte
		want Symbol
	}{
		{"larger than the maximum", []byte{0, 1, 0, 1, 2, 0, 0, 0}, ErrorFraming},
		{"smaller than its header", []byte{0, 0, 0, 7, 2, 0, 0, 0}, ErrorFraming},
		{"data offset within the header", []byte{0, 0, 0, 9, 1, 0, 0, 0, 0}, ErrorFraming},
		{"data offset beyond the frame", []byte{0, 0, 0, 9, 3, 0, 0, 0, 0}, ErrorFraming},
		{"SASL after open", []byte{0, 0, 0, 12, 2, 1, 0, 0, 0, 0x53, 0x41, 0x45}, ErrorFraming},
		{"not a performative", []byte{0, 0, 0, 9, 2, 0, 0, 0, 0x40}, ErrorDecode},
		{"unknown performative", []byte{0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x77, 0x45}, ErrorDecode},
		{"truncated performative", []byte{0, 0, 0, 14, 2, 0, 0, 0, 0, 0x53, 0x11, 0xc0, 9, 4}, ErrorDecode},
		{"a second open", []byte{0, 0, 0, 14, 2, 0, 0, 0, 0, 0x53, 0x10, 0xc0, 1, 0}, ErrorIllegalState},
		{"an unknown channel", []byte{0, 0, 0, 12, 2, 0, 0, 9, 0, 0x53, 0x17, 0x45}, ErrorNotAllowed},
		{"a channel beyond channel-max", []byte{0, 0, 0, 18, 2, 0, 0, 9, 0, 0x53, 0x11, 0xc0, 5, 4, 0x40, 0x43, 0x43, 0x43}, ErrorFraming},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p, c := newPeer(t, &Config{ChannelMax: 8}, nil)
				p.write(tt.send)
				p.wantClose(tt.want)
				_ = p.nc.Close()
				<-c.Done()
				if e, ok := errors.AsType[*Error](c.Err()); !ok || e.Condition != tt.want {
					t.Errorf("Err: %v, want %s", c.Err(), tt.want)
				}
			})
		})
	}
}

func TestExtendedFrameHeaderIsSkipped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, _ := newPeer(t, nil, nil)
		p.write([]byte{0, 0, 0, 22, 3, 0, 0, 0, 1, 2, 3, 4, 0, 0x53, 0x11, 0xc0, 5, 4, 0x40, 0x43, 0x43, 0x43})
		p.want(0, &Begin{})
	})
}

func TestSimultaneousClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, server := pair(t, nil, nil)
		closed := make(chan struct{})
		go func() { // ends with Close
			_ = client.Close(nil)
			close(closed)
		}()
		start := time.Now()
		_ = server.Close(nil)
		<-closed
		if got := time.Since(start); got != 0 {
			t.Errorf("took %v, want no waiting", got)
		}
	})
}

func TestCloseDoesNotWaitLongForAPeerThatDoesNotAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, c := newPeer(t, nil, nil)
		start := time.Now()
		_ = c.Close(nil)
		if got := time.Since(start); got != closeTimeout {
			t.Errorf("took %v, want %v", got, closeTimeout)
		}
	})
}

func TestFramesThatGatherAreWrittenTogether(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, c := newPeer(t, nil, nil)
		p.begin(0)
		l := p.attach(c, 0, Attach{Role: RoleReceiver}, nil)
		p.send(0, &Flow{NextIncomingID: Some[uint32](1), IncomingWindow: 1000, Handle: Some[uint32](0), LinkCredit: Some[uint32](1000)}, nil)
		synctest.Wait()
		counted := &countingConn{Conn: c.nc}
		c.mu.Lock()
		c.nc = counted // the writer waits for something to do
		for range 100 {
			if err := l.queueLocked(&Delivery{Payload: []byte("x")}); err != nil {
				t.Error(err)
			}
		}
		c.mu.Unlock()
		for range 100 {
			want[*Transfer](p, 0)
		}
		synctest.Wait()
		if counted.writes != 1 {
			t.Errorf("%d writes for 100 frames, want 1", counted.writes)
		}
	})
}

// countingConn counts Writes.
type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}
