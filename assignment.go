package eventhubs

import (
	"fmt"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A route is what the caller said about an event's partition: its id, a key, or nothing.
type route struct {
	id  string
	key string
}

// A table maps routes to partitions. It never changes: a hub that grows gets another one.
type table struct {
	partitions []*partition // in the order of the service's list, which is what keys are mapped to
	byID       map[string]*partition
	next       *atomic.Uint32 // the ring of events without id or key; outlives the table
}

func newTable(partitions []*partition, next *atomic.Uint32) *table {
	t := &table{partitions: partitions, byID: make(map[string]*partition, len(partitions)), next: next}
	for _, p := range partitions {
		t.byID[p.id] = p
	}
	return t
}

// assign returns the partition for a route. The error is ErrUnknownPartition.
func (t *table) assign(r route) (*partition, error) {
	switch {
	case r.id != "":
		p, ok := t.byID[r.id]
		if !ok {
			return nil, fmt.Errorf("eventhubs: %w: the event hub has no partition %q, it has %d from %q to %q", ErrUnknownPartition, r.id,
				len(t.partitions), t.partitions[0].id, t.partitions[len(t.partitions)-1].id)
		}
		return p, nil
	case r.key != "":
		return t.partitions[partitionkey.Index(r.key, len(t.partitions))], nil
	default:
		return t.roundRobin(), nil
	}
}

// roundRobin returns the next partition of the ring that is not in trouble, or simply the next if all are.
func (t *table) roundRobin() *partition {
	n := uint32(len(t.partitions))
	first := t.partitions[(t.next.Add(1)-1)%n]
	if !first.troubled.Load() {
		return first
	}
	for range n - 1 {
		if p := t.partitions[(t.next.Add(1)-1)%n]; !p.troubled.Load() {
			return p
		}
	}
	return first
}
