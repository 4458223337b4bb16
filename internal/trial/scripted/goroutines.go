package scripted

import (
	"runtime"
	"strings"
)

// Goroutines counts the goroutines that producers have started: senders, discovery and refresh.
func Goroutines() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "eventhubs.(*partition).send(") || strings.Contains(stack, "eventhubs.(*staging).discover(") || strings.Contains(stack, ".refresh(") {
			n++
		}
	}
	return n
}
