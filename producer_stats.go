package eventhubs

import (
	"sync/atomic"
	"time"
)

// Stats are a producer's numbers. Those that only grow count from its construction.
type Stats struct {
	BufferedEvents int           // accepted and without an outcome
	BufferedBytes  int           // encoded
	OldestEventAge time.Duration // how long the first event of the oldest batch has waited; zero when nothing is buffered
	WaitingCallers int           // that wait for room, in Enqueue

	MaxBufferedEvents int // the bounds: Options.MaxBufferedEvents
	MaxBufferedBytes  int // and Options.MaxBufferedBytes

	StoredEvents         uint64
	StoredBytes          uint64
	NotStoredEvents      uint64 // certainly not stored
	PossiblyStoredEvents uint64 // failed, and perhaps stored all the same
	StoredBatches        uint64
	FailedBatches        uint64

	Retries        uint64        // tries after the first, throttling apart
	AmbiguousTries uint64        // tries that ended without telling whether the batch was stored
	ThrottledTries uint64        // tries that the service was too busy for
	ThrottledTotal time.Duration // what was waited for that reason

	UnheardFailures uint64 // failed events of which neither a handler nor a Delivery was told; they were logged
	HandlerPanics   uint64 // calls of a handler that ended in a panic, or with runtime.Goexit

	// QueuedTotal and OnWireTotal are the time that stored batches have spent in the buffer, from their first event, and from their first try to the
	// acknowledgement, all added up. Divided by StoredBatches they are means.
	QueuedTotal time.Duration
	OnWireTotal time.Duration
	// Fill is how full stored batches were on average: bytes over what a batch might have had, between 0 and 1.
	Fill float64

	Partitions []PartitionStats
}

// PartitionStats are the numbers of one partition.
type PartitionStats struct {
	ID              string // empty for what the service assigns, and for events whose partition is not yet known
	BufferedEvents  int
	BufferedBytes   int
	BatchesInFlight int // taken by a sender
	OldestEventAge  time.Duration
	Waiting         Waiting

	// RunningAge is how long a try or a handler has run without anything of the partition ending: an opening, a batch on its way, or what Waiting says. Zero
	// while none runs.
	RunningAge time.Duration

	LastErr      error     // of the latest try that failed, also when all is well again; nil if none has
	FailingSince time.Time // when the first of the tries failed that have failed since a batch was stored; zero while all is well

	// LastNumber is, with EnableIdempotentRetries, the number of this producer's last event that is stored in the partition. Numbers count the stored events,
	// from 1, over all lives of a producer with a ProducerStore; after 2,147,483,647 comes 0. It is -1 while it is not known, before the link is
	// first open, and without EnableIdempotentRetries.
	LastNumber int64

	// MaxMessageSize is the largest message that the partition's link takes, in bytes, as of its latest attach: 1,046,528 on most tiers, 20 MB on dedicated
	// clusters. It is 0 before the link was first open; ConnectOptions.Links opens it. An event is a little smaller: its key and headers go into the message, too.
	MaxMessageSize int
}

// Waiting is what a partition with buffered events is waiting for.
type Waiting int

const (
	WaitingForNothing Waiting = iota
	WaitingForEvents          // its open batch lingers, or waits until it is full
	WaitingForLink            // the connection or the link is being opened
	WaitingForService         // a batch is being sent, or its acknowledgement is awaited
	WaitingThrottled          // the service has asked to wait
	WaitingToRetry            // the pause after a failed try
	WaitingForList            // the hub's partitions are not known yet
	WaitingStopped            // StopPartitionOnFailure has stopped it
	WaitingForCredit          // the link is open, and the service does not allow a message yet
	WaitingForHandler         // a handler runs: the next batch leaves when it has returned
)

// counts are the numbers that only grow.
type counts struct {
	storedEvents, storedBytes, failedEvents, possiblyEvents atomic.Uint64
	storedBatches, failedBatches                            atomic.Uint64
	retries, ambiguousTries, throttled                      atomic.Uint64
	throttledFor, queued, onWire                            atomic.Int64
	unheard, panics                                         atomic.Uint64
	fill                                                    atomic.Uint64 // in millionths, added up
}

// add counts a batch's outcome. The limit is what it might have had, in bytes.
func (c *counts) add(b *batch, o Outcome, limit int) {
	events := uint64(b.count)
	switch o.Storage {
	case Stored:
		c.storedEvents.Add(events)
		c.storedBytes.Add(uint64(b.bytes))
		c.storedBatches.Add(1)
		c.queued.Add(int64(o.Queued))
		c.onWire.Add(int64(o.OnWire))
		c.fill.Add(uint64(1e6 * min(1, float64(b.bytes)/float64(max(1, limit)))))
	case PossiblyStored:
		c.possiblyEvents.Add(events)
		c.failedBatches.Add(1)
	default:
		c.failedEvents.Add(events)
		c.failedBatches.Add(1)
	}
}

// Stats returns the producer's numbers. It looks at each partition in turn, so that the numbers of one are exact and their sum is not the
// total of one instant.
func (p *BufferedProducer) Stats() Stats {
	c := &p.observer.counts
	s := Stats{
		StoredEvents: c.storedEvents.Load(), StoredBytes: c.storedBytes.Load(), NotStoredEvents: c.failedEvents.Load(), PossiblyStoredEvents: c.possiblyEvents.Load(),
		StoredBatches: c.storedBatches.Load(), FailedBatches: c.failedBatches.Load(),
		Retries: c.retries.Load(), AmbiguousTries: c.ambiguousTries.Load(), ThrottledTries: c.throttled.Load(), ThrottledTotal: time.Duration(c.throttledFor.Load()),
		UnheardFailures: c.unheard.Load(), HandlerPanics: c.panics.Load(),
		QueuedTotal: time.Duration(c.queued.Load()), OnWireTotal: time.Duration(c.onWire.Load()),
	}
	s.BufferedEvents, s.BufferedBytes = p.admission.count()
	s.WaitingCallers = p.admission.callers()
	s.MaxBufferedEvents, s.MaxBufferedBytes = p.options.MaxBufferedEvents, p.options.MaxBufferedBytes
	if s.StoredBatches > 0 {
		s.Fill = float64(c.fill.Load()) / 1e6 / float64(s.StoredBatches)
	}
	now := time.Now()
	if staged := p.directory.staging.stats(now); staged.BufferedEvents > 0 || staged.Waiting == WaitingForHandler {
		s.Partitions = append(s.Partitions, staged)
	}
	for _, part := range p.directory.partitions() {
		s.Partitions = append(s.Partitions, part.stats(now))
	}
	for _, part := range s.Partitions {
		s.OldestEventAge = max(s.OldestEventAge, part.OldestEventAge)
	}
	return s
}
