package main

import (
	"log"
	"net/http"
	"strings"

	"github.com/go-eventhubs/eventhubs/internal/httpserver"
)

// newHTTPServer makes one of the program's servers, for a listener at addr. What goes wrong in it, it tells by tell, a line at a time, from any
// goroutine.
func newHTTPServer(addr string, handler http.Handler, tell func(string)) *http.Server {
	return httpserver.New(addr, handler, newErrorLog(tell))
}

// newErrorLog makes a log whose messages are told by tell.
func newErrorLog(tell func(string)) *log.Logger { return log.New(teller(tell), "", 0) }

// A teller makes a writer, which gets whole messages, of a function.
type teller func(string)

func (t teller) Write(message []byte) (int, error) {
	t(strings.TrimSuffix(string(message), "\n"))
	return len(message), nil
}
