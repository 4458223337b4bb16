package websocketconn_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/websocketconn"
)

const (
	namespace = "ns.servicebus.windows.net"
	password  = "p%40ss-word" // in a URL: p@ss-word
)

// A connectProxy is an HTTP proxy with CONNECT only. It connects every name to its one address.
type connectProxy struct {
	*httptest.Server

	mu       sync.Mutex // guards the field below
	requests []string   // host and decoded authorization
}

// startProxy starts a proxy for an address, or one that refuses with a status.
func startProxy(t *testing.T, address string, refuse int) *connectProxy {
	t.Helper()
	p := &connectProxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		encoded := strings.TrimPrefix(r.Header.Get("Proxy-Authorization"), "Basic ")
		user, _ := base64.StdEncoding.DecodeString(encoded)
		p.mu.Lock()
		p.requests = append(p.requests, r.Method+" "+r.Host+" "+string(user))
		p.mu.Unlock()
		if refuse != 0 {
			http.Error(w, "no", refuse)
			return
		}
		far, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		near, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		var both sync.WaitGroup
		// Each goroutine ends when either side has closed.
		both.Go(func() { _, _ = io.Copy(far, near); far.Close() })
		both.Go(func() { _, _ = io.Copy(near, far); near.Close() })
		both.Wait()
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *connectProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// url returns the proxy's URL, with a user and the password if asked.
func (p *connectProxy) url(t *testing.T, withUser bool) *url.URL {
	t.Helper()
	text := p.URL
	if withUser {
		text = strings.Replace(text, "://", "://user:"+password+"@", 1)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPublishesThroughAProxy(t *testing.T) {
	for name, test := range map[string]struct {
		withUser bool
		want     string
	}{
		"without a user": {false, "CONNECT " + namespace + ":443 "},
		"with a user":    {true, "CONNECT " + namespace + ":443 user:p@ss-word"},
	} {
		t.Run(name, func(t *testing.T) {
			server := startServer(t, emulator.TransportWebSocketTLS)
			proxy := startProxy(t, server.Addr(), 0)
			publish(t, server, (&websocketconn.Dialer{TLSConfig: trusting(server), Proxy: http.ProxyURL(proxy.url(t, test.withUser))}).Dial)
			if got := proxy.seen(); len(got) != 1 || got[0] != test.want {
				t.Errorf("the proxy saw %q, want %q", got, test.want)
			}
		})
	}
}

func TestProxyThatFailsIsNamedWithoutItsPassword(t *testing.T) {
	gone := startProxy(t, "", 0)
	gone.Close()
	for name, test := range map[string]struct {
		proxy *connectProxy
		host  string
		want  []string
	}{
		"wrong password": {startProxy(t, "", 407), "wss://" + namespace, []string{"refuses to connect to " + namespace, "HTTP status 407 Proxy Authentication Required", "check the user and password"}},
		"forbidden":      {startProxy(t, "", 403), "wss://" + namespace, []string{"HTTP status 403 Forbidden", "must allow CONNECT to port 443"}},
		"no way there":   {startProxy(t, "127.0.0.1:1", 0), "wss://" + namespace, []string{"HTTP status 502 Bad Gateway", "NO_PROXY"}},
		"not running":    {gone, "wss://" + namespace, []string{"cannot be used", "connection refused", "check that it runs"}},
		"without CONNECT": {startProxy(t, "", 407), "ws://" + namespace, []string{"through the proxy", "HTTP status 407 Proxy Authentication Required",
			"check the user and password"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := websocketconn.Dialer{Proxy: http.ProxyURL(test.proxy.url(t, true))}
			_, err := d.Dial(t.Context(), test.host+"/$servicebus/websocket")
			wantError(t, err, append(test.want, test.proxy.Listener.Addr().String())...)
		})
	}
}

func TestProxyThatCannotBeChosenIsToldWithoutItsPassword(t *testing.T) {
	d := websocketconn.Dialer{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, errors.New("bad: http://user:" + password + "@proxy")
	}}
	_, err := d.Dial(t.Context(), "wss://"+namespace)
	wantError(t, err, namespace, "no proxy can be chosen", "http://proxy.example:8080")
}

// wantError fails the test unless err has all texts and does not show the password.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("there is no error")
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error does not say %q: %v", text, err)
		}
	}
	for _, secret := range []string{password, "p@ss-word"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
}

// environmentChild makes the test binary dial and print the result.
const environmentChild = "WEBSOCKETCONN_TEST_DIAL"

// http.ProxyFromEnvironment reads the environment once in a process, so each environment needs its
// own process.
func TestMain(m *testing.M) {
	host := os.Getenv(environmentChild)
	if host == "" {
		os.Exit(m.Run())
	}
	conn, err := websocketconn.Dial(context.Background(), host)
	if err != nil {
		_, _ = io.WriteString(os.Stdout, "failed: "+err.Error())
		return
	}
	_ = conn.Close()
	_, _ = io.WriteString(os.Stdout, "opened")
}

func TestTheEnvironmentNamesTheProxy(t *testing.T) {
	server := startServer(t, emulator.TransportWebSocketTLS)
	authority := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(authority, server.CertificateAuthority(), 0o600); err != nil {
		t.Fatal(err)
	}
	proxy := startProxy(t, server.Addr(), 0)
	withUser := proxy.url(t, true).String()
	for name, test := range map[string]struct {
		environment []string
		want        string
		throughIt   int
	}{
		"proxy":       {[]string{"HTTPS_PROXY=" + withUser}, "opened", 1},
		"lower case":  {[]string{"https_proxy=" + withUser}, "opened", 1},
		"no proxy":    {[]string{"HTTPS_PROXY=" + withUser, "NO_PROXY=.invalid"}, "no such host", 0},
		"not a proxy": {[]string{"HTTPS_PROXY=user:" + password + "%zz@proxy"}, "no proxy can be chosen", 0},
	} {
		t.Run(name, func(t *testing.T) {
			host := "wss://ns.invalid/$servicebus/websocket" // no name server knows it (RFC 2606)
			before := len(proxy.seen())
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(test.environment, environmentChild+"="+host, "SSL_CERT_FILE="+authority, "GORACE=atexit_sleep_ms=0")
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			got := string(output)
			if test.want == "no such host" && strings.HasPrefix(got, "failed: ns.invalid: ") {
				got = test.want // any answer shows that the name server was asked
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", output, test.want)
			}
			if strings.Contains(got, password) || strings.Contains(got, "p@ss-word") {
				t.Errorf("the password is shown: %s", got)
			}
			if n := len(proxy.seen()) - before; n != test.throughIt {
				t.Errorf("%d connections went through the proxy, want %d", n, test.throughIt)
			}
		})
	}
}

// publish sends events through a connection that dial opens, to a namespace with a production name,
// and checks the stored events.
func publish(t *testing.T, server *emulator.Server, dial func(context.Context, string) (net.Conn, error)) {
	t.Helper()
	producer, err := eventhubs.NewBufferedProducer(namespace, "events", server.Credential(), &eventhubs.Options{
		Connection: eventhubs.ConnectionOptions{NewWebSocketConn: dial},
		Retry:      eventhubs.RetryOptions{MaxRetries: -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	sendAndCompare(t, server, producer)
}
