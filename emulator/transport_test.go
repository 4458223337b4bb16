package emulator_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// greet does the handshake of AMQP on a connection and ends it.
func greet(t *testing.T, nc net.Conn) error {
	t.Helper()
	conn, err := amqp.Client(t.Context(), nc, nil)
	if err != nil {
		return err
	}
	return conn.Close(nil)
}

// dial connects by TCP.
func dial(t *testing.T, server *emulator.Server) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

func dialWebSocket(ctx context.Context, server *emulator.Server, url string, options *websocket.DialOptions) (net.Conn, *http.Response, error) {
	options.HTTPClient = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   server.TLSConfig(),
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if server.Addr() == emulator.InMemory {
				return server.Dial(ctx)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}}
	ws, response, err := websocket.Dial(ctx, url, options)
	if err != nil {
		return nil, response, err
	}
	return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), response, nil
}

func TestOneAddressSpeaksEveryTransport(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{ExtraAddrs: []string{"127.0.0.1:0"}})
	if got := server.Addrs(); len(got) != 2 || got[0] != server.Addr() || got[0] == got[1] {
		t.Fatalf("Addrs() = %q", got)
	}
	for _, addr := range server.Addrs() {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := greet(t, nc); err != nil {
			t.Errorf("plain at %s: %v", addr, err)
		}
		secure, err := tls.Dial("tcp", addr, server.TLSConfig())
		if err != nil {
			t.Fatal(err)
		}
		if err := greet(t, secure); err != nil {
			t.Errorf("TLS at %s: %v", addr, err)
		}
	}
	for _, transport := range []emulator.Transport{emulator.TransportWebSocket, emulator.TransportWebSocketTLS} {
		for _, end := range []string{"", "/"} {
			for _, protocol := range []string{"AMQPWSB10", "amqp"} {
				url := server.URL(transport) + end
				nc, response, err := dialWebSocket(t.Context(), server, url, &websocket.DialOptions{Subprotocols: []string{"other", protocol}})
				if err != nil {
					t.Errorf("%s: %v", url, err)
					continue
				}
				if got := response.Header.Get("Sec-WebSocket-Protocol"); got != protocol {
					t.Errorf("%s with %s chose %q", url, protocol, got)
				}
				if err := greet(t, nc); err != nil {
					t.Errorf("%s: %v", url, err)
				}
			}
		}
	}
}

func TestURLNamesOneTransport(t *testing.T) {
	server := emulatortest.New(t, nil)
	for transport, want := range map[emulator.Transport]string{
		emulator.TransportPlain:        "amqp://" + server.Addr(),
		emulator.TransportTLS:          "amqps://" + server.Addr(),
		emulator.TransportWebSocket:    "ws://" + server.Addr() + "/$servicebus/websocket",
		emulator.TransportWebSocketTLS: "wss://" + server.Addr() + "/$servicebus/websocket",
		emulator.TransportAll:          "",
		0:                              "",
	} {
		if got := server.URL(transport); got != want {
			t.Errorf("URL(%d) = %q, want %q", transport, got, want)
		}
	}
}

func TestTransportsThatAreNotAllowedAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inHTTP := "GET /$servicebus/websocket HTTP/1.1\r\n"
		for _, test := range []struct {
			name    string
			allowed emulator.Transport
			first   string // what the client says
			want    string // how the answer begins; then the connection ends
		}{
			{"plain where TLS must be", emulator.TransportTLS, "AMQP\x03\x01\x00\x00", "AMQP\x02\x01\x00\x00"},
			{"plain where WebSocket must be", emulator.TransportWebSocket, "AMQP\x03\x01\x00\x00", ""},
			{"WebSocket where TLS must be", emulator.TransportTLS, inHTTP, "HTTP/1.1 403 Forbidden\r\n"},
			{"plain WebSocket where TLS must be", emulator.TransportWebSocketTLS, inHTTP, "HTTP/1.1 426 TLS Required\r\n"},
			{"WebSocket where plain must be", emulator.TransportPlain, inHTTP, "HTTP/1.1 403 Forbidden\r\n"},
			{"TLS where plain must be", emulator.TransportPlain, "\x16\x03\x01\x00\x00", ""},
			{"TLS asked for where plain must be", emulator.TransportPlain, "AMQP\x02\x01\x00\x00", "AMQP\x03\x01\x00\x00"},
			{"nothing known", emulator.TransportAll, "SSH-2.0-OpenSSH_9.9\r\n", "AMQP\x03\x01\x00\x00"},
		} {
			server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Transports: test.allowed})
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Write([]byte(test.first)); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			got, err := io.ReadAll(nc)
			if !strings.HasPrefix(string(got), test.want) || test.want == "" && len(got) > 0 || err != nil {
				t.Errorf("%s: answered %q, %v; want %q", test.name, got, err, test.want)
			}
			if time.Since(begin) != 0 {
				t.Errorf("%s: answered after %v", test.name, time.Since(begin))
			}
			_ = nc.Close()
			if (server.TLSConfig() != nil) != (test.allowed&(emulator.TransportTLS|emulator.TransportWebSocketTLS) != 0) {
				t.Errorf("%s: TLSConfig() is %v", test.name, server.TLSConfig())
			}
		}
	})
}

func TestTLSMayBeAskedForWithinAMQP(t *testing.T) {
	server := emulatortest.New(t, nil)
	nc := dial(t, server)
	header := []byte("AMQP\x02\x01\x00\x00")
	if _, err := nc.Write(header); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, header) {
		t.Fatalf("answered %q, %v", got, err)
	}
	if err := greet(t, tls.Client(nc, server.TLSConfig())); err != nil {
		t.Error(err)
	}
}

func TestEveryTransportWorksInMemoryWithVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, IdleTimeout: time.Minute, Idle: neverIdle})
		over := func(layer func(net.Conn) net.Conn) net.Conn {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return layer(nc)
		}
		streams := map[string]net.Conn{
			"plain": over(func(nc net.Conn) net.Conn { return nc }),
			"tls":   over(func(nc net.Conn) net.Conn { return tls.Client(nc, server.TLSConfig()) }),
		}
		for _, transport := range []emulator.Transport{emulator.TransportWebSocket, emulator.TransportWebSocketTLS} {
			nc, _, err := dialWebSocket(t.Context(), server, server.URL(transport), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
			if err != nil {
				t.Fatal(err)
			}
			streams[server.URL(transport)] = nc
		}
		conns := make(map[string]*amqp.Conn)
		for name, nc := range streams {
			// After half a minute the client's WebSocket has a deadline, and its next write is due
			// too: the result would be random.
			conn, err := amqp.Client(t.Context(), nc, &amqp.Config{WriteTimeout: -1})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			conns[name] = conn
		}
		time.Sleep(time.Hour) // longer than any idle time-out
		for name, conn := range conns {
			if err := conn.Err(); err != nil {
				t.Errorf("%s: an hour later: %v", name, err)
			}
			begin := time.Now()
			if _ = conn.Close(nil); time.Since(begin) != 0 {
				t.Errorf("%s: closing took %v", name, time.Since(begin))
			}
		}
	})
}

func TestSilentClientsAreClosedOnEveryTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, IdleTimeout: time.Minute, Idle: neverIdle})
		for _, transport := range []emulator.Transport{emulator.TransportPlain, emulator.TransportTLS, emulator.TransportWebSocket} {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch transport {
			case emulator.TransportTLS:
				nc = tls.Client(nc, server.TLSConfig())
			case emulator.TransportWebSocket:
				_ = nc.Close()
				if nc, _, err = dialWebSocket(t.Context(), server, server.URL(transport), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}}); err != nil {
					t.Fatal(err)
				}
			}
			begin := time.Now()
			// SASL is left out. The open frame asks for no idle time-out, and nothing follows.
			_, _ = nc.Write([]byte("AMQP\x00\x01\x00\x00\x00\x00\x00\x11\x02\x00\x00\x00\x00\x53\x10\xc0\x04\x01\xa1\x01x"))
			got, _ := io.ReadAll(nc)
			if !bytes.Contains(got, []byte("amqp:resource-limit-exceeded")) {
				t.Errorf("%s: the end of the answer is %q", server.URL(transport), got[max(0, len(got)-100):])
			}
			if waited := time.Since(begin); waited < 2*time.Minute || waited > 2*time.Minute+5*time.Second {
				t.Errorf("%s: closed after %v, want 2 min", server.URL(transport), waited)
			}
			_ = nc.Close()
		}
	})
}

