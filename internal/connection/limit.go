package connection

import (
	"regexp"
	"strconv"
)

// limitText finds the limit in the service's text about a message that is too large: "The received
// message (delivery-id:0, size:262412 bytes) exceeds the limit (262144 bytes) currently allowed on
// the link."
var limitText = regexp.MustCompile(`(?i)\blimit\s*(?:of\s*|is\s*)?\(?\s*([0-9]{1,18})\s*bytes\b`)

// statedLimit is how many bytes a description allows for a message, 0 if it does not say.
func statedLimit(description string) int {
	found := limitText.FindStringSubmatch(description)
	if found == nil {
		return 0
	}
	limit, err := strconv.Atoi(found[1])
	if err != nil {
		return 0 // larger than any message
	}
	return limit
}
