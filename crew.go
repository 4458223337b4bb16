package eventhubs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/connection"
)

// A sender without a batch waits for the next batch of any partition before it ends. A new
// goroutine would have to grow its stack first, which costs a tenth of a small batch.
const (
	idleTime    = time.Second
	idleSenders = 16 // the most that wait
)

// A crew is the goroutines of a producer. Its senders deliver batches.
type crew struct {
	lifetime *lifetime // immutable

	ready      chan readyBatch // to idle senders; unbuffered
	idle       atomic.Int32    // senders that wait for a batch, or are about to find that enough wait
	goroutines sync.WaitGroup  // senders, discovery, refresh, reports of staged events
}

// A readyBatch is work for a sender.
type readyBatch struct {
	partition *partition
	batch     *batch
}

func newCrew(l *lifetime) *crew { return &crew{lifetime: l, ready: make(chan readyBatch)} }

// run calls f on a goroutine of its own. Close waits until f returns.
func (c *crew) run(f func()) { c.goroutines.Go(f) }

// wait returns when every goroutine has ended.
func (c *crew) wait() { c.goroutines.Wait() }

// dispatch gives a batch to a sender. It does not wait.
func (c *crew) dispatch(r readyBatch) {
	select {
	case c.ready <- r:
	default:
		// Ends when enough senders are idle, when no batch has come for idleTime, or with
		// lifetime.all.
		c.run(func() { c.serve(r) })
	}
}

// serve is a sender's goroutine.
func (c *crew) serve(r readyBatch) {
	patience := time.NewTimer(idleTime)
	defer patience.Stop()
	tries := connection.NewDeadlines(c.lifetime.all)
	defer tries.Close()
	for again := true; again; r, again = c.next(patience) {
		r.partition.send(r.batch, tries)
	}
}

// next waits for the next ready batch. It reports false if the sender is to end.
func (c *crew) next(patience *time.Timer) (r readyBatch, again bool) {
	defer c.idle.Add(-1)
	if c.idle.Add(1) > idleSenders {
		return r, false
	}
	patience.Reset(idleTime)
	select {
	case r = <-c.ready:
		return r, true
	case <-patience.C:
	case <-c.lifetime.all.Done():
	}
	return r, false
}