func TestWebSocketMessagesHaveNothingToDoWithFrames(t *testing.T) {
	server := emulatortest.New(t, nil)
	ws, _, err := websocket.Dial(t.Context(), server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
	if err != nil {
		t.Fatal(err)
	}
	nc := oneByte{websocket.NetConn(context.Background(), ws, websocket.MessageBinary)}
	conn, err := amqp.Client(t.Context(), nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(nil) }()
	session, err := conn.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link, err := session.Attach(t.Context(), &amqp.Attach{Name: "l", Role: amqp.RoleSender, Source: &amqp.Source{}, Target: &amqp.Target{Address: "events/Partitions/0"}})
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 100)
	d := &amqp.Delivery{Payload: append([]byte{0, 0x53, 0x75, 0xa0, byte(len(body))}, body...)}
	if err := link.Send(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if state, err := d.Wait(t.Context()); err != nil || state != (amqp.Accepted{}) {
		t.Errorf("outcome %v, %v", state, err)
	}
	if got := bodies(server, "events", "0"); len(got) != 1 || got[0] != string(body) {
		t.Errorf("stored %q", got)
	}
}

// oneByte writes each byte on its own, and an empty message before it.
type oneByte struct{ net.Conn }

func (c oneByte) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(nil); err != nil {
			return i, err
		}
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestWebSocketRequestsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory})
		const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
		const protocol = "Sec-WebSocket-Protocol: AMQPWSB10\r\n"
		for _, test := range []struct {
			name, request, want string
		}{
			{"good", "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"percent-encoded", "GET /%24ServiceBus/websocket/ HTTP/1.1\r\nHost: h\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"from a page nearby", "GET /$servicebus/websocket HTTP/1.1\r\nHost: 127.0.0.1:5672\r\nOrigin: http://localhost:3000\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"from a page nearby, over IPv6", "GET /$servicebus/websocket HTTP/1.1\r\nHost: [::1]:5672\r\nOrigin: http://127.0.0.1:3000\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"from a page of the same address", "GET /$servicebus/websocket HTTP/1.1\r\nHost: 192.0.2.7:5672\r\nOrigin: https://192.0.2.7:5672\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"by a name, without a page", "GET /$servicebus/websocket HTTP/1.1\r\nHost: emulator:5672\r\n" + upgrade + protocol, "HTTP/1.1 101 "},
			{"from a page elsewhere", "GET /$servicebus/websocket HTTP/1.1\r\nHost: 127.0.0.1:5672\r\nOrigin: https://example.com\r\n" + upgrade + protocol, "HTTP/1.1 403 "},
			{"from a page nearby, by a name", "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\nOrigin: http://localhost:3000\r\n" + upgrade + protocol, "HTTP/1.1 403 "},
			{"from a page whose name was made to point here", "GET /$servicebus/websocket HTTP/1.1\r\nHost: evil.example:5672\r\nOrigin: http://evil.example:5672\r\n" + upgrade + protocol, "HTTP/1.1 403 "},
			{"from a file", "GET /$servicebus/websocket HTTP/1.1\r\nHost: 127.0.0.1:5672\r\nOrigin: null\r\n" + upgrade + protocol, "HTTP/1.1 403 "},
			{"from two pages", "GET /$servicebus/websocket HTTP/1.1\r\nHost: 127.0.0.1:5672\r\nOrigin: http://localhost:3000\r\nOrigin: https://example.com\r\n" + upgrade + protocol, "HTTP/1.1 403 "},
			{"another path", "GET / HTTP/1.1\r\nHost: h\r\n" + upgrade + protocol, "HTTP/1.1 404 "},
			{"no sub-protocol", "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\n" + upgrade, "HTTP/1.1 400 "},
			{"another sub-protocol", "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Protocol: mqtt, chat\r\n" + upgrade, "HTTP/1.1 400 "},
			{"no upgrade", "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\n" + protocol, "HTTP/1.1 426 "},
			{"no HTTP", "GET it\r\n", ""},
			{"endless", "GET /$servicebus/websocket HTTP/1.1\r\nX: " + strings.Repeat("x", 20_000) + "\r\n", ""},
		} {
			nc, err := server.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = nc.Write([]byte(test.request + "\r\n"))
			got := make([]byte, len("HTTP/1.1 101 "))
			n, _ := io.ReadFull(nc, got)
			if string(got[:n]) != test.want {
				t.Errorf("%s: answered %q, want %q", test.name, got[:n], test.want)
			}
			_ = nc.Close()
		}
	})
}

