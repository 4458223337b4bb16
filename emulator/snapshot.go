package emulator

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Snapshot is what a server looks like: for people, and for programs that show it to them.
type Snapshot struct {
	// Time at which it was made, in UTC.
	Time time.Time
	// Started is when the server was, in UTC.
	Started time.Time
	// Hubs by name.
	Hubs []HubSnapshot
	// Connections in the order in which they came.
	Connections []ConnectionSnapshot
	// Hooked says that there is a hook, which decides about each operation.
	Hooked bool
	// ThroughputUnits are what [Options] say.
	ThroughputUnits int
	// Faults are what went wrong on purpose so far, the latest first.
	Faults []FaultTally
}

// A HubSnapshot is a hub at a moment.
type HubSnapshot struct {
	// Name of the hub.
	Name string
	// Created is when it was, in UTC.
	Created time.Time
	// Disabled is what [Hub] says.
	Disabled bool
	// Retention is what [Hub] says.
	Retention Retention
	// ConsumerGroups by name, [DefaultConsumerGroup] first.
	ConsumerGroups []string
	// Partitions in their order.
	Partitions []PartitionSnapshot
}

// A PartitionSnapshot is a partition at a moment; what it says belongs together.
type PartitionSnapshot struct {
	// ID of the partition.
	ID string
	// Total is what was ever stored.
	Total Counts
	// Held is what is there: less than Total if a retention has taken some away, nothing with [Options.Discard].
	Held Counts
	// First and Last are the sequence numbers of the oldest event that is there and of the newest ever; -1 if there never was one.
	First, Last int64
	// Enqueued is when the newest event was stored, in UTC; zero if there never was one.
	Enqueued time.Time
	// Readers are the consumer groups that read the partition, or have read it, by name.
	Readers []ReaderSnapshot
}

// A ReaderSnapshot is how far a consumer group is in a partition, as far as the server knows: it sees what receivers get, not what
// they have done with it, nor any checkpoint.
type ReaderSnapshot struct {
	// Group is the consumer group.
	Group string
	// Next is the sequence number of the next event for that of the group's receivers that is furthest, or was when it left.
	Next int64
	// Behind is how many events that are there it has not been sent yet.
	Behind int64
	// Receivers that are attached, in the order in which they came; nil if none is any more.
	Receivers []ReceiverSnapshot
}

// A ReceiverSnapshot is a client's link that reads a partition.
type ReceiverSnapshot struct {
	// Connection is its number.
	Connection int
	// Name is how the client calls it.
	Name string
	// Epoch is its owner level; nil if it has none.
	Epoch *int64
	// Next is the sequence number of the next event that it gets.
	Next int64
}

// A ConnectionSnapshot is a client's connection. Until the client has said what it wants, only Number, Remote and Opened are known.
type ConnectionSnapshot struct {
	// Number is that of [Operation.Connection].
	Number int
	// Remote is the client's address.
	Remote string
	// Opened is when the connection was, in UTC.
	Opened time.Time
	// Transport that the client chose; 0 if that is not known yet.
	Transport Transport
	// Client is what the client calls itself: its user agent, or its product and version.
	Client string
	// Container is its container-id.
	Container string
	// Links that it has, oldest first.
	Links []LinkSnapshot
}

// A LinkSnapshot is a link that a client has attached.
type LinkSnapshot struct {
	// Name is how the client calls it.
	Name string
	// Address is the node that it is attached to, as in [Operation].
	Address string
	// Hub is that of the node; empty if it belongs to none.
	Hub string
	// PartitionID is that of the node; empty for none.
	PartitionID string
	// ConsumerGroup of a receiver.
	ConsumerGroup string
	// Receiver says that the client receives.
	Receiver bool
	// Attached is when it was, in UTC.
	Attached time.Time
	// Events that went over it, those included that were refused.
	Events int
	// Messages in which they were.
	Messages int
}

// Snapshot tells what there is at this moment. Each partition, and each connection, is told as it is at one instant; between them, clients may
// do things. It costs about a microsecond for each partition, link and receiver, and disturbs nobody.
func (s *Server) Snapshot() Snapshot {
	out := Snapshot{
		Time: time.Now().UTC(), Started: s.started, ThroughputUnits: s.options.ThroughputUnits, Faults: s.faults.all(),
	}
	hook := s.hook.Load()
	out.Hooked = hook != nil && *hook != nil
	for _, h := range s.namespace.all() {
		out.Hubs = append(out.Hubs, h.snapshot())
	}
	s.mu.Lock()
	connections := slices.SortedFunc(maps.Values(s.serving), func(a, b *connection) int { return a.number - b.number })
	s.mu.Unlock()
	for _, c := range connections {
		out.Connections = append(out.Connections, c.snapshot())
	}
	return out
}

