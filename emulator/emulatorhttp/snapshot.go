package emulatorhttp

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs/emulator"
)

// snapshotJSON is the answer to /api/snapshot. The fields have the same meaning as in package
// emulator.
type snapshotJSON struct {
	Time            time.Time   `json:"time"`
	Started         time.Time   `json:"started"`
	Address         string      `json:"address"`         // the server's address for clients
	ThroughputUnits int         `json:"throughputUnits"` // 0: no bounds
	InForce         []string    `json:"inForce"`         // the server's configured behaviour, in words
	Durable         bool        `json:"durable"`         // events survive the server
	Discard         bool        `json:"discard"`         // events are counted and none is kept
	MaxMemory       int64       `json:"maxMemory"`       // bound of the events in memory in bytes; negative: none
	Hubs            []hubJSON   `json:"hubs"`
	Faults          []faultJSON `json:"faults"`
	Rules           []ruleJSON  `json:"rules"`    // faults that rules have set
	ReadOnly        bool        `json:"readOnly"` // requests that change the server are refused
	// Connections are the newest 200; ConnectionCount counts all.
	Connections     []connectionJSON `json:"connections"`
	ConnectionCount int              `json:"connectionCount"`
}

// hubJSON is a hub in a snapshotJSON.
type hubJSON struct {
	Name           string          `json:"name"`
	Created        time.Time       `json:"created"`
	Disabled       bool            `json:"disabled"`
	Retention      string          `json:"retention"` // in words; empty: everything is kept
	ConsumerGroups []string        `json:"consumerGroups"`
	Partitions     []partitionJSON `json:"partitions"`
}

// partitionJSON is a partition in a snapshotJSON.
type partitionJSON struct {
	ID         string       `json:"id"`
	Events     int          `json:"events"` // ever stored
	Batches    int          `json:"batches"`
	Bytes      int64        `json:"bytes"`
	HeldEvents int          `json:"heldEvents"` // now held
	HeldBytes  int64        `json:"heldBytes"`
	First      int64        `json:"first"`
	Last       int64        `json:"last"`
	Enqueued   *moment      `json:"enqueued"` // null if there never was an event
	Readers    []readerJSON `json:"readers"`
}

// readerJSON is a consumer group's progress in a partition.
type readerJSON struct {
	Group     string         `json:"group"`
	Next      int64          `json:"next"`
	Behind    int64          `json:"behind"`
	Receivers []receiverJSON `json:"receivers"` // attached now
}

// receiverJSON is a link that reads a partition.
type receiverJSON struct {
	Connection int    `json:"connection"`
	Name       string `json:"name"`
	Epoch      *int64 `json:"epoch"` // null if it has none
}

// connectionJSON is a client's connection in a snapshotJSON.
type connectionJSON struct {
	Number    int       `json:"number"`
	Remote    string    `json:"remote"`
	Opened    time.Time `json:"opened"`
	Transport string    `json:"transport"` // for example "TLS"; empty until known
	Client    string    `json:"client"`
	Senders   int       `json:"senders"`
	Receivers int       `json:"receivers"`
	Events    int       `json:"events"` // that passed over its present links
	// Links are the oldest 50; LinkCount counts all.
	Links     []linkJSON `json:"links"`
	LinkCount int        `json:"linkCount"`
}

// linkJSON is a link of a connectionJSON.
type linkJSON struct {
	Name     string    `json:"name"`
	Address  string    `json:"address"`
	Receiver bool      `json:"receiver"`
	Attached time.Time `json:"attached"`
	Events   int       `json:"events"`
	Messages int       `json:"messages"`
}

// faultJSON is a kind of deliberate fault.
type faultJSON struct {
	Kind  string    `json:"kind"`
	Hub   string    `json:"hub"`
	What  string    `json:"what"`
	Count int       `json:"count"`
	Last  time.Time `json:"last"`
}

const (
	maxConnections = 200
	maxLinks       = 50
	maxName        = 200 // characters of a client's own name for something
)

