package emulator

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"
)

// A Transport is a way to carry AMQP; several add up. A server speaks all of its transports on each
// of its addresses. The first bytes of a connection show which one the client chose.
type Transport uint8

const (
	// TransportPlain is AMQP over TCP. Clients use it when their connection string has
	// UseDevelopmentEmulator=true.
	TransportPlain Transport = 1 << iota
	// TransportTLS is AMQP over TLS, which clients use with the service. TLS comes first, or after
	// the AMQP header that asks for it.
	TransportTLS
	// TransportWebSocket is AMQP over WebSocket over HTTP, without TLS.
	TransportWebSocket
	// TransportWebSocketTLS is AMQP over WebSocket over HTTPS, which clients use if only port 443
	// is open.
	TransportWebSocketTLS

	// TransportAll is all of them.
	TransportAll = TransportPlain | TransportTLS | TransportWebSocket | TransportWebSocketTLS

	withTLS = TransportTLS | TransportWebSocketTLS
)

// String names the transports, for example "TCP, TLS"; empty for none.
func (t Transport) String() string {
	return bitNames(uint8(t), transportNames)
}

// MarshalText returns what String does.
func (t Transport) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the output of MarshalText.
func (t *Transport) UnmarshalText(text []byte) error {
	return readBits("Transport", (*uint8)(t), text, transportNames)
}

// scheme is the scheme of a URL with this transport.
func (t Transport) scheme() string {
	switch t {
	case TransportPlain:
		return "amqp"
	case TransportTLS:
		return "amqps"
	case TransportWebSocket:
		return "ws"
	case TransportWebSocketTLS:
		return "wss"
	default:
		return ""
	}
}

// URL is the server's address for one transport: amqp://127.0.0.1:51234, amqps://…,
// ws://127.0.0.1:51234/$servicebus/websocket or wss://…. It is empty for anything but a single
// transport. If the server has no listener, its host name does not exist; clients then use
// [Server.Dial].
func (s *Server) URL(transport Transport) string {
	scheme := transport.scheme()
	if scheme == "" {
		return ""
	}
	u := url.URL{Scheme: scheme, Host: s.endpoint()}
	if transport&(TransportWebSocket|TransportWebSocketTLS) != 0 {
		u.Path = webSocketPath
	}
	return u.String()
}

// validateTransports checks transports and limits of the options and sets their defaults.
func (o *Options) validateTransports() error {
	if o.Transports == 0 {
		o.Transports = TransportAll
	}
	if o.Transports&^TransportAll != 0 {
		return fmt.Errorf("emulator: Options.Transports is %#x, which is not a sum of transports", uint8(o.Transports))
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = defaultMaxConnections
	}
	if o.MaxConnections < 0 {
		return fmt.Errorf("emulator: Options.MaxConnections is %d; it must be at least 1, or 0 for %d", o.MaxConnections, defaultMaxConnections)
	}
	if o.Addr == InMemory && len(o.ExtraAddrs) > 0 {
		return fmt.Errorf("emulator: Options.ExtraAddrs is %q, but with Options.Addr InMemory the server has no listener", o.ExtraAddrs)
	}
	if o.TLSConfig != nil && len(o.TLSConfig.Certificates) == 0 && o.TLSConfig.GetCertificate == nil && o.TLSConfig.GetConfigForClient == nil {
		return errors.New("emulator: Options.TLSConfig has no certificate; leave it nil for one that the server makes itself")
	}
	return nil
}

// headerTLS is the AMQP header that asks for TLS.
var headerTLS = [8]byte{'A', 'M', 'Q', 'P', 2, 1, 0, 0}

// firstOfTLS is the first byte of a TLS record with a handshake message.
const firstOfTLS = 0x16

// transportProtocols name the protocol of each transport in the log.
var transportProtocols = map[Transport]string{
	TransportPlain: "AMQP without TLS", TransportTLS: "AMQP over TLS", TransportWebSocket: "HTTP without TLS", TransportWebSocketTLS: "HTTP over TLS",
}

// A peekConn is a connection whose first bytes can be inspected before they are read.
type peekConn struct {
	net.Conn
	head []byte
}

// peek returns the next n bytes, which Read returns again.
func (c *peekConn) peek(n int) ([]byte, error) {
	for len(c.head) < n {
		buf := make([]byte, n-len(c.head))
		m, err := c.Conn.Read(buf)
		c.head = append(c.head, buf[:m]...)
		if err != nil && len(c.head) < n {
			return nil, err
		}
	}
	return c.head[:n], nil
}

// begin returns the bytes that show the protocol. For TLS and for HTTP's GET that is one byte.
func (c *peekConn) begin() ([]byte, error) {
	head, err := c.peek(1)
	if err != nil || head[0] == firstOfTLS || head[0] == 'G' {
		return head, err
	}
	return c.peek(firstBytes)
}

