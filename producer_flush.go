package eventhubs

import (
	"context"
	"errors"
	"fmt"
)

// Flush sends what is buffered, without waiting for batches to fill, and returns when every event that was accepted before the call has its outcome and
// the handlers that were told have returned. It neither holds up nor waits for later events; any number of calls may run at once. An
// Enqueue that is still waiting for room is not covered.
//
// The error is an [*UndeliveredError] with every failure of events accepted before the call that no Flush or [BufferedProducer.FlushPartition] has returned yet, whether or not a
// handler was told; nil if there is none. Not counted are events that Clear took out, and those that [Batch.EnqueueAgain] accepted: their new outcome counts.
// Flushes that run at once each return it. If ctx ends first, Flush only stops waiting, and what fails later is for the next.
// In a handler, with its context, it returns [ErrInHandler].
func (p *BufferedProducer) Flush(ctx context.Context) error {
	if handlerScope(ctx, p.admission) != nil {
		return fmt.Errorf("eventhubs: Flush: %w", ErrInHandler)
	}
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	r := newBarrier()
	p.cover(r, true)
	r.covered()
	return p.await(ctx, r)
}

// await waits at a barrier and returns what Flush does.
func (p *BufferedProducer) await(ctx context.Context, r *barrier) error {
	return r.result(r.wait(ctx), &p.observer.health)
}

// cover puts a barrier behind everything that is buffered; with hurry it has it sent. What the barrier covers already stays so.
func (p *BufferedProducer) cover(r *barrier, hurry bool) {
	p.directory.staging.cover(r, hurry) // first: what leaves it afterwards goes to the partitions with its coverage
	for _, part := range p.directory.partitions() {
		part.cover(r, hurry)
	}
}

// FlushPartition is Flush for one partition. It fails with [ErrPartitionUnknown] for an id that the event hub does not have; while the partitions are not known
// it waits for everything that has no partition yet. It also returns what failed before the partitions were known.
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
	r := newBarrier()
	p.directory.staging.cover(r, true)
	if t := p.directory.table.Load(); t != nil {
		part, err := t.find(partitionID)
		if err != nil {
			r.covered() // the list has come just now, and r was told of what failed before
			return errors.Join(err, r.result(err, &p.observer.health))
		}
		part.cover(r, true)
	}
	r.covered()
	return p.await(ctx, r)
}
