package main

import (
	"context"
	"fmt"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

// largestKept is the size in bytes of a text whose memory is used again.
const largestKept = 1 << 20

// A follower reads one partition, and makes text of its events. It belongs to one goroutine.
type follower struct {
	// Immutable.
	tail     *tail
	start    start
	arrivals chan<- arrival

	reader  *consumer.Reader
	bound   bound
	printer printer
	last    int64 // sequence number of the last event that was read or is not wanted; -1 for none

	text  []byte // of the events that are not handed over yet
	ends  []int
	spare []byte // memory for the text after that, which is being written
	other []int
}

// follow passes on the events of a partition until --until is reached, ctx ends, or an error lasts.
func (t *tail) follow(ctx context.Context, s start, arrivals chan<- arrival) {
	id := s.extent.PartitionID
	f := &follower{tail: t, start: s, arrivals: arrivals, last: -1}
	if s.beyond {
		f.last = s.extent.LastEnqueuedSequenceNumber // nothing up to it is wanted
	}
	f.reader = consumer.NewReader(t.conn, t.options.hub, t.options.group, id, s.at)
	f.reader.Undecoded()
	defer f.reader.Close()
	f.printer = newPrinter(&t.options.layout, id)
	f.bound = bound{until: t.options.until, now: t.process.now, extent: func(ctx context.Context) (connection.PartitionProperties, error) {
		return t.conn.PartitionProperties(ctx, t.options.hub, id)
	}}
	f.bound.start(s.extent, s.beyond)
	err := f.run(ctx)
	if ctx.Err() == nil {
		f.hand(ctx, arrival{over: true, err: err})
	}
}

// run reads until --until is reached, or an error.
func (f *follower) run(ctx context.Context) error {
	if f.bound.known && f.bound.beyond {
		return nil
	}
	for {
		events, err := f.next(ctx)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			if over, err := f.bound.look(ctx, f.last); over || err != nil {
				return err
			}
			continue
		}
		over := false
		for i := range events {
			if over, err = f.take(ctx, &events[i]); over || err != nil {
				break
			}
		}
		if handed := f.flush(ctx); !handed || over || err != nil {
			return err
		}
	}
}

// next waits for events. It returns none if the bound wants to look.
func (f *follower) next(ctx context.Context) ([]consumer.Event, error) {
	wait := f.bound.wait()
	if wait == 0 {
		return f.reader.Next(ctx)
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	events, err := f.reader.Next(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return events, err
}

// take makes the text of an event. It reports whether reading ends with it.
func (f *follower) take(ctx context.Context, e *consumer.Event) (over bool, err error) {
	if f.bound.ends(e) {
		return true, nil
	}
	if e.Placed {
		f.last = e.SequenceNumber
	}
	before := len(f.text)
	var quickly bool
	if f.text, quickly = f.printer.appendQuick(f.text, e, f.tail.options); quickly {
		if len(f.text) > before {
			f.ends = append(f.ends, len(f.text))
		}
		return f.bound.reached(e), nil
	}
	e.Decode()
	if e.Err != nil {
		if f.tail.options.stop {
			return false, fmt.Errorf("%s is not a valid AMQP message (--on-unreadable skip leaves it out): %w", e, e.Err)
		}
		if !f.flush(ctx) {
			return false, ctx.Err()
		}
		f.hand(ctx, arrival{note: fmt.Sprintf("Partition %s: %s is not a valid AMQP message and is left out: %v", f.start.extent.PartitionID, e, e.Err)})
		return f.bound.reached(e), nil
	}
	if f.text, err = f.printer.appendEvent(f.text, e, f.tail.options); err != nil {
		return false, fmt.Errorf("%s: %w", e, err)
	}
	if len(f.text) > before {
		f.ends = append(f.ends, len(f.text))
	}
	return f.bound.reached(e), nil
}

// flush hands over the text. It returns false if ctx has ended.
func (f *follower) flush(ctx context.Context) bool {
	if len(f.ends) == 0 {
		return ctx.Err() == nil
	}
	if !f.hand(ctx, arrival{text: f.text, ends: f.ends}) {
		return false
	}
	// The text before this one has been written now: its arrival was taken before this one.
	f.text, f.spare = f.spare[:0], f.text
	f.ends, f.other = f.other[:0], f.ends
	if cap(f.spare) > largestKept {
		f.spare = nil
	}
	return true
}

// hand hands over an arrival. It returns false if ctx has ended.
func (f *follower) hand(ctx context.Context, a arrival) bool {
	a.partition = f.start.extent.PartitionID
	select {
	case f.arrivals <- a:
		return true
	case <-ctx.Done():
		return false
	}
}
