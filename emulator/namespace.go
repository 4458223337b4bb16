package emulator

import (
	"fmt"
	"strings"
	"sync"
)

// A namespace is a server's hubs and their shared state.
type namespace struct {
	// Immutable after newNamespace.
	settings settings
	store    Store // nil: nothing is stored durably
	throttle *throttle

	changing sync.Mutex     // held while hubs or their partitions change, also during writes to the store; guards the field below
	unerased map[string]int // by name in lower case, the partitions of deleted hubs that the store still has parts of

	mu   sync.RWMutex    // guards the field below
	hubs map[string]*hub // by name in lower case
}

// newNamespace makes the hubs of the options and those of their store.
func newNamespace(o *Options) (*namespace, error) {
	n := &namespace{
		settings: settings{idempotent: o.Idempotence, discard: o.Discard, memory: newMemory(o.MaxMemory, o.Logger), log: o.Logger},
		store:    o.Store,
		throttle: newThrottle(o.ThroughputUnits),
		unerased: make(map[string]int),
		hubs:     make(map[string]*hub),
	}
	if n.store == nil {
		for _, h := range o.Hubs {
			n.hubs[strings.ToLower(h.Name)] = newHub(h, n.settings, nil)
		}
		return n, nil
	}
	if err := n.load(o.Hubs); err != nil {
		return nil, fmt.Errorf("emulator: Options.Store: %w", err)
	}
	return n, nil
}

// hub finds a hub, ignoring case; nil if there is none.
func (n *namespace) hub(name string) *hub {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.hubs[strings.ToLower(name)]
}

// put adds a hub.
func (n *namespace) put(h *hub) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hubs[strings.ToLower(h.name)] = h
}

// AddHub adds an event hub while the server runs; see Options.Hubs. Clients find it at once.
func (s *Server) AddHub(h Hub) error {
	hubs := []Hub{h}
	if err := validateHubs("AddHub", hubs); err != nil {
		return err
	}
	h = hubs[0]
	n := s.namespace
	n.changing.Lock()
	defer n.changing.Unlock()
	if n.hub(h.Name) != nil {
		return &HubError{"Name", fmt.Sprintf("emulator: AddHub: there is a hub %q already (case does not matter)", h.Name)}
	}
	var j *journal
	if n.store != nil {
		j = newJournal(n.store, h.Name)
	}
	if err := n.erase(j); err != nil {
		return fmt.Errorf("emulator: AddHub: a hub %q was deleted, and the rest of it cannot be removed from the store: %w", h.Name, err)
	}
	added := newHub(h, n.settings, j)
	if err := j.putHub(added.stored(h.Partitions)); err != nil {
		return fmt.Errorf("emulator: AddHub: %w", err)
	}
	n.put(added)
	return nil
}

// AddPartitions adds n partitions to a hub while the server runs, as a dedicated cluster of the
// service can. Clients see them when they next ask; attached clients are not disturbed. A partition
// key may then map to another partition than before, since the service's hash depends on their
// number.
func (s *Server) AddPartitions(hub string, n int) error {
	s.namespace.changing.Lock()
	defer s.namespace.changing.Unlock()
	h := s.hub(hub)
	if h == nil {
		return fmt.Errorf("emulator: AddPartitions: there is no hub %q", hub)
	}
	sum := len(h.partitions()) + n
	if n < 1 || sum > maxPartitions {
		return &HubError{"Partitions", fmt.Sprintf("emulator: AddPartitions: %d partitions cannot be added to the %d of hub %q; it must have between 1 and %d", n, sum-n, hub, maxPartitions)}
	}
	if err := h.journal.putHub(h.stored(sum)); err != nil {
		return fmt.Errorf("emulator: AddPartitions: %w", err)
	}
	h.grow(n)
	return nil
}
