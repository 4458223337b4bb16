package main

import (
	"log"
	"net/http"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/httpserver"
)

// newHTTPServer makes one of the program's HTTP servers, for a listener at addr. Each error of the
// server is one call of tell, from any goroutine.
func newHTTPServer(addr string, handler http.Handler, tell func(string)) *http.Server {
	return httpserver.New(addr, handler, newErrorLog(tell))
}

// newErrorLog makes a log that calls tell for each message.
func newErrorLog(tell func(string)) *log.Logger { return log.New(teller(tell), "", 0) }

// A teller turns a function into a writer that gets whole messages.
type teller func(string)

func (t teller) Write(message []byte) (int, error) {
	t(strings.TrimSuffix(string(message), "\n"))
	return len(message), nil
}
