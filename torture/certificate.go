package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// namespace is the name by which the producers with TLS know the service.
const namespace = "torture.servicebus.windows.net"

const certificateName = "certificate.pem"

// makeCertificate writes a certificate for the namespace, with its key, which all emulators of a
// run use.
func makeCertificate(directory string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: namespace}, DNSNames: []string{namespace},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(7 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	data = append(data, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	return os.WriteFile(filepath.Join(directory, certificateName), data, 0o600)
}

// serverTLS is how an emulator does TLS.
func serverTLS(directory string) (*tls.Config, error) {
	path := filepath.Join(directory, certificateName)
	certificate, err := tls.LoadX509KeyPair(path, path)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, nil
}

// clientTLS trusts the certificate, and no other.
func clientTLS(directory string) (*tls.Config, error) {
	data, err := os.ReadFile(filepath.Join(directory, certificateName))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, errors.New("no certificate in " + certificateName)
	}
	return &tls.Config{RootCAs: pool}, nil
}
