package eventhubs

import "fmt"

// Clear takes everything that is buffered and not in flight out of the buffer, and returns how many events that were. Their room is free at once. They fail
// with ErrCleared: each partition's handler is told of them in its turn, by the partition's sender. Clear does not wait for that, and
// may be called from a handler.
func (p *BufferedProducer) Clear() int {
	if p.closing.Load() {
		return 0
	}
	err := fmt.Errorf("eventhubs: %w", ErrCleared)
	events := p.staging.clear(err)
	for _, part := range p.partitions() {
		events += part.clear(err)
	}
	return events
}

// ClearPartition is Clear for one partition. It fails with ErrUnknownPartition for an id that the event hub does not have, or while the partitions are
// not known.
func (p *BufferedProducer) ClearPartition(partitionID string) (int, error) {
	if p.closing.Load() {
		return 0, errClosed()
	}
	part, err := p.find(partitionID)
	if err != nil {
		return 0, err
	}
	return part.clear(fmt.Errorf("eventhubs: %w", ErrCleared)), nil
}

// Resume lets a partition take events again that StopPartitionOnFailure has stopped.
func (p *BufferedProducer) Resume(partitionID string) error {
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
