// Package producerview gives package producerhttp the recent totals of a producer, without making
// them public. Package eventhubs sets the function before anything runs.
package producerview

import "time"

const (
	// Interval is how far apart moments are, at least.
	Interval = 5 * time.Second
	// Kept is how far back moments reach.
	Kept = 15 * time.Minute
)

// Moments returns the totals of the last minutes of an *eventhubs.BufferedProducer, the oldest
// first. The last one is of this moment. The first call makes the producer keep them from now on.
//
// The producer keeps a moment before it counts an outcome or a failed try, unless the latest moment
// is younger than Interval. So no total changes between a moment and the next, except within
// Interval after the first of them. Only Buffered may change at any time.
var Moments func(producer any) []Moment

// A Moment has the totals of a producer at one time, as eventhubs.Stats has them.
type Moment struct {
	At       time.Time
	Buffered int

	StoredEvents, StoredBytes, StoredBatches uint64
	NotStoredEvents, PossiblyStoredEvents    uint64
	Retries, ThrottledTries                  uint64
}
