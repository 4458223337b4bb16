package emulator

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/partitionkey"
)

// A hub is an event hub with its partitions and consumer groups.
type hub struct {
	// Immutable after newHub.
	name       string
	created    time.Time
	partitions []*partition
	ids        []string
	groups     []string // without the default group

	// Atomic.
	turn atomic.Uint64 // counts the batches that came without id and key; chooses their partition

	mu      sync.Mutex // guards the fields below
	total   int64      // events stored in all partitions
	changed chan struct{}
}

func newHub(h Hub) *hub {
	out := &hub{name: h.Name, created: time.Now().UTC(), groups: slices.Clone(h.ConsumerGroups)}
	for i := range h.Partitions {
		p := newPartition(i)
		out.partitions = append(out.partitions, p)
		out.ids = append(out.ids, p.id)
	}
	return out
}

// partition looks an id up; nil if there is none.
func (h *hub) partition(id string) *partition {
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(h.partitions) || h.partitions[i].id != id {
		return nil
	}
	return h.partitions[i]
}

// group tells whether a consumer group exists.
func (h *hub) group(name string) bool {
	return strings.EqualFold(name, DefaultConsumerGroup) ||
		slices.ContainsFunc(h.groups, func(g string) bool { return strings.EqualFold(g, name) })
}

// choose is the partition for a batch that is not bound to one: by its key, else in turn.
func (h *hub) choose(key string, hasKey bool) *partition {
	if hasKey {
		return h.partitions[partitionkey.Index(key, len(h.partitions))]
	}
	turn := h.turn.Add(1) - 1
	return h.partitions[turn%uint64(len(h.partitions))]
}

// store appends a batch to a partition and tells those who count the hub's events.
func (h *hub) store(p *partition, b *batch) {
	n := int64(len(b.events)) // the batch is the log's after append
	p.append(b)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total += n
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// wait returns when the hub holds at least n events, or when ctx ends, and how many it holds.
func (h *hub) wait(ctx context.Context, n int64) (int64, error) {
	for {
		h.mu.Lock()
		total := h.total
		if total < n && h.changed == nil {
			h.changed = make(chan struct{})
		}
		changed := h.changed
		h.mu.Unlock()
		if total >= n {
			return total, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}
