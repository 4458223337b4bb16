package eventhubs

import "sync"

// A turn lets no more handlers of one partition run at a time than it may have sends, one as a rule, in the order in which they were asked for: by its senders, or by whoever fails what was
// staged for it.
type turn struct {
	mu      sync.Mutex // guards the fields below
	free    int
	waiting []chan struct{}
}

// atOnce is the place of whoever need not wait.
var atOnce = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// ask takes a place in the turn. When the channel is closed it is a handler's turn, until done.
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

// done ends what began with ask.
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

// Turns are those of all partitions that were ever named.
type turns struct {
	mu   sync.Mutex // guards the field below
	byID map[string]*turn
}

// of is the turn of a partition: nil for what the service assigns.
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
