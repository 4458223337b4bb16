package eventhubs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// Partitioning says where events without id and key go. In each form a partition in trouble is passed over while there are others.
type Partitioning int

const (
	// RoundRobin gives each event to the next partition.
	RoundRobin Partitioning = iota
	// Sticky fills a whole batch for one partition, then one for the next: the densest batches for few events and many partitions.
	Sticky
	// ServiceAssigned leaves the choice to the service, batch by batch: one open batch and one link, for many small producers.
	// Batch.PartitionID is empty for these events.
	ServiceAssigned
)

// A KeyPlacement is what [Options.KeyPartitioner] is asked: where events with a key go.
type KeyPlacement struct {
	Key        string
	Partitions int // how many the event hub has; at least 1
}

// A route is what the caller said about an event's partition: its id, a key, or nothing.
type route struct {
	id  string
	key string
}

// open reports whether that is nothing: the event may go to any partition.
func (r route) open() bool { return r.id == "" && r.key == "" }

// A table maps routes to partitions. It never changes: a hub that grows gets another one.
type table struct {
	producer   *BufferedProducer
	partitions []*partition // in the order of the service's list, which is what keys are mapped to
	byID       map[string]*partition
	all        []*partition // these, those that are gone from the list, and the one for ServiceAssigned
}

// newTable makes the table for the service's list. A partition that there has ever been stays what it is: it may be back after it was missing from a list, and still
// hold events.
func newTable(p *BufferedProducer, ids []string) *table {
	t := &table{producer: p, byID: make(map[string]*partition, len(ids)), all: p.partitions()}
	known := make(map[string]*partition, len(ids))
	for _, part := range t.all {
		if part != p.anywhere {
			known[part.id] = part
		}
	}
	for _, id := range ids {
		part := known[id]
		if part == nil {
			part = newPartition(p, id)
			known[id] = part
			t.all = append(slices.Clip(t.all), part)
		}
		t.partitions = append(t.partitions, part)
		t.byID[id] = part
	}
	return t
}

// ids returns the service's list.
func (t *table) ids() []string {
	ids := make([]string, len(t.partitions))
	for i, p := range t.partitions {
		ids[i] = p.id
	}
	return ids
}

// assign returns the partition for an event of that size with that route. The error is ErrPartitionUnknown, or tells a fault of Options.KeyPartitioner.
func (t *table) assign(r route, size int) (*partition, error) {
	switch {
	case r.id != "":
		return t.find(r.id)
	case r.key != "":
		i, err := t.forKey(r.key)
		if err != nil {
			return nil, err
		}
		return t.partitions[i], nil
	default:
		return t.anyFor(size), nil
	}
}

// anyFor chooses the partition for an event of that size without key and id.
func (t *table) anyFor(size int) *partition {
	a := t.producer.admission
	a.mu.Lock()
	defer a.mu.Unlock()
	return t.nextLocked(size)
}

// nextLocked chooses the partition for an event of that size without key and id: the next of the ring that is not in trouble and not at its limit; if there is none,
// the next that is not at its limit; if there is none, simply the next. admission.mu must be held.
func (t *table) nextLocked(bytes int) *partition {
	if t.producer.anywhere != nil {
		return t.producer.anywhere
	}
	n, ring := uint32(len(t.partitions)), &t.producer.ring
	sticky := t.producer.options.Partitioning == Sticky
	var open, first *partition
	for range n {
		at := ring.Load()
		if !sticky {
			at = ring.Add(1) - 1
		}
		part := t.partitions[at%n]
		if s := part.share; s.opensLocked(bytes) {
			if s.trouble == 0 {
				return part
			}
			open = cmp.Or(open, part)
		}
		first = cmp.Or(first, part)
		if sticky {
			ring.CompareAndSwap(at, at+1)
		}
	}
	return cmp.Or(open, first)
}

