package main

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

// A position is where reading starts: the value of --from, or of -n.
type position struct {
	text     string
	earliest bool
	offset   string     // empty: not by offset
	sequence *int64     // nil: not by sequence number
	time     *time.Time // nil: not by time
	newest   int        // events of each partition; 0: not given. If all are unset, the latest
}

// parsePosition reads start, latest, offset:N, sequence:N or a time, the value of an option.
func parsePosition(option, text string, now time.Time) (position, error) {
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
		// is made of it.
		if strings.ContainsAny(value, `'"\`) {
			return from, badInput("%s is %q; an offset has no quotation marks", option, text)
		}
		from.offset = value
		return from, nil
	case kind == "sequence" && hasValue:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return from, badInput("%s is %q; want a whole number from 0, as in sequence:41", option, text)
		}
		from.sequence = &n
		return from, nil
	}
	moment := strings.TrimPrefix(text, "time:")
	if d, ok := parseSpan(moment); ok && d > 0 {
		return from, badInput("%s is %q, a time to come; the time before now is -%s", option, text, strings.TrimPrefix(moment, "+"))
	}
	if t, ok := parseMoment(moment, now); ok {
		from.time = &t
		return from, nil
	}
	if kind == "time" {
		return from, badInput("%s is %q; want a time as in time:2026-01-31T12:00:00Z or time:-15m", option, text)
	}
	return from, badInput("%s is %q; it must be start, latest, offset:N, sequence:N, a time in RFC 3339, or a time before now, such as -15m", option, text)
}

// days matches the days of a duration, which Go's durations do not have.
var days = regexp.MustCompile(`^(-?)(\d{1,6})d`)

// parseMoment reads a time in RFC 3339, or a duration before or after now, such as -15m or -2d12h.
func parseMoment(text string, now time.Time) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	d, ok := parseSpan(text)
	return now.Add(d), ok
}

// parseSpan reads a duration that may have days, such as -15m or -2d12h.
func parseSpan(text string) (time.Duration, bool) {
	var whole time.Duration
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[2]) // digits, as matched
		if whole = time.Duration(n) * 24 * time.Hour; n > 36500 {
			return 0, false
		}
		if text = text[len(m[0]):]; text == "" {
			text = "0s"
		}
		if m[1] == "-" {
			whole, text = -whole, "-"+text
		}
	}
	d, err := time.ParseDuration(text)
	return whole + d, err == nil
}

// in returns where reading starts in a partition with this extent. If it is after the partition's
// last event, beyond is true.
func (from position) in(extent connection.PartitionProperties) (at consumer.Position, beyond bool) {
	last := extent.LastEnqueuedSequenceNumber
	switch {
	case last < 0: // In a partition that never had events, all events are new.
		return consumer.Start(), true
	case from.earliest:
		return consumer.Start(), extent.IsEmpty
	case from.newest > 0:
		return consumer.After(max(last-int64(from.newest), -1)), extent.IsEmpty
	case from.sequence != nil && *from.sequence <= last:
		return consumer.After(*from.sequence - 1), extent.IsEmpty
	case from.offset != "" && !behind(from.offset, extent.LastEnqueuedOffset):
		return consumer.AtOffset(from.offset), extent.IsEmpty
	case from.time != nil:
		return consumer.AtTime(*from.time), extent.IsEmpty || extent.LastEnqueuedOn.Before(from.time.Truncate(time.Millisecond))
	default: // Latest, or beyond the partition's end, which the service would refuse.
		return consumer.After(last), true
	}
}

// behind reports whether an offset is larger than the last one, if both are numbers.
func behind(offset, last string) bool {
	n, err := strconv.ParseInt(offset, 10, 64)
	m, lastErr := strconv.ParseInt(last, 10, 64)
	return err == nil && lastErr == nil && n > m
}
