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
	// dateTimeout bounds the request that is only for its Date. Where port 443 is closed, there may
	// be no answer at all.
	dateTimeout = 2 * time.Second

	// clockPrecision is the precision of a comparison. Dates have whole seconds, and the answer
	// takes some time to arrive.
	clockPrecision = 2 * time.Second

	// firstYear is the first year that a service's time may have. Event Hubs is younger. Some servers
	// answer 1970 for a time that they do not know.
	firstYear = 2010

	// maxSkew is the largest clock error without a warning. Tokens live for an hour or two.
	maxSkew = 2 * time.Minute
)

// A serverDate is the service's time, and our time when we received it.
type serverDate struct {
	source string    // where the time came from; empty: not known
	theirs time.Time // the service's clock
	ours   time.Time // our clock, when the answer came
}

// refusedAt finds the service's time in its refusal of an expired token.
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
	if enqueued.Year() >= firstYear {
		*d = serverDate{"the time of the test event", enqueued, now}
	}
}

// skew returns how far our clock is ahead of the service's.
func (d *serverDate) skew() time.Duration { return d.ours.Sub(d.theirs).Round(time.Second) }

func (c *checkup) clock(ctx context.Context) finding {
	if c.date.source == "" {
		c.askDate(ctx)
	}
	if c.date.source == "" {
		return finding{status: statusSkipped, detail: "not known: no HTTPS answer with the service's time; with --send the test event shows it"}
	}
	skew := c.date.skew()
	detail := fmt.Sprintf("%s the service's, by %s (give or take %v)", aheadOrBehind(skew), c.date.source, clockPrecision)
	if skew.Abs() <= maxSkew {
		return finding{detail: detail}
	}
	return finding{status: statusWarning, detail: detail, remedy: clockRemedy(skew)}
}

// askDate sends any HTTP request, since its answer has a date (RFC 9110, 6.6.1).
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
	return "set this machine's clock (NTP): it sees valid tokens as expired, and may see certificates as expired"
}
