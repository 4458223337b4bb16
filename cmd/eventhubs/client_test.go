package main

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// startSecureServer starts an emulator that speaks only TLS, with WebSocket, and verifies tokens.
func startSecureServer(t *testing.T) *emulator.Server {
	t.Helper()
	server, err := emulator.New(&emulator.Options{
		Hubs:           []emulator.Hub{{Name: "events", Partitions: 4}},
		Transports:     emulator.TransportTLS | emulator.TransportWebSocketTLS,
		Authentication: &emulator.Authentication{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// authorityFile writes the server's certificate authority, for clients to trust.
func authorityFile(t *testing.T, server *emulator.Server) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, server.CertificateAuthority(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestAnIdentityPublishesAndTails(t *testing.T) {
	server := startSecureServer(t)
	p := program{credential: server.Credential()}
	for _, way := range [][]string{nil, {"--websocket"}} {
		to := append([]string{"--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)}, way...)
		p.run(t, append([]string{"publish", writeFile(t, "a\nb\n")}, to...)...).want(t, exitOK)
		got := p.run(t, append([]string{"tail", "--from", "start", "--count", "2", "--output", "json"}, to...)...)
		got.want(t, exitOK)
		if n := len(decodeLines(t, got.stdout)); n != 2 {
			t.Errorf("%v: %d events came back, want 2", way, n)
		}
	}
	p.credential = server.Credential(emulator.RightListen)
	p.run(t, "publish", writeFile(t, "a\n"), "--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)).
		want(t, exitFailed, `nothing may be sent to event hub "events": `, "'Send' claim(s) are required")
}

func TestWebSocketWithoutTLSReachesAnEmulator(t *testing.T) {
	server, err := emulator.New(&emulator.Options{Transports: emulator.TransportWebSocket, Hubs: []emulator.Hub{{Name: "events", Partitions: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	connectionString := "Endpoint=sb://" + server.Addr() + ";SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=x;UseDevelopmentEmulator=true"
	p := program{env: map[string]string{connectionEnv: connectionString}}
	p.run(t, "publish", "--websocket", writeFile(t, "a\nb\n")).want(t, exitOK)
	got := p.run(t, "tail", "--websocket", "--from", "start", "--count", "2")
	got.want(t, exitOK)
	if n := strings.Count(got.stdout, "\n"); n != 2 {
		t.Errorf("%d lines came back, want 2: %s", n, got.stdout)
	}
}

func TestNamespaceAndConnectionStringDoNotMix(t *testing.T) {
	server := startSecureServer(t)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"both":                    {[]string{"--namespace", "ns.servicebus.windows.net", "--hub", "h", "--connection-string", "x"}, "--connection-string and --namespace are given together"},
		"no hub":                  {[]string{"--namespace", "ns.servicebus.windows.net"}, "--namespace is given without --hub"},
		"empty namespace":         {[]string{"--namespace", "", "--hub", "h"}, "--namespace is empty"},
		"short name":              {[]string{"--namespace", "ns", "--hub", "h"}, `--namespace is "ns"; want a host such as name.servicebus.windows.net`},
		"URL":                     {[]string{"--namespace", "https://ns.servicebus.windows.net/", "--hub", "h"}, "want a host such as"},
		"a connection string":     {[]string{"--namespace", "Endpoint=sb://x/;SharedAccessKey=c2VjcmV0", "--hub", "h"}, "want a host such as"},
		"no credential to be had": {[]string{"--namespace", "ns.servicebus.windows.net", "--hub", "h"}, "no Azure credential can be made for --namespace: there is none in this test"},
	} {
		for _, command := range [][]string{{"publish", "-"}, {"tail"}} {
			got := program{}.run(t, append(command, test.args...)...)
			got.want(t, exitBadInput, test.want)
			if strings.Contains(got.stderr, "c2VjcmV0") {
				t.Errorf("%s: the key is shown: %s", name, got.stderr)
			}
		}
	}
	// The variable counts only if the command line names no namespace.
	p := program{credential: server.Credential(), env: map[string]string{connectionEnv: "malformed"}}
	p.run(t, "publish", writeFile(t, "a\n"), "--namespace", server.Addr(), "--hub", "events", "--tls-ca", authorityFile(t, server)).want(t, exitOK)
}

func TestWebSocketGoesThroughTheProxyOfTheEnvironment(t *testing.T) {
	server := startSecureServer(t)
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		far, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Error(err)
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
	defer proxy.Close()
	// This machine could not reach the name itself.
	connectionString := "Endpoint=sb://ns.invalid/;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE"
	for _, args := range [][]string{
		{"publish", "--websocket", writeFile(t, "a\nb\n")},
		{"tail", "--websocket", "--from", "start", "--count", "2"},
		{"check", "--websocket", "--send"},
	} {
		command := exec.CommandContext(t.Context(), os.Args[0], append(args, "--tls-ca", authorityFile(t, server))...)
		command.Env = []string{programEnv + "=1", "HTTPS_PROXY=" + strings.Replace(proxy.URL, "://", "://user:pass@", 1),
			connectionEnv + "=" + connectionString, "GORACE=atexit_sleep_ms=0"}
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, output)
		}
		if want := "open, through the proxy " + proxy.Listener.Addr().String(); args[0] == "check" && !strings.Contains(string(output), want) {
			t.Errorf("check does not say %q:\n%s", want, output)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := "CONNECT ns.invalid:443 Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass"))
	for _, got := range asked {
		if got != want {
			t.Errorf("the proxy was asked %q, want %q", got, want)
		}
	}
	if len(asked) < 2 {
		t.Errorf("%d connections went through the proxy, want at least one for each command", len(asked))
	}
}

// A key on the command line stays in the shell's history. So every client takes a file.
func TestTheConnectionStringComesFromAFile(t *testing.T) {
	server := startServer(t)
	for name, content := range map[string]string{
		"plain":             server.ConnectionString("events"),
		"a line":            server.ConnectionString("events") + "\r\n",
		"a byte order mark": "\ufeff" + server.ConnectionString("events") + "\n",
		"quoted":            `"` + server.ConnectionString("events") + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, content)
			// The variable is not for this run.
			p := program{env: map[string]string{connectionEnv: "Endpoint=sb://elsewhere.example/;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"}}
			p.run(t, "publish", "--connection-string-file", file, writeFile(t, "a\n")).want(t, exitOK)
			p.run(t, "tail", "--connection-string-file", file, "--from", "start", "--count", "1").want(t, exitOK)
			p.run(t, "check", "--connection-string-file", file).want(t, exitOK)
		})
	}
}

func TestAFileThatHoldsNoConnectionStringIsRefused(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	good := writeFile(t, "Endpoint=sb://host.example/;SharedAccessKeyName=n;SharedAccessKey="+secret)
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"not there":                {[]string{good + ".gone"}, "input.gone: no such file"},
		"a directory":              {[]string{t.TempDir()}, "is a directory"},
		"empty":                    {[]string{writeFile(t, "")}, "is empty; is the secret missing?"},
		"white space":              {[]string{writeFile(t, "\ufeff \r\n")}, "is empty; is the secret missing?"},
		"UTF-16":                   {[]string{writeFile(t, "\xff\xfeE\x00n\x00")}, "is in UTF-16; save it as UTF-8"},
		"another file":             {[]string{writeFile(t, strings.Repeat("x", 70_000))}, "longer than 65536 bytes"},
		"malformed":                {[]string{writeFile(t, "Endpoint=sb://host/;SharedAccessKey="+secret)}, "the connection string is malformed"},
		"no name":                  {[]string{""}, "--connection-string-file is empty"},
		"with a connection string": {[]string{good, "--connection-string", "x"}, "--connection-string and --connection-string-file are given together"},
		"with a namespace":         {[]string{good, "--namespace", "host.example", "--hub", "h"}, "--connection-string-file and --namespace are given together"},
		"with another hub":         {[]string{good, "--hub", secret + ";"}, "--hub"},
	} {
		for _, command := range [][]string{{"publish", good}, {"tail"}, {"check"}} {
			t.Run(name+" "+command[0], func(t *testing.T) {
				got := program{}.run(t, append(append(command, "--connection-string-file"), test.args...)...)
				got.want(t, exitBadInput, test.want)
				if strings.Contains(got.stdout+got.stderr, secret) {
					t.Errorf("the output shows the key: %s", got.stderr)
				}
			})
		}
	}
}
