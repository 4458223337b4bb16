package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

const (
	// patience is how long a Reader tries again where a partition cannot be read.
	patience = time.Minute

	// pause is the time between two tries.
	pause = time.Second

	// settled is how long a link must have lived to be opened again without a pause. One that the
	// service ends soon counts as a failed try.
	settled = 10 * time.Second

	// openTimeout bounds one try.
	openTimeout = 30 * time.Second
)

// A Reader reads the events of a partition in their order, each once. It goes on after the last
// event that it has returned when the connection or the link is lost. One goroutine at a time may
// use it.
type Reader struct {
	// Immutable.
	conn      *connection.Conn
	source    connection.Source // without the selector
	undecoded bool

	position Position             // of the next event
	receiver *connection.Receiver // nil while there is none
	opened   time.Time            // when receiver was opened
	failing  time.Time            // of the first failed try in a row; zero if the last succeeded
	events   []Event              // memory for the next call
}

// NewReader makes a reader of a partition. It does not touch the network.
func NewReader(conn *connection.Conn, hub, group, partition string, from Position) *Reader {
	return &Reader{conn: conn, source: connection.Source{Hub: hub, ConsumerGroup: group, PartitionID: partition}, position: from}
}

// Undecoded makes the reader leave it to the caller to decode an event. Then the events and all
// their bytes are valid only until the next call of Next. It is called before the first.
func (r *Reader) Undecoded() { r.undecoded = true }

// Next waits for events, and returns all that have come. The slice is valid until the next call. It
// tries again for a minute where that may help. After an error there are no more events. The error
// is an *connection.Error, or ctx's.
func (r *Reader) Next(ctx context.Context) ([]Event, error) {
	for {
		events, err := r.try(ctx)
		switch {
		case err == nil:
			r.failing = time.Time{}
			return events, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		good := r.receiver != nil && time.Since(r.opened) >= settled
		r.Close()
		switch {
		case !passing(err):
			return nil, err
		case good:
			r.failing = time.Time{}
		case !r.patient():
			return nil, err
		default:
			if err := sleep(ctx, pause); err != nil {
				return nil, err
			}
		}
	}
}

// try reads once.
func (r *Reader) try(ctx context.Context) ([]Event, error) {
	if r.receiver == nil {
		opening, cancel := context.WithTimeout(ctx, openTimeout)
		defer cancel()
		source := r.source
		source.Selector = r.position.selector()
		receiver, err := r.conn.Receiver(opening, source)
		if err != nil {
			return nil, err
		}
		r.receiver, r.opened = receiver, time.Now()
	}
	next, read := r.receiver.Next, decode
	if r.undecoded {
		next, read = r.receiver.NextLent, locate
	}
	encoded, err := next(ctx)
	if err != nil {
		return nil, err
	}
	clear(r.events)
	r.events = r.events[:0]
	for _, b := range encoded {
		e := read(b)
		e.after = r.position
		if e.Placed {
			r.position = After(e.SequenceNumber)
		}
		r.events = append(r.events, e)
	}
	return r.events, nil
}

// passing reports whether another try may help. A link that is lost is opened again, also one that
// the service has ended for its token: the next has a new one.
func passing(err error) bool {
	e, ok := errors.AsType[*connection.Error](err)
	return ok && (e.Transient || e.Lost)
}

// patient reports whether to try again.
func (r *Reader) patient() bool {
	if r.failing.IsZero() {
		r.failing = time.Now()
	}
	return time.Since(r.failing) < patience
}

// Close ends the reader's link.
func (r *Reader) Close() {
	if r.receiver != nil {
		r.receiver.Close()
		r.receiver = nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
