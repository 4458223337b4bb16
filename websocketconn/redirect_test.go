package websocketconn_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

// A redirector answers every request with a redirect, and counts them.
type redirector struct {
	*httptest.Server

	asked atomic.Int64
}

// startRedirector starts a TLS server that redirects to an address; empty means to itself.
func startRedirector(t *testing.T, status int, to string) *redirector {
	t.Helper()
	r := &redirector{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.asked.Add(1)
		location := to
		if location == "" {
			location = r.URL + request.URL.Path
		}
		w.Header()["Location"] = []string{location} // unchanged: http.Redirect would correct it
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "elsewhere")
	}))
	t.Cleanup(r.Close)
	return r
}

// authority returns a TLS configuration that trusts the server.
func (r *redirector) authority() *tls.Config {
	return &tls.Config{RootCAs: r.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func (r *redirector) address() string {
	return "wss" + strings.TrimPrefix(r.URL, "https") + "/$servicebus/websocket"
}

// clientThat returns an HTTP client of the caller, which trusts the server and decides about
// redirects.
func (r *redirector) clientThat(decides func(*http.Request, []*http.Request) error) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: r.authority()}, CheckRedirect: decides}
}

func TestNoRedirectIsFollowed(t *testing.T) {
	var reached atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer plain.Close()
	address := plain.Listener.Addr().String()
	for name, test := range map[string]struct {
		status   int
		location string
		want     string
	}{
		"from TLS to none":               {302, "ws://" + address + "/$servicebus/websocket", "redirects to ws://" + address + "/$servicebus/websocket"},
		"from TLS to none, by HTTP's":    {301, "http://" + address + "/$servicebus/websocket", "redirects to http://" + address},
		"keeping the method":             {307, "https://portal.example/login", "redirects to https://portal.example/login"},
		"for ever":                       {308, "", "redirects to https://127.0.0.1:"},
		"to another path":                {303, "/elsewhere", "/elsewhere and is not followed"},
		"with secrets":                   {302, "https://user:" + password + "@portal.example/login?token=" + password + "#" + password, "redirects to https://portal.example/login and"},
		"to what is no address":          {302, "https://" + password + "@%zz", "an invalid address"},
		"to what is no host":             {302, "mailto:" + password, "an invalid address"},
		"to a very long address":         {302, "https://portal.example/" + strings.Repeat("a", 5000), "aaa… and is not followed"},
		"a choice, which nobody follows": {300, "https://portal.example/", "redirects to https://portal.example/"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startRedirector(t, test.status, test.location)
			for client, d := range map[string]*websocketconn.Dialer{
				"its own":      {TLSConfig: server.authority()},
				"the caller's": {HTTPClient: server.clientThat(nil)},
			} {
				server.asked.Store(0)
				_, err := d.Dial(t.Context(), server.address())
				wantError(t, err, server.Listener.Addr().String(), test.want)
				if got := server.asked.Load(); got != 1 {
					t.Errorf("%s client asked %d times, want once", client, got)
				}
				if len(err.Error()) > 1000 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			}
		})
	}
	if got := reached.Load(); got > 0 {
		t.Errorf("the server without TLS was reached %d times", got)
	}
}

func TestTheCallersClientDecidesAboutRedirects(t *testing.T) {
	plain := startServer(t, emulator.TransportWebSocket)
	server := startRedirector(t, 302, "ws://"+plain.Addr()+"/$servicebus/websocket")
	allows := server.clientThat(func(*http.Request, []*http.Request) error { return nil })
	conn, err := (&websocketconn.Dialer{HTTPClient: allows}).Dial(t.Context(), server.address())
	if err != nil {
		t.Fatalf("a redirect that the client allows: %v", err)
	}
	_ = conn.Close()

	never := errors.New("never in this test")
	refuses := server.clientThat(func(*http.Request, []*http.Request) error { return never })
	_, err = (&websocketconn.Dialer{HTTPClient: refuses}).Dial(t.Context(), server.address())
	wantError(t, err, "redirects to ws://"+plain.Addr()+"/$servicebus/websocket", never.Error())
	if !errors.Is(err, never) {
		t.Errorf("the client's own error is not wrapped: %v", err)
	}

	stays := server.clientThat(func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse })
	_, err = (&websocketconn.Dialer{HTTPClient: stays}).Dial(t.Context(), server.address())
	wantError(t, err, "redirects to ws://"+plain.Addr()+"/$servicebus/websocket", "HTTP status 302 Found")

	gone := httptest.NewServer(http.NotFoundHandler())
	further := startRedirector(t, 302, gone.URL)
	address := gone.Listener.Addr().String()
	gone.Close()
	_, err = (&websocketconn.Dialer{HTTPClient: further.clientThat(func(*http.Request, []*http.Request) error { return nil })}).Dial(t.Context(), further.address())
	wantError(t, err, further.Listener.Addr().String()+", which redirects to "+address, "connection refused")
}

// A proxy with a sign-in portal answers instead of the namespace.
func TestARedirectOfAProxyIsNotFollowed(t *testing.T) {
	portal := startRedirector(t, 200, "")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, portal.URL+"/login", http.StatusFound)
	}))
	defer proxy.Close()
	address, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	for scheme, want := range map[string]string{"ws://": "redirects to " + portal.URL + "/login", "wss://": "refuses to connect to " + namespace} {
		d := websocketconn.Dialer{Proxy: http.ProxyURL(address), TLSConfig: portal.authority()}
		_, err := d.Dial(t.Context(), scheme+namespace+"/$servicebus/websocket")
		wantError(t, err, want, proxy.Listener.Addr().String())
	}
	if got := portal.asked.Load(); got != 0 {
		t.Errorf("the portal was asked %d times", got)
	}
}

func TestAProducerTellsOfTheRedirect(t *testing.T) {
	server := startRedirector(t, 302, "https://portal.example/login?secret")
	d := websocketconn.Dialer{TLSConfig: server.authority()}
	connectionString := "Endpoint=sb://" + server.Listener.Addr().String() + ";SharedAccessKeyName=n;SharedAccessKey=k;TransportType=AmqpWebSockets"
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(connectionString, "events", &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{NewWebSocketConn: d.Dial},
		Retry:      eventhubs.RetryOptions{MaxRetries: -1},
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Abandon(t.Context())
	wantError(t, producer.Connect(t.Context(), nil), "redirects to https://portal.example/login and is not followed")
}

// A connection string from .NET's builder must work with a dialer.
func TestAConnectionStringThatAsksForWebSocketsPublishesByThem(t *testing.T) {
	server := startServer(t, emulator.TransportWebSocketTLS)
	producer, err := eventhubs.NewBufferedProducerFromConnectionString(server.TLSConnectionString("events")+";TransportType=AmqpWebSockets", "", &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{NewWebSocketConn: (&websocketconn.Dialer{TLSConfig: server.TLSConfig()}).Dial},
		Retry:      eventhubs.RetryOptions{MaxRetries: -1},
		Logger:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	sendAndCompare(t, server, producer)
}
