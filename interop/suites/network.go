package suites

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/setup"
)

// The hosts that the suites know. Each has its own address in the network of the suites. At
// 127.0.0.1 a test wants no hub.
const (
	hubHost        = "emulator.servicebus.windows.net"
	storageAccount = "devstoreaccount1"
	storageHost    = storageAccount + ".blob.core.windows.net"
	managementHost = "management.azure.com"

	hubAddress        = "127.0.0.4"
	storageAddress    = "127.0.0.2"
	managementAddress = "127.0.0.3"
)

// inside runs this program's command again with a network and a table of hosts of its own, where
// the service's names and ports are free. Linux alone can do that. It returns the command's status.
func inside(ctx context.Context, directory string, args []string, stdout, stderr io.Writer) (status int, err error) {
	if _, err := exec.LookPath("unshare"); err != nil {
		return 2, fmt.Errorf("the suites need a network of their own, which Linux' unshare makes: %w", err)
	}
	if err := setup.Need("iproute2, which sets up a network", "ip"); err != nil {
		return 2, err
	}
	hosts := filepath.Join(directory, "hosts")
	lines := []string{
		"127.0.0.1 localhost", "::1 localhost",
		hubAddress + " " + hubHost, storageAddress + " " + storageHost, managementAddress + " " + managementHost,
	}
	if err := os.WriteFile(hosts, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		return 2, err
	}
	program, err := os.Executable()
	if err != nil {
		return 2, err
	}
	const script = `ip link set lo up && mount --bind "$1" /etc/hosts && shift && exec "$@"`
	command := exec.CommandContext(ctx, "unshare", append([]string{"--map-root-user", "--net", "--mount", "sh", "-c", script, "sh", hosts, program, "suites", "-inside", directory}, args...)...)
	command.Stdout, command.Stderr = stdout, stderr
	err = command.Run()
	if command.ProcessState != nil && command.ProcessState.Exited() {
		return command.ProcessState.ExitCode(), nil
	}
	return 2, err
}

// A certificate is valid for all the hosts.
type certificate struct {
	tls           *tls.Config
	chain, secret string // PEM files
}

func newCertificate(directory string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "Event Hubs emulator, suites"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{hubHost, storageHost, managementHost, "localhost"},
		IPAddresses:  []net.IP{net.ParseIP(hubAddress), net.ParseIP(storageAddress), net.ParseIP(managementAddress)},
	}
	authority := *template
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.ExtKeyUsage, authority.DNSNames, authority.IPAddresses = nil, nil, nil
	issuerKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	issuer, err := x509.CreateCertificate(rand.Reader, &authority, &authority, &issuerKey.PublicKey, issuerKey)
	if err != nil {
		return nil, err
	}
	template.SerialNumber, template.Subject.CommonName = big.NewInt(2), hubHost
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, &authority, &key.PublicKey, issuerKey)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &certificate{
		tls:    &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der, issuer}, PrivateKey: key}}},
		chain:  filepath.Join(directory, "chain.pem"),
		secret: filepath.Join(directory, "secret.pem"),
	}
	chain := append(block("CERTIFICATE", der), block("CERTIFICATE", issuer)...)
	if err := os.WriteFile(c.chain, chain, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.secret, block("PRIVATE KEY", secret), 0o600); err != nil {
		return nil, err
	}
	return c, os.WriteFile(authorityFile(directory), block("CERTIFICATE", issuer), 0o600)
}

func block(kind string, bytes []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
}

// authorityFile names the certificate that clients trust.
func authorityFile(directory string) string { return filepath.Join(directory, "authority.pem") }
