package amqp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// minIdleTimeout is the shortest idle time-out that a peer may ask for.
const minIdleTimeout = 100 * time.Millisecond

var (
	headerSASL = [8]byte{'A', 'M', 'Q', 'P', 3, 1, 0, 0}
	headerAMQP = [8]byte{'A', 'M', 'Q', 'P', 0, 1, 0, 0}
)

// Server makes nc an AMQP connection: it answers a client's protocol headers, SASL exchange and
// open. A client may leave SASL out; see [Conn.SASL]. ctx bounds this exchange only. Server owns nc
// from the call on, and closes it on failure.
func Server(ctx context.Context, nc net.Conn, cfg *Config) (*Conn, error) {
	return handshake(ctx, nc, cfg, (*Conn).serve)
}

// Client makes nc an AMQP connection: it sends protocol headers, SASL init and open. That takes two
// round trips. The mechanism leaves before the server's offer. A begin leaves with the open, for
// the session that the first [Conn.NewSession] returns. ctx bounds this exchange only. Client owns
// nc from the call on, and closes it on failure.
func Client(ctx context.Context, nc net.Conn, cfg *Config) (*Conn, error) {
	return handshake(ctx, nc, cfg, (*Conn).greet)
}

func handshake(ctx context.Context, nc net.Conn, cfg *Config, exchange func(*Conn) error) (*Conn, error) {
	c := newConn(nc, cfg)
	// A deadline in the past ends a waiting Read or Write.
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err := exchange(c)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("amqp: handshake: %w", err)
	}
	if c.cfg.BeforeStart != nil {
		c.cfg.BeforeStart(c)
	}
	c.start()
	return c, nil
}

// serve is the server's side of the exchange.
func (c *Conn) serve() error {
	h, err := c.frames.protocolHeader()
	if err != nil {
		return err
	}
	if h == headerSASL {
		if err := c.serveSASL(); err != nil {
			return err
		}
		if h, err = c.frames.protocolHeader(); err != nil {
			return err
		}
	}
	if h != headerAMQP {
		// "the server MUST send a protocol header with a supported protocol version and then close
		// the socket" (2.2).
		_, _ = c.nc.Write(headerSASL[:])
		return fmt.Errorf("%w: protocol header %q", ErrMalformed, h)
	}
	if _, err := c.nc.Write(headerAMQP[:]); err != nil {
		return err
	}
	if err := c.readOpen(); err != nil {
		return err
	}
	open, err := c.appendOpen(nil)
	if err != nil {
		return err
	}
	_, err = c.nc.Write(open)
	return err
}

// serveSASL offers the mechanisms, takes the client's choice and sends the outcome.
func (c *Conn) serveSASL() error {
	offer, err := appendFrame(headerSASL[:], frameSASL, 0, &SASLMechanisms{c.cfg.Mechanisms})
	if err != nil {
		return err
	}
	if _, err := c.nc.Write(offer); err != nil {
		return err
	}
	p, err := c.readSASLFrame()
	if err != nil {
		return err
	}
	init, ok := p.(*SASLInit)
	if !ok {
		return fmt.Errorf("%w: %s where sasl-init must be", ErrMalformed, frameName(p))
	}
	init.InitialResponse = bytes.Clone(init.InitialResponse)
	c.sasl = init
	outcome := SASLOutcome{AdditionalData: []byte("Welcome!")} // the greeting of Event Hubs
	// "If the selected mechanism is not supported by the receiving peer, it MUST close the
	// Connection with the authentication-failure close-code" (5.3.3.2).
	if !slices.Contains(c.cfg.Mechanisms, init.Mechanism) || c.cfg.Authenticate != nil && !c.cfg.Authenticate(init) {
		outcome = SASLOutcome{Code: 1}
	}
	reply, err := appendFrame(nil, frameSASL, 0, &outcome)
	if err != nil {
		return err
	}
	if _, err := c.nc.Write(reply); err != nil {
		return err
	}
	if outcome.Code != 0 {
		return fmt.Errorf("SASL mechanism %q or its credentials are not accepted", init.Mechanism)
	}
	return nil
}

