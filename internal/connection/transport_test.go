package connection

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

func TestDialAddressHasAPort(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"the service", Config{Namespace: "ns.servicebus.windows.net"}, "ns.servicebus.windows.net:5671"},
		{"an emulator", Config{Namespace: "localhost", Plain: true}, "localhost:5672"},
		{"a port of its own", Config{Namespace: "localhost:1234", Plain: true}, "localhost:1234"},
		{"IPv6", Config{Namespace: "::1", Plain: true}, "[::1]:5672"},
		{"IPv6 in brackets", Config{Namespace: "[::1]"}, "[::1]:5671"},
		{"IPv6 with a port", Config{Namespace: "[::1]:1234"}, "[::1]:1234"},
		{"custom endpoint", Config{Namespace: "ns:1234", CustomEndpoint: "10.0.0.1"}, "10.0.0.1:5671"},
		{"custom endpoint with a port", Config{Namespace: "ns", CustomEndpoint: "proxy:99"}, "proxy:99"},
	} {
		if got := dialAddress(&c.cfg); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestTLSVerifiesTheNamespaceByDefault(t *testing.T) {
	if got := tlsConfig(&Config{Namespace: "ns:5671", CustomEndpoint: "proxy"}); got.ServerName != "ns" || got.InsecureSkipVerify {
		t.Errorf("server name %q, skip %v; want ns, verified", got.ServerName, got.InsecureSkipVerify)
	}
	for _, skip := range []bool{false, true} {
		if got := tlsConfig(&Config{Namespace: "ns", TLSConfig: &tls.Config{InsecureSkipVerify: skip}}); got.InsecureSkipVerify != skip {
			t.Errorf("skip %v, want the caller's %v", got.InsecureSkipVerify, skip)
		}
	}
	own := &tls.Config{ServerName: "other", MinVersion: tls.VersionTLS13}
	got := tlsConfig(&Config{Namespace: "ns", TLSConfig: own})
	if got == own || got.ServerName != "other" || got.MinVersion != tls.VersionTLS13 {
		t.Errorf("config %p with server name %q; want a copy of the caller's %p", got, got.ServerName, own)
	}
}

func TestIPv6StandsInBracketsInURLs(t *testing.T) {
	for _, c := range []struct {
		namespace           string
		plain               bool
		audience, webSocket string
		serverName          string
	}{
		{"ns.servicebus.windows.net", false, "amqps://ns.servicebus.windows.net/hub", "wss://ns.servicebus.windows.net/$servicebus/websocket", "ns.servicebus.windows.net"},
		{"localhost:1234", true, "amqp://localhost:1234/hub", "ws://localhost:1234/$servicebus/websocket", "localhost"},
		{"::1", false, "amqps://[::1]/hub", "wss://[::1]/$servicebus/websocket", "::1"},
		{"[::1]", true, "amqp://[::1]/hub", "ws://[::1]/$servicebus/websocket", "::1"},
		{"[fe80::1]:1234", false, "amqps://[fe80::1]:1234/hub", "wss://[fe80::1]:1234/$servicebus/websocket", "fe80::1"},
	} {
		cfg := Config{Namespace: c.namespace, Plain: c.plain}
		if got := New(cfg).audience("hub"); got != c.audience {
			t.Errorf("%s: audience %s, want %s", c.namespace, got, c.audience)
		}
		if got := webSocketURL(&cfg); got != c.webSocket {
			t.Errorf("%s: WebSocket %s, want %s", c.namespace, got, c.webSocket)
		}
		if got := tlsConfig(&cfg).ServerName; got != c.serverName {
			t.Errorf("%s: server name %s, want %s", c.namespace, got, c.serverName)
		}
	}
}

// TestIPv6IsDialled needs a host with the IPv6 loopback address [::1].
func TestIPv6IsDialled(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Addr: "[::1]:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	_, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"plain":           {Namespace: "[::1]:" + port, Plain: true},
		"TLS":             {Namespace: "[::1]:" + port, TLSConfig: server.TLSConfig()},
		"custom endpoint": {Namespace: "ns.servicebus.windows.net", CustomEndpoint: "[::1]:" + port, TLSConfig: server.TLSConfig()},
	} {
		if cfg.TLSConfig != nil {
			cfg.TLSConfig.ServerName = "" // the namespace's
		}
		cfg.Tokens = TokensFromKey("r", "k")
		c := New(cfg)
		if r := c.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1)); r.Outcome != Accepted {
			t.Errorf("%s: %v", name, r)
		}
		_ = c.Close(t.Context())
	}
}

// TestWhatIsDialled: a custom endpoint is dialled, while the certificate and the token are for the
// namespace.
func TestWhatIsDialled(t *testing.T) {
	for _, c := range []struct {
		name        string
		cfg         Config
		transports  emulator.Transport
		network     string
		addr        string
		audience    string
		unreachable bool
	}{
		{"the service", Config{Namespace: "ns.test"}, emulator.TransportTLS, "tcp", "ns.test:5671", "amqps://ns.test/events", false},
		{"custom endpoint", Config{Namespace: "ns.test", CustomEndpoint: "10.0.0.1:99"}, emulator.TransportTLS, "tcp", "10.0.0.1:99", "amqps://ns.test/events", false},
		{"a development emulator", Config{Namespace: "ns.test", Plain: true}, emulator.TransportPlain, "tcp", "ns.test:5672", "amqp://ns.test/events", false},
		{"no TLS where there should be", Config{Namespace: "ns.test"}, emulator.TransportPlain, "tcp", "ns.test:5671", "", true},
		{"TLS where there should be none", Config{Namespace: "ns.test", Plain: true}, emulator.TransportTLS, "tcp", "ns.test:5672", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, emulator.Options{Transports: c.transports}, func(t *testing.T, b *bench) {
				var audience string
				b.tap.set(func(_ context.Context, op emulator.Operation) emulator.Action {
					if op.Kind == emulator.KindPutToken {
						audience = op.Address
					}
					return emulator.Pass()
				})
				c.cfg.Tokens = TokensFromKey("r", "k")
				if c.cfg.TLSConfig = b.server.TLSConfig(); c.cfg.TLSConfig != nil {
					c.cfg.TLSConfig.ServerName = ""
				}
				c.cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if network != c.network || addr != c.addr {
						t.Errorf("dialled %s %s, want %s %s", network, addr, c.network, c.addr)
					}
					return b.server.Dial(ctx)
				}
				conn := New(c.cfg)
				defer func() { _ = conn.Close(t.Context()) }()
				r := conn.Sender(testHub, "0", "").Send(t.Context(), batch(1, 1))
				if c.unreachable {
					if e := wantResult(t, r, NotSent, CodeConnectionLost); !e.Unreached {
						t.Errorf("error %+v is not unreached", e)
					}
					return
				}
				wantResult(t, r, Accepted, "")
				if audience != c.audience {
					t.Errorf("audience %s, want %s", audience, c.audience)
				}
			})
		})
	}
}

func TestWebSocketTakesThePlaceOfTCPAndTLS(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		c := New(Config{
			Namespace: "ns.test",
			Tokens:    TokensFromKey("r", "k"),
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				t.Error("TCP was dialled")
				return nil, net.ErrClosed
			},
			NewWebSocketConn: func(ctx context.Context, url string) (net.Conn, error) {
				if url != "wss://ns.test/$servicebus/websocket" {
					t.Errorf("opened %s", url)
				}
				return b.server.Dial(ctx)
			},
		})
		wantResult(t, c.Sender(testHub, "0", "").Send(t.Context(), batch(1000, 1000)), Accepted, "")
		_ = c.Close(t.Context())
	})
}
