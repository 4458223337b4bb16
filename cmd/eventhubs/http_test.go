package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestWhatGoesWrongInAServerIsTold(t *testing.T) {
	messages := make(chan string, 8)
	server := httptest.NewUnstartedServer(nil)
	server.Config = newHTTPServer("", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }), func(text string) { messages <- text })
	server.Start()
	defer server.Close()
	if response, err := http.Get(server.URL); err == nil {
		_ = response.Body.Close()
		t.Errorf("it answers %s", response.Status)
	}
	var got string
	select {
	case got = <-messages:
	default: // The message would have come before the connection's end.
	}
	if !strings.HasPrefix(got, "http: panic serving 127.0.0.1:") || !strings.Contains(got, "broken") {
		t.Errorf("got %q, want the panic", got)
	}
}

// askAs asks for a URL like a browser that reached it by that name.
func askAs(t *testing.T, host, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// serving starts every listener at a port alone, and returns the URLs to ask for.
func serving(t *testing.T) (urls []string, webSocket string) {
	t.Helper()
	command, p := startEmulatorCommand(t, "--addr", ":0", "--http", ":0", "--health", ":0", "--websocket")
	said, _ := command.stderr.get()
	stdin, lines := io.Pipe()
	t.Cleanup(func() { _ = lines.Close() })
	publish := program{stdin: stdin, env: p.env}.start(t, "publish", "--metrics", ":0", "-")
	t.Cleanup(func() { publish.stop() })
	publish.stderr.await(t, "/metrics\n")
	published, _ := publish.stderr.get()
	for _, at := range []string{`Health: (http://.*)\n`, `Page: (http://.*)\n`, `Metrics: (http://.*)\n`, `AMQP over WebSocket: ws(://.*)\n`} {
		found := regexp.MustCompile(at).FindStringSubmatch(said + published)
		if found == nil {
			t.Fatalf("standard error does not say %q:\n%s%s", at, said, published)
		}
		urls = append(urls, found[1])
	}
	return urls[:3], "http" + urls[3]
}

func TestAPortAloneIsLoopbackForEveryListener(t *testing.T) {
	urls, webSocket := serving(t)
	for _, url := range append(urls, webSocket) {
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			t.Errorf("%s is not on loopback", url)
		}
	}
}

// The owner of a name can point it to this machine after a browser has loaded a page from it. The
// page's scripts could then ask here for anything.
func TestNoServerAnswersToANameThatWasMadeToPointHere(t *testing.T) {
	urls, webSocket := serving(t)
	for _, url := range urls {
		port := url[strings.LastIndex(url, ":"):]
		port, _, _ = strings.Cut(port, "/")
		for host, want := range map[string]int{
			"127.0.0.1" + port: 200, "localhost" + port: 200, "[::1]" + port: 200, "192.0.2.7" + port: 200,
			"evil.example" + port: 403, "evil.example": 403, "localhost.evil.example" + port: 403,
		} {
			status, body := askAs(t, host, url)
			if status != want {
				t.Errorf("%s, called %s: status %d, want %d", url, host, status, want)
			}
			if want == 403 && !strings.Contains(body, "the host "+host+" is not a name of this server") {
				t.Errorf("%s, called %s: %.100q does not say why", url, host, body)
			}
		}
	}
	for host, want := range map[string]bool{"127.0.0.1:80": true, "evil.example:80": false} {
		ws, _, err := websocket.Dial(t.Context(), webSocket, &websocket.DialOptions{
			Host: host, HTTPHeader: http.Header{"Origin": {"http://" + host}}, Subprotocols: []string{"AMQPWSB10"},
		})
		if (err == nil) != want {
			t.Errorf("a page of %s opens a WebSocket: %v, want %v", host, err, want)
		}
		if err == nil {
			_ = ws.CloseNow()
		}
	}
}