// greet is the client's side of the exchange, in two flights. It sends nothing after the SASL init
// until the outcome has come: some servers drop a client when they read more together with the
// init.
func (c *Conn) greet() error {
	c.sasl = c.login()
	login, err := appendFrame(headerSASL[:], frameSASL, 0, c.sasl)
	if err != nil {
		return err
	}
	if err := c.sendHeader(login); err != nil {
		return err
	}
	if err := c.awaitLogin(); err != nil {
		return err
	}
	opening, err := c.appendOpen(headerAMQP[:])
	if err != nil {
		return err
	}
	if opening, err = c.appendFirstBegin(opening); err != nil {
		return err
	}
	if err := c.sendHeader(opening); err != nil {
		return err
	}
	if err := c.wantHeader(headerAMQP); err != nil {
		return err
	}
	return c.readOpen()
}

// anonymous are the mechanisms without credentials: ANONYMOUS (RFC 4505), and MSSBCBS of Event
// Hubs, which its .NET client uses.
var anonymous = []Symbol{"ANONYMOUS", "MSSBCBS"}

// login is a client's SASL init.
func (c *Conn) login() *SASLInit {
	init := &SASLInit{c.cfg.Mechanism, c.cfg.InitialResponse, c.cfg.HostName}
	if init.Mechanism == "" {
		init.Mechanism = "ANONYMOUS"
	}
	if init.InitialResponse == nil && init.Mechanism == "ANONYMOUS" {
		init.InitialResponse = []byte("anonymous") // the identity that traces may show
	}
	return init
}

// awaitLogin reads the server's offer and its outcome. An offer without our mechanism ends the
// connection: a server takes one init per connection.
func (c *Conn) awaitLogin() error {
	if err := c.wantHeader(headerSASL); err != nil {
		return err
	}
	p, err := c.readSASLFrame()
	if err != nil {
		return err
	}
	offer, ok := p.(*SASLMechanisms)
	if !ok {
		return fmt.Errorf("%w: %s where sasl-mechanisms must be", ErrMalformed, frameName(p))
	}
	if !slices.Contains(offer.Mechanisms, c.sasl.Mechanism) {
		return &SASLError{Mechanism: c.sasl.Mechanism, Offered: offer.Mechanisms}
	}
	if p, err = c.readSASLFrame(); err != nil {
		return err
	}
	switch outcome, ok := p.(*SASLOutcome); {
	case !ok:
		return fmt.Errorf("%w: %s where sasl-outcome must be", ErrMalformed, frameName(p))
	case outcome.Code != 0:
		return &SASLError{Mechanism: c.sasl.Mechanism, Offered: offer.Mechanisms, Code: outcome.Code}
	}
	return nil
}

// A SASLError says that a server refuses a client.
type SASLError struct {
	Mechanism Symbol   // that the client has sent
	Offered   []Symbol // by the server
	Code      uint8    // of the server's outcome; zero if the server does not offer Mechanism
}

// Instead returns another mechanism of the server's offer that would also let the client in, on
// another connection; empty if there is none.
func (e *SASLError) Instead() Symbol {
	if e.Code != 0 {
		return ""
	}
	for _, m := range e.wanted() {
		if slices.Contains(e.Offered, m) {
			return m
		}
	}
	return ""
}

// wanted are the mechanisms of which any would suit the client.
func (e *SASLError) wanted() []Symbol {
	if slices.Contains(anonymous, e.Mechanism) {
		return anonymous
	}
	return []Symbol{e.Mechanism}
}

func (e *SASLError) Error() string {
	missing := e.wanted()
	if e.Instead() != "" {
		missing = []Symbol{e.Mechanism}
	}
	switch {
	case e.Code != 0:
		return fmt.Sprintf("the server refuses a login by SASL %s, with the outcome %d", quotedSymbol(e.Mechanism), e.Code)
	case len(e.Offered) == 0:
		return fmt.Sprintf("the server offers no SASL mechanism; %s is required", list(missing, " or "))
	}
	return fmt.Sprintf("the server offers the SASL mechanisms %s, but not %s", list(e.Offered, ", "), list(missing, " or "))
}

