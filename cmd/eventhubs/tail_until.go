package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

// An until is the value of --until: where reading ends. The zero until is never.
type until struct {
	end  bool      // at the last event that a partition has when reading begins
	time time.Time // before the first event stored then or later; zero: not by time
}

func parseUntil(text string, now time.Time) (until, error) {
	if text == "end" {
		return until{end: true}, nil
	}
	t, ok := parseMoment(text, now)
	if !ok {
		return until{}, badInput("--until is %q; it must be end, a time in RFC 3339, or a time before or after now, such as -5m or 1h", text)
	}
	return until{time: t}, nil
}

func (u until) given() bool { return u.end || !u.time.IsZero() }

// silence is how long a partition may be silent before a bound asks where its end is. Its last
// event may have been deleted meanwhile.
const silence = 10 * time.Second

// A bound is where reading ends in one partition. It belongs to the goroutine that reads there.
type bound struct {
	// Immutable.
	until  until
	now    func() time.Time
	extent func(context.Context) (connection.PartitionProperties, error)

	asked  bool  // the service has been asked in vain
	known  bool  // last is known
	last   int64 // the sequence number after which nothing is read
	beyond bool  // reading begins after it
}

// start fixes the bound when reading begins, for a partition with this extent.
func (b *bound) start(extent connection.PartitionProperties, beyond bool) {
	if b.until.end || !b.until.time.IsZero() && !b.now().Before(b.until.time) {
		b.known, b.last = true, extent.LastEnqueuedSequenceNumber
		b.beyond = beyond
	}
}

// ends reports whether reading ends before this event.
func (b *bound) ends(e *consumer.Event) bool {
	if !e.Placed {
		return false
	}
	return b.known && e.SequenceNumber > b.last || !b.until.time.IsZero() && !e.EnqueuedTime.Before(b.until.time)
}

// reached reports whether reading ends after this event.
func (b *bound) reached(e *consumer.Event) bool {
	return b.known && e.Placed && e.SequenceNumber >= b.last
}

// wait returns how long to wait for an event before looking again; 0 for any time.
func (b *bound) wait() time.Duration {
	switch {
	case b.known, b.asked:
		return silence
	case b.until.time.IsZero():
		return 0
	}
	return max(b.until.time.Sub(b.now()), time.Millisecond)
}

// look is called after a wait without an event, with the sequence number of the last event that was
// read, or -1. It reports whether reading ends.
func (b *bound) look(ctx context.Context, read int64) (over bool, err error) {
	if !b.known && b.now().Before(b.until.time) {
		return false, nil
	}
	extent, err := b.extent(ctx)
	if err != nil {
		b.asked = true
		if e, ok := errors.AsType[*connection.Error](err); ok && e.Transient {
			return false, nil // asked again after silence
		}
		return false, err
	}
	if !b.known {
		b.known, b.last = true, extent.LastEnqueuedSequenceNumber
	}
	return extent.IsEmpty || read >= b.last || extent.BeginningSequenceNumber > b.last, nil
}
