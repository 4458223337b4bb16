package eventhubs

import (
	"context"
	"slices"
	"time"
)

// A Trace is a set of functions that are called when something happens, as in net/http/httptrace.
// Any of them may be nil, which costs nothing. [JoinTraces] makes one Trace of several. The work
// waits for the call, so the functions must not block or call the producer. Calls for different
// partitions and callers run at the same time. Encoding and Accepted run on the goroutine that
// calls Enqueue. Each other call has a goroutine of its own. Unlike handlers, they have no guard
// against panics. A function that ends its goroutine (runtime.Goexit) is logged, and the work goes
// on.
//
// One Trace may serve any number of producers: each argument names its producer.
type Trace struct {
	// Created is called before the constructor returns the producer. It may keep the producer, and
	// call its Stats and Health later.
	Created func(TracedProducer)

	// Encoding may add to the properties of each event before it is encoded. It gets Enqueue's
	// context, so it can put a trace's context into the event. The caller's event is not changed.
	// It is not called for EnqueueAgain, whose events keep their properties.
	Encoding func(context.Context, TracedEncoding)

	// Accepted is called for each event that has entered the buffer.
	Accepted func(context.Context, TracedEvent)

	// Sealed is called for each batch that the partition begins to send: no more events join it.
	Sealed func(TracedBatch)

	// Sending is called before each try of a batch.
	Sending func(TracedBatch)

	// Retrying is called after each failed try that another one will follow.
	Retrying func(TracedFailure)

	// Throttled is called after each try that the service was too busy for.
	Throttled func(TracedFailure)

	// Settled is called for each batch that has its outcome, before its Deliveries and its handler
	// get it.
	Settled func(TracedOutcome)

	// Handled is called after each handler has ended, also by a panic. Without a handler it is not
	// called.
	Handled func(TracedHandler)

	// Connected and Disconnected are called for the producer's own connection, never for a shared
	// Connection.
	Connected    func(TracedConnection)
	Disconnected func(TracedConnection)

	// Closed is called once, when the first Close or Abandon is about to return. A slow handler may
	// still run.
	Closed func(TracedProducer)
}

// A TracedProducer is the argument of [Trace.Created] and [Trace.Closed].
type TracedProducer struct {
	Producer *BufferedProducer
	Err      error // the result of Close, for Closed; else nil
}

// A TracedEncoding is the argument of [Trace.Encoding].
type TracedEncoding struct {
	Producer   *BufferedProducer
	Properties *Properties // add to these
}

// A TracedEvent is the argument of [Trace.Accepted].
type TracedEvent struct {
	Producer     *BufferedProducer
	PartitionID  string // empty if it is not known yet, or if the service chooses
	PartitionKey string
	Bytes        int // encoded
}

// A TracedBatch identifies a batch, for a Trace.
type TracedBatch struct {
	Producer *BufferedProducer

	// ID is the batch's number within its producer, from 1. All calls for the batch have the same
	// ID. Events cut off from it, or moved from it to their partition, are another batch.
	ID uint64

	PartitionID string
	Events      int
	Bytes       int       // encoded
	Try         int       // number of the present or latest try, from 1; zero before the first
	First       time.Time // when its first event was accepted

	batch *batch // valid while the called function runs
}

// A TracedFailure is the argument of [Trace.Retrying] and [Trace.Throttled]: a failed try.
type TracedFailure struct {
	TracedBatch
	Err   error         // an [*Error]
	Pause time.Duration // before the next try
}

// A TracedOutcome is the argument of [Trace.Settled].
type TracedOutcome struct {
	TracedBatch
	Outcome  Outcome
	MaxBytes int // the batch could have been this large
}

// A TracedHandler is the argument of [Trace.Handled]: a call of [Options.OnBatchSucceeded] or
// [Options.OnBatchFailed].
type TracedHandler struct {
	TracedBatch
	Outcome Outcome       // the handler's outcome; with an Err the handler was OnBatchFailed
	Ran     time.Duration // how long
}

// A TracedConnection is the argument of [Trace.Connected] and [Trace.Disconnected].
type TracedConnection struct {
	Producer *BufferedProducer
	Err      error // why it ended; nil for Connected, and if the producer closed it
}

// getsBatches reports whether any function gets a TracedBatch.
func (t *Trace) getsBatches() bool {
	return t.Sealed != nil || t.Sending != nil || t.Retrying != nil || t.Throttled != nil || t.Settled != nil || t.Handled != nil
}

// JoinTraces returns a Trace that calls each of several in order; nil ones are left out. It returns
// nil if there is none. If a function panics or ends its goroutine (runtime.Goexit), the others are
// still called.
func JoinTraces(traces ...*Trace) *Trace {
	traces = slices.DeleteFunc(slices.Clone(traces), func(t *Trace) bool { return t == nil })
	switch len(traces) {
	case 0:
		return nil
	case 1:
		return traces[0]
	}
	return &Trace{
		Created:      joined1(traces, func(t *Trace) func(TracedProducer) { return t.Created }),
		Encoding:     joined2(traces, func(t *Trace) func(context.Context, TracedEncoding) { return t.Encoding }),
		Accepted:     joined2(traces, func(t *Trace) func(context.Context, TracedEvent) { return t.Accepted }),
		Sealed:       joined1(traces, func(t *Trace) func(TracedBatch) { return t.Sealed }),
		Sending:      joined1(traces, func(t *Trace) func(TracedBatch) { return t.Sending }),
		Retrying:     joined1(traces, func(t *Trace) func(TracedFailure) { return t.Retrying }),
		Throttled:    joined1(traces, func(t *Trace) func(TracedFailure) { return t.Throttled }),
		Settled:      joined1(traces, func(t *Trace) func(TracedOutcome) { return t.Settled }),
		Handled:      joined1(traces, func(t *Trace) func(TracedHandler) { return t.Handled }),
		Connected:    joined1(traces, func(t *Trace) func(TracedConnection) { return t.Connected }),
		Disconnected: joined1(traces, func(t *Trace) func(TracedConnection) { return t.Disconnected }),
		Closed:       joined1(traces, func(t *Trace) func(TracedProducer) { return t.Closed }),
	}
}

// joined1 joins one function of several traces: nil if none has it.
func joined1[T any](traces []*Trace, of func(*Trace) func(T)) func(T) {
	joined := joined2(traces, func(t *Trace) func(context.Context, T) {
		f := of(t)
		if f == nil {
			return nil
		}
		return func(_ context.Context, argument T) { f(argument) }
	})
	if joined == nil {
		return nil
	}
	return func(argument T) { joined(context.Background(), argument) }
}

// joined2 is joined1 for a function that takes a context.
func joined2[T any](traces []*Trace, of func(*Trace) func(context.Context, T)) (all func(context.Context, T)) {
	for _, t := range slices.Backward(traces) {
		f, later := of(t), all
		switch {
		case f == nil:
		case later == nil:
			all = f
		default:
			all = func(ctx context.Context, argument T) {
				defer later(ctx, argument) // even if f panics or ends its goroutine
				f(ctx, argument)
			}
		}
	}
	return all
}
