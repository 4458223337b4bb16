package emulatorhttp

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/local"
	"github.com/go-eventhubs/eventhubs/internal/page"
)

// Options configure [New]. The zero value of each field means its default; nil options mean all
// defaults.
type Options struct {
	// Hosts are additional names, without a port, by which browsers may use the page. IP addresses
	// and localhost always work. Default: none.
	Hosts []string

	// InForce are lines that the page shows about the server's configured behaviour, for example
	// "Every answer takes 20 ms". Default: none.
	InForce []string

	// Hidden are hubs that are not shown, for example one for health checks. Default: none.
	Hidden []string

	// ReadOnly refuses every request that changes the server: sending events, setting and removing
	// faults, and creating, changing and deleting hubs. Default: programs and the page itself may
	// change the server.
	ReadOnly bool
}

//go:embed page
var files embed.FS

// A handler answers for one server. It has no state of its own.
type handler struct {
	server      *emulator.Server
	options     Options
	crossOrigin *http.CrossOriginProtection
	changing    sync.Mutex // held while a request looks at the hubs and then changes them
}

// New makes a handler that shows the contents of a server and changes its faults and hubs; see the
// package documentation. It must be at the root of a host. It may be used by several goroutines at
// once. After the server is closed it shows the remaining contents.
func New(server *emulator.Server, options *Options) http.Handler {
	h := &handler{server: server, crossOrigin: http.NewCrossOriginProtection()}
	if options != nil {
		h.options = Options{
			Hosts: slices.Clone(options.Hosts), InForce: slices.Clone(options.InForce), Hidden: slices.Clone(options.Hidden),
			ReadOnly: options.ReadOnly,
		}
	}
	pages, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded, so this cannot fail
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.Handle("GET /base.css", page.Style)
	mux.Handle("GET /icon.svg", page.Icon)
	mux.HandleFunc("GET /api/snapshot", h.snapshot)
	mux.HandleFunc("GET /api/events", h.events)
	mux.HandleFunc("POST /api/events", h.change(maxEvent, h.send))
	mux.HandleFunc("GET /api/records", h.records)
	mux.HandleFunc("GET /api/event", h.event)
	mux.HandleFunc("GET /api/body", h.body)
	mux.HandleFunc("GET /api/faults", h.listFaults)
	mux.HandleFunc("POST /api/faults", h.change(maxBody, h.addFault))
	mux.HandleFunc("DELETE /api/faults", h.change(maxBody, h.removeFaults))
	mux.HandleFunc("DELETE /api/faults/{id}", h.change(maxBody, h.removeFault))
	mux.HandleFunc("GET /api/hubs", h.listHubs)
	mux.HandleFunc("POST /api/hubs", h.change(maxBody, h.addHub))
	mux.HandleFunc("GET /api/hubs/{name...}", h.hub)
	mux.HandleFunc("PATCH /api/hubs/{name...}", h.change(maxBody, h.changeHub))
	mux.HandleFunc("DELETE /api/hubs/{name...}", h.change(maxBody, h.deleteHub))
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is no such resource")
	})
	return h.guard(mux)
}

// guard refuses requests that another site could have made a browser send.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !page.Guard(w, r, h.options.Hosts...) {
			fail(w, http.StatusForbidden, local.Refusal(r.Host))
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") && page.FromAnotherSite(r) {
			fail(w, http.StatusForbidden, "the request comes from another site")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hidden reports whether a hub must not be shown.
func (h *handler) hidden(hub string) bool {
	return slices.ContainsFunc(h.options.Hidden, func(name string) bool { return strings.EqualFold(name, hub) })
}

// answer writes JSON. It ignores an error of the network, which means that the client is gone.
func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil { // then nothing has been written
		fail(w, http.StatusInternalServerError, "the answer cannot be written as JSON: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, errorJSON{Error: text})
}
