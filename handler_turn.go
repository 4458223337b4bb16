package eventhubs

import "sync"

// A turn limits how many handlers of one partition run at a time. The limit is
// Options.MaxConcurrentSendsPerPartition, or 1 for events that name no partition. Handlers run in
// the order of the calls of ask. The partition's senders call it, and so does staging when events
// for the partition fail.
type turn struct {
	mu      sync.Mutex // guards the fields below
	free    int
	waiting []chan struct{}
}

// atOnce is the place of a handler that need not wait.
var atOnce = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// ask takes a place in the turn. The handler may run when the channel is closed, until done is
// called.
func (t *turn) ask() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return atOnce
	}
	place := make(chan struct{})
	t.waiting = append(t.waiting, place)
	return place
}

// done gives up a place, and lets the next handler run.
func (t *turn) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.free++
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}

// Turns has the turn of every partition that was ever named.
type turns struct {
	mu   sync.Mutex // guards the field below
	byID map[string]*turn
}

// of returns the turn of a partition. It is nil for the empty id of ServiceAssigned.
func (t *turns) of(id string, o *Options) *turn {
	if id == "" {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	its := t.byID[id]
	if its == nil {
		if t.byID == nil {
			t.byID = map[string]*turn{}
		}
		its = &turn{free: o.MaxConcurrentSendsPerPartition}
		t.byID[id] = its
	}
	return its
}