func (c *peekConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// A layered connection is a protocol on top of raw.
type layered struct {
	net.Conn
	raw net.Conn
}

// CloseNow drops the connection without the farewell of its upper protocol.
func (c layered) CloseNow() error { return c.raw.Close() }

// open detects a client's transport, and returns the stream that carries its AMQP. It owns raw: an
// error closes it. It ends with ctx.
func (s *Server) open(ctx context.Context, raw net.Conn) (net.Conn, Transport, error) {
	// A deadline in the past ends every waiting call.
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	nc, transport, err := s.unwrap(ctx, raw)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		part(ctx, raw)
		return nil, 0, err
	}
	return nc, transport, nil
}

// part closes the connection of a client that was refused. A socket that is closed while input
// waits is reset, and then the client may lose the answer. So part first reads the rest, for a
// moment.
func part(ctx context.Context, raw net.Conn) {
	if tcp, ok := raw.(*net.TCPConn); ok && ctx.Err() == nil && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(farewellTimeout))
		_, _ = io.CopyN(io.Discard, tcp, maxRequest)
	}
	_ = raw.Close()
}

// unwrap removes TLS and WebSocket, if the client uses them, and refuses transports that the
// options do not allow.
func (s *Server) unwrap(ctx context.Context, raw net.Conn) (net.Conn, Transport, error) {
	allowed := s.options.Transports
	outer := &peekConn{Conn: raw}
	head, err := outer.begin()
	if err != nil {
		return nil, 0, err
	}
	secured := head[0] == firstOfTLS
	if string(head) == string(headerTLS[:]) && allowed&withTLS != 0 {
		outer.head = nil
		if _, err := raw.Write(headerTLS[:]); err != nil {
			return nil, 0, err
		}
		secured = true
	}
	inner, transport := outer, TransportPlain
	if secured {
		if allowed&withTLS == 0 {
			s.noteForeign("TLS", "this port takes "+s.takenSchemes()+": a client leaves out TLS if its connection string has UseDevelopmentEmulator=true", raw.RemoteAddr())
			return nil, 0, errors.New("the client uses TLS, which Options.Transports does not allow")
		}
		if inner, err = s.secure(ctx, outer); err != nil {
			return nil, 0, fmt.Errorf("TLS: %w", err)
		}
		transport = TransportTLS
		if head, err = inner.begin(); err != nil {
			return nil, 0, err
		}
	}
	foreign := ""
	if isHTTP(head) {
		transport <<= 2 // from plain to WebSocket, from TLS to WebSocket over TLS
	} else {
		foreign = foreignProtocol(head) // the engine answers it with the header of AMQP 1.0
	}
	if foreign != "" || allowed&transport == 0 {
		s.noteForeign(cmp.Or(foreign, transportProtocols[transport]), "this port takes "+s.takenSchemes(), raw.RemoteAddr())
	}
	switch {
	case allowed&transport == 0:
		return nil, 0, s.refuseTransport(inner, transport)
	case transport&(TransportWebSocket|TransportWebSocketTLS) != 0:
		ws, err := upgrade(inner, s.names())
		if errors.Is(err, errOtherPath) {
			s.noteForeign("HTTP", "AMQP over WebSocket is at "+webSocketPath+"; the emulator's page has an address of its own", raw.RemoteAddr())
		}
		return layered{ws, raw}, transport, err
	case secured:
		return layered{inner, raw}, transport, nil
	default:
		return inner, transport, nil
	}
}

// secure is the server's side of a TLS handshake.
func (s *Server) secure(ctx context.Context, nc net.Conn) (*peekConn, error) {
	config, err := s.serverTLS()
	if err != nil {
		return nil, err
	}
	secured := tls.Server(nc, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return &peekConn{Conn: secured}, nil
}

// refuseTransport answers a client that must use another transport, if its protocol has an answer
// for that.
func (s *Server) refuseTransport(nc net.Conn, transport Transport) error {
	used, taken := transport.scheme()+"://", s.takenSchemes()
	switch {
	case transport == TransportWebSocket && s.options.Transports&TransportWebSocketTLS != 0:
		// Clients show the status and mostly its phrase, seldom the text.
		writeHTTP(nc, "426 TLS Required\r\nUpgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close",
			"This port wants TLS: use wss:// or https:// instead of ws:// or http://. It takes "+taken+".\n")
	case transport&(TransportWebSocket|TransportWebSocketTLS) != 0:
		writeHTTP(nc, "403 Forbidden\r\nConnection: close", "This server does not take "+used+". It takes "+taken+".\n")
	case transport == TransportPlain && s.options.Transports&TransportTLS != 0:
		// "the server MUST send a protocol header with a supported protocol version and then close
		// the socket" (2.2).
		_, _ = nc.Write(headerTLS[:])
	}
	return fmt.Errorf("the client uses %s, which Options.Transports does not allow", used)
}

// writeHTTP answers an HTTP request that is not read.
func writeHTTP(nc net.Conn, head, text string) {
	_, _ = fmt.Fprintf(nc, "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s", head, len(text), text)
}

// takenSchemes are the schemes of all transports that the server takes.
func (s *Server) takenSchemes() string {
	var all []string
	for transport := TransportPlain; transport <= TransportWebSocketTLS; transport <<= 1 {
		if s.options.Transports&transport != 0 {
			all = append(all, transport.scheme()+"://")
		}
	}
	return strings.Join(all, ", ")
}
