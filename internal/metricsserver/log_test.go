package metricsserver

import (
	"log"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/go-eventhubs/eventhubs"
)

// A failingListener fails once, as a listener does when the process has no file descriptors left,
// which passes.
type failingListener struct {
	net.Listener
	failed bool // owned by the goroutine that serves
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failed {
		return l.Listener.Accept()
	}
	l.failed = true
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
}

// A told channel is a writer that passes messages on.
type told chan string

func (c told) Write(message []byte) (int, error) {
	c <- string(message)
	return len(message), nil
}

func TestWhatGoesWrongWhileItAnswersGoesToTheLog(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	messages := make(told, 8)
	server, err := newServer(&failingListener{Listener: listener}, listener.Addr().String(), &eventhubs.Options{}, log.New(messages, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	server.serve()
	response, err := http.Get("http://" + server.Addr() + "/metrics") // accepted after the failure
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	var got string
	select {
	case got = <-messages:
	default:
	}
	if !strings.Contains(got, syscall.EMFILE.Error()) {
		t.Errorf("got %q, want why it did not accept", got)
	}
	if err := server.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if server.http.ReadHeaderTimeout == 0 || server.http.IdleTimeout == 0 {
		t.Error("a client may keep its connection for ever")
	}
}
