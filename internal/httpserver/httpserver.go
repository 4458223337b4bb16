// Package httpserver has the bounds that all HTTP servers of the command line share.
package httpserver

import (
	"log"
	"net/http"
	"time"
)

const (
	// headerTimeout bounds how long a client may take to say what it wants.
	headerTimeout = 10 * time.Second

	// idleTimeout bounds how long a connection may stay without a request. It is more than the interval of most probes and scrapes.
	idleTimeout = 2 * time.Minute
)

// New makes a server. What goes wrong in it goes to errorLog.
func New(handler http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: errorLog}
}
