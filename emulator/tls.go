package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	// serverName is the name that [Server.TLSConfig] makes clients expect in the certificate.
	serverName = "localhost"

	// certificateLife is how long the server's own certificates are valid, from an hour before they
	// are made.
	certificateLife = 10 * 365 * 24 * time.Hour
)

// An authority is a server's own certificate authority. It makes a certificate for any name that a
// client asks for, so that a client may keep its production namespace.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey // of the authority and all its certificates, which no other program trusts
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{key: key}
	template := a.template("Event Hubs emulator, " + rand.Text()[:8])
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// template is the common part of all certificates.
func (a *authority) template(name string) *x509.Certificate {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails, by its documentation
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLife),
	}
}

// issue makes a certificate for the name that a client asks for and the address at which it found
// the server. Nothing is kept: a client with many names costs only its own handshakes.
func (a *authority) issue(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := hello.ServerName
	if name == "" {
		name = serverName
	}
	template := a.template("Event Hubs emulator")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	if addr, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		template.IPAddresses = append(template.IPAddresses, addr.IP) // perhaps 127.0.0.2, which is loopback too
	}
	if ip := net.ParseIP(name); ip != nil { // some clients ask so, although RFC 6066 allows names only
		template.IPAddresses = append(template.IPAddresses, ip)
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &a.key.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("no certificate for the name %q: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, nil
}

// serverTLS is the server's TLS configuration: that of the options, or one with certificates of the
// server's own authority, which is made when first needed.
func (s *Server) serverTLS() (*tls.Config, error) {
	if s.options.TLSConfig != nil {
		return s.options.TLSConfig, nil
	}
	a, err := s.authority()
	if err != nil {
		return nil, err
	}
	return &tls.Config{GetCertificate: a.issue}, nil
}

// TLSConfig returns what clients need to trust the server: its certificate authority, or the
// certificates of [Options.TLSConfig], and the name to expect in them. Each call returns a new one,
// which the caller may change. To test that a client verifies the name of its namespace, clear
// ServerName: the server's own authority has a certificate for every name.
//
// It is nil if Options.TLSConfig chooses its certificates by functions, since the server cannot
// know those certificates. It is also nil if the server does not speak TLS.
func (s *Server) TLSConfig() *tls.Config {
	if s.options.Transports&withTLS == 0 {
		return nil
	}
	if given := s.options.TLSConfig; given != nil {
		return clientConfig(given)
	}
	a, err := s.authority()
	if err != nil {
		return nil // the system has no randomness, so nothing would work
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return &tls.Config{RootCAs: roots, ServerName: serverName}
}

// clientConfig trusts the certificates of a server's configuration.
func clientConfig(given *tls.Config) *tls.Config {
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	for _, chain := range given.Certificates {
		for i, der := range chain.Certificate {
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				continue
			}
			config.RootCAs.AddCert(certificate)
			switch {
			case i > 0 || config.ServerName != "":
			case len(certificate.DNSNames) > 0:
				config.ServerName = certificate.DNSNames[0]
			case len(certificate.IPAddresses) > 0:
				config.ServerName = certificate.IPAddresses[0].String()
			}
		}
	}
	if len(given.Certificates) == 0 {
		return nil
	}
	return config
}

// CertificateAuthority returns the certificate of the server's own authority in PEM, for clients
// that take a file: NODE_EXTRA_CA_CERTS for Node.js, SSL_CERT_FILE for others. It is nil if
// [Options.TLSConfig] is set, and if the server does not speak TLS.
func (s *Server) CertificateAuthority() []byte {
	if s.options.TLSConfig != nil || s.options.Transports&withTLS == 0 {
		return nil
	}
	a, err := s.authority()
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}
