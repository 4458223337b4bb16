package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// Ports of the service and of its emulators.
const (
	portTLS   = "5671"
	portPlain = "5672"
)

// transport is an open byte stream: AMQP uses conn; raw is the connection below TLS. Closing raw
// never waits, while closing TLS first writes an alert.
type transport struct {
	conn, raw net.Conn
}

// tcpTimeout is how long one opening of TCP may take before another one begins. The system doubles
// its pauses between SYNs, so an opening that began in an outage may take half a minute to see its
// end. A new one sees it at once.
const tcpTimeout = 10 * time.Second

// redial dials until it has an answer of any kind, or until ctx ends: a dial that times out earlier
// has none.
func redial(ctx context.Context, dial func() (net.Conn, error)) (net.Conn, error) {
	for {
		began := time.Now()
		conn, err := dial()
		e, ok := errors.AsType[net.Error](err)
		if !ok || !e.Timeout() || ctx.Err() != nil || time.Since(began) < tcpTimeout/2 {
			return conn, err
		}
	}
}

// dialTransport opens the byte stream that the configuration asks for. Its errors are *Error.
func dialTransport(ctx context.Context, cfg *Config) (transport, error) {
	if cfg.NewWebSocketConn != nil {
		conn, err := callback.Result("ConnectionOptions.NewWebSocketConn", func() (net.Conn, error) {
			return cfg.NewWebSocketConn(ctx, webSocketURL(cfg))
		})
		if err != nil {
			return transport{}, classifyDial(fmt.Errorf("opening a WebSocket to %s: %w", cfg.Namespace, err))
		}
		return transport{conn, conn}, nil
	}
	addr := dialAddress(cfg)
	dial := cfg.DialContext
	if dial == nil {
		dialer := &net.Dialer{Timeout: tcpTimeout}
		dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return redial(ctx, func() (net.Conn, error) { return dialer.DialContext(ctx, network, addr) })
		}
	}
	raw, err := callback.Result("ConnectionOptions.DialContext", func() (net.Conn, error) { return dial(ctx, "tcp", addr) })
	if err != nil {
		return transport{}, classifyDial(fmt.Errorf("dialling %s: %w", addr, err))
	}
	if cfg.Plain {
		return transport{raw, raw}, nil
	}
	conn := tls.Client(raw, tlsConfig(cfg))
	handshake := func() (struct{}, error) { return struct{}{}, conn.HandshakeContext(ctx) }
	if _, err := callback.Result("a function of ConnectionOptions.TLSConfig", handshake); err != nil {
		hangUp(raw)
		return transport{}, classifyDial(fmt.Errorf("TLS with %s: %w", addr, err))
	}
	return transport{conn, raw}, nil
}

// hangUp closes the connection below TLS. It may come from the application's own dialer.
func hangUp(raw net.Conn) {
	_ = callback.Call("net.Conn.Close", func() { _ = raw.Close() })
}

// webSocketURL is the service's address for AMQP over WebSocket; for an emulator without TLS it
// uses plain HTTP.
func webSocketURL(cfg *Config) string {
	scheme := "wss://"
	if cfg.Plain {
		scheme = "ws://"
	}
	return scheme + authority(cfg.Namespace) + "/$servicebus/websocket"
}

func tlsConfig(cfg *Config) *tls.Config {
	config := cfg.TLSConfig.Clone() // nil stays nil
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		// Also with a custom endpoint: the certificate is the namespace's.
		config.ServerName, _ = splitHostPort(cfg.Namespace)
	}
	return config
}

// dialAddress returns the host and port to dial.
func dialAddress(cfg *Config) string {
	endpoint := cfg.Namespace
	if cfg.CustomEndpoint != "" {
		endpoint = cfg.CustomEndpoint
	}
	host, port := splitHostPort(endpoint)
	switch {
	case port != "":
	case cfg.Plain:
		port = portPlain
	default:
		port = portTLS
	}
	return net.JoinHostPort(host, port)
}

// authority is a host, with or without a port, as it stands in a URL: IPv6 in brackets.
func authority(endpoint string) string {
	host, port := splitHostPort(endpoint)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" {
		return host
	}
	return host + ":" + port
}

// splitHostPort splits "host", "host:port", "[v6]:port", "[v6]" and "v6"; the port is empty where
// there is none.
func splitHostPort(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ""
}
