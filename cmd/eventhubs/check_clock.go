package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"time"
)

const (
	// dateTimeout bounds the request that is only for its Date: where 443 is closed, nobody may answer at all.
	dateTimeout = 2 * time.Second

	// clockPrecision is how exact a comparison is: dates have whole seconds, and take some time to come here.
	clockPrecision = 2 * time.Second

	// maxSkew is how wrong a clock may be before it is worth a word: tokens live for an hour or two.
	maxSkew = 2 * time.Minute
)

// A serverDate is what the service has said of the time, and when.
type serverDate struct {
	source string    // what said so; empty: nothing
	theirs time.Time // the service's clock
	ours   time.Time // ours, when we heard that
}

// refusedAt finds the service's time in what it says of a token that has expired.
var refusedAt = regexp.MustCompile(`current time: '([^']+)'`)

func (d *serverDate) fromRefusal(text string, now time.Time) {
	m := refusedAt.FindStringSubmatch(text)
	if m == nil {
		return
	}
	if theirs, err := time.Parse(time.RFC3339, m[1]); err == nil {
		*d = serverDate{"the refusal of the token", theirs, now}
	}
}

func (d *serverDate) fromEvent(enqueued, now time.Time) {
	if !enqueued.IsZero() {
		*d = serverDate{"the time of the test event", enqueued, now}
	}
}

// skew is by how much our clock is ahead of the service's.
func (d *serverDate) skew() time.Duration { return d.ours.Sub(d.theirs).Round(time.Second) }

func (c *checkup) clock(ctx context.Context) finding {
	if c.date.source == "" {
		c.askDate(ctx)
	}
	if c.date.source == "" {
		return finding{status: statusSkipped, detail: "not known: nobody answers HTTPS, which tells the service's time; a test event would, with --send"}
	}
	skew := c.date.skew()
	detail := fmt.Sprintf("%s the service's, by %s (give or take %v)", aheadOrBehind(skew), c.date.source, clockPrecision)
	if skew.Abs() <= maxSkew {
		return finding{detail: detail}
	}
	return finding{status: statusWarning, detail: detail, remedy: clockRemedy(skew)}
}

// askDate asks for anything over HTTP, whose answers have a date (RFC 9110, 6.6.1).
func (c *checkup) askDate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(dateTimeout, c.options.timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url("http", "/"), nil)
	if err != nil {
		return
	}
	transport := &http.Transport{TLSClientConfig: c.tlsConfig(), DialContext: new(net.Dialer).DialContext, DisableKeepAlives: true}
	if c.options.webSocket {
		transport.Proxy = http.ProxyFromEnvironment
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return
	}
	now := c.process.now()
	_ = response.Body.Close()
	if theirs, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		c.date = serverDate{"the date of an HTTP answer", theirs, now}
	}
}

func aheadOrBehind(skew time.Duration) string {
	switch {
	case skew.Abs() <= clockPrecision:
		return "this clock agrees with"
	case skew > 0:
		return fmt.Sprintf("this clock is %v later than", skew)
	default:
		return fmt.Sprintf("this clock is %v earlier than", -skew)
	}
}

func clockRemedy(skew time.Duration) string {
	if skew < 0 {
		return "set this machine's clock (NTP): tokens that it signs expire too early, or at once"
	}
	return "set this machine's clock (NTP): it takes tokens for expired that are not, and certificates may seem to be over"
}
