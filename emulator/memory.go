package emulator

import (
	"log/slog"
	"sync"

	"github.com/go-eventhubs/eventhubs/internal/memorylimit"
)

const (
	// minMaxMemory refuses a number that was meant in other units.
	minMaxMemory = 1 << 20

	// batchOverhead is about what a batch takes besides its message and the places of its events.
	batchOverhead = 256
	spanBytes     = 24
)

// defaultMaxMemory is a quarter of what the process may use. Until Go's garbage collector runs, as
// much again may be garbage. The rest is for messages under way.
func defaultMaxMemory() int64 { return max(memorylimit.Find()/4, minMaxMemory) }

// A memory bounds the bytes of the batches that all partitions of a server hold in memory. Beyond
// the bound the partitions drop batches, oldest first. Batches that a journal has are not lost. The
// newest batch of all always stays. A nil memory bounds nothing.
//
// A batch is in the memory's list as long as its partition holds it. A partition adds and removes
// its batches while it holds its own lock, so the list has them in the partition's order.
type memory struct {
	// Immutable.
	bound int64
	log   *slog.Logger

	mu             sync.Mutex // guards the fields below, and the batches' fields of the list
	bytes          int64
	oldest, newest *batch
	forgets        bool // the log has its line
}

// newMemory returns nil without a bound.
func newMemory(bound int64, log *slog.Logger) *memory {
	if bound < 0 {
		return nil
	}
	return &memory{bound: bound, log: log}
}

// memory is about what a batch takes.
func (b *batch) memory() int64 {
	return int64(cap(b.buffer)) + int64(cap(b.events))*spanBytes + batchOverhead
}

// add appends a batch to the list. The caller holds the lock of the batch's partition.
func (m *memory) add(b *batch) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes += b.memory()
	b.older = m.newest
	if m.newest == nil {
		m.oldest = b
	} else {
		m.newest.newer = b
	}
	m.newest = b
}

// remove takes a batch out of the list. The caller holds the lock of its partition.
func (m *memory) remove(b *batch) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bytes -= b.memory()
	if b.older == nil {
		m.oldest = b.newer
	} else {
		b.older.newer = b.newer
	}
	if b.newer == nil {
		m.newest = b.older
	} else {
		b.newer.older = b.older
	}
	b.older, b.newer = nil, nil
}

// trim makes partitions drop their oldest batches until the rest fits. The caller holds no lock.
func (m *memory) trim() {
	for {
		b, first := m.excess()
		if b == nil {
			return
		}
		if first && b.partition.journal == nil {
			m.log.Warn("the events do not fit in memory any more: from now on the oldest ones are forgotten, as by retention", "bound", m.bound)
		}
		b.partition.forget(b)
	}
}

// excess returns the oldest batch if it is to be dropped, and whether it is the first one ever.
func (m *memory) excess() (b *batch, first bool) {
	if m == nil {
		return nil, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes <= m.bound || m.oldest == m.newest {
		return nil, false
	}
	first, m.forgets = !m.forgets, true
	return m.oldest, first
}

// forget drops a batch if it is still the partition's oldest in memory. With a journal it can still
// be read from there.
func (p *partition) forget(b *batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(p.batches) == 0 || p.batches[0] != b:
	case p.journal != nil:
		p.releaseLocked()
	default:
		_ = p.dropLocked() // it reads no journal
	}
}
