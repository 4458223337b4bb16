package amqp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// This file has the two harnesses of the engine's tests. The function pair has an engine at each
// end. The type peer speaks frame by frame to one engine. Put actual tests elsewhere.

// bubble runs f in a synctest bubble.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// pair returns two engines that are connected, and closes them when the test ends.
func pair(t *testing.T, clientCfg, serverCfg *Config) (client, server *Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	client, server = pairOver(t, a, b, clientCfg, serverCfg)
	t.Cleanup(func() {
		_ = client.Close(nil)
		_ = server.Close(nil)
	})
	return client, server
}

// pairOver returns two engines that are connected by these ends. The test ends them.
func pairOver(t *testing.T, ours, theirs net.Conn, clientCfg, serverCfg *Config) (client, server *Conn) {
	t.Helper()
	type result struct {
		c   *Conn
		err error
	}
	served := make(chan result, 1)
	go func() { // ends with the handshake; the receive below waits for it
		c, err := Server(t.Context(), theirs, serverCfg)
		served <- result{c, err}
	}()
	client, err := Client(t.Context(), ours, clientCfg)
	r := <-served
	if err != nil || r.err != nil {
		t.Fatalf("handshake: client %v, server %v", err, r.err)
	}
	return client, r.c
}

// linked returns the two ends of a link from client to server, accepted with the limit in cfg.
func linked(t *testing.T, client, server *Conn, a *Attach) (sender, receiver *Link) {
	t.Helper()
	s, err := client.NewSession(t.Context())
	if err != nil {
		t.Fatal("NewSession:", err)
	}
	return linkedIn(t, s, server, a)
}

func linkedIn(t *testing.T, s *Session, server *Conn, a *Attach) (ours, theirs *Link) {
	t.Helper()
	accepted := make(chan *Link, 1)
	go func() { // ends with the accept; the receive below waits for it
		l, err := server.AcceptLink(t.Context())
		if err == nil {
			err = l.Accept(nil)
		}
		if err != nil {
			t.Error("accept:", err)
		}
		accepted <- l
	}()
	if a == nil {
		a = &Attach{Name: "link", Role: RoleSender, Source: &Source{}, Target: &Target{Address: "hub"}}
	}
	ours, err := s.Attach(t.Context(), a)
	if err != nil {
		t.Fatal("Attach:", err)
	}
	return ours, <-accepted
}

// A peer is a scripted peer: the test writes and reads its frames.
type peer struct {
	t  *testing.T
	nc net.Conn
	r  *frameReader
}

// newPeer returns a server engine and a scripted client that has opened the connection.
func newPeer(t *testing.T, cfg *Config, open *Open) (*peer, *Conn) {
	t.Helper()
	a, b := memnet.Pipe()
	p := &peer{t: t, nc: a, r: newFrameReader(a, 1<<20)}
	if open == nil {
		open = &Open{ContainerID: "peer"}
	}
	p.write(headerAMQP[:]) // without SASL, and pipelined
	p.send(0, open, nil)
	c, err := Server(t.Context(), b, cfg)
	if err != nil {
		t.Fatal("Server:", err)
	}
	if h, err := p.r.protocolHeader(); err != nil || h != headerAMQP {
		t.Fatalf("protocol header: %q, %v", h, err)
	}
	p.want(0, &Open{})
	t.Cleanup(func() {
		_ = a.Close()
		<-c.Done()
	})
	return p, c
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal("peer write:", err)
	}
}

// send sends one frame.
func (p *peer) send(channel uint16, f appender, payload []byte) {
	p.t.Helper()
	b, mark := beginFrame(nil, frameAMQP, channel)
	b, err := f.appendTo(b)
	if err != nil {
		p.t.Fatal("peer encode:", err)
	}
	p.write(endFrame(append(b, payload...), mark))
}

