package local_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-eventhubs/eventhubs/internal/local"
)

func TestAPortAloneIsLoopback(t *testing.T) {
	for addr, loopback := range map[string]bool{":0": true, "127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": false} {
		listener, err := local.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := listener.Addr().(*net.TCPAddr); got.IP.IsLoopback() != loopback {
			t.Errorf("%s listens on %v, want loopback: %v", addr, got, loopback)
		}
		_ = listener.Close()
	}
	for _, addr := range []string{"", "8080", "127.0.0.1", ":x"} {
		if listener, err := local.Listen(addr); err == nil {
			t.Errorf("%q listens on %v, want an error", addr, listener.Addr())
			_ = listener.Close()
		}
	}
}

func TestOnlyWhoMeansThisMachineIsServed(t *testing.T) {
	handler := local.Guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("served")) }), "", "Build.Example")
	for host, want := range map[string]int{
		"127.0.0.1:8080": 200, "127.0.0.1": 200, "[::1]:8080": 200, "[::1]": 200, "::1": 200, "localhost": 200, "LOCALHOST:1": 200, "192.0.2.7:8080": 200, "build.example:8080": 200,
		"": 403, ":8080": 403, "evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "build.example.evil.example": 403,
		"evil.example:80:80": 403, "[evil.example]": 403, "localhost\x00": 403, "a\xff": 403, "2130706433": 403,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != want || (w.Body.String() == "served") != (want == 200) {
			t.Errorf("host %q: status %d, %q, want %d", host, w.Code, w.Body, want)
		}
		if want == 403 && !strings.Contains(w.Body.String(), "use its IP address or localhost, or listen on that name") {
			t.Errorf("host %q: %q does not say what to do", host, w.Body)
		}
	}
}

func TestWhichPagesMayOpenAWebSocket(t *testing.T) {
	for _, test := range []struct {
		origin, host string
		want         bool
	}{
		{"http://localhost:3000", "127.0.0.1:5672", true},
		{"http://127.0.0.1:3000", "localhost:5672", true},
		{"http://[::1]:3000", "127.0.0.1:5672", true},
		{"http://127.8.9.10", "[::1]:5672", true},
		{"https://192.0.2.7:5671", "192.0.2.7:5671", true},
		{"http://build.example:3000", "build.example:3000", true}, // the name that the user listens on
		{"http://localhost", "build.example:5672", true},

		{"http://evil.example:5672", "evil.example:5672", false}, // it points here by now: DNS rebinding
		{"http://localhost:3000", "evil.example:5672", false},
		{"http://evil.example", "127.0.0.1:5672", false},
		{"http://192.0.2.8:3000", "192.0.2.7:5672", false},
		{"http://localhost.evil.example", "127.0.0.1:5672", false},
		{"http://127.0.0.1.evil.example", "127.0.0.1:5672", false},
		{"null", "127.0.0.1:5672", false}, // a file, or a page in a sandbox
		{"", "127.0.0.1:5672", false},
		{"://", "127.0.0.1:5672", false},
		{"http://localhost:3000", "", false},
		{"localhost", "localhost", false},
	} {
		if got := local.MayOpen(test.origin, test.host, "build.example"); got != test.want {
			t.Errorf("origin %q, host %q: got %v want %v", test.origin, test.host, got, test.want)
		}
	}
}
