package websocketconn

import (
	"net/http"
	"net/url"
	"strings"
)

// hold notes where a response redirects to. It takes the address out of the response unless the caller's client decides about it, so that the
// HTTP client does not go there: by default it would, also to another host and from TLS to none, and the WebSocket library takes its bound of ten away. What is no URL
// nobody can follow.
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

// destination is where a redirect leads, for an error's text: without user, password, query and fragment, any of which may be a secret.
func destination(to *url.URL, err error) string {
	if err != nil || to.Host == "" {
		return "something that is no address"
	}
	const shown = 200
	text := (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String()
	if len(text) > shown {
		text = strings.ToValidUTF8(text[:shown], "") + "…"
	}
	return text
}

// explainRedirect says that a server sends elsewhere, and what that may mean.
func (u *upgrade) explainRedirect(r *http.Response) string {
	return status(r) + ", which redirects to " + u.redirect + " and is not followed: a namespace redirects nowhere, but a portal that asks users of a network to sign in does; " +
		"check the namespace's name and what is between here and there, or allow it by CheckRedirect of Dialer.HTTPClient"
}
