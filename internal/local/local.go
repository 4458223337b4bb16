// Package local keeps what listens on this machine to those who mean it: other machines are let in only by an address that says so, and
// a web page from elsewhere is not let in by a name that it has made to point here.
package local

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Listen listens on a TCP address. Without a host, as in ":8080", that is loopback; all interfaces are "0.0.0.0:8080" or "[::]:8080".
func Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil { // net.Listen takes nothing at all for all interfaces
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	if host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return net.Listen("tcp", addr)
}

// IsMeant tells whether a request's Host, with or without a port, can only come from somebody who means this machine. An address can, and
// localhost, since they lead nowhere else. Another name need not: whoever owns it can make it point here, after a browser has loaded a page
// from it (DNS rebinding). names are those that the user has chosen.
func IsMeant(host string, names ...string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") || name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(name, n) })
}

// hostName is a host without its port, and without the brackets of IPv6.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// Refusal is why a Host that IsMeant refuses is refused, and what to do.
func Refusal(host string) string {
	return "this server is not called " + strings.ToValidUTF8(host, "?") + "; use its IP address, or localhost, or listen on that name"
}

// Guard answers requests that IsMeant refuses with status 403.
func Guard(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsMeant(r.Host, names...) {
			http.Error(w, Refusal(r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Name is the host of an address to listen on, for IsMeant: whoever has chosen it calls the server so.
func Name(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

// MayOpen tells whether a page of that origin may open a WebSocket to that Host, since the same-origin policy does not keep it from
// doing so: a page of the same host, or one of this machine. Programs that are no browsers send no origin, and are not asked.
func MayOpen(origin, host string, names ...string) bool {
	page, err := url.Parse(origin)
	if err != nil || !IsMeant(host, names...) {
		return false
	}
	if strings.EqualFold(page.Host, host) || strings.EqualFold(page.Hostname(), "localhost") {
		return true
	}
	address, err := netip.ParseAddr(page.Hostname())
	return err == nil && address.IsLoopback()
}