// next returns the next frame that is not empty.
func (p *peer) next() (channel uint16, f reader, payload []byte) {
	p.t.Helper()
	for {
		raw, err := p.r.next()
		if err != nil {
			p.t.Fatal("peer read:", err)
		}
		if len(raw.body) == 0 {
			continue
		}
		f, payload, err = readPerformative(bytes.Clone(raw.body))
		if err != nil {
			p.t.Fatal("peer decode:", err)
		}
		return raw.channel, f, payload
	}
}

// want returns the next frame, which must be on channel and of the type of f.
func want[T reader](p *peer, channel uint16) T {
	p.t.Helper()
	ch, f, _ := p.next()
	got, ok := f.(T)
	if !ok || ch != channel {
		var zero T
		p.t.Fatalf("got %T %+v on channel %d, want %T on %d", f, f, ch, zero, channel)
	}
	return got
}

func (p *peer) want(channel uint16, f reader) reader {
	p.t.Helper()
	ch, got, _ := p.next()
	if reflect.TypeOf(got) != reflect.TypeOf(f) || ch != channel {
		p.t.Fatalf("got %T %+v on channel %d, want %T on %d", got, got, ch, f, channel)
	}
	return got
}

// wantIdle fails if anything but empty frames has arrived.
func (p *peer) wantIdle(why string) {
	p.t.Helper()
	synctest.Wait()
	_ = p.nc.SetReadDeadline(time.Now())
	f, err := p.r.next()
	if err == nil && len(f.body) > 0 {
		got, _, _ := readPerformative(f.body)
		p.t.Fatalf("%s: got %T %+v, want nothing", why, got, got)
	}
	_ = p.nc.SetReadDeadline(time.Time{})
}

// wantClose reads until a close, and checks its condition.
func (p *peer) wantClose(condition Symbol) {
	p.t.Helper()
	for {
		_, f, _ := p.next()
		if c, ok := f.(*Close); ok {
			p.wantError("close", c.Error, condition)
			return
		}
	}
}

func (p *peer) wantError(frame string, e *Error, condition Symbol) {
	p.t.Helper()
	if e == nil || e.Condition != condition {
		p.t.Fatalf("%s with error %v, want %s", frame, e, condition)
	}
}

// wantEOF fails unless the engine has closed the net.Conn.
func (p *peer) wantEOF() {
	p.t.Helper()
	if f, err := p.r.next(); !errors.Is(err, io.EOF) {
		p.t.Fatalf("got frame %v, error %v, want EOF", f, err)
	}
}

// begin begins a session on channel and returns the answer.
func (p *peer) begin(channel uint16) *Begin {
	p.t.Helper()
	p.send(channel, &Begin{NextOutgoingID: 7, IncomingWindow: 100, OutgoingWindow: 100}, nil)
	b := want[*Begin](p, channel)
	if b.RemoteChannel == nil || *b.RemoteChannel != channel {
		p.t.Fatalf("begin answers %v, want channel %d", b.RemoteChannel, channel)
	}
	return b
}

// attach attaches a link on channel 0 with handle, which the server accepts, and returns the
// server's end.
func (p *peer) attach(c *Conn, handle uint32, a Attach, reply *Attach) *Link {
	p.t.Helper()
	a.Name, a.Handle = "link", handle
	if a.Source == nil {
		a.Source = &Source{}
	}
	if a.Target == nil {
		a.Target = &Target{Address: "hub"}
	}
	if a.Role == RoleSender {
		a.InitialDeliveryCount = new(uint32)
	}
	p.send(0, &a, nil)
	l, err := c.AcceptLink(p.t.Context())
	if err != nil {
		p.t.Fatal("AcceptLink:", err)
	}
	if err := l.Accept(reply); err != nil {
		p.t.Fatal("Accept:", err)
	}
	want[*Attach](p, 0)
	return l
}

// transfer returns a transfer with the fields that the first frame of a delivery needs.
func transfer(handle, id uint32) *Transfer {
	return &Transfer{
		Handle: handle, DeliveryID: Some(id), DeliveryTag: []byte{byte(id)}, MessageFormat: Some[uint32](0), Settled: Some(false),
	}
}

// try returns a context that ends when nothing happens any more.
func try(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}
