// Package websocketconn opens AMQP over WebSocket, which passes where only HTTPS does, also through a proxy:
//
//	options.Connection.NewWebSocketConn = websocketconn.Dial
//
// In the options of azeventhubs, whose function takes the URL as a field, it is
//
//	options.NewWebSocketConn = func(ctx context.Context, params azeventhubs.WebSocketConnParams) (net.Conn, error) {
//		return websocketconn.Dial(ctx, params.Host)
//	}
//
// It is a package of its own so that only
// who needs it links a WebSocket library.
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

// A Dialer says how a WebSocket is opened. Its zero value is ready to use; it must not be changed after its first Dial.
type Dialer struct {
	// TLSConfig is for wss, also for a proxy that is spoken to by HTTPS. It is copied.
	// Default: the system's certificate authorities.
	TLSConfig *tls.Config

	// Proxy chooses the proxy for a request, whose URL begins with https for wss and http for ws; nil is none. Its URL may have a
	// user and a password, which no error shows.
	// Default: http.ProxyFromEnvironment, which obeys HTTPS_PROXY, HTTP_PROXY and NO_PROXY, and uses no proxy for localhost.
	Proxy func(*http.Request) (*url.URL, error)

	// HTTPClient makes the request that becomes the WebSocket, and has a configuration of TLS and a proxy of its own:
	// neither may be given here then. Its Timeout bounds the opening only. A redirect is followed only if its CheckRedirect
	// is set and allows it; whoever allows one to http or ws gives TLS up.
	// Default: one of the Dialer's own for each connection, which follows none.
	HTTPClient *http.Client
}

// Dial opens a WebSocket with the zero Dialer.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	return new(Dialer).Dial(ctx, address)
}

// Dial opens a WebSocket at a URL that begins with wss:// or ws://, and returns it as a stream of bytes. Each Write is
// one binary message; messages may be of any size. It fails when ctx ends, which does not concern the connection afterwards.
// Errors name the host, where it redirects to if it does, and the proxy that was used, and what to check.
//
// A deadline that passes during a Read or Write ends the connection. Close never waits for the peer.
func (d *Dialer) Dial(ctx context.Context, address string) (net.Conn, error) {
	target, err := url.Parse(address)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("the URL of the WebSocket is %q; it looks like wss://name.servicebus.windows.net/$servicebus/websocket", address)
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
		client.CloseIdleConnections() // nobody will ask this transport again; a WebSocket is not idle
	}
	if err != nil {
		return nil, u.explain(target.Host, response, err)
	}
	return newConn(ws, u.stream), nil
}

// client is what makes the request.
func (d *Dialer) client() (*http.Client, error) {
	if d.HTTPClient != nil {
		if d.TLSConfig != nil || d.Proxy != nil {
			return nil, errors.New("Dialer.HTTPClient is set together with TLSConfig or Proxy; give these to the client's Transport")
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

// An upgrade is the round trip that becomes a WebSocket. It keeps what the WebSocket library does not tell.
type upgrade struct {
	// Immutable.
	base   http.RoundTripper
	follow bool // the caller's client decides about redirects; else none is followed

	// Owned by the goroutine that dials.
	host     string   // that of the latest request
	proxy    *url.URL // that of the latest request; nil if there is none, or none that we know of
	redirect string   // where the answer to the latest request leads, for an error's text; empty if nowhere
	stream   *stream  // what is below the WebSocket; nil until there is one
}

func newUpgrade(base http.RoundTripper, follow bool) *upgrade {
	if base == nil {
		base = http.DefaultTransport
	}
	return &upgrade{base: base, follow: follow}
}

// CloseIdleConnections makes http.Client's do what it says.
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
