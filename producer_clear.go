package eventhubs

import (
	"context"
	"fmt"
)

// Clear removes all events that are not in flight from the buffer, and returns how many those were.
// Their room is free at once. They fail with [ErrCleared], which each partition reports to the
// handler in its turn. Clear does not wait for that, and may be called from a handler. It fails
// with [ErrClosed] after Close, and with the context's error if ctx has ended. Then it removes
// nothing. With [Options.Journal] it fails with [ErrInvalidArgument].
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

// mayClear returns an error if the call must not clear anything.
func (p *BufferedProducer) mayClear(ctx context.Context, call string) error {
	switch {
	case p.lifetime.closing.Load():
		return errClosed()
	case p.journal != nil:
		return invalid("%s does not work with Options.Journal: accepted events stay in the journal until they are stored", call)
	case ctx.Err() != nil:
		return fmt.Errorf("eventhubs: %s: %w", call, contextError(ctx))
	}
	return nil
}

// cleared returns the error of events that are cleared from that partition, or from staging if it
// is nil.
func (p *BufferedProducer) cleared(part *partition) error {
	return p.observer.health.hindrance(part).with(fmt.Errorf("eventhubs: %w", ErrCleared))
}

// ClearPartition is Clear for one partition. It fails with [ErrPartitionUnknown] for an id that the
// event hub does not have. While the partitions are not known, it clears the events that were
// enqueued with that PartitionID.
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

// ResumePartition lets a partition take events again after [Options.StopPartitionOnFailure] has
// stopped it. It makes no call to the service and does not wait, so it needs no context. It may be
// called from a handler. It fails with [ErrPartitionUnknown] for an id that the event hub does not
// have, and with [ErrClosed] after Close.
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
