package websocketconn

import (
	"net/http"
	"net/url"
	"strings"
)

// hold notes the target of a redirect. Unless the caller's client decides about redirects, it
// removes the target, so that the HTTP client does not follow it. By default the client would, even
// to another host and from TLS to plain text. The WebSocket library removes its bound of ten. A
// target that is no URL is always removed.
func (u *upgrade) hold(r *http.Request, response *http.Response) {
	location := response.Header.Get("Location")
	if location == "" || response.StatusCode < 300 || response.StatusCode > 399 {
		return
	}
	to, err := r.URL.Parse(location)
	u.redirect = destination(to, err)
	if err != nil || !u.follow {
		response.Header.Del("Location")
	}
}

// destination returns the target of a redirect for an error's text. It leaves out user, password,
// query and fragment, which may be secret.
func destination(to *url.URL, err error) string {
	if err != nil || to.Host == "" {
		return "an invalid address"
	}
	const shown = 200
	text := (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "…"
	}
	return text
}

// explainRedirect describes a redirect that was not followed, and its likely cause.
func (u *upgrade) explainRedirect(r *http.Response) string {
	return status(r) + ", which redirects to " + u.redirect + " and is not followed: a namespace never redirects, but the sign-in portal of a network does; " +
		"check the namespace's name and what is between here and there, or allow it with CheckRedirect of Dialer.HTTPClient"
}
