package emulator

import (
	"context"
	"errors"
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
	groups     []string // without the default group
	faultFree  bool
	configured bool // the option Disabled, which SetDisabled overrides
	settings   settings
	journal    *journal // nil: nothing is stored durably

	// Atomic.
	layout   atomic.Pointer[layout] // replaced as a whole by grow
	turn     atomic.Uint64          // counts the batches without partition and key; chooses their partition
	disabled atomic.Bool
	deleted  atomic.Bool

	decided *bool // the argument of the latest SetDisabled, guarded by the namespace's changing; nil: none

	mu      sync.Mutex // guards the fields below
	total   int64      // events stored in all partitions
	changed chan struct{}
}

// A layout is the list of a hub's partitions at one time. It never changes; a hub that grows gets
// another.
type layout struct {
	partitions []*partition
	ids        []string
}

// errDeleted is why nothing more can be expected of a hub.
var errDeleted = errors.New("the hub was deleted")

func newHub(h Hub, s settings, j *journal) *hub {
	s.retention = h.Retention
	out := &hub{name: h.Name, created: time.Now().UTC(), groups: slices.Clone(h.ConsumerGroups), faultFree: h.FaultFree, configured: h.Disabled, settings: s, journal: j}
	out.disabled.Store(h.Disabled)
	out.layout.Store(&layout{})
	out.grow(h.Partitions)
	return out
}

// grow adds n partitions. Only one goroutine may grow a hub at a time; clients are not disturbed.
func (h *hub) grow(n int) {
	old := h.layout.Load()
	grown := &layout{partitions: slices.Clone(old.partitions), ids: slices.Clone(old.ids)}
	for range n {
		p := newPartition(len(grown.partitions), h.settings)
		p.journal = h.journal
		grown.partitions = append(grown.partitions, p)
		grown.ids = append(grown.ids, p.id)
	}
	h.layout.Store(grown)
}

// partitions are the hub's present partitions. The slice must not be modified.
func (h *hub) partitions() []*partition { return h.layout.Load().partitions }

// partition finds a partition by its id; nil if there is none.
func (h *hub) partition(id string) *partition {
	partitions := h.partitions()
	i, err := strconv.Atoi(id)
	if err != nil || i < 0 || i >= len(partitions) || partitions[i].id != id {
		return nil
	}
	return partitions[i]
}

// group reports whether a consumer group exists.
func (h *hub) group(name string) bool {
	return strings.EqualFold(name, DefaultConsumerGroup) ||
		slices.ContainsFunc(h.groups, func(g string) bool { return strings.EqualFold(g, name) })
}

// choose returns the partition for a batch without one: by its key, else in turn.
func (h *hub) choose(key string, hasKey bool) *partition {
	partitions := h.partitions()
	if hasKey {
		return partitions[partitionkey.Index(key, len(partitions))]
	}
	turn := h.turn.Add(1) - 1
	return partitions[turn%uint64(len(partitions))]
}

// store appends a batch to a partition and wakes the callers that wait for events of the hub.
func (h *hub) store(p *partition, b *batch) *refusal {
	n := int64(len(b.events)) // after append the batch belongs to the log
	stored, refused := p.append(b)
	if stored {
		h.count(n)
	}
	return refused
}

// count counts n more events.
func (h *hub) count(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.total += n
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// wait returns how many events the hub has stored, as soon as that is at least n, the hub is
// deleted, or ctx ends.
func (h *hub) wait(ctx context.Context, n int64) (int64, error) {
	for {
		gone := h.deleted.Load() // before the total is read: the hub wakes its callers afterwards
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
		if gone {
			return total, errDeleted
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return total, ctx.Err()
		}
	}
}
