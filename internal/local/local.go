// Package local restricts listeners on this machine to intended clients. Other machines get access
// only through an address that allows it. A web page from elsewhere gets no access through a name
// that it has made to point here.
package local

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Listen listens on a TCP address. Without a host, as in ":8080", it listens on loopback;
// "0.0.0.0:8080" or "[::]:8080" is all interfaces.
func Listen(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil { // net.Listen would take an empty address for all interfaces
		return nil, &net.OpError{Op: "listen", Net: "tcp", Err: err}
	}
	if host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return net.Listen("tcp", addr)
}

// IsMeant reports whether a request's Host, with or without a port, can only come from a client
// that means this machine. That holds for an IP address and localhost, since they lead nowhere
// else. The owner of another name can make it point here after a browser has loaded a page from it
// (DNS rebinding). The parameter names has the names that the user has chosen.
func IsMeant(host string, names ...string) bool {
	name := hostName(host)
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return strings.EqualFold(name, "localhost") || name != "" && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(name, n) })
}

// hostName is a host without its port and IPv6 brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// Refusal says why IsMeant refuses a Host, and what to do.
func Refusal(host string) string {
	return "the host " + strings.ToValidUTF8(host, "?") + " is not a name of this server: use its IP address or localhost, or listen on that name"
}

// Guard answers with status 403 if IsMeant refuses the request's Host.
func Guard(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsMeant(r.Host, names...) {
			http.Error(w, Refusal(r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Name is the host of an address to listen on, for IsMeant: the user has chosen it as the server's
// name.
func Name(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

// MayOpen reports whether a page of that origin may open a WebSocket to that Host, which the
// same-origin policy does not prevent. A page of the same host or of this machine may. Programs
// other than browsers send no origin and need no check.
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
