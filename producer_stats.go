package eventhubs

import (
	"sync/atomic"
	"time"
)

// Stats are a producer's numbers. Totals count from its construction.
type Stats struct {
	BufferedEvents int           // accepted and without an outcome, those in the journal included
	BufferedBytes  int           // encoded, of those in memory
	OldestEventAge time.Duration // of the first event of the oldest batch; zero when nothing is buffered
	WaitingCallers int           // that wait for room, in Enqueue

	MaxBufferedEvents int // the bound in Options
	MaxBufferedBytes  int // the bound in Options

	StoredEvents         uint64
	StoredBytes          uint64
	NotStoredEvents      uint64 // certainly not stored
	PossiblyStoredEvents uint64 // failed, but may be stored
	StoredBatches        uint64
	FailedBatches        uint64

	Retries        uint64        // tries after the first, except after throttling; those of a batch that was cut for its size count
	AmbiguousTries uint64        // tries after which the batch may or may not be stored
	ThrottledTries uint64        // tries for which the service was too busy
	ThrottledTotal time.Duration // time waited for that reason

	UnheardFailures uint64 // failed events with neither a handler nor a Delivery; they were logged
	HandlerPanics   uint64 // handler calls that ended in a panic or with runtime.Goexit

	// QueuedTotal is the time that stored batches spent in the buffer, from their first event to
	// their first try, added up. OnWireTotal is the time from their first try to the
	// acknowledgement. Divided by StoredBatches they are means.
	QueuedTotal time.Duration
	OnWireTotal time.Duration
	// Fill is how full stored batches were on average: their bytes divided by the bytes that they
	// could have had, between 0 and 1.
	Fill float64

	Partitions []PartitionStats

	Journal *JournalState // nil without Options.Journal
}

// PartitionStats are the numbers of one partition.
type PartitionStats struct {
	ID              string // empty for ServiceAssigned, and for events whose partition is not known yet
	BufferedEvents  int
	BufferedBytes   int
	BatchesInFlight int // taken to be sent, and without an outcome
	OldestEventAge  time.Duration
	Waiting         Waiting

	// State is the state of this partition alone, with the meanings of Health: HealthReady without
	// trouble, HealthConnecting before its link was first open. Since is when the trouble began, and
	// Err is the reason for the State. Both are zero without trouble.
	State HealthState
	Since time.Time
	Err   error

	// RunningAge is how long a try or a handler of the partition has run. A try includes opening
	// the link. If several run, it counts from the last one that ended. It is zero while none runs.
	RunningAge time.Duration

	// LastErr is the error of the latest failed try, even if later ones succeeded, and LastFailure
	// is when it failed. They are zero if none has failed.
	LastErr     error
	LastFailure time.Time
	// FailingSince is when the first try failed after the last one that succeeded. It is zero while
	// all is well.
	FailingSince time.Time

	// LastNumber is the number of this producer's last event stored in the partition, with
	// EnableIdempotentRetries. Numbers count the stored events from 1, over all lives of a producer
	// with a ProducerStore. After 2,147,483,647 comes 0. It is -1 while it is not known, before the
	// link is first open, and without EnableIdempotentRetries.
	LastNumber int64

	// MaxMessageSize is the largest message that the partition's link takes, in bytes, as of its
	// latest attach. It is 1,046,528 on most tiers, and 20 MB on dedicated clusters. It is 0 before
	// the link was first open; ConnectOptions.Links opens it. The largest event is a little
	// smaller, since its key and headers are in the message too.
	MaxMessageSize int
}

// Waiting says what a partition with buffered events is waiting for.
type Waiting int

const (
	WaitingForNothing Waiting = iota
	WaitingForEvents          // its open batch lingers, or waits until it is full
	WaitingForLink            // the connection or the link is being opened
	WaitingForService         // a batch is being sent, or its acknowledgement has not come
	WaitingThrottled          // the service has asked for a pause
	WaitingToRetry            // the pause after a failed try
	WaitingForList            // the hub's partitions are not known yet
	WaitingStopped            // for ResumePartition: StopPartitionOnFailure has stopped it
	WaitingForCredit          // the link is open, but the service does not allow a message yet
	WaitingForHandler         // a handler runs; the next batch leaves when it has returned
)

// counts are the totals, which only grow.
type counts struct {
	storedEvents, storedBytes, failedEvents, possiblyEvents atomic.Uint64
	storedBatches, failedBatches                            atomic.Uint64
	retries, ambiguousTries, throttled                      atomic.Uint64
	throttledFor, queued, onWire                            atomic.Int64
	unheard, panics                                         atomic.Uint64
	fill                                                    atomic.Uint64 // in millionths, added up
}

// add counts a batch's outcome. The limit is how many bytes the batch could have had.
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

// Stats returns the producer's numbers. It reads one partition after another. The numbers of each
// partition are exact, but their sum is not the total of one instant.
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
	if p.journal != nil {
		s.Journal = p.journal.state()
		if !s.Journal.Oldest.IsZero() {
			s.OldestEventAge = time.Since(s.Journal.Oldest)
		}
		s.BufferedEvents, s.WaitingCallers = s.Journal.Events, int(p.journal.room.waiting.Load())
	}
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
