package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

// Ports of the service and of emulators.
const (
	portTLS       = "5671"
	portPlain     = "5672"
	portWebSocket = "443"
)

// checkCloseTimeout bounds the closing of a checkup's connection.
const checkCloseTimeout = time.Second

// A checkup is one run of check. It belongs to one goroutine.
type checkup struct {
	// Immutable.
	process    *process
	options    *checkOptions
	namespace  string // as the user wrote it: a host, maybe with a port
	hub        string
	host, port string
	plain      bool // an emulator without TLS

	result  checkResult
	frames  *frameLog // nil unless frames are to be shown
	reached bool      // something accepts connections
	// The connection of the steps before amqp, until amqp takes it; nil otherwise.
	open       net.Conn
	conn       *connection.Conn     // from the step amqp on; nil before
	proof      proof                // the token from the step token
	partitions []string             // those to check, from the step $management on
	senders    []*connection.Sender // from the step link on, of partitions
	date       serverDate           // the service's time
}

func newCheckup(p *process, opts *checkOptions, namespace, hub string) *checkup {
	c := &checkup{process: p, options: opts, namespace: namespace, hub: hub, plain: opts.delivered.Emulator}
	c.result = checkResult{Namespace: namespace, Hub: hub, Steps: []stepResult{}}
	var err error
	if c.host, c.port, err = net.SplitHostPort(namespace); err != nil {
		c.host, c.port = strings.Trim(namespace, "[]"), portTLS
		switch {
		case opts.webSocket:
			c.port = portWebSocket
		case c.plain:
			c.port = portPlain
		}
	}
	return c
}

func (c *checkup) close(ctx context.Context) {
	if c.open != nil {
		_ = c.open.Close()
	}
	if c.conn != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkCloseTimeout)
		defer cancel()
		_ = c.conn.Close(ctx) // no event can be lost here
	}
}

// url returns a URL of the namespace. With TLS its scheme gets an s.
func (c *checkup) url(scheme, path string) string {
	if !c.plain {
		scheme += "s"
	}
	return scheme + "://" + c.namespace + path
}

// proxy returns the environment's proxy for this namespace; nil without one.
func (c *checkup) proxy() *url.URL {
	if !c.options.webSocket {
		return nil
	}
	request, err := http.NewRequest(http.MethodGet, c.url("http", "/"), nil)
	if err != nil {
		return nil
	}
	proxy, err := http.ProxyFromEnvironment(request)
	if err != nil {
		return nil // the step websocket reports it
	}
	return proxy
}

// byProxy returns the finding of a step that the proxy does instead; false without a proxy.
func (c *checkup) byProxy() (finding, bool) {
	proxy := c.proxy()
	if proxy == nil {
		return finding{}, false
	}
	return finding{status: statusSkipped, detail: "the proxy " + proxy.Host + " does that"}, true
}

// lookUpHost asks the system's name servers.
func lookUpHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

func (c *checkup) name(ctx context.Context) finding {
	if _, err := netip.ParseAddr(c.host); err == nil {
		return finding{detail: c.host + " is an address"}
	}
	if f, ok := c.byProxy(); ok {
		return f
	}
	addresses, err := c.process.lookup(ctx, c.host)
	if err != nil {
		return finding{err: err}
	}
	var list []string
	private := false
	for _, a := range addresses {
		list = append(list, a.String())
		private = private || a.IsPrivate()
	}
	detail := c.host + " is " + strings.Join(list, ", ")
	if private {
		detail += " (a private address, as private endpoints have)"
	}
	return finding{detail: detail}
}

func (c *checkup) tcp(ctx context.Context) finding {
	if f, ok := c.byProxy(); ok {
		return f
	}
	address := net.JoinHostPort(c.host, c.port)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return finding{err: err}
	}
	c.open, c.reached = conn, true
	return finding{detail: "connected to " + conn.RemoteAddr().String()}
}

func (c *checkup) tls(ctx context.Context) finding {
	if f, ok := c.byProxy(); ok {
		return f
	}
	if c.plain {
		return finding{status: statusSkipped, detail: "UseDevelopmentEmulator=true means no TLS"}
	}
	secured := tls.Client(c.open, c.tlsConfig())
	if err := secured.HandshakeContext(ctx); err != nil {
		return finding{err: err}
	}
	c.open = secured
	state := secured.ConnectionState()
	certificate := state.PeerCertificates[0]
	issuer := cmp.Or(certificate.Issuer.CommonName, strings.Join(certificate.Issuer.Organization, ", "))
	return finding{detail: fmt.Sprintf("%s, certificate by %s until %s", tls.VersionName(state.Version), issuer, certificate.NotAfter.Format(time.DateOnly))}
}

func (c *checkup) tlsConfig() *tls.Config {
	config := c.options.tls.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	config.ServerName = c.host
	return config
}

func (c *checkup) webSocket(ctx context.Context) finding {
	dialer := &websocketconn.Dialer{TLSConfig: c.options.tls}
	conn, err := dialer.Dial(ctx, c.url("ws", "/$servicebus/websocket"))
	if err != nil {
		return finding{err: err}
	}
	if c.open != nil {
		_ = c.open.Close()
	}
	c.open, c.reached = conn, true
	detail := "open"
	if proxy := c.proxy(); proxy != nil {
		detail = "open, through the proxy " + proxy.Host
	}
	return finding{detail: detail}
}

func (c *checkup) amqp(ctx context.Context) finding {
	conn, ended := c.open, make(chan error, 1)
	c.open = nil
	var saw func(sent bool, frame string)
	if c.frames != nil {
		saw = c.frames.saw
	}
	c.conn = connection.New(connection.Config{
		Frames:        saw,
		Namespace:     c.namespace,
		Plain:         c.plain,
		ApplicationID: "eventhubs-check",
		Tokens:        &c.proof,
		Disconnected:  func(err error) { ended <- err }, // once: there is no second connection
		// It is not always a WebSocket. The option takes any function that gives a byte stream.
		NewWebSocketConn: func(ctx context.Context, _ string) (net.Conn, error) {
			if first := conn; first != nil {
				conn = nil
				return first, nil
			}
			select {
			case err := <-ended: // the service's reason, if it gave one
				return nil, cmp.Or(err, errLost)
			case <-ctx.Done():
				return nil, errLost
			}
		},
	})
	if err := c.conn.Connect(ctx); err != nil {
		return finding{err: err}
	}
	return finding{detail: "open, SASL " + c.conn.Mechanism()}
}

// errLost ends a checkup whose connection was lost after the step amqp. A new connection would not
// be the one that the earlier steps looked at.
var errLost = errors.New("the connection was lost")