// list names mechanisms. A server's text may contain anything.
func list(mechanisms []Symbol, between string) string {
	var names []string
	for _, m := range mechanisms[:min(len(mechanisms), 10)] {
		names = append(names, quotedSymbol(m))
	}
	return strings.Join(names, between)
}

// sendHeader sends a client's protocol header and the frames after it.
func (c *Conn) sendHeader(b []byte) error {
	if _, err := (&counted{c.nc}).Write(b); err != nil {
		return c.lastWord(err)
	}
	return nil
}

func (c *Conn) wantHeader(h [8]byte) error {
	got, err := c.frames.protocolHeader()
	if err == nil && got != h {
		err = fmt.Errorf("%w: protocol header %q", ErrMalformed, got)
	}
	return err
}

// lastWord is what the peer sent before it closed, for example a TLS alert, which a failed Write
// does not show. Otherwise it is the Write's error.
func (c *Conn) lastWord(failed error) error {
	_ = c.nc.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := c.frames.protocolHeader(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return failed
}

func (c *Conn) readSASLFrame() (reader, error) {
	f, err := c.frames.next()
	if err != nil {
		return nil, err
	}
	if f.kind != frameSASL {
		return nil, fmt.Errorf("%w: frame of type %d where a SASL frame must be", ErrMalformed, f.kind)
	}
	return readSASL(f.body)
}

// appendOpen appends our open.
func (c *Conn) appendOpen(dst []byte) ([]byte, error) {
	open := Open{
		ContainerID: c.cfg.ContainerID, HostName: c.cfg.HostName, MaxFrameSize: c.cfg.MaxFrameSize,
		ChannelMax: &c.cfg.ChannelMax, IdleTimeout: c.cfg.IdleTimeout, Properties: c.cfg.Properties,
	}
	b, err := appendFrame(dst, frameAMQP, 0, &open)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	return b, nil
}

// readOpen reads the peer's open and adopts its limits.
func (c *Conn) readOpen() error {
	f, err := c.frames.next()
	if err != nil {
		return err
	}
	// The open is kept as long as the connection. Decoded, it may take forty times the memory of
	// its bytes.
	if len(f.body) > maxAttach {
		return fmt.Errorf("%w: an open of %d bytes, more than the maximum of %d", ErrMalformed, len(f.body), maxAttach)
	}
	p, _, err := readPerformative(bytes.Clone(f.body))
	if err != nil {
		return err
	}
	if refusal, ok := p.(*Close); ok && refusal.Error != nil {
		return fmt.Errorf("%w: %w", ErrClosed, &RemoteError{"close", refusal.Error})
	}
	open, ok := p.(*Open)
	if !ok || f.kind != frameAMQP || f.channel != 0 {
		return fmt.Errorf("%w: %s where open must be", ErrMalformed, frameName(p))
	}
	// A max-frame-size below 512 is the peer's error; reading it as 512 does no harm (2.7.1, "MUST
	// NOT be less than 512").
	if open.MaxFrameSize == 0 {
		open.MaxFrameSize = 1<<32 - 1
	}
	c.peer = open
	c.maxOut = int(max(min(open.MaxFrameSize, 1<<30), minMaxFrameSize))
	if open.ChannelMax != nil {
		c.channelMax = min(c.channelMax, *open.ChannelMax)
	}
	// "If the value is too small" for us, the connection is refused (2.4.5): we would be busy
	// sending empty frames.
	if open.IdleTimeout > 0 && open.IdleTimeout < minIdleTimeout {
		return fmt.Errorf("the peer asks for an idle time-out of %v; it must be at least %v", open.IdleTimeout, minIdleTimeout)
	}
	// Half of it, so that an empty frame may be a little late (2.4.5).
	c.keepAlive = open.IdleTimeout / 2
	return nil
}
