package main

import (
	"context"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
	"github.com/go-eventhubs/eventhubs/internal/consumer"
)

// A walk reads one partition from its start to its bound. It belongs to one goroutine.
type walk struct {
	reader *consumer.Reader
	bound  bound
	last   int64 // sequence number of the last event that was read or is not wanted; -1 for none
}

func newWalk(conn *connection.Conn, hub, group string, s start, end until, now func() time.Time) walk {
	id := s.extent.PartitionID
	w := walk{last: -1, reader: consumer.NewReader(conn, hub, group, id, s.at)}
	if s.beyond {
		w.last = s.extent.LastEnqueuedSequenceNumber // nothing up to it is wanted
	}
	w.bound = bound{until: end, now: now, extent: func(ctx context.Context) (connection.PartitionProperties, error) {
		return conn.PartitionProperties(ctx, hub, id)
	}}
	w.bound.start(s.extent, s.beyond)
	return w
}

func (w *walk) close() { w.reader.Close() }

// next waits for events, and returns those before the bound. They are valid until the next call. It
// reports whether the walk ends with them.
func (w *walk) next(ctx context.Context) (events []consumer.Event, over bool, err error) {
	if w.bound.known && w.bound.beyond {
		return nil, true, nil
	}
	for {
		events, err := w.wait(ctx)
		switch {
		case err != nil:
			return nil, false, err
		case len(events) > 0:
			events, over := w.within(events)
			return events, over, nil
		}
		if over, err := w.bound.look(ctx, w.last); over || err != nil {
			return nil, over, err
		}
	}
}

// wait waits for events. It returns none if the bound wants to look.
func (w *walk) wait(ctx context.Context) ([]consumer.Event, error) {
	patience := w.bound.wait()
	if patience == 0 {
		return w.reader.Next(ctx)
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	events, err := w.reader.Next(waiting)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return events, err
}

// within returns the events up to the bound, and reports whether it is reached.
func (w *walk) within(events []consumer.Event) ([]consumer.Event, bool) {
	for i := range events {
		e := &events[i]
		if w.bound.ends(e) {
			return events[:i], true
		}
		if e.Placed {
			w.last = e.SequenceNumber
		}
		if w.bound.reached(e) {
			return events[:i+1], true
		}
	}
	return events, false
}
