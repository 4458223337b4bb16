package connection

import (
	"crypto/tls"
	"testing"
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
	own := &tls.Config{ServerName: "other", MinVersion: tls.VersionTLS13}
	got := tlsConfig(&Config{Namespace: "ns", TLSConfig: own})
	if got == own || got.ServerName != "other" || got.MinVersion != tls.VersionTLS13 {
		t.Errorf("config %p with server name %q; want a copy of the caller's %p", got, got.ServerName, own)
	}
}
