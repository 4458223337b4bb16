package emulator

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A filter is a receiver's start position, from its selector.
type filter struct {
	by        startBy
	inclusive bool
	value     int64 // offset, sequence number or milliseconds since 1970
}

type startBy uint8

const (
	byNothing startBy = iota // from the oldest event
	byOffset
	bySequence
	byTime
	byLatest // after the newest event
)

const filterPrefix = "amqp.annotation."

// parseFilter reads a selector. The official clients send these forms:
//
//	amqp.annotation.x-opt-offset > '-1'
//	amqp.annotation.x-opt-sequence-number >= 12
//	amqp.annotation.x-opt-enqueued-time > '1511302800000'
//	amqp.annotation.x-opt-offset > @latest
//
// .NET sends values without quotes, the others with them. White space may surround name, operator
// and value. An empty selector means the oldest event.
func parseFilter(expression string) (filter, error) {
	if strings.TrimSpace(expression) == "" {
		return filter{}, nil
	}
	name, rest, found := strings.Cut(expression, ">")
	if !found {
		return filter{}, fmt.Errorf("the selector %q has no '>' or '>='", expression)
	}
	var f filter
	if after, ok := strings.CutPrefix(rest, "="); ok {
		f.inclusive, rest = true, after
	}
	value, ok := unquote(strings.TrimSpace(rest))
	if !ok {
		return filter{}, fmt.Errorf("the value of the selector %q has a single quote without its counterpart", expression)
	}
	if value == "" {
		return filter{}, fmt.Errorf("the selector %q has no value", expression)
	}
	switch strings.TrimPrefix(strings.TrimSpace(name), filterPrefix) {
	case annotationOffset:
		f.by = byOffset
		if value == "@latest" {
			f.by = byLatest
			return f, nil
		}
	case annotationSequence:
		f.by = bySequence
	case annotationEnqueued:
		f.by = byTime
	default:
		return filter{}, fmt.Errorf("the selector %q names neither %s nor %s nor %s", expression, annotationOffset, annotationSequence, annotationEnqueued)
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return filter{}, fmt.Errorf("the supplied value '%s' in the selector %q is invalid: it is not an integer of 64 bits", value, expression)
	}
	f.value = number
	return f, nil
}

// unquote removes the single quotes around a value. It fails if the value contains others.
func unquote(value string) (_ string, ok bool) {
	if len(value) >= 2 && value[0] == '\'' && value[len(value)-1] == '\'' {
		value = value[1 : len(value)-1]
	}
	return value, !strings.Contains(value, "'")
}

// String is a selector that parseFilter reads as f.
func (f filter) String() string {
	operator := ">"
	if f.inclusive {
		operator = ">="
	}
	switch f.by {
	case byOffset:
		return fmt.Sprintf("%s%s %s '%d'", filterPrefix, annotationOffset, operator, f.value)
	case bySequence:
		return fmt.Sprintf("%s%s %s '%d'", filterPrefix, annotationSequence, operator, f.value)
	case byTime:
		return fmt.Sprintf("%s%s %s '%d'", filterPrefix, annotationEnqueued, operator, f.value)
	case byLatest:
		return fmt.Sprintf("%s%s %s '@latest'", filterPrefix, annotationOffset, operator)
	default:
		return ""
	}
}

// start is the filter's position in p. A position after the end is refused with the service's
// words: it comes from a checkpoint that is older than the data.
func (f filter) start(p *partition) (position, *refusal) {
	end := p.end()
	switch f.by {
	case byOffset:
		if f.value > max(end.offset, 0) {
			return 0, refuse(conditionArgument, "The supplied offset '%d' is invalid. The last offset in the system is '%d'", f.value, end.offset)
		}
		return found(p.afterOffset(f.value, f.inclusive))
	case bySequence:
		// One after the last is where the next event will be. A client may name it.
		if f.value > end.last+1 {
			return 0, refuse(conditionArgument, "The supplied sequence number '%d' is invalid. The last sequence number in the system is '%d'", f.value, end.last)
		}
		if f.inclusive {
			return position(max(f.value, 0)), nil
		}
		return position(max(f.value+1, 0)), nil
	case byTime:
		return found(p.afterTime(time.UnixMilli(f.value).UTC(), f.inclusive))
	case byLatest:
		if f.inclusive {
			return position(max(end.last, 0)), nil
		}
		return position(end.last + 1), nil
	default:
		return 0, nil
	}
}

// found is a position, unless the events could not be read to find it.
func found(pos position, err error) (position, *refusal) {
	if err != nil {
		return 0, unreadable(err)
	}
	return pos, nil
}

// unreadable is the refusal when the store fails to give an event.
func unreadable(err error) *refusal {
	return refuse(conditionInternal, "The events could not be read: %v.", err)
}
