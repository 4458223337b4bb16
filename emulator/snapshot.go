package emulator

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/internal/amqp"
)

// A Snapshot is the state of a server at one time, for people and for programs that show it.
type Snapshot struct {
	// Time of the snapshot, in UTC.
	Time time.Time
	// Started is when the server started, in UTC.
	Started time.Time
	// Hubs by name.
	Hubs []HubSnapshot
	// Connections in the order in which they were opened.
	Connections []ConnectionSnapshot
	// Hooked says that a hook is set.
	Hooked bool
	// ThroughputUnits as in [Options], or as [Server.SetThroughputUnits] has changed them.
	ThroughputUnits int
	// Durable says that events are kept in [Options.Store], and survive the server.
	Durable bool
	// Discard as in [Options]: events are counted and none is kept.
	Discard bool
	// MaxMemory as in [Options], with its default; negative: no bound.
	MaxMemory int64
	// Faults are the deliberate faults so far, latest first.
	Faults []FaultTally
}

// A HubSnapshot is the state of a hub.
type HubSnapshot struct {
	// Name of the hub.
	Name string
	// Created is when the hub was created, in UTC.
	Created time.Time
	// Disabled as in [Hub], or as [Server.SetDisabled] has set it.
	Disabled bool
	// Retention as in [Hub].
	Retention Retention
	// ConsumerGroups by name, [DefaultConsumerGroup] first.
	ConsumerGroups []string
	// Partitions in order.
	Partitions []PartitionSnapshot
}

// A PartitionSnapshot is the state of a partition. Its fields are consistent with each other.
type PartitionSnapshot struct {
	// ID of the partition.
	ID string
	// Total is how much was ever stored.
	Total Counts
	// Held is what the partition now holds: less than Total after [Retention] or
	// [Options.MaxMemory] has dropped some, zero with [Options.Discard].
	Held Counts
	// First and Last are the sequence numbers of the oldest event still held and of the newest
	// ever; -1 if there never was one.
	First, Last int64
	// Enqueued is when the newest event was stored, in UTC; zero if there never was one.
	Enqueued time.Time
	// Readers are the consumer groups that read the partition or have read it, by name.
	Readers []ReaderSnapshot
}

// A ReaderSnapshot is a consumer group's progress in a partition, as the server knows it. The
// server sees which events receivers get, but neither their processing nor any checkpoint.
type ReaderSnapshot struct {
	// Group is the consumer group.
	Group string
	// Next is the sequence number of the next event for the group's furthest receiver, or for the
	// last one that left.
	Next int64
	// Behind is how many events of the partition the group has not been sent yet.
	Behind int64
	// Receivers that are attached, in order of attachment; nil if there are none.
	Receivers []ReceiverSnapshot
}

// A ReceiverSnapshot is a client's link that reads a partition.
type ReceiverSnapshot struct {
	// Connection is the number of its connection.
	Connection int
	// Name is the client's name for it.
	Name string
	// Epoch is its owner level; nil if it has none.
	Epoch *int64
	// Next is the sequence number of its next event.
	Next int64
}

// A ConnectionSnapshot is the state of a client's connection. Until its handshake is over, only
// Number, Remote and Opened are set.
type ConnectionSnapshot struct {
	// Number as in [Operation.Connection].
	Number int
	// Remote is the client's address.
	Remote string
	// Opened is when the connection was opened, in UTC.
	Opened time.Time
	// Transport that the client chose; 0 until that is known.
	Transport Transport
	// Client is the client's own description: its user agent, or its product and version.
	Client string
	// Container is the client's container-id.
	Container string
	// Links of the connection, oldest first.
	Links []LinkSnapshot
}

// A LinkSnapshot is the state of a link that a client has attached.
type LinkSnapshot struct {
	// Name is the client's name for it.
	Name string
	// Address is its node, as in [Operation].
	Address string
	// Hub of the node; empty if it belongs to none.
	Hub string
	// PartitionID of the node; empty for none.
	PartitionID string
	// ConsumerGroup of a receiver.
	ConsumerGroup string
	// Receiver says that the client receives.
	Receiver bool
	// Attached is when it was attached, in UTC.
	Attached time.Time
	// Events that passed over it, including refused ones.
	Events int
	// Messages that contained them.
	Messages int
}

// Snapshot returns the server's present state. Each partition and each connection is captured at
// one instant; between them, clients may go on. It takes about a microsecond for each partition,
// link and receiver, and does not disturb clients.
func (s *Server) Snapshot() Snapshot {
	out := Snapshot{
		Time: time.Now().UTC(), Started: s.started, ThroughputUnits: s.namespace.throttle.size(), Faults: s.faults.all(),
		Durable: s.options.Store != nil, Discard: s.options.Discard, MaxMemory: s.options.MaxMemory,
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
		Name: h.name, Created: h.created, Disabled: h.disabled.Load(), Retention: h.settings.retention, ConsumerGroups: h.allGroups(),
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

// snapshot is the state of a partition of a hub with these groups.
func (p *partition) snapshot(groups []string) PartitionSnapshot {
	readers := p.receivers.snapshot(groups) // before the log, or a reader might be ahead of it
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trimLocked()
	out := PartitionSnapshot{ID: p.id, Total: p.total, First: -1, Last: p.next - 1, Enqueued: p.enqueued, Readers: readers}
	if p.next > 0 {
		out.First = p.oldest.First
	}
	out.Held = Counts{Events: int(p.next - p.oldest.First), Batches: p.held, Bytes: p.bytes - p.oldest.Offset}
	for i := range readers {
		readers[i].Behind = max(p.next-max(readers[i].Next, out.First), 0)
	}
	return out
}

// snapshot lists the groups that read the partition or have read it.
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

// A client is what is known about a connection's client after the handshake. It never changes.
type client struct {
	transport Transport
	agent     string
	container string
}

// maxAgent bounds the bytes that are kept of a client's own description.
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

// cutText is at most the first n bytes of a text, without a partial character.
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
