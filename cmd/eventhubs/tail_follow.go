package main

import (
	"context"
	"fmt"

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

	walk    walk
	printer printer

	text  []byte // of the events that are not handed over yet
	ends  []int
	spare []byte // memory for the text after that, which is being written
	other []int
}

// follow passes on the events of a partition until --until is reached, ctx ends, or an error lasts.
func (t *tail) follow(ctx context.Context, s start, arrivals chan<- arrival) {
	id := s.extent.PartitionID
	f := &follower{tail: t, start: s, arrivals: arrivals, walk: newWalk(t.conn, t.options.hub, t.options.group, s, t.options.until, t.process.now)}
	f.walk.reader.Undecoded()
	defer f.walk.close()
	f.printer = newPrinter(&t.options.layout, id)
	err := f.run(ctx)
	if ctx.Err() == nil {
		f.hand(ctx, arrival{over: true, err: err})
	}
}

// run reads until --until is reached, or an error.
func (f *follower) run(ctx context.Context) error {
	for {
		events, over, err := f.walk.next(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			if err = f.take(ctx, &events[i]); err != nil {
				break
			}
		}
		if handed := f.flush(ctx); !handed || over || err != nil {
			return err
		}
	}
}

// take makes the text of an event.
func (f *follower) take(ctx context.Context, e *consumer.Event) (err error) {
	before := len(f.text)
	var quickly bool
	if f.text, quickly = f.printer.appendQuick(f.text, e, f.tail.options); quickly {
		if len(f.text) > before {
			f.ends = append(f.ends, len(f.text))
		}
		return nil
	}
	e.Decode()
	if e.Err != nil {
		if f.tail.options.stop {
			return fmt.Errorf("%s is not a valid AMQP message (--on-unreadable skip leaves it out): %w", e, e.Err)
		}
		if !f.flush(ctx) {
			return ctx.Err()
		}
		f.hand(ctx, arrival{note: fmt.Sprintf("Partition %s: %s is not a valid AMQP message and is left out: %v", f.start.extent.PartitionID, e, e.Err)})
		return nil
	}
	if f.text, err = f.printer.appendEvent(f.text, e, f.tail.options); err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	if len(f.text) > before {
		f.ends = append(f.ends, len(f.text))
	}
	return nil
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
