package emulator

import "strings"

// The words that structure an address; case does not matter.
const (
	wordPartitions = "Partitions"
	wordGroups     = "ConsumerGroups"
	wordPublishers = "Publishers"

	nodeCBS        = "$cbs"
	nodeManagement = "$management"
)

// An address is the parsed name of a node. The parts are as the client wrote them, and may not
// exist.
type address struct {
	text      string // without the .NET client's leading slash, and the Python client's scheme and host
	node      string // nodeCBS or nodeManagement, else empty
	hub       string
	group     string
	partition string
	publisher string
	// Whether the address has these parts, even if empty.
	hasGroup, hasPartition, hasPublisher bool
}

// parseAddress parses
//
//	$cbs
//	$management, hub/$management, hub/ConsumerGroups/GROUP/$management
//	hub, hub/Partitions/ID, hub/Publishers/NAME
//	hub/ConsumerGroups/GROUP/Partitions/ID
//
// The name of a hub may contain slashes. A scheme and a host may precede the address.
func parseAddress(text string) address {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		_, text, _ = strings.Cut(rest, "/")
	}
	text = strings.TrimPrefix(text, "/")
	a := address{text: text}
	parts := strings.Split(strings.TrimSuffix(text, "/"), "/")
	last := parts[len(parts)-1]
	switch {
	case strings.EqualFold(text, nodeCBS):
		a.node = nodeCBS
		return a
	case strings.EqualFold(last, nodeManagement):
		a.node = nodeManagement
		parts, a.group, a.hasGroup = cutPair(parts[:len(parts)-1], wordGroups) // Rust's consumer
		a.hub = strings.Join(parts, "/")
		return a
	}
	parts, a.partition, a.hasPartition = cutPair(parts, wordPartitions)
	parts, a.group, a.hasGroup = cutPair(parts, wordGroups)
	parts, a.publisher, a.hasPublisher = cutPair(parts, wordPublishers)
	a.hub = strings.Join(parts, "/")
	return a
}

// cutPair cuts word and the part after it off the end of parts.
func cutPair(parts []string, word string) (rest []string, value string, found bool) {
	n := len(parts)
	if n < 3 || !strings.EqualFold(parts[n-2], word) {
		return parts, "", false
	}
	return parts[:n-2], parts[n-1], true
}

// parseAudience parses the audience of a token: an address after a scheme and a host.
func parseAudience(text string) address {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		text = rest
	}
	_, path, _ := strings.Cut(text, "/")
	return parseAddress(path)
}
