package connection

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// certificate returns a self-signed certificate for a host.
func certificate(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{host},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// dialTLS returns a dialer to a TLS front of the emulator; wg waits for the front's goroutines.
func (b *bench) dialTLS(cert tls.Certificate, wg *sync.WaitGroup) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		back, err := b.server.Dial(ctx)
		if err != nil {
			return nil, err
		}
		client, server := memnet.Pipe()
		front := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{cert}})
		relay := func(dst, src net.Conn) {
			_, _ = io.Copy(dst, src)
			_ = back.Close()
			_ = server.Close()
		}
		wg.Go(func() { relay(back, front) }) // ends with either side
		wg.Go(func() { relay(front, back) }) // ends with either side
		return client, nil
	}
}

func TestTLSVerifiesTheServersCertificate(t *testing.T) {
	inBubble(t, emulator.Options{}, func(t *testing.T, b *bench) {
		cert, pool := certificate(t, "ns.test")
		for _, c := range []struct {
			name      string
			namespace string
			config    *tls.Config
			outcome   Outcome
			code      Code
		}{
			{"trusted", "ns.test", &tls.Config{RootCAs: pool}, Accepted, ""},
			{"unknown authority", "ns.test", nil, NotSent, CodeConnectionLost},
			{"another host", "other.test", &tls.Config{RootCAs: pool}, NotSent, CodeConnectionLost},
		} {
			var wg sync.WaitGroup
			conn := New(Config{Namespace: c.namespace, TLSConfig: c.config, Tokens: TokensFromKey("r", "k"), DialContext: b.dialTLS(cert, &wg)})
			e := wantResult(t, conn.Sender(testHub, "0", "").Send(t.Context(), batch(100, 1000)), c.outcome, c.code)
			if e != nil && e.Transient {
				t.Errorf("%s: error %v is transient", c.name, e)
			}
			start := time.Now()
			if err := conn.Close(t.Context()); err != nil {
				t.Errorf("%s: Close: %v", c.name, err)
			}
			wantElapsed(t, start, 0)
			wg.Wait()
		}
	})
}
