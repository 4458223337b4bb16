package eventhubs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-eventhubs/eventhubs/internal/callback"
	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A directory knows the partitions of the hub, and assigns events to them.
type directory struct {
	*parts
	staging  *staging   // immutable
	assigned *partition // immutable; with ServiceAssigned: for events without id and key; else nil

	table     atomic.Pointer[table] // nil until the partitions are known
	openLinks atomic.Int32          // partitions whose link was ever open
	questions atomic.Uint64         // how often the service was asked for the partitions
	asking    atomic.Bool           // a refresh is under way
	askedAt   atomic.Int64          // when the latest refresh began, in Unix nanoseconds
	question  uint64                // of the list that was adopted last; guarded by staging.mu
	refreshAt atomic.Int64          // when the next one is due, in Unix nanoseconds; zero without a table

	walk sync.Mutex // held by the one event that looks for Sticky's batch

	_    cacheLine
	ring atomic.Uint32 // the next partition of RoundRobin, the present one of Sticky
	_    cacheLine
}

// A table is the hub's partitions. It never changes: a hub that grows gets another table.
type table struct {
	partitions []*partition // in the order of the service's list, to which keys are mapped
	byID       map[string]*partition
	all        []*partition // these, those that the list no longer has, and the one for ServiceAssigned
}

