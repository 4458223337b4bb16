package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// A peer that ends TLS says why, and one that requires another login says which. The advice must
// not blame the network or the port, where nothing is wrong.
func TestAPeerThatLetsNobodyInIsToldAsThat(t *testing.T) {
	cert, pool := certificate(t, "ns.test")
	today := time.Now()
	for _, c := range []struct {
		name         string
		server       *tls.Config
		client       *tls.Config
		says, advice string
	}{
		{"a certificate is required, in TLS 1.3", &tls.Config{ClientAuth: tls.RequireAnyClientCert}, &tls.Config{}, "certificate required", "requires a client certificate"},
		{"a certificate is required, in TLS 1.2", &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, &tls.Config{}, "tls: ", "requires a client certificate, which Event Hubs does not"},
		{"another version", &tls.Config{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}, "protocol version", "no common version of TLS"},
		{"no cipher in common", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}},
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}, "handshake failure", "agree on no cipher"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.server.Certificates = []tls.Certificate{cert}
				c.client.RootCAs, c.client.Time = pool, func() time.Time { return today } // the bubble's clock has another
				dial := func(context.Context, string, string) (net.Conn, error) {
					near, far := memnet.Pipe()
					go func() { // ends with the connection
						conn := tls.Server(far, c.server)
						_ = conn.Handshake()
						_, _ = io.Copy(io.Discard, conn)
						_ = conn.Close()
					}()
					return near, nil
				}
				conn := New(Config{Namespace: "ns.test", TLSConfig: c.client, DialContext: dial, Tokens: TokensFromKey("r", "k")})
				defer conn.Close(context.Background())
				wantLetsNobodyIn(t, conn.Connect(t.Context()), c.says, c.advice)
			})
		})
	}
	t.Run("another login", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial := func(context.Context, string, string) (net.Conn, error) {
				near, far := memnet.Pipe()
				go func() { // ends with the handshake
					_, _ = amqp.Server(context.Background(), far, &amqp.Config{Mechanisms: []amqp.Symbol{"PLAIN", "SCRAM-SHA-256"}})
				}()
				return near, nil
			}
			conn := New(Config{Namespace: "ns.test", Plain: true, DialContext: dial, Tokens: TokensFromKey("r", "k")})
			defer conn.Close(context.Background())
			wantLetsNobodyIn(t, conn.Connect(t.Context()), "offers the SASL mechanisms PLAIN, SCRAM-SHA-256", "requires another login than Event Hubs")
		})
	})
}

func wantLetsNobodyIn(t *testing.T, err error, says, advice string) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != CodeConnectionLost || e.Transient || !e.Unreached || !strings.Contains(err.Error(), says) {
		t.Errorf("Connect returned %#v (%v), want a lost connection that trying again does not help, and %q", e, err, says)
	}
	if got := Advise(err, Setting{}); !strings.Contains(got, advice) || strings.Contains(got, "check the port, the network") {
		t.Errorf("the advice is %q, want %q", got, advice)
	}
}
