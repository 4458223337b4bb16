package eventhubs

import (
	"context"
	"slices"
	"time"
)

// A Trace is a set of functions that are told of what happens, in the manner of net/http/httptrace. Any of them may be nil, which costs nothing. [JoinTraces] makes one of several. They are called
// where it happens, which waits for them, at the same time for different partitions and callers, and must not block or call the
// producer. Created, Encoding and Accepted run on the goroutine that calls the constructor or Enqueue, Closed on that which calls Close, the others each on one of its own. Nothing guards against their
// panics, as it does with handlers. One that ends its goroutine (runtime.Goexit) is logged, and what it was told of goes on.
//
// One Trace may serve any number of producers: each function is told whose it is.
type Trace struct {
	// Created is told of a producer before its constructor returns it. It may keep it, and ask it for Stats and Health later.
	Created func(TracedProducer)

	// Encoding may add to the properties of each event before it is encoded, with Enqueue's context: this is where a trace's context gets into
	// an event. The caller's event is not changed. What EnqueueAgain enqueues keeps the properties that it has.
	Encoding func(context.Context, TracedEncoding)

	// Accepted is told of each event that is in the buffer now.
	Accepted func(context.Context, TracedEvent)

	// Sealed is told of each batch that a sender has taken: no more events join it.
	Sealed func(TracedBatch)

	// Sending is told of each try of a batch, before it is sent.
	Sending func(TracedBatch)

	// Retrying is told of each failed try after which there will be another.
	Retrying func(TracedFailure)

	// Throttled is told of each try that the service was too busy for.
	Throttled func(TracedFailure)

	// Settled is told of each batch that has its outcome, before the Deliveries and the handler are.
	Settled func(TracedOutcome)

	// Handled is told of each handler that has ended, also by a panic. Without a handler it is told nothing.
	Handled func(TracedHandler)

	// Connected and Disconnected are told of the connection. A shared Connection tells them nothing.
	Connected    func(TracedConnection)
	Disconnected func(TracedConnection)

	// Closed is told, once, when the first Close or Abandon is about to return. A handler that has outlasted it may still run.
	Closed func(TracedProducer)
}

// A TracedProducer is what [Trace.Created] and [Trace.Closed] are told.
type TracedProducer struct {
	Producer *BufferedProducer
	Err      error // for Closed what Close returns; else nil
}

// A TracedEncoding is what [Trace.Encoding] is told of an event.
type TracedEncoding struct {
	Producer   *BufferedProducer
	Properties *Properties // to which it may add
}

// A TracedEvent is what [Trace.Accepted] is told.
type TracedEvent struct {
	Producer     *BufferedProducer
	PartitionID  string // empty if it is not known yet, or left to the service
	PartitionKey string
	Bytes        int // encoded
}

// A TracedBatch is what a Trace is told of a batch.
type TracedBatch struct {
	Producer *BufferedProducer

	// ID is the batch's number among those of its producer, from 1: the same in all that is told of it. What is cut off from it, or comes to its partition later, is another batch.
	ID uint64

	PartitionID string
	Events      int
	Bytes       int       // encoded
	Try         int       // of the present or latest try, from 1; zero before the first
	First       time.Time // when its first event was accepted

	batch *batch // while the function that is told runs
}

// A TracedFailure is what [Trace.Retrying] and [Trace.Throttled] are told of a try.
type TracedFailure struct {
	TracedBatch
	Err   error         // an [*Error]
	Pause time.Duration // before the next try
}

// A TracedOutcome is what [Trace.Settled] is told of a batch.
type TracedOutcome struct {
	TracedBatch
	Outcome  Outcome
	MaxBytes int // what the batch might have had
}

// A TracedHandler is what [Trace.Handled] is told of a call of [Options.OnBatchSucceeded] or [Options.OnBatchFailed].
type TracedHandler struct {
	TracedBatch
	Outcome Outcome       // that it was told: with an Err it was OnBatchFailed
	Ran     time.Duration // how long
}

// A TracedConnection is what [Trace.Connected] and [Trace.Disconnected] are told.
type TracedConnection struct {
	Producer *BufferedProducer
	Err      error // why it has ended; nil for Connected, and if the producer has closed it
}

// JoinTraces returns a Trace that tells each of several in their order; nil ones are left out. It returns nil if there is none. A function that panics or ends its goroutine
// (runtime.Goexit) does not keep what it was told from the others.
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

// joined1 is one function of several traces: nil if none has it.
func joined1[T any](traces []*Trace, of func(*Trace) func(T)) func(T) {
	joined := joined2(traces, func(t *Trace) func(context.Context, T) {
		f := of(t)
		if f == nil {
			return nil
		}
		return func(_ context.Context, told T) { f(told) }
	})
	if joined == nil {
		return nil
	}
	return func(told T) { joined(context.Background(), told) }
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
			all = func(ctx context.Context, told T) {
				defer later(ctx, told) // whatever becomes of f
				f(ctx, told)
			}
		}
	}
	return all
}
