package eventhubs

import (
	"context"
	"fmt"
)

// Clear takes everything that is buffered and not in flight out of the buffer, and returns how many events that were. Their room is free at once. They fail
// with [ErrCleared]: each partition's handler is told of them in its turn, by the partition's sender. Clear does not wait for that, and
// may be called from a handler. It fails with [ErrClosed] after Close, and with the context's error if ctx is over already: nothing is taken out then.
func (p *BufferedProducer) Clear(ctx context.Context) (events int, err error) {
	if err := p.mayClear(ctx, "Clear"); err != nil {
		return 0, err
	}
	events = p.directory.staging.clear(p.cleared(nil))
	for _, part := range p.directory.partitions() {
		events += part.clear(p.cleared(part))
	}
	return events, nil
}

// mayClear returns why nothing is to be cleared.
func (p *BufferedProducer) mayClear(ctx context.Context, call string) error {
	switch {
	case p.lifetime.closing.Load():
		return errClosed()
	case ctx.Err() != nil:
		return fmt.Errorf("eventhubs: %s: %w", call, contextError(ctx))
	}
	return nil
}

// cleared is why events of that partition, or those that are staged, fail.
func (p *BufferedProducer) cleared(part *partition) error {
	return p.observer.health.hindrance(part).with(fmt.Errorf("eventhubs: %w", ErrCleared))
}

// ClearPartition is Clear for one partition. It fails with [ErrPartitionUnknown] for an id that the event hub does not have. While the partitions are not known it clears the events
// that were enqueued with that PartitionID.
func (p *BufferedProducer) ClearPartition(ctx context.Context, partitionID string) (events int, err error) {
	if err := p.mayClear(ctx, "ClearPartition"); err != nil {
		return 0, err
	}
	if !p.directory.known() && partitionID != "" {
		if events, staged := p.directory.staging.clearNamed(partitionID, p.cleared(nil)); staged {
			return events, nil
		}
	}
	part, err := p.directory.find(partitionID)
	if err != nil {
		return 0, err
	}
	return part.clear(p.cleared(part)), nil
}

// ResumePartition lets a partition take events again that [Options.StopPartitionOnFailure] has stopped. It asks nobody and waits for nobody, so it needs no
// context, and may be called from a handler. It fails with [ErrPartitionUnknown] for an id that the event hub does not have, and with [ErrClosed] after Close.
func (p *BufferedProducer) ResumePartition(partitionID string) error {
	if p.lifetime.closing.Load() {
		return errClosed()
	}
	part, err := p.directory.find(partitionID)
	if err != nil {
		return err
	}
	part.resume()
	return nil
}
