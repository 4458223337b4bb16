package eventhubs

import (
	"time"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// JournalSync says when an accepted event is safe.
type JournalSync int

const (
	// SyncEach: Enqueue returns when the event is on the disk (fsync). Callers that enqueue at the
	// same time share one fsync. A killed process and a power cut lose nothing.
	SyncEach JournalSync = iota
	// SyncInterval: Enqueue returns when the operating system has the event. The producer syncs
	// every JournalOptions.Interval. A killed process loses nothing, a power cut the last interval.
	SyncInterval
	// SyncOS: Enqueue returns when the operating system has the event, which writes it when it
	// likes to, often within 30 s. A killed process loses nothing.
	SyncOS
)

// JournalOptions keep accepted events in a directory until they have their outcome. See
// [Options.Journal].
type JournalOptions struct {
	// Directory holds the journal of one producer, for one event hub. The producer creates it, for
	// the owner only. Two processes cannot use it at the same time. It must be on a local disk.
	Directory string

	// MaxBytes bounds the files in the directory. At the bound Enqueue waits, as for a full buffer.
	// At least 4 MiB. The largest event takes a twelfth of it, or 48 MiB.
	// Default: 10 GiB.
	MaxBytes int64

	// KeepFree is how much of the disk stays free for others. If less is free, Enqueue waits as at
	// MaxBytes. Negative: nothing.
	// Default: 1 GiB.
	KeepFree int64

	// Sync says when an accepted event is safe.
	// Default: SyncEach.
	Sync JournalSync

	// Interval is the time between two syncs of SyncInterval.
	// Default: 1 s.
	Interval time.Duration

	// AllowRemote accepts a directory on a network file system. Its locks and its fsync are
	// promises of another machine.
	// Default: false.
	AllowRemote bool

	// Of tests.
	files        journal.Files
	segmentBytes int64
}

const (
	defaultJournalBytes    = 10 << 30
	leastJournalBytes      = 4 << 20
	defaultJournalKeepFree = 1 << 30
	defaultJournalInterval = time.Second
)

// withDefaults returns a copy in which every zero field has its default.
func (o *JournalOptions) withDefaults() *JournalOptions {
	if o == nil {
		return nil
	}
	c := *o
	setDefault(&c.MaxBytes, defaultJournalBytes)
	setDefault(&c.KeepFree, defaultJournalKeepFree)
	setDefault(&c.Interval, defaultJournalInterval)
	return &c
}

// segment returns the size of one of the files. There are at least four.
func (o *JournalOptions) segment() int64 {
	if o.segmentBytes > 0 {
		return o.segmentBytes
	}
	return min(max(o.MaxBytes/8, 1<<20)&^4095, 64<<20)
}

// largest returns how many encoded bytes an event may have: a file also has a snapshot.
func (o *JournalOptions) largest() int { return int(o.segment()/4*3 - 4096) }

// validateJournal checks the journal's options, and the options that it excludes.
func (o *Options) validateJournal() error {
	j := o.Journal
	switch {
	case j == nil:
		return nil
	case j.Directory == "":
		return invalid("Options.Journal.Directory is empty: name a directory for this producer alone")
	case j.MaxBytes < leastJournalBytes && j.segmentBytes == 0:
		return invalid("Options.Journal.MaxBytes is %d: it must be at least %d, or 0 for 10 GiB", j.MaxBytes, leastJournalBytes)
	case j.Sync < SyncEach || j.Sync > SyncOS:
		return invalid("Options.Journal.Sync is %d: it must be SyncEach, SyncInterval or SyncOS", j.Sync)
	case j.Interval < 0:
		return invalid("Options.Journal.Interval is %v: it must be positive, or 0 for %v", j.Interval, defaultJournalInterval)
	case o.ProducerStore != nil:
		return invalid("Options.ProducerStore is set together with Journal: the journal keeps the producer's identity; leave ProducerStore out")
	case o.FailFast:
		return invalid("Options.FailFast is set together with Journal: with a journal no event fails for having waited")
	case o.Retry.Policy != nil:
		return invalid("Options.Retry.Policy is set together with Journal: with a journal every batch is retried until it is stored; use RetryDelay and MaxRetryDelay for the pauses")
	case o.StopPartitionOnFailure:
		return invalid("Options.StopPartitionOnFailure is set together with Journal: this is not supported yet; use one of them")
	}
	return nil
}

func (s JournalSync) policy() journal.Policy {
	switch s {
	case SyncInterval:
		return journal.SyncInterval
	case SyncOS:
		return journal.SyncOS
	}
	return journal.SyncEach
}