// all are the hubs by name.
func (n *namespace) all() []*hub {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.SortedFunc(maps.Values(n.hubs), func(a, b *hub) int { return strings.Compare(a.name, b.name) })
}

func (h *hub) snapshot() HubSnapshot {
	out := HubSnapshot{
		Name: h.name, Created: h.created, Disabled: h.disabled, Retention: h.settings.retention, ConsumerGroups: h.allGroups(),
	}
	for _, p := range h.partitions() {
		out.Partitions = append(out.Partitions, p.snapshot(out.ConsumerGroups))
	}
	return out
}

// allGroups are the names of the hub's consumer groups, the default one first.
func (h *hub) allGroups() []string {
	groups := []string{DefaultConsumerGroup}
	for _, name := range slices.Sorted(slices.Values(h.groups)) {
		if !strings.EqualFold(name, DefaultConsumerGroup) {
			groups = append(groups, name)
		}
	}
	return groups
}

// snapshot tells about a partition of a hub with the given groups.
func (p *partition) snapshot(groups []string) PartitionSnapshot {
	readers := p.receivers.snapshot(groups) // before the log, or somebody might be ahead of it
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked()
	out := PartitionSnapshot{ID: p.id, Total: p.total, First: -1, Last: p.next - 1, Enqueued: p.enqueued, Readers: readers}
	if p.next > 0 {
		out.First = p.next
	}
	if len(p.batches) > 0 {
		oldest := p.batches[0]
		out.First = oldest.first
		out.Held = Counts{Events: int(p.next - oldest.first), Batches: len(p.batches), Bytes: p.bytes - oldest.offset}
	}
	for i := range readers {
		readers[i].Behind = max(p.next-max(readers[i].Next, out.First), 0)
	}
	return out
}

// snapshot tells which of a hub's groups read the partition, or have read it.
func (rs *receivers) snapshot(groups []string) []ReaderSnapshot {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(rs.all) == 0 && len(rs.left) == 0 {
		return nil
	}
	var out []ReaderSnapshot
	for _, group := range groups {
		key := strings.ToLower(group)
		next, known := rs.left[key]
		reader := ReaderSnapshot{Group: group, Next: next}
		for _, r := range rs.all {
			if r.group == key && !ended(r.link) {
				reader.Receivers = append(reader.Receivers, r.snapshot())
			}
		}
		if len(reader.Receivers) > 0 {
			reader.Next = slices.MaxFunc(reader.Receivers, func(a, b ReceiverSnapshot) int { return cmp.Compare(a.Next, b.Next) }).Next
		}
		if known || len(reader.Receivers) > 0 {
			out = append(out, reader)
		}
	}
	return out
}

func (r *receiver) snapshot() ReceiverSnapshot {
	out := ReceiverSnapshot{Connection: r.number, Name: r.name, Next: r.next.Load()}
	if r.hasEpoch {
		out.Epoch = new(r.epoch)
	}
	return out
}

// A client is what is known of a connection when its handshake is over. It never changes.
type client struct {
	transport Transport
	agent     string
	container string
}

// maxAgent bounds how much of what a client says about itself is kept.
const maxAgent = 256

func newClient(open *amqp.Open, transport Transport) *client {
	text := func(key string) string {
		v, _ := open.Properties.Get(key)
		s, _ := v.(string)
		return s
	}
	agent := text("user-agent")
	if agent == "" {
		agent = strings.TrimSpace(text("product") + " " + text("version"))
	}
	return &client{transport: transport, agent: cutText(agent, maxAgent), container: cutText(open.ContainerID, maxAgent)}
}

// cutText is at most the first n bytes of a text, without the part of a character.
func cutText(text string, n int) string {
	return strings.Clone(strings.ToValidUTF8(text[:min(len(text), n)], ""))
}

func (c *connection) snapshot() ConnectionSnapshot {
	out := ConnectionSnapshot{Number: c.number, Remote: c.raw.RemoteAddr().String(), Opened: c.opened}
	if client := c.client.Load(); client != nil {
		out.Transport, out.Client, out.Container = client.transport, client.agent, client.container
	}
	for _, a := range c.attaches() {
		if since := a.since.Load(); since != nil && !ended(a.link) {
			out.Links = append(out.Links, a.snapshot(*since))
		}
	}
	slices.SortFunc(out.Links, func(a, b LinkSnapshot) int {
		return cmp.Or(a.Attached.Compare(b.Attached), strings.Compare(a.Address, b.Address), strings.Compare(a.Name, b.Name))
	})
	return out
}

func (a *attach) snapshot(since time.Time) LinkSnapshot {
	op := a.operation()
	return LinkSnapshot{
		Name: a.remote.Name, Address: op.Address, Hub: op.Hub, PartitionID: op.PartitionID, ConsumerGroup: op.ConsumerGroup,
		Receiver: op.Receiver, Attached: since, Events: int(a.events.Load()), Messages: int(a.messages.Load()),
	}
}
