package eventhubs

import "fmt"

// Clear takes everything that is buffered and not in flight out of the buffer, and returns how many events that were. Their room is free at once. They fail
// with ErrCleared: each partition's handler is told of them in its turn, by the partition's sender. Clear does not wait for that, and
// may be called from a handler.
func (p *BufferedProducer) Clear() int {
	if p.closing.Load() {
		return 0
	}
	events := p.staging.clear(p.cleared(nil))
	for _, part := range p.partitions() {
		events += part.clear(p.cleared(part))
	}
	return events
}

// cleared is why events of that partition, or those that are staged, fail.
func (p *BufferedProducer) cleared(part *partition) error {
	return p.health.hindrance(part).with(fmt.Errorf("eventhubs: %w", ErrCleared))
}

// ClearPartition is Clear for one partition. It fails with ErrPartitionUnknown for an id that the event hub does not have. While the partitions are not known it clears the events
// that were enqueued with that PartitionID.
func (p *BufferedProducer) ClearPartition(partitionID string) (int, error) {
	if p.closing.Load() {
		return 0, errClosed()
	}
	if p.table.Load() == nil && partitionID != "" {
		if events, staged := p.staging.clearNamed(partitionID, p.cleared(nil)); staged {
			return events, nil
		}
	}
	part, err := p.find(partitionID)
	if err != nil {
		return 0, err
	}
	return part.clear(p.cleared(part)), nil
}

// ResumePartition lets a partition take events again that StopPartitionOnFailure has stopped.
func (p *BufferedProducer) ResumePartition(partitionID string) error {
	if p.closing.Load() {
		return errClosed()
	}
	part, err := p.find(partitionID)
	if err != nil {
		return err
	}
	part.resume()
	return nil
}
