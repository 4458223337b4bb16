package eventhubs

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/journal"
)

// A companion is what an event has in memory beside its record: it ends with the process.
type companion struct {
	delivery *Delivery
	tag      any
	urgent   bool // Publish waits for it
	over     bool // it is beyond the bound, in the room that a handler was promised
}

func (c *companion) empty() bool { return c.delivery == nil && c.tag == nil && !c.urgent }

// Besides are the companions of the events that are in the journal and not yet fed to their
// partition. The bound of the buffer holds for them, too.
type besides struct {
	limit chan struct{} // has room for as many as there may be
	count atomic.Int64

	mu  sync.Mutex
	all map[journal.Position]companion
}

// enter takes room for a companion.
func (s *besides) enter(ctx context.Context, c *companion, j *journaled, waits bool) error {
	select {
	case s.limit <- struct{}{}:
		return nil
	default:
	}
	if c.over = j.admission.promised(handlerScope(ctx, j.admission)); c.over {
		return nil
	}
	if !waits {
		return fmt.Errorf("eventhubs: %w: %d events with a Delivery or a Tag wait in the journal (Options.MaxBufferedEvents)", ErrBufferFull, cap(s.limit))
	}
	select {
	case s.limit <- struct{}{}:
		return nil
	case <-j.closing:
		return errClosed()
	case <-ctx.Done():
		return fmt.Errorf("eventhubs: the event was not accepted, %d events with a Delivery or a Tag wait in the journal (Options.MaxBufferedEvents): %w", cap(s.limit), contextError(ctx))
	}
}

func (s *besides) leave(c *companion) {
	if !c.over {
		<-s.limit
	}
}

func (s *besides) put(p journal.Position, c companion) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[journal.Position]companion)
	}
	s.all[p] = c
	s.count.Add(1)
}

// take returns the companion of an event that is fed now.
func (s *besides) take(p journal.Position) (c companion) {
	if s.count.Load() == 0 {
		return c
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.all[p]
	if ok {
		delete(s.all, p)
		s.count.Add(-1)
		s.leave(&c)
	}
	return c
}

// endAll ends the Deliveries of the events that were never fed.
func (s *besides) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, c := range s.all {
		delete(s.all, p)
		s.leave(&c)
		if c.delivery != nil {
			c.delivery.settle(kept(nil))
		}
	}
}

// kept is the outcome that stands in for one in a later life.
func kept(why error) Outcome {
	if why == nil {
		return pending(fmt.Errorf("eventhubs: %w", ErrKept))
	}
	return pending(fmt.Errorf("eventhubs: %w: %w", ErrKept, why))
}

// A placement hands over what an event has beside its record, at the moment when it gets its
// position.
type placement struct {
	companion
	checkpoint []byte
	of         *journaled
	record     []byte // of the event, without its encoded bytes
}

// reset ends the use for an event. The memory of the record stays.
func (x *placement) reset() { *x = placement{record: x.record[:0]} }

func (x *placement) empty() bool { return x.companion.empty() && x.checkpoint == nil }

// place is called under the journal's lock, before anybody can read the event.
func (x *placement) place(p journal.Position) {
	if !x.companion.empty() {
		x.of.beside.put(p, x.companion)
	}
	if x.checkpoint != nil {
		x.of.ledger.checkpointed(p, x.checkpoint)
	}
}
