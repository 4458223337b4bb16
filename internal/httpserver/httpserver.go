// Package httpserver has the bounds that all HTTP servers of the command line share, of time and of who is served.
package httpserver

import (
	"log"
	"net/http"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/local"
)

const (
	// headerTimeout bounds how long a client may take to say what it wants.
	headerTimeout = 10 * time.Second

	// idleTimeout bounds how long a connection may stay without a request. It is more than the interval of most probes and scrapes.
	idleTimeout = 2 * time.Minute
)

// New makes a server for a listener at addr. It serves who calls it by an IP address, localhost, or the host in addr. What goes wrong in it
// goes to errorLog.
func New(addr string, handler http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{Handler: local.Guard(handler, local.Name(addr)), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: errorLog}
}
