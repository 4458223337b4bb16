package main

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"

	"github.com/go-eventhubs/eventhubs"
)

// A tally counts events by partition and outcome, as the producer reports them.
type tally struct {
	seed maphash.Seed // immutable

	mu            sync.Mutex // guards the fields below
	partitions    map[string]*partitionTally
	failedBatches int
	notStored     int // events
	possibly      int // events that are possibly stored
}

// A partitionTally is one row of the report.
type partitionTally struct {
	ID      string `json:"id"`
	Events  int    `json:"events"`
	Batches int    `json:"batches"`
	Bytes   int    `json:"bytes"` // of the events' bodies

	keys map[uint64]struct{} // hashes of the keys, since there may be many
}

func newTally() *tally {
	return &tally{seed: maphash.MakeSeed(), partitions: map[string]*partitionTally{}}
}

// expect makes a row for each partition, even if it gets no events.
func (t *tally) expect(partitionIDs []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range partitionIDs {
		t.partitionLocked(id)
	}
}

func (t *tally) partitionLocked(id string) *partitionTally {
	p := t.partitions[id]
	if p == nil {
		p = &partitionTally{ID: id, keys: map[uint64]struct{}{}}
		t.partitions[id] = p
	}
	return p
}

// succeeded counts a batch that was stored. It runs on the producer's senders.
func (t *tally) succeeded(b *eventhubs.Batch) {
	bytes, keys := t.measure(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.partitionLocked(b.PartitionID)
	p.Events += b.Count
	p.Batches++
	p.Bytes += bytes
	maps.Copy(p.keys, keys)
}

// measure returns the bytes of a batch's bodies, and the hashes of its keys.
func (t *tally) measure(b *eventhubs.Batch) (bytes int, keys map[uint64]struct{}) {
	for tag := range b.Tags() {
		n, ok := tag.(*note)
		if !ok {
			return t.measureEvents(b)
		}
		bytes += n.bytes
		if !n.keyed {
			continue
		}
		if keys == nil {
			keys = map[uint64]struct{}{}
		}
		keys[n.key] = struct{}{}
	}
	return bytes, keys
}

// measureEvents is measure for a journal's events, which have no notes.
func (t *tally) measureEvents(b *eventhubs.Batch) (bytes int, keys map[uint64]struct{}) {
	keys = map[uint64]struct{}{}
	for e := range b.Events() {
		bytes += len(sentBody(e))
		if e.PartitionKey != "" {
			keys[t.hash(e.PartitionKey)] = struct{}{}
		}
	}
	return bytes, keys
}

// hash returns the hash of a key.
func (t *tally) hash(key string) uint64 { return maphash.String(t.seed, key) }

// failed counts a batch that was not stored, or only possibly, and returns the number of failed
// batches. It runs on the producer's senders.
func (t *tally) failed(b *eventhubs.Batch) (batches int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failedBatches++
	if b.Outcome.Storage == eventhubs.PossiblyStored {
		t.possibly += b.Count
	} else {
		t.notStored += b.Count
	}
	return t.failedBatches
}

// hasFailed reports whether any batch has failed.
func (t *tally) hasFailed() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failedBatches > 0
}

// refused counts an event that the producer did not accept.
func (t *tally) refused() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notStored++
}

// counts returns how many events were stored, and how many failed.
func (t *tally) counts() (stored, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.storedLocked(), t.notStored + t.possibly
}

func (t *tally) storedLocked() (stored int) {
	for _, p := range t.partitions {
		stored += p.Events
	}
	return stored
}

// failures returns how many events are certainly not stored, and how many are possibly stored.
func (t *tally) failures() (notStored, possibly int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notStored, t.possibly
}

// told returns the counts for people.
func (t *tally) told() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%d stored, %d not stored, %d possibly stored", t.storedLocked(), t.notStored, t.possibly)
}

// rows returns the rows of the report, sorted by partition id.
func (t *tally) rows() []partitionTally {
	t.mu.Lock()
	defer t.mu.Unlock()
	rows := make([]partitionTally, 0, len(t.partitions))
	for _, p := range t.partitions {
		row := *p
		row.keys = maps.Clone(p.keys)
		rows = append(rows, row)
	}
	// Ids are small numbers in text, so a shorter one is smaller.
	slices.SortFunc(rows, func(a, b partitionTally) int {
		return cmp.Or(cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// differences says where the producer's reports differ from the events read back, for each
// partition.
func (t *tally) differences(readBack map[string]volume) []string {
	var found []string
	for _, row := range t.rows() {
		told := volume{row.Events, row.Bytes}
		if got := readBack[row.ID]; got != told {
			found = append(found, fmt.Sprintf("partition %s: the producer reports %d events with %d bytes, but %d with %d came back",
				row.ID, told.events, told.bytes, got.events, got.bytes))
		}
	}
	return found
}
