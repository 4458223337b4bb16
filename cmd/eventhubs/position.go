package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// A position is the value of --from: where reading starts.
type position struct {
	text     string
	earliest bool
	offset   string     // empty: not by offset
	sequence *int64     // nil: not by sequence number
	time     *time.Time // nil: not by time; if all are unset, the latest
}

// A start is the position in one partition.
type start struct {
	partition string
	position  azeventhubs.StartPosition
}

// parsePosition reads start, latest, offset:N, sequence:N or time:RFC3339.
func parsePosition(text string) (position, error) {
	kind, value, hasValue := strings.Cut(text, ":")
	from := position{text: text}
	switch {
	case text == "latest":
		return from, nil
	case text == "start":
		from.earliest = true
		return from, nil
	case kind == "offset" && value != "":
		// The service calls an offset opaque. A quotation mark would break out of the filter that
		// the SDK makes of it.
		if strings.ContainsAny(value, `'"\`) {
			return from, badInput("--from is %q; an offset has no quotation marks", text)
		}
		from.offset = value
		return from, nil
	case kind == "sequence" && hasValue:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return from, badInput("--from is %q; want a whole number from 0, as in sequence:41", text)
		}
		from.sequence = &n
		return from, nil
	case kind == "time" && hasValue:
		t, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return from, badInput("--from is %q; want a time as in time:2026-01-31T12:00:00Z", text)
		}
		from.time = &t
		return from, nil
	}
	return from, badInput("--from is %q; it must be start, latest, offset:N, sequence:N or time:RFC3339", text)
}

// in returns where reading starts in a partition with this extent.
func (from position) in(extent azeventhubs.PartitionProperties) azeventhubs.StartPosition {
	last := extent.LastEnqueuedSequenceNumber
	switch {
	case from.earliest, last < 0: // In a partition that never had events, all events are new.
		return azeventhubs.StartPosition{Earliest: new(true)}
	case from.sequence != nil && *from.sequence <= last:
		return azeventhubs.StartPosition{SequenceNumber: from.sequence, Inclusive: true}
	case from.offset != "" && !behind(from.offset, extent.LastEnqueuedOffset):
		return azeventhubs.StartPosition{Offset: &from.offset, Inclusive: true}
	case from.time != nil:
		return azeventhubs.StartPosition{EnqueuedTime: from.time, Inclusive: true}
	default: // Latest, or beyond the partition's end, which the service would refuse.
		return azeventhubs.StartPosition{SequenceNumber: &last}
	}
}

// behind reports whether an offset is larger than the last one, if both are numbers.
func behind(offset, last string) bool {
	n, err := strconv.ParseInt(offset, 10, 64)
	m, lastErr := strconv.ParseInt(last, 10, 64)
	return err == nil && lastErr == nil && n > m
}