func TestWebSocketEndsWithAFarewell(t *testing.T) {
	server := emulatortest.New(t, nil)
	ws, _, err := websocket.Dial(t.Context(), server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(rawOpen+frame("\x00\x53\x18\x45"))); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = ws.Read(t.Context())
	}
	if got := websocket.CloseStatus(err); got != websocket.StatusNormalClosure {
		t.Errorf("after the connection's close: %v, want a close frame with status 1000", err)
	}
}

func TestWebSocketMessagesOfTextEndTheConnection(t *testing.T) {
	server := emulatortest.New(t, nil)
	ws, _, err := websocket.Dial(t.Context(), server.URL(emulator.TransportWebSocket), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("AMQP\x00\x01\x00\x00")); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = ws.Read(t.Context())
	}
	if got := websocket.CloseStatus(err); got != websocket.StatusUnsupportedData {
		t.Errorf("after a message of text: %v, want a close frame with status 1003", err)
	}
}

func TestTheServersCertificateIsForWhateverNameTheClientUses(t *testing.T) {
	server := emulatortest.New(t, nil)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(server.CertificateAuthority()) {
		t.Fatal("CertificateAuthority() is not PEM")
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "contoso.servicebus.windows.net", "host.docker.internal"} {
		conn, err := tls.Dial("tcp", server.Addr(), &tls.Config{RootCAs: roots, ServerName: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = conn.Close()
	}
	if conn, err := tls.Dial("tcp", server.Addr(), nil); err == nil {
		_ = conn.Close()
		t.Error("a client that was told nothing trusts the server")
	}
	if conn, err := tls.Dial("tcp", emulatortest.New(t, nil).Addr(), server.TLSConfig()); err == nil {
		_ = conn.Close()
		t.Error("a client of one server trusts another")
	}
	first, second := server.TLSConfig(), server.TLSConfig()
	if first == second {
		t.Error("two clients share a configuration")
	}
}

// selfSigned returns a certificate for a host.
func selfSigned(t *testing.T, host string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestGivenCertificatesAreUsed(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned(t, "ns.test")}}})
	if server.CertificateAuthority() != nil {
		t.Error("the server has an authority of its own")
	}
	config := server.TLSConfig()
	if config.ServerName != "ns.test" {
		t.Errorf("clients look for %q", config.ServerName)
	}
	conn, err := tls.Dial("tcp", server.Addr(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := greet(t, conn); err != nil {
		t.Error(err)
	}
}

func TestOptionsOfTransportsAreChecked(t *testing.T) {
	for want, options := range map[string]emulator.Options{
		"Options.Transports":     {Transports: 1 << 6},
		"Options.MaxConnections": {MaxConnections: -1},
		"Options.ExtraAddrs is":  {Addr: emulator.InMemory, ExtraAddrs: []string{"127.0.0.1:0"}},
		"Options.ExtraAddrs[0]":  {ExtraAddrs: []string{"999.0.0.1:0"}},
		"Options.TLSConfig":      {TLSConfig: &tls.Config{}},
	} {
		if _, err := emulator.New(&options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New: %v, want an error about %s", err, want)
		}
	}
}
