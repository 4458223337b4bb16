package emulator

import (
	"fmt"
	"slices"
	"strings"
)

// The words of enumerations. Kinds are indexed by their number, the others by their bit, from the
// lowest.
var (
	kindNames      = []string{"unknown", "connection", "attach", "put-token", "management", "transfer", "delivery"}
	rightNames     = []string{"Send", "Listen", "Manage"}
	transportNames = []string{"TCP", "TLS", "WebSocket", "WebSocket over TLS"}
)

// bitNames are the names of the set bits, from the lowest.
func bitNames(bits uint8, all []string) string {
	var names []string
	for i, name := range all {
		if bits&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// readBits sets exactly the bits that text names; no names mean no bits.
func readBits(kind string, bits *uint8, text []byte, all []string) error {
	var read uint8
	if len(text) > 0 {
		for name := range strings.SplitSeq(string(text), ", ") {
			i := slices.Index(all, name)
			if i < 0 {
				return unknownWord(kind, name, all)
			}
			read |= 1 << i
		}
	}
	*bits = read
	return nil
}

func unknownWord(kind, word string, all []string) error {
	return fmt.Errorf("emulator: %q is no %s: it is one of %s", word, kind, strings.Join(all, ", "))
}
