package websocketconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// errNoProxy replaces the error of choosing a proxy. The error of http.ProxyFromEnvironment shows
// the whole URL with its password.
var errNoProxy = errors.New("no proxy can be chosen: HTTPS_PROXY or HTTP_PROXY, or the function Proxy, does not give a URL such as http://proxy.example:8080")

// A proxyRefusal is a proxy's answer to CONNECT.
type proxyRefusal struct {
	status int
	text   string
}

func (e *proxyRefusal) Error() string { return e.text }

// checkConnect keeps the status of a refusal. net/http has it only as text.
func checkConnect(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyRefusal{response.StatusCode, status(response)}
}

func status(r *http.Response) string {
	return fmt.Sprintf("HTTP status %d %s", r.StatusCode, cmp.Or(http.StatusText(r.StatusCode), "unknown"))
}

// explain says why a WebSocket to host could not be opened, and what to check. It wraps the cause.
func (u *upgrade) explain(host string, response *http.Response, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without repeating the URL
	}
	if u.host != "" && u.host != host {
		host += ", which redirects to " + u.host + "," // the caller's client has followed it
	}
	switch {
	case err == errNoProxy:
		return fmt.Errorf("%s: %w", host, err)
	case response == nil && u.redirect != "":
		return fmt.Errorf("%s%s redirects to %s, and Dialer.HTTPClient does not go there: %w", u.through(), host, u.redirect, err)
	case response != nil && u.redirect != "":
		return fmt.Errorf("%s%s answered with %s", u.through(), host, u.explainRedirect(response))
	case response != nil && response.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%s%s answered with %s instead of opening a WebSocket%s; %s",
			u.through(), host, status(response), quote(response), u.adviceForStatus(response.StatusCode))
	case u.proxy == nil:
		return fmt.Errorf("%s: %w", host, err)
	}
	if refusal, ok := errors.AsType[*proxyRefusal](err); ok {
		return fmt.Errorf("the proxy %s refuses to connect to %s: %w; %s", u.proxy.Host, host, refusal, adviceForProxy(refusal.status))
	}
	if text := err.Error(); strings.HasPrefix(text, "proxyconnect ") || strings.HasPrefix(text, "socks connect ") {
		return fmt.Errorf("the proxy %s of %s cannot be used: %w; check that it runs and that HTTPS_PROXY or HTTP_PROXY names it correctly", u.proxy.Host, host, err)
	}
	return fmt.Errorf("%s%s: %w", u.through(), host, err)
}

// through names the proxy, without its password.
func (u *upgrade) through() string {
	if u.proxy == nil {
		return ""
	}
	return "through the proxy " + u.proxy.Host + ": "
}

func (u *upgrade) adviceForStatus(code int) string {
	if u.proxy != nil && (code == http.StatusProxyAuthRequired || code == http.StatusBadGateway) {
		return adviceForProxy(code)
	}
	if code == http.StatusNotFound {
		return "check that it is an Event Hubs namespace, or an emulator with WebSockets"
	}
	return "check the namespace's name, and what is between here and there"
}

func adviceForProxy(code int) string {
	switch code {
	case http.StatusProxyAuthRequired:
		return "check the user and password in the proxy's URL (HTTPS_PROXY=http://user:password@host:port)"
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		return "the proxy must allow CONNECT to port 443 of the namespace; ask its administrator"
	default:
		return "check that the proxy reaches the namespace, or exclude the namespace with NO_PROXY"
	}
}

// quote returns the beginning of an answer's body.
func quote(r *http.Response) string {
	const shown = 120
	if r.Body == nil {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(r.Body, shown)) // the library has read it already
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	if line == "" || strings.HasPrefix(line, "<") {
		return "" // a page for browsers
	}
	return fmt.Sprintf(" (%q)", line)
}
