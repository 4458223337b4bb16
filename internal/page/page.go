// Package page has the parts that the pages of emulatorhttp and producerhttp share. These are the
// check of their clients, the headers of their answers, the icon and the base of the styles.
package page

import (
	_ "embed"
	"net/http"

	"github.com/go-eventhubs/eventhubs/internal/local"
)

var (
	//go:embed base.css
	style []byte
	//go:embed icon.svg
	icon []byte
)

var (
	// Style has the colours, in light and dark, and the elements that both pages have.
	Style = File{"text/css; charset=utf-8", style}
	// Icon is three bars.
	Icon = File{"image/svg+xml", icon}
)

// A File is a file of a page. It answers every request with its text.
type File struct {
	Type string // of its content
	Text []byte
}

func (f File) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", f.Type)
	_, _ = w.Write(f.Text) // an error means that the client is gone
}

// policy lets a page load only its own files.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Guard sets the headers of an answer. It reports whether the request's Host is an IP address,
// localhost or one of names. Any other name can be made to point here (DNS rebinding).
func Guard(w http.ResponseWriter, r *http.Request, names ...string) (meant bool) {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	return local.IsMeant(r.Host, names...)
}

// FromAnotherSite reports whether a page of another site has made a browser send the request.
func FromAnotherSite(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Site") == "cross-site" }