// assignHere is assign for where a KeyPartitioner that ends its goroutine must not: with a lock held, or an event's room.
func (t *table) assignHere(r route, size int) (*partition, error) {
	if r.key == "" || t.producer.options.KeyPartitioner == nil {
		return t.assign(r, size)
	}
	p, err := callback.Result("Options.KeyPartitioner", func() (*partition, error) { return t.assign(r, size) })
	if ended, ok := errors.AsType[*callback.EndedError](err); ok {
		err = invalid("%w, for the key %q", ended, r.key)
	}
	return p, err
}

// find returns the partition with that id.
func (t *table) find(id string) (*partition, error) {
	p, ok := t.byID[id]
	if !ok {
		return nil, fmt.Errorf("eventhubs: %w: the event hub has no partition %q, it has %d from %q to %q", ErrPartitionUnknown, id,
			len(t.partitions), t.partitions[0].id, t.partitions[len(t.partitions)-1].id)
	}
	return p, nil
}

// forKey returns the index of a key's partition in the service's list.
func (t *table) forKey(key string) (index int, err error) {
	custom := t.producer.options.KeyPartitioner
	if custom == nil {
		return partitionkey.Index(key, len(t.partitions)), nil
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = invalid("Options.KeyPartitioner panicked for the key %q: %v", key, reason)
		}
	}()
	index = custom(KeyPlacement{Key: key, Partitions: len(t.partitions)})
	if index < 0 || index >= len(t.partitions) {
		return 0, invalid("Options.KeyPartitioner returned %d for the key %q: it must be at least 0 and below %d", index, key, len(t.partitions))
	}
	return index, nil
}

// pick is nextLocked of the present table. It returns nil while the partitions are not known.
func (p *BufferedProducer) pick(bytes int) *partition {
	if p.anywhere != nil {
		return p.anywhere
	}
	if t := p.table.Load(); t != nil {
		return t.nextLocked(bytes)
	}
	return nil
}

// stickyFor returns the partition for an event of that size, from part on: that whose batch it joins, or which has none; next is the choice where the ring is by then.
// If all have batches without room, it is the next in turn, which begins another. What has no room is ready to be sent: with waking, senders are told.
func (t *table) stickyFor(part *partition, size int, waking bool, next func() *partition) *partition {
	for range len(t.partitions) {
		if part.joins(size, waking) {
			return part
		}
		t.stickyLeaves(part)
		part = next()
	}
	t.stickyLeaves(part) // it was the first to be looked at, and so the last to begin a batch
	return next()
}

// stickyLeaves moves Sticky on to the next partition: the batch of part is full, or a sender has taken it.
func (t *table) stickyLeaves(part *partition) {
	ring := &t.producer.ring
	if at := ring.Load(); t.partitions[at%uint32(len(t.partitions))] == part {
		ring.CompareAndSwap(at, at+1)
	}
}

// partitions returns every partition there is or was. The slice must not be changed.
func (p *BufferedProducer) partitions() []*partition {
	if t := p.table.Load(); t != nil {
		return t.all
	}
	if p.anywhere != nil {
		return []*partition{p.anywhere}
	}
	return nil
}

// find returns a partition by its id, if the partitions are known.
func (p *BufferedProducer) find(partitionID string) (*partition, error) {
	t := p.table.Load()
	if t == nil {
		return nil, fmt.Errorf("eventhubs: %w: the partitions of the event hub are not known yet; call Connect first", ErrPartitionUnknown)
	}
	return t.find(partitionID)
}

// PartitionForKey returns the id of the partition that events with that key go to, for [BufferedProducer.FlushPartition] and
// [BufferedProducer.ClearPartition]. It asks the service for the
// partitions if they are not known yet. The answer holds as long as the event hub has as many partitions.
func (p *BufferedProducer) PartitionForKey(ctx context.Context, key string) (partitionID string, err error) {
	if key == "" {
		return "", invalid("the key is empty")
	}
	if err := partitionkey.Check(key); err != nil {
		return "", invalid("the key %v", err)
	}
	if p.table.Load() == nil {
		if err := p.Connect(ctx, nil); err != nil {
			return "", err
		}
	}
	if p.closing.Load() {
		return "", errClosed()
	}
	part, err := p.table.Load().assign(route{key: key}, 0)
	if err != nil {
		return "", err
	}
	return part.id, nil
}
