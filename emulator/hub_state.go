package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SetDisabled disables or enables a hub while the server runs. Disabling detaches its senders and
// receivers with com.microsoft:entity-disabled, and refuses new ones; see [Hub]. Its events stay.
// Clients of an enabled hub come back by themselves, if they still try. With [Options.Store] the
// state survives a restart, whatever the options then say.
func (s *Server) SetDisabled(hub string, disabled bool) error {
	n := s.namespace
	n.changing.Lock()
	defer n.changing.Unlock()
	h := s.hub(hub)
	if h == nil {
		return fmt.Errorf("emulator: SetDisabled: there is no hub %q", hub)
	}
	before := h.decided
	h.decided = &disabled
	if err := h.journal.putHub(h.stored(len(h.partitions()))); err != nil {
		h.decided = before
		return fmt.Errorf("emulator: SetDisabled: %w", err)
	}
	h.disabled.Store(disabled)
	s.detachUnavailable(h)
	return nil
}

// DeleteHub deletes a hub with its events while the server runs. Its links are detached with
// amqp:not-found, and further ones are refused. So are tokens and questions about it. A hub of the
// same name may be created afterwards; it is empty. With [Options.Store] the hub's contents are
// removed from the store. If the next server's options name the hub, it is created again, empty.
//
// If the store fails before the hub is marked as deleted, nothing has changed. If it fails later,
// the error says so, and the hub is gone. The next server removes the rest, or AddHub does if the
// name comes back earlier.
func (s *Server) DeleteHub(hub string) error {
	n := s.namespace
	n.changing.Lock()
	defer n.changing.Unlock()
	h := s.hub(hub)
	if h == nil {
		return fmt.Errorf("emulator: DeleteHub: there is no hub %q", hub)
	}
	record := h.stored(len(h.partitions()))
	record.Deleted = true
	if err := h.journal.putHub(record); err != nil {
		return fmt.Errorf("emulator: DeleteHub: %w", err)
	}
	n.remove(h)
	h.delete()
	s.detachUnavailable(h)
	if n.store != nil {
		n.unerased[h.journal.hub] = record.Hub.Partitions
	}
	if err := n.erase(h.journal); err != nil {
		return fmt.Errorf("emulator: DeleteHub: hub %q is gone, and the next start removes the rest of its events from the store: %w", hub, err)
	}
	return nil
}

// remove removes a hub.
func (n *namespace) remove(h *hub) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.hubs, strings.ToLower(h.name))
}

// delete makes a hub store nothing more, and wakes the callers that wait for its events. After it
// no goroutine writes the hub's contents to the store.
func (h *hub) delete() {
	h.deleted.Store(true)
	for _, p := range h.partitions() {
		p.close(refuse(conditionNotFound, textEntityNotFound, h.name))
	}
	h.count(0)
}

// close makes a partition refuse all further batches and producers, and forget its batches. It
// waits for a write to the journal. Readers that wait stay, until their links are detached.
func (p *partition) close(why *refusal) {
	if p.journal != nil {
		p.writing <- struct{}{}
		defer func() { <-p.writing }()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = why
	for len(p.batches) > 0 {
		p.releaseLocked()
	}
	p.held, p.cold, p.oldest = 0, nil, Entry{First: p.next, Offset: p.bytes}
}

// detachUnavailable detaches the links that a hub no longer takes.
func (s *Server) detachUnavailable(h *hub) {
	s.mu.Lock()
	connections := slices.Collect(maps.Values(s.serving))
	s.mu.Unlock()
	for _, c := range connections {
		for _, a := range c.attaches() {
			if a.hub != h || a.since.Load() == nil {
				continue // accept looks after a link that is not accepted yet
			}
			if refused := a.unavailable(); refused != nil {
				_ = a.link.Detach(refused.amqp())
			}
		}
	}
}

// stored is the hub's record for a store, with this many partitions.
func (h *hub) stored(partitions int) storedHub {
	return storedHub{
		Hub: Hub{
			Name: h.name, Partitions: partitions, ConsumerGroups: slices.Clone(h.groups), Disabled: h.configured,
			Retention: h.settings.retention, FaultFree: h.faultFree,
		},
		Created:  h.created,
		Disabled: h.decided,
	}
}

// erase removes what the store still has of a deleted hub.
func (n *namespace) erase(j *journal) error {
	if j == nil {
		return nil
	}
	partitions, left := n.unerased[j.hub]
	if !left {
		return nil
	}
	if err := j.erase(partitions); err != nil {
		return err
	}
	delete(n.unerased, j.hub)
	return nil
}

// eraseAtOnce is how much one update of the store deletes at most.
const eraseAtOnce = 1000

// erase removes a hub's contents from the store, then its record. The record stays last, so that an
// interrupted removal goes on at the next start.
func (j *journal) erase(partitions int) error {
	var changes []Change
	for p := range partitions {
		changes = append(changes, Change{Log: j.log(p), Drop: true})
	}
	err := j.store.Scan([]byte(keyProducer+j.hub+"\x00"), func(key, _ []byte) error {
		changes = append(changes, Change{Key: slices.Clone(key)})
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(changes, eraseAtOnce) {
		if err := j.store.Update(some...); err != nil {
			return err
		}
	}
	return j.store.Update(Change{Key: []byte(keyHub + j.hub)})
}
