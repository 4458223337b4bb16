package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatGoesWrongInAServerIsTold(t *testing.T) {
	messages := make(chan string, 8)
	server := httptest.NewUnstartedServer(nil)
	server.Config = newHTTPServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }), func(text string) { messages <- text })
	server.Start()
	defer server.Close()
	if response, err := http.Get(server.URL); err == nil {
		_ = response.Body.Close()
		t.Errorf("it answers %s", response.Status)
	}
	var got string
	select {
	case got = <-messages:
	default: // It would have come before the connection's end.
	}
	if !strings.HasPrefix(got, "http: panic serving 127.0.0.1:") || !strings.Contains(got, "broken") {
		t.Errorf("got %q, want the panic", got)
	}
}
