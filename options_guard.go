package eventhubs

import (
	"context"
	"log/slog"

	"github.com/go-eventhubs/eventhubs/internal/callback"
)

// guard wraps the option functions that this package's goroutines call, so that none can end its
// goroutine. These functions are not wrapped:
//   - Trace.Encoding and Trace.Accepted run on the caller's goroutine, which they may end. No lock
//     is held there and no work remains.
//   - KeyPartitioner runs there, and also here with a lock held: see directory.assignGuarded.
//   - RetryOptions.Policy and the handlers are guarded by their callers, which must know how the
//     function ended. See retries.after and handlers.report.
//   - The functions of ConnectionOptions are guarded in package connection.
func (o *Options) guard() {
	o.Logger = callback.Logger(o.Logger)
	if o.ProducerStore != nil {
		o.ProducerStore = guardedStore{o.ProducerStore}
	}
	if o.Trace != nil {
		o.Trace = o.Trace.guarded(o.unheard)
	}
}

// unheard returns the log for messages that must not be lost.
func (o *Options) unheard() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return callback.Logger(slog.Default())
}

// A guardedStore is the application's ProducerStore.
type guardedStore struct{ application ProducerStore }

func (s guardedStore) Load(ctx context.Context, key ProducerKey) (ProducerID, error) {
	return callback.Result("ProducerStore.Load", func() (ProducerID, error) { return s.application.Load(ctx, key) })
}

func (s guardedStore) Save(ctx context.Context, key ProducerKey, old, id ProducerID) (err error) {
	if ended := callback.Call("ProducerStore.Save", func() { err = s.application.Save(ctx, key, old, id) }); ended != nil {
		return ended
	}
	return err
}

// guarded returns a copy whose functions always return. A function that did not return is only
// logged, since what it reports has happened all the same.
func (t *Trace) guarded(log func() *slog.Logger) *Trace {
	call := func(function string, f func()) {
		if ended := callback.Call(function, f); ended != nil {
			log().Error("eventhubs: a function of Options.Trace did not return", "error", ended)
		}
	}
	return &Trace{
		Encoding: t.Encoding, Accepted: t.Accepted,
		Created: guardedFunc("Trace.Created", t.Created, call), Closed: guardedFunc("Trace.Closed", t.Closed, call),
		Sealed: guardedFunc("Trace.Sealed", t.Sealed, call), Sending: guardedFunc("Trace.Sending", t.Sending, call),
		Retrying: guardedFunc("Trace.Retrying", t.Retrying, call), Throttled: guardedFunc("Trace.Throttled", t.Throttled, call),
		Settled: guardedFunc("Trace.Settled", t.Settled, call), Handled: guardedFunc("Trace.Handled", t.Handled, call),
		Connected: guardedFunc("Trace.Connected", t.Connected, call), Disconnected: guardedFunc("Trace.Disconnected", t.Disconnected, call),
	}
}

// guardedFunc returns a function that always returns. It returns nil for nil.
func guardedFunc[T any](name string, f func(T), call func(function string, f func())) func(T) {
	if f == nil {
		return nil
	}
	return func(argument T) { call(name, func() { f(argument) }) }
}
