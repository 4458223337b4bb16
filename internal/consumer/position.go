package consumer

import (
	"fmt"
	"strconv"
	"time"
)

// A Position is where reading starts in a partition. The zero Position is its oldest event.
type Position struct {
	kind     positionKind
	sequence int64
	offset   string
	time     time.Time
}

type positionKind uint8

const (
	fromStart positionKind = iota
	afterSequence
	atOffset
	atTime
)

// Start is before the oldest event.
func Start() Position { return Position{} }

// After is after the event with a sequence number. The event need not exist any more.
func After(sequence int64) Position { return Position{kind: afterSequence, sequence: sequence} }

// AtOffset is before the event with an offset. Only the service knows what an offset means.
func AtOffset(offset string) Position { return Position{kind: atOffset, offset: offset} }

// AtTime is before the first event that was stored at a time or later. The service counts
// milliseconds.
func AtTime(t time.Time) Position { return Position{kind: atTime, time: t} }

// selector returns a position as the service's filter.
func (p Position) selector() string {
	const annotation = "amqp.annotation."
	switch p.kind {
	case afterSequence:
		return annotation + "x-opt-sequence-number > '" + strconv.FormatInt(p.sequence, 10) + "'"
	case atOffset:
		return annotation + "x-opt-offset >= '" + p.offset + "'"
	case atTime:
		return annotation + "x-opt-enqueued-time >= '" + strconv.FormatInt(p.time.UnixMilli(), 10) + "'"
	}
	return annotation + "x-opt-offset > '-1'"
}

// String names the place where the position is.
func (p Position) String() string {
	switch p.kind {
	case afterSequence:
		return fmt.Sprintf("sequence number %d", p.sequence)
	case atOffset:
		return "offset " + p.offset
	case atTime:
		return p.time.UTC().Format(time.RFC3339Nano)
	}
	return "the start"
}
