package main

import (
	"context"
	"sync"
)

// A ledger has the arrivals by address.
type ledger struct {
	mu       sync.Mutex // guards the fields below
	arrivals map[string][]content
	changed  chan struct{} // closed and replaced at each arrival
}

func newLedger() *ledger {
	return &ledger{arrivals: make(map[string][]content), changed: make(chan struct{})}
}

func (l *ledger) add(address string, c content) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals[address] = append(l.arrivals[address], c)
	close(l.changed)
	l.changed = make(chan struct{})
}

// read returns the arrivals at an address as soon as they are enough. It returns ctx's cause if ctx
// ends first.
func (l *ledger) read(ctx context.Context, address string, enough func([]content) bool) ([]content, error) {
	for {
		l.mu.Lock()
		// Existing elements do not change.
		arrived, changed := l.arrivals[address], l.changed
		l.mu.Unlock()
		if enough(arrived) {
			return arrived, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return arrived, context.Cause(ctx)
		}
	}
}
