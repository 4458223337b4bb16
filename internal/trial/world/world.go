// Package world has the tools of tests that see a producer from outside: the emulator and the way
// to it, networks, stored state and outcomes.
package world

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/emulator"
)

// A World is an emulator and the way to it.
type World struct {
	*testing.T
	Server *emulator.Server
}

func (w *World) Producer(o eventhubs.Options) *eventhubs.BufferedProducer {
	w.Helper()
	p := NewProducer(w.T, w.Server, o)
	w.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// OnTransfer answers the n-th transfer, counted from 1, by an action.
func (w *World) OnTransfer(f func(n int, op emulator.Operation) emulator.Action) {
	var n atomic.Int64
	w.Server.SetHook(func(_ context.Context, op emulator.Operation) emulator.Action {
		if op.Kind != emulator.KindTransfer {
			return emulator.Pass()
		}
		return f(int(n.Add(1)), op)
	})
}

func (w *World) Must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *World) Want(what string, got, want any) {
	w.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// WantUndelivered checks how many events a Flush or Close reports as failed.
func (w *World) WantUndelivered(what string, err error, failed int) {
	w.Helper()
	if u, ok := errors.AsType[*eventhubs.UndeliveredError](err); !ok || u.Failed() != failed || u.Pending != 0 {
		w.Errorf("%s returned %v, want %d failed", what, err, failed)
	}
}