func (h *handler) snapshot(w http.ResponseWriter, _ *http.Request) {
	s := h.server.Snapshot()
	out := snapshotJSON{
		Time: s.Time, Started: s.Started, Address: h.server.Addr(), ThroughputUnits: s.ThroughputUnits,
		InForce: h.inForce(&s), Durable: s.Durable, Discard: s.Discard, MaxMemory: s.MaxMemory, Rules: h.rules(), ReadOnly: h.options.ReadOnly,
		Hubs: []hubJSON{}, Faults: []faultJSON{}, Connections: []connectionJSON{}, ConnectionCount: len(s.Connections),
	}
	for _, hub := range s.Hubs {
		if !h.hidden(hub.Name) {
			out.Hubs = append(out.Hubs, newHub(&hub))
		}
	}
	for _, c := range s.Connections[max(0, len(s.Connections)-maxConnections):] {
		out.Connections = append(out.Connections, newConnection(&c))
	}
	for _, f := range s.Faults {
		if !h.hidden(f.Hub) {
			out.Faults = append(out.Faults, faultJSON{Kind: f.Kind.String(), Hub: f.Hub, What: f.What, Count: f.Count, Last: f.Last})
		}
	}
	answer(w, http.StatusOK, out)
}

// inForce describes the server's configured behaviour.
func (h *handler) inForce(s *emulator.Snapshot) []string {
	lines := append([]string{}, h.options.InForce...)
	if n := s.ThroughputUnits; n > 0 {
		lines = append(lines, fmt.Sprintf("Throughput units: %d. More than %d MB or %d events a second are refused, and so are more than 50 management calls.", n, n, 1000*n))
	}
	for _, hub := range s.Hubs {
		if hub.Disabled {
			lines = append(lines, "Hub "+hub.Name+" is disabled.")
		}
	}
	if s.Hooked && len(h.options.InForce) == 0 {
		lines = append(lines, "A hook decides about each operation.")
	}
	return lines
}

func newHub(h *emulator.HubSnapshot) hubJSON {
	out := hubJSON{
		Name: h.Name, Created: h.Created, Disabled: h.Disabled, Retention: retention(h.Retention), ConsumerGroups: h.ConsumerGroups,
		Partitions: make([]partitionJSON, 0, len(h.Partitions)),
	}
	for _, p := range h.Partitions {
		partition := partitionJSON{
			ID: p.ID, Events: p.Total.Events, Batches: p.Total.Batches, Bytes: p.Total.Bytes, HeldEvents: p.Held.Events, HeldBytes: p.Held.Bytes,
			First: p.First, Last: p.Last, Readers: []readerJSON{},
		}
		if !p.Enqueued.IsZero() {
			partition.Enqueued = &moment{p.Enqueued}
		}
		for _, r := range p.Readers {
			reader := readerJSON{Group: r.Group, Next: r.Next, Behind: r.Behind, Receivers: []receiverJSON{}}
			for _, receiver := range r.Receivers {
				reader.Receivers = append(reader.Receivers, receiverJSON{receiver.Connection, cut(receiver.Name, maxName), receiver.Epoch})
			}
			partition.Readers = append(partition.Readers, reader)
		}
		out.Partitions = append(out.Partitions, partition)
	}
	return out
}

// retention describes a partition's limits in words.
func retention(r emulator.Retention) string {
	var limits []string
	if r.Time > 0 {
		limits = append(limits, r.Time.String())
	}
	if r.Bytes > 0 {
		limits = append(limits, fmt.Sprintf("%d bytes", r.Bytes))
	}
	if r.Events > 0 {
		limits = append(limits, fmt.Sprintf("%d events", r.Events))
	}
	return strings.Join(limits, ", ")
}

func newConnection(c *emulator.ConnectionSnapshot) connectionJSON {
	out := connectionJSON{
		Number: c.Number, Remote: c.Remote, Opened: c.Opened, Transport: transport(c.Transport), Client: c.Client,
		Links: []linkJSON{}, LinkCount: len(c.Links),
	}
	for i, l := range c.Links {
		out.Events += l.Events
		switch {
		case l.Hub == "":
		case l.Receiver:
			out.Receivers++
		default:
			out.Senders++
		}
		if i < maxLinks {
			out.Links = append(out.Links, linkJSON{
				Name: cut(l.Name, maxName), Address: cut(l.Address, 2*maxName), Receiver: l.Receiver,
				Attached: l.Attached, Events: l.Events, Messages: l.Messages,
			})
		}
	}
	return out
}

// transport is the usual name of a transport.
func transport(t emulator.Transport) string {
	names := []string{"TCP", "TLS", "WebSocket", "WebSocket, TLS"}
	i := slices.Index([]emulator.Transport{
		emulator.TransportPlain, emulator.TransportTLS, emulator.TransportWebSocket, emulator.TransportWebSocketTLS,
	}, t)
	if i < 0 {
		return ""
	}
	return names[i]
}

// cut is the beginning of a text, with an ellipsis unless it is whole.
func cut(text string, characters int) string {
	n := 0
	for i := range text {
		if n == characters {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
