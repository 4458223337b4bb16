package amqp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/memnet"
)

// secure returns both ends of a TLS connection in memory.
func secure(t *testing.T) (client, server net.Conn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	a, b := memnet.Pipe()
	return tls.Client(a, &tls.Config{InsecureSkipVerify: true}), // a test with its own certificate
		tls.Server(b, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
}

// TLS sends an alert when it is closed, and waits up to five seconds to send it.
func TestCloseOverTLSKeepsItsTime(t *testing.T) {
	for _, full := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			a, b := secure(t)
			served := make(chan *Conn, 1)
			go func() { // ends with the handshake
				c, err := Server(t.Context(), b, nil)
				if err != nil {
					t.Error("Server:", err)
				}
				served <- c
			}()
			client, err := Client(t.Context(), a, &Config{WriteTimeout: -1})
			if err != nil {
				t.Fatal("Client:", err)
			}
			server := <-served
			sender, receiver := linked(t, client, server, nil)
			_ = receiver.Credit(1000)
			synctest.Wait()
			server.PauseReading()
			if full {
				for range 30 {
					_ = sender.Send(try(t), &Delivery{Settled: true, Payload: make([]byte, 50_000)})
				}
			}
			start := time.Now()
			_ = client.Close(nil)
			if got := time.Since(start); got > closeTimeout {
				t.Errorf("full network %v: Close took %v, want at most %v", full, got, closeTimeout)
			}
			<-client.Done()
			server.Cut()
			<-server.Done()
		})
	}
}
