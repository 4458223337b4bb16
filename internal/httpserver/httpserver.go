// Package httpserver makes the HTTP servers of the command line, with common time limits and a
// check of the Host header.
package httpserver

import (
	"log"
	"net/http"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/local"
)

const (
	// headerTimeout bounds the time for a request's header.
	headerTimeout = 10 * time.Second

	// idleTimeout bounds how long a connection may stay without a request. It exceeds the interval
	// of most probes and scrapes.
	idleTimeout = 2 * time.Minute
)

// New makes a server for a listener at addr. It serves requests whose Host is an IP address,
// localhost, or the host in addr. It logs its errors to errorLog.
func New(addr string, handler http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{Handler: local.Guard(handler, local.Name(addr)), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: errorLog}
}
