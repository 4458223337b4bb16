package emulatorhttp

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"github.com/go-eventhubs/eventhubs/emulator"
	"github.com/go-eventhubs/eventhubs/internal/local"
)

// Options configure [New]. The zero value of each field means its default, and nil options mean defaults throughout.
type Options struct {
	// Hosts are names by which browsers may call the page, besides localhost and IP addresses, without a port.
	// Default: none.
	Hosts []string

	// InForce are lines that the page shows about how the server was made to behave, such as "Every answer takes 20 ms".
	// Default: none.
	InForce []string

	// Hidden are hubs that are not shown, such as one for health checks.
	// Default: none.
	Hidden []string
}

//go:embed page
var files embed.FS

// A handler answers for one server. It has no state of its own.
type handler struct {
	server  *emulator.Server
	options Options
}

// New makes a handler that shows what is inside a server, as the documentation of the package says. It works at the root of a host. It may be used by
// any number of goroutines, and when the server is closed it shows what is left.
func New(server *emulator.Server, options *Options) http.Handler {
	h := &handler{server: server}
	if options != nil {
		h.options = Options{
			Hosts: slices.Clone(options.Hosts), InForce: slices.Clone(options.InForce), Hidden: slices.Clone(options.Hidden),
		}
	}
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded: only a build without it could fail
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(page))
	mux.HandleFunc("GET /api/snapshot", h.snapshot)
	mux.HandleFunc("GET /api/events", h.events)
	mux.HandleFunc("GET /api/event", h.event)
	mux.HandleFunc("GET /api/body", h.body)
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is no such resource")
	})
	return h.guard(mux)
}

// policy lets the page load what comes with it, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard refuses what another site could have made a browser ask.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-store")
		if !local.IsMeant(r.Host, h.options.Hosts...) {
			fail(w, http.StatusForbidden, local.Refusal(r.Host))
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			fail(w, http.StatusForbidden, "another site has asked for this")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hidden tells whether a hub is not to be shown.
func (h *handler) hidden(hub string) bool {
	return slices.ContainsFunc(h.options.Hidden, func(name string) bool { return strings.EqualFold(name, hub) })
}

// answer writes JSON. An error is the client's, which has gone.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{text})
}
