package eventhubs

import (
	"context"
	"errors"
	"fmt"
)

// Flush sends the buffered events without waiting for batches to fill. It returns when every event
// that was accepted before the call has its outcome, and the handlers of these outcomes have
// returned. It neither delays later events nor waits for them. It does not cover an Enqueue that
// still waits for room. Any number of calls may run at once.
//
// The error is nil or an [*UndeliveredError]. It has every failure of events accepted before the
// call that no Flush or [BufferedProducer.FlushPartition] has returned yet. That includes failures
// that a handler got, unless [Options.FlushOmitsTold] is set. It does not count events that Clear
// removed. For events that [Batch.EnqueueAgain] accepted, it counts their new outcome instead.
// Flushes that run at once each return the same failure.
//
// If ctx ends first, Flush only stops waiting, and its error counts the events that are pending.
// The next Flush returns later failures. With a handler's context Flush returns [ErrInHandler].
func (p *BufferedProducer) Flush(ctx context.Context) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: Flush: %w", ErrInHandler)
	}
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	return p.flush(ctx, func(r *barrier) error {
		p.cover(r, true)
		return nil
	})
}

// flush waits for what cover covers. With a journal, cover is called again when everything was read
// from it: the first call has only ended the lingers, so that there is room.
func (p *BufferedProducer) flush(ctx context.Context, cover func(*barrier) error) error {
	r := newBarrier()
	err := cover(r)
	if err == nil && p.journal != nil {
		if unfed := p.journal.feeder.await(ctx, p.journal.end()); unfed != nil {
			u, _ := errors.AsType[*UndeliveredError](r.result(unfed, &p.observer.health)) // r is still being covered, so it is one
			u.Pending = p.BufferedEvents()
			return u
		}
		err = cover(r)
	}
	r.covered()
	if err != nil {
		return errors.Join(err, r.result(err, &p.observer.health)) // r has earlier failures
	}
	return p.await(ctx, r)
}

// await waits at a barrier and returns the result of Flush.
func (p *BufferedProducer) await(ctx context.Context, r *barrier) error {
	return r.result(r.wait(ctx), &p.observer.health)
}

// cover makes a barrier cover everything that is buffered. With hurry, batches do not linger. A
// second call keeps what the first has covered.
func (p *BufferedProducer) cover(r *barrier, hurry bool) {
	p.directory.staging.cover(r, hurry) // first: events that leave staging later take their coverage along
	for _, part := range p.directory.partitions() {
		part.cover(r, hurry)
	}
}

// FlushPartition is Flush for one partition. It fails with [ErrPartitionUnknown] for an id that the
// event hub does not have. While the partitions are not known, it waits for every event that has no
// partition yet. It also returns failures from before the partitions were known.
func (p *BufferedProducer) FlushPartition(ctx context.Context, partitionID string) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: FlushPartition: %w", ErrInHandler)
	}
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	if t := p.directory.table.Load(); t != nil {
		if _, err := t.find(partitionID); err != nil {
			return err
		}
	}
	return p.flush(ctx, func(r *barrier) error {
		p.directory.staging.cover(r, true)
		t := p.directory.table.Load()
		if t == nil {
			return nil
		}
		part, err := t.find(partitionID) // again: the list may have just arrived
		if err == nil {
			part.cover(r, true)
		}
		return err
	})
}
