// Package defaults has the producer's constants that the command line uses too: each stands in one
// place.
package defaults

import "time"

// Of Options.
const (
	MaxWaitTime       = 250 * time.Millisecond
	MaxBufferedEvents = 2500
	MaxBufferedBytes  = 64 << 20
	DeliveryTimeout   = 15 * time.Minute
)

// LeastBatchBytes is the least size that a batch may have, however many links share the buffer.
const LeastBatchBytes = 128 << 10
