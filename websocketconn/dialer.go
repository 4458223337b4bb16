// Package websocketconn opens AMQP over WebSocket. It works where only HTTPS is allowed, also
// through a proxy:
//
//	options.Connection.NewWebSocketConn = websocketconn.Dial
//
// For azeventhubs, whose function has the URL in a field, use
//
//	options.NewWebSocketConn = func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error) {
//		return websocketconn.Dial(ctx, params.Host)
//	}
//
// It is a separate package, so that only its users link a WebSocket library.
package websocketconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// subprotocol says that the messages carry AMQP.
const subprotocol = "amqp"

// A Dialer has the settings for opening a WebSocket. The zero value is ready to use. It must not
// change after the first Dial.
type Dialer struct {
	// TLSConfig is for wss, and for a proxy with an https URL. It is copied. Default: the system's
	// certificate authorities.
	TLSConfig *tls.Config

	// Proxy chooses the proxy for a request; nil means no proxy. The request's URL begins with
	// https for wss and with http for ws. The proxy's URL may have a user and a password, which no
	// error shows. Default: http.ProxyFromEnvironment, which obeys HTTPS_PROXY, HTTP_PROXY and
	// NO_PROXY, and uses no proxy for localhost.
	Proxy func(*http.Request) (*url.URL, error)

	// HTTPClient makes the request that becomes the WebSocket. It has its own TLS configuration and
	// proxy, so TLSConfig and Proxy must be nil then. Its Timeout bounds only the opening. A
	// redirect is followed only if CheckRedirect is set and allows it. Allowing one to http or ws
	// gives up TLS. Default: a new client for each connection, which follows no redirect.
	HTTPClient *http.Client
}

// Dial opens a WebSocket with a zero Dialer. See [Dialer.Dial].
func Dial(ctx context.Context, address string) (net.Conn, error) {
	return new(Dialer).Dial(ctx, address)
}

// Dial opens a WebSocket at a URL that begins with wss:// or ws://, and returns it as a byte
// stream. Each Write is one binary message. Messages may have any size. Dial fails if ctx ends;
// afterwards ctx has no effect on the connection. Errors name the host, the target of a redirect,
// the proxy, and what to check.
//
// A deadline that passes during a Read or Write ends the connection. Close never waits for the
// peer.
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("the URL of the WebSocket is %q; want a URL such as wss://name.servicebus.windows.net/$servicebus/websocket", address)
	}
	base, err := d.client()
	if err != nil {
		return nil, err
	}
	u := newUpgrade(base.Transport, base.CheckRedirect != nil)
	client := *base
	client.Transport = u
	ws, response, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: &client, Subprotocols: []string{subprotocol}})
	if d.HTTPClient == nil {
		// This transport gets no further request; a WebSocket is not idle.
		client.CloseIdleConnections()
	}
	if err != nil {
		return nil, u.explain(target.Host, response, err)
	}
	return newConn(ws, u.stream), nil
}

// client returns the client for the request.
func (d *Dialer) client() (*http.Client, error) {
	if d.HTTPClient != nil {
		if d.TLSConfig != nil || d.Proxy != nil {
			return nil, errors.New("Dialer.HTTPClient is set together with TLSConfig or Proxy; set these in the client's Transport")
		}
		return d.HTTPClient, nil
	}
	proxy := d.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		TLSClientConfig:        d.TLSConfig.Clone(), // nil stays nil
		OnProxyConnectResponse: checkConnect,
	}}, nil
}

// An upgrade is the round trip that becomes a WebSocket. It keeps facts that the WebSocket library
// does not report.
type upgrade struct {
	// Immutable.
	base   http.RoundTripper
	follow bool // the caller's client decides about redirects; otherwise none is followed

	// Owned by the dialing goroutine.
	host  string   // of the latest request
	proxy *url.URL // of the latest request; nil if there is none, or if it is not known
	// Target of the latest answer's redirect, for an error's text; empty without a redirect.
	redirect string
	stream   *stream // below the WebSocket; nil until there is one
}

func newUpgrade(base http.RoundTripper, follow bool) *upgrade {
	if base == nil {
		base = http.DefaultTransport
	}
	return &upgrade{base: base, follow: follow}
}

// CloseIdleConnections makes http.Client.CloseIdleConnections work.
func (u *upgrade) CloseIdleConnections() {
	if c, ok := u.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (u *upgrade) RoundTrip(r *http.Request) (*http.Response, error) {
	u.host, u.proxy, u.redirect = r.URL.Host, nil, ""
	if t, ok := u.base.(*http.Transport); ok && t.Proxy != nil {
		proxy, err := t.Proxy(r)
		if err != nil || proxy != nil && proxy.Host == "" {
			return nil, errNoProxy
		}
		u.proxy = proxy
	}
	response, err := u.base.RoundTrip(r)
	if err != nil {
		return response, err
	}
	u.hold(r, response)
	if body, ok := response.Body.(io.ReadWriteCloser); ok && response.StatusCode == http.StatusSwitchingProtocols {
		u.stream = &stream{ReadWriteCloser: body}
		response.Body = u.stream
	}
	return response, nil
}