// newTable makes the table for the service's list. A partition that was ever known is used again.
// It may still hold events, and it may come back after a list without it.
func (d *directory) newTable(ids []string) *table {
	t := &table{byID: make(map[string]*partition, len(ids)), all: d.partitions()}
	known := make(map[string]*partition, len(ids))
	for _, p := range t.all {
		if p != d.assigned {
			known[p.id] = p
		}
	}
	for _, id := range ids {
		p := known[id]
		if p == nil {
			p = newPartition(d.parts, id)
			known[id] = p
			t.all = append(slices.Clip(t.all), p)
		}
		t.partitions = append(t.partitions, p)
		t.byID[id] = p
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

// find returns the partition with that id.
func (t *table) find(id string) (*partition, error) {
	p, ok := t.byID[id]
	if !ok {
		return nil, fmt.Errorf("eventhubs: %w: the event hub has no partition %q; it has %d, from %q to %q", ErrPartitionUnknown, id,
			len(t.partitions), t.partitions[0].id, t.partitions[len(t.partitions)-1].id)
	}
	return p, nil
}

// known reports whether the partitions are known.
func (d *directory) known() bool { return d.table.Load() != nil }

// partitions returns every partition that is or was known. The caller must not change the slice.
func (d *directory) partitions() []*partition {
	if t := d.table.Load(); t != nil {
		return t.all
	}
	if d.assigned != nil {
		return []*partition{d.assigned}
	}
	return nil
}

// find returns a partition by its id, if the partitions are known.
func (d *directory) find(partitionID string) (*partition, error) {
	t := d.table.Load()
	if t == nil {
		return nil, fmt.Errorf("eventhubs: %w: the partitions of the event hub are not known yet; call Connect first", ErrPartitionUnknown)
	}
	return t.find(partitionID)
}

// lacks reports whether the partition is no longer in the table.
func (d *directory) lacks(p *partition) bool {
	t := d.table.Load()
	return p != d.assigned && t != nil && t.byID[p.id] != p
}

// assign returns the partition of an event of that size with that route. The error is
// ErrPartitionUnknown, or a fault of Options.KeyPartitioner.
func (d *directory) assign(t *table, r route, size int) (*partition, error) {
	switch {
	case r.id != "":
		return t.find(r.id)
	case r.key != "":
		i, err := d.forKey(r.key, len(t.partitions))
		if err != nil {
			return nil, err
		}
		return t.partitions[i], nil
	default:
		return d.anyOf(t, size), nil
	}
}

// assignGuarded is assign for a caller that holds a lock, or the room of an event. A KeyPartitioner
// must not end the goroutine then.
func (d *directory) assignGuarded(t *table, r route, size int) (*partition, error) {
	if r.key == "" || d.options.KeyPartitioner == nil {
		return d.assign(t, r, size)
	}
	p, err := callback.Result("Options.KeyPartitioner", func() (*partition, error) { return d.assign(t, r, size) })
	if ended, ok := errors.AsType[*callback.EndedError](err); ok {
		err = invalid("%w, for the key %q", ended, r.key)
	}
	return p, err
}

// forKey returns the index of a key's partition in the service's list.
func (d *directory) forKey(key string, partitions int) (index int, err error) {
	custom := d.options.KeyPartitioner
	if custom == nil {
		return partitionkey.Index(key, partitions), nil
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = invalid("Options.KeyPartitioner panicked for the key %q: %v", key, reason)
		}
	}()
	index = custom(KeyPlacement{Key: key, Partitions: partitions})
	if index < 0 || index >= partitions {
		return 0, invalid("Options.KeyPartitioner returned %d for the key %q: it must be at least 0 and below %d", index, key, partitions)
	}
	return index, nil
}

// anyOf chooses the partition of an event without key and id.
func (d *directory) anyOf(t *table, size int) *partition {
	d.admission.mu.Lock()
	defer d.admission.mu.Unlock()
	return d.nextOfRingLocked(t, size)
}

// pick chooses the partition of an event without key and id; nil while the partitions are not
// known. It is called with admission.mu held.
func (d *directory) pick(size int) *partition {
	if d.assigned != nil {
		return d.assigned
	}
	if t := d.table.Load(); t != nil {
		return d.nextOfRingLocked(t, size)
	}
	return nil
}

// nextOfRingLocked chooses the next partition of the ring that may hold the event and is not in
// trouble. If there is none, it chooses the next that may hold the event. If there is none of these
// either, it chooses the next one. admission.mu must be held.
func (d *directory) nextOfRingLocked(t *table, size int) *partition {
	if d.assigned != nil {
		return d.assigned
	}
	sticky := d.options.Partitioning == Sticky
	n := uint32(len(t.partitions))
	var open, first *partition
	for range n {
		at := d.ring.Load()
		if !sticky {
			at = d.ring.Add(1) - 1
		}
		p := t.partitions[at%n]
		if s := p.share; s.opensLocked(size) {
			if s.trouble == 0 {
				return p
			}
			open = cmp.Or(open, p)
		}
		first = cmp.Or(first, p)
		if sticky {
			d.ring.CompareAndSwap(at, at+1)
		}
	}
	return cmp.Or(open, first)
}

// appendSticky puts an event into the batch that Sticky fills. The event has room in p, where the
// search begins. appendSticky returns the partition that has the event and its room now.
func (d *directory) appendSticky(p *partition, w *wireEvent, x *extra, r *room) (*partition, error) {
	d.walk.Lock()
	defer d.walk.Unlock()
	var err error
	p, joined := d.search(d.table.Load(), p, func(p *partition) (joined bool) {
		joined, err = p.join(w, x)
		return joined
	}, func() *partition { return d.admission.move(r) })
	if !joined {
		err = p.append(w, x, false)
	}
	return p, err
}

// receiveSticky is appendSticky for the i-th event of a staged batch, before the table is
// published.
func (d *directory) receiveSticky(t *table, b *batch, i int, encoded []byte) *partition {
	next := func() *partition { return d.anyOf(t, sectionSize(len(encoded))) }
	p, joined := d.search(t, next(), func(p *partition) bool { return p.receive(b, i, encoded, true) }, next)
	if !joined {
		p.receive(b, i, encoded, false)
	}
	return p
}

// search finds Sticky's partition for an event, from p on: the first that the event joins, since an
// open batch takes it or there is no batch. If all batches are full, it is the next partition in
// turn, which the event has not joined: there it begins another batch.
func (d *directory) search(t *table, p *partition, join func(*partition) bool, next func() *partition) (found *partition, joined bool) {
	for range len(t.partitions) {
		if join(p) {
			return p, true
		}
		d.advance(t, p)
		p = next()
	}
	d.advance(t, p) // p was looked at first, so it begins a batch last
	return next(), false
}

// advance turns the ring past p, if Sticky fills a batch of p. The table is nil before it is
// published.
func (d *directory) advance(t *table, p *partition) {
	if t == nil {
		return
	}
	if at := d.ring.Load(); t.partitions[at%uint32(len(t.partitions))] == p {
		d.ring.CompareAndSwap(at, at+1)
	}
}

// adopt publishes the table for the service's list. The first time, it moves the staged events to
// the partitions, in order. From then on, staging takes no event.
func (d *directory) adopt(list partitionList) {
	t, fresh := d.publish(list)
	d.observer.health.recovered(nil) // after the table is published: now a failure to get the list does not count
	if !fresh {
		return
	}
	d.refreshAt.Store(d.refreshTime())
	d.observer.health.forget(d.lacks)
	for _, p := range t.partitions {
		p.wake()
	}
}

// publish makes the table and publishes it. It reports false if a later question was answered
// earlier: then that list counts. Staging's lock is held, so that no event is staged after it.
func (d *directory) publish(list partitionList) (t *table, fresh bool) {
	s := d.staging
	s.mu.Lock()
	defer s.unlock()
	if list.question < d.question {
		return nil, false
	}
	d.question = list.question
	t = d.table.Load()
	if t == nil || !slices.Equal(t.ids(), list.ids) {
		t = d.newTable(list.ids)
	}
	if !s.over {
		s.failLocked(s.moveLocked(t))
		s.over = true
	}
	d.table.Store(t)
	d.admission.spread(len(t.byID) > 1)
	return t, true
}
