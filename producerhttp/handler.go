package producerhttp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/page"
	"github.com/go-eventhubs/eventhubs/internal/producerview"
)

// Options configure [New]. The zero value of each field means its default; nil options mean all
// defaults.
type Options struct {
	// Name is the name of the producer that New gets. Default: the name of its event hub.
	Name string

	// Hosts are additional names, without a port, by which clients may use the handler. IP
	// addresses and localhost always work. "*" lets every name in: use it if the service checks its
	// clients before the handler. Default: none.
	Hosts []string
}

// A Handler answers for the producers that were added to it. The zero value has none. A Handler
// starts no goroutine. Its methods may be called from any number of goroutines, and none of them
// waits for the service.
type Handler struct {
	hosts []string // immutable

	mu        sync.Mutex // guards the map
	producers map[string]*eventhubs.BufferedProducer
}

// New makes a handler that shows a producer; see the package documentation. The producer may be
// nil: then Add adds the first one. A closed producer is shown with its last numbers until Remove.
func New(producer *eventhubs.BufferedProducer, options *Options) *Handler {
	if options == nil {
		options = &Options{}
	}
	h := &Handler{hosts: slices.Clone(options.Hosts)}
	if producer != nil {
		h.add(cmp.Or(options.Name, producer.EventHubName()), producer)
	}
	return h
}

// maxName is the longest name of a producer, in bytes.
const maxName = 256

// Add shows another producer, under that name. The name must be text of 1 to 256 bytes on one line.
// The error is not nil if the name is wrong or another producer has it, and if the producer is nil.
func (h *Handler) Add(name string, producer *eventhubs.BufferedProducer) error {
	switch {
	case producer == nil:
		return fmt.Errorf("producerhttp: the producer %q is nil", name)
	case name == "":
		return errors.New("producerhttp: the name of the producer is empty: give each producer a name of its own")
	case len(name) > maxName:
		return fmt.Errorf("producerhttp: the name of the producer has %d bytes: at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("producerhttp: the name of the producer is %q: it must be text on one line", name)
	case !h.add(name, producer):
		return fmt.Errorf("producerhttp: another producer has the name %q: give each one a name of its own, or remove the other first", name)
	}
	return nil
}

func (h *Handler) add(name string, producer *eventhubs.BufferedProducer) (added bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if other, taken := h.producers[name]; taken {
		return other == producer
	}
	if h.producers == nil {
		h.producers = make(map[string]*eventhubs.BufferedProducer)
	}
	h.producers[name] = producer
	producerview.Moments(producer) // from now on it keeps them
	return true
}

// Remove stops showing the producer with that name. Without one it does nothing.
func (h *Handler) Remove(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.producers, name)
}

// named returns the producers with that name, or all for the empty name, and the names of all.
func (h *Handler) named(name string) (producers map[string]*eventhubs.BufferedProducer, names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names = slices.Sorted(maps.Keys(h.producers))
	if name == "" {
		return maps.Clone(h.producers), names
	}
	if p := h.producers[name]; p != nil {
		return map[string]*eventhubs.BufferedProducer{name: p}, names
	}
	return nil, names
}

// ServeHTTP answers a request; see the package documentation.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	meant := page.Guard(w, r, h.hosts...) || slices.Contains(h.hosts, "*")
	w.Header().Set("Vary", "Accept")
	query, malformed := url.ParseQuery(r.URL.RawQuery)
	f, err := formatOf(query.Get("format"), r.Header.Values("Accept"))
	switch {
	case !meant:
		f.fail(w, http.StatusForbidden, fmt.Sprintf("the host %q is not a name of this server: use its IP address or localhost, or add the name to producerhttp.Options.Hosts", r.Host))
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		f.fail(w, http.StatusMethodNotAllowed, "this address is only read: use GET or HEAD")
		return
	case page.FromAnotherSite(r) && r.Header.Get("Sec-Fetch-Mode") != "navigate":
		f.fail(w, http.StatusForbidden, "the request comes from another site")
		return
	case malformed != nil:
		f.fail(w, http.StatusBadRequest, fmt.Sprintf("the parameters cannot be read: %v: encode each name and value", malformed))
		return
	case err != nil:
		f.fail(w, http.StatusBadRequest, err.Error())
		return
	}
	for name := range query {
		if name != "format" && name != "producer" && name != "file" {
			f.fail(w, http.StatusBadRequest, fmt.Sprintf("there is no parameter %q: use format and producer", name))
			return
		}
	}
	if query.Has("file") {
		file, known := pageFiles[query.Get("file")]
		if !known {
			f.fail(w, http.StatusNotFound, fmt.Sprintf("the page has no file %q", query.Get("file")))
			return
		}
		file.ServeHTTP(w, r)
		return
	}
	name := query.Get("producer")
	producers, names := h.named(name)
	if name != "" && producers == nil {
		f.fail(w, http.StatusNotFound, fmt.Sprintf("there is no producer %q: these are there: %s", name, cmp.Or(strings.Join(names, ", "), "none")))
		return
	}
	f.answer(w, newReport(producers, names, name))
}
