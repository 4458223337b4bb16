package emulator_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/emulator/emulatortest"
)

// A logbook keeps the lines of a logger.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.text.String(), func(r rune) bool { return r == '\n' })
}

// newLogbook returns a logger of warnings, and its lines.
func newLogbook() (*slog.Logger, *logbook) {
	l := &logbook{}
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelWarn})), l
}

// TestOtherProtocolsGetALineThatNamesThem says the first bytes of programs that are set up with the
// wrong port.
func TestOtherProtocolsGetALineThatNamesThem(t *testing.T) {
	const plain, all = emulator.TransportPlain, emulator.TransportAll
	get := "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	kafka := func(key, version byte) string {
		return "\x00\x00\x00\x2a\x00" + string(key) + "\x00" + string(version) + "\x00\x00\x00\x01\x00\x10consumer-of-test" + strings.Repeat("\x00", 16)
	}
	for _, test := range []struct {
		name    string
		allowed emulator.Transport
		inTLS   bool
		first   string
		line    string // empty: none
		answer  string // how it begins, or "": none
	}{
		{"AMQP 1.0", all, false, "AMQP\x00\x01\x00\x00", "", "AMQP\x00\x01\x00\x00"},
		{"nothing", all, false, "", "", ""},
		{"HTTP", all, false, get, `protocol=HTTP `, "HTTP/1.1 404 Not Found\r\n"},
		{"HTTP in TLS", all, true, get, `protocol=HTTP `, "HTTP/1.1 404 Not Found\r\n"},
		{"HTTP with another method", all, false, "POST /events/messages HTTP/1.1\r\nHost: localhost\r\n\r\n", `protocol=HTTP `, "HTTP/1.1 404 Not Found\r\n"},
		{"HTTP where AMQP must be", plain, false, get, `protocol="HTTP without TLS"`, "HTTP/1.1 403 Forbidden\r\n"},
		{"HTTP where TLS must be", emulator.TransportTLS | emulator.TransportWebSocketTLS, false, get, `protocol="HTTP without TLS"`, "HTTP/1.1 426 TLS Required\r\n"},
		{"HTTP/2", plain, false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", `protocol="HTTP without TLS"`, "HTTP/1.1 403 Forbidden\r\n"},
		{"Kafka's first request", all, false, kafka(18, 3), "protocol=Kafka", "AMQP"},
		{"Kafka's metadata", all, false, kafka(3, 12), "protocol=Kafka", "AMQP"},
		{"Kafka in TLS", all, true, kafka(18, 4), "protocol=Kafka", "AMQP"},
		{"Kafka where TLS must be", emulator.TransportTLS, false, kafka(18, 3), "protocol=Kafka", "AMQP\x02\x01\x00\x00"},
		{"RabbitMQ", all, false, "AMQP\x00\x00\x09\x01", `protocol="AMQP 0-9-1, that of RabbitMQ's clients"`, "AMQP\x03\x01\x00\x00"},
		{"AMQP of the future", all, false, "AMQP\x00\x02\x00\x00", `protocol="another version of AMQP"`, "AMQP\x03\x01\x00\x00"},
		{"MQTT", all, false, "\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c\x00\x0eclient", "protocol=MQTT", "AMQP"},
		{"SSH", all, false, "SSH-2.0-OpenSSH_9.9\r\n", "protocol=SSH", "AMQP"},
		{"a load balancer", all, false, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", "PROXY protocol", "AMQP"},
		{"bytes", all, false, "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8", "no known protocol", "AMQP"},
		{"TLS in TLS", all, true, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", `protocol="TLS in TLS"`, "AMQP"},
		{"TLS where plain must be", plain, false, "\x16\x03\x01\x00\x05", `protocol=TLS`, ""},
		{"plain where TLS must be", emulator.TransportTLS, false, "AMQP\x03\x01\x00\x00", `protocol="AMQP without TLS"`, "AMQP\x02\x01\x00\x00"},
		{"plain where WebSocket must be", emulator.TransportWebSocket, false, "AMQP\x03\x01\x00\x00", `protocol="AMQP without TLS"`, ""},
		{"AMQP in TLS where WebSocket must be", emulator.TransportWebSocketTLS, true, "AMQP\x03\x01\x00\x00", `protocol="AMQP over TLS"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, book := newLogbook()
				server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Transports: test.allowed, Logger: logger})
				for range 3 { // a misconfigured program tries again and again
					raw, err := server.Dial(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					var nc net.Conn = raw
					if test.inTLS {
						nc = tls.Client(raw, server.TLSConfig())
					}
					if _, err := nc.Write([]byte(test.first)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if test.answer != "" {
						got := make([]byte, len(test.answer))
						if n, _ := io.ReadFull(nc, got); string(got[:n]) != test.answer {
							t.Errorf("answered %q, want %q", got[:n], test.answer)
						}
					}
					_ = raw.Close()
					synctest.Wait()
				}
				lines := book.lines()
				switch {
				case test.line == "" && len(lines) > 0:
					t.Errorf("logged %q, want nothing", lines)
				case test.line != "" && (len(lines) != 1 || !strings.Contains(lines[0], test.line) || !strings.Contains(lines[0], "advice=")):
					t.Errorf("logged %q, want one line with %s and advice", lines, test.line)
				}
			})
		})
	}
}

// TestPlainHTTPIsToldThatThePortWantsTLS reads the whole answer: what a client shows of it differs.
func TestPlainHTTPIsToldThatThePortWantsTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := emulatortest.New(t, &emulator.Options{Addr: emulator.InMemory, Transports: emulator.TransportTLS | emulator.TransportWebSocketTLS})
		nc := dialRaw(t, server, "GET /$servicebus/websocket HTTP/1.1\r\nHost: h\r\n\r\n")
		got, err := io.ReadAll(nc)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"HTTP/1.1 426 TLS Required\r\n", "\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n", "This port wants TLS: use wss:// or https://", "It takes amqps://, wss://."} {
			if !strings.Contains(string(got), want) {
				t.Errorf("answered %q, want %q in it", got, want)
			}
		}
		_ = nc.Close()
	})
}

func TestTheServersCertificateIsForEveryLoopbackAddress(t *testing.T) {
	server := emulatortest.New(t, &emulator.Options{Addr: "127.0.0.2:0", ExtraAddrs: []string{"127.255.255.254:0", "127.0.0.1:0"}})
	config := server.TLSConfig()
	config.ServerName = "" // a client that verifies the address that it dials
	for i, addr := range server.Addrs() {
		conn, err := tls.Dial("tcp", addr, config)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if i == 0 {
			host, _, _ := net.SplitHostPort(addr)
			if err := conn.VerifyHostname(host); err != nil {
				t.Error(err)
			}
		}
		if got := fmt.Sprint(conn.ConnectionState().PeerCertificates[0].DNSNames); got != "[localhost]" {
			t.Errorf("%s: the certificate is for the names %s, want [localhost]", addr, got)
		}
		_ = conn.Close()
	}
}
