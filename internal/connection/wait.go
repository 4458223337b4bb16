package connection

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds the wait that the service may ask for. It is known to ask for 4 seconds; a longer
// wait than maxWait is more likely a misreading.
const maxWait = 10 * time.Minute

// waitText finds a wait in the service's text when it is busy, e.g. "Please wait 4 seconds and try
// again." or "wait for 500 ms".
var waitText = regexp.MustCompile(`(?i)\bwait\s+(?:for\s+)?(?:at\s+least\s+)?([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(milliseconds?|msecs?|ms|seconds?|second\(s\)|secs?|s|minutes?|mins?)\b`)

// askedWait is how long a description asks to wait, 0 if it does not say.
func askedWait(description string) time.Duration {
	found := waitText.FindStringSubmatch(description)
	if found == nil {
		return 0
	}
	number, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return 0
	}
	unit := time.Second
	switch text := strings.ToLower(found[2]); {
	case strings.HasPrefix(text, "ms"), strings.HasPrefix(text, "milli"):
		unit = time.Millisecond
	case strings.HasPrefix(text, "min"):
		unit = time.Minute
	}
	return time.Duration(min(number*float64(unit), float64(maxWait)))
}
