package emulator

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// InMemory as [Options.Addr] makes a server without a listener: clients reach it only through
// [Server.Dial]. A test with virtual time (testing/synctest) needs this, since a goroutine that
// waits in a real network read would stop the clock.
const InMemory = "memory"

// DefaultConsumerGroup is the consumer group that every hub has.
const DefaultConsumerGroup = "$Default"

// The largest messages of the service's tiers in bytes, for [Options.MaxMessageSize].
const (
	BasicMessageSize    = 262_144   // 256 KiB
	StandardMessageSize = 1_046_528 // 1022 KiB; Premium has the same
)

// The statements of brokers without a limit, for [Options.MaxMessageSize]. AMQP has two ways to
// state that there is no limit (2.7.3, max-message-size). The service always states a limit.
const (
	UnlimitedMessageSize = -1 // 2^64-1, the largest number
	UnstatedMessageSize  = -2 // no number at all
)

const (
	defaultAddr           = "127.0.0.1:0"
	defaultHub            = "events"
	defaultPartitions     = 4
	defaultMaxMessageSize = StandardMessageSize
	defaultIdleTimeout    = 240 * time.Second
	defaultMaxConnections = 5_000

	// The .NET client refuses a connection whose peer asks for less.
	minIdleTimeout = 5 * time.Second
	// A message must at least hold an envelope; a smaller value is a mistake in units.
	minMaxMessageSize = 1024
	// Dedicated clusters go up to 20 MB; the log's index has 32 bits.
	maxMaxMessageSize = 256 << 20
	// The service's hash of a key has 16 bits, so further partitions would stay empty.
	maxPartitions    = 32_768
	maxHubName       = 256 // section "limits" of the service's documentation
	maxConsumerGroup = 50
)

// Options configure [New]. The zero value of each field means its default; nil options mean all
// defaults. New copies them.
type Options struct {
	// Addr is the TCP address to listen on, or [InMemory]. With port 0 the system chooses a port;
	// [Server.Addr] returns it. Without a host, as in ":5672", it is loopback; "0.0.0.0:5672" is
	// all interfaces. Unless Authentication is set, every client gets in, so be careful with
	// addresses other than loopback. Default: "127.0.0.1:0".
	Addr string

	// ExtraAddrs are more addresses to listen on, for clients that require a port: 5671 for TLS,
	// 5672 without, 443 for WebSocket. [Server.Addrs] returns all addresses. Default: none.
	ExtraAddrs []string

	// Transports are the transports that clients may use, on each address and with [Server.Dial].
	// Default: [TransportAll].
	Transports Transport

	// TLSConfig is the server's TLS configuration. It must have a certificate and must not change
	// afterwards. Default: the server makes its own certificate authority; see [Server.TLSConfig].
	TLSConfig *tls.Config

	// Authentication, if set, makes the server verify tokens and their rights. Default: every token
	// is accepted.
	Authentication *Authentication

	// MaxConnections is how many connections may be open; further ones are closed with
	// amqp:resource-limit-exceeded. Default: 5,000, as on the service's Standard tier.
	MaxConnections int

	// Hubs are the event hubs that exist from the start. Default: one hub named "events" with 4
	// partitions.
	Hubs []Hub

	// MaxMessageSize is the largest message (an event or a batch) in bytes that a sender link
	// accepts. It must be between 1 KiB and 256 MiB. A larger message is rejected with
	// amqp:link:message-size-exceeded. With [UnlimitedMessageSize] and [UnstatedMessageSize] the
	// server states no limit to clients and accepts 256 MiB. Default: [StandardMessageSize],
	// 1,046,528.
	MaxMessageSize int

	// IdleTimeout is announced to clients: a client that sends nothing for twice this time is
	// disconnected. At least 5 seconds; negative: never. Default: 4 minutes, as on the service.
	IdleTimeout time.Duration

	// Idle sets how long connected clients may do nothing. Default: the service's limits; see
	// [Idle].
	Idle Idle

	// Logger logs connections, links and refusals at level DEBUG. The server's own failures, events
	// that cannot be read, and that MaxMemory makes it forget events, are at level WARN. Default:
	// no logging.
	Logger *slog.Logger

	// Idempotence sets how idempotent producers are treated. Default: see [Idempotence].
	Idempotence Idempotence

	// ThroughputUnits bound what the server accepts, as on the service. Each allows 1 MB or 1,000
	// events a second, over all hubs. Further transfers are rejected with com.microsoft:server-busy
	// (50002). With any units the server answers 50 management calls a second; further ones get
	// status 503 (50008). Receiving is not bounded. [Server.SetThroughputUnits] changes the number.
	// Default: 0, no bounds.
	ThroughputUnits int

	// MaxMemory bounds the bytes of events in memory, over all hubs, with what it takes to find
	// them. Beyond it the oldest events are forgotten, as by [Retention], and the Logger gets one
	// line. With a Store they are read from there instead. The newest batch always stays. It must
	// be at least 1 MiB; negative: no bound. Default: a quarter of what the process may use. That
	// is the smallest of the cgroup's limit, GOMEMLIMIT and the machine's memory.
	MaxMemory int64

	// Discard makes partitions count and number events but keep none, to measure clients. Receivers
	// get no events, and [Server.Events] yields none.
	Discard bool

	// Store keeps hubs and events beyond the server's life; see package emulatordata. The server
	// holds the newest events in memory too, up to MaxMemory. The caller that opened the store
	// closes it, after the server. Store excludes Discard. Default: nothing is kept.
	Store Store

	// Hook sees each operation and decides what happens to it; see [Hook]. [Server.SetHook]
	// replaces it. Default: every operation passes.
	Hook Hook

	// Faults are set from the start; see [FaultRule]. [Server.AddFault] sets more.
	// Default: none.
	Faults []FaultRule
}

// Hub describes an event hub.
type Hub struct {
	// Name of the hub: letters, digits, '.', '-', '_' and '/', at most 256 characters. Lookups
	// ignore case.
	Name string

	// Partitions is the number of partitions; their ids are "0", "1" and so on. Default: 4.
	Partitions int

	// ConsumerGroups exist in addition to [DefaultConsumerGroup].
	ConsumerGroups []string

	// Retention limits what each partition keeps. Default: everything is kept.
	Retention Retention

	// Disabled makes the server refuse senders and receivers with com.microsoft:entity-disabled.
	// $management still describes the hub.
	Disabled bool

	// FaultFree keeps away from the hub all fault rules that name no hub. The hub of a health check
	// wants that.
	FaultFree bool
}

// takenMessageSize is the largest message that is accepted, whatever limit is stated to clients.
func (o *Options) takenMessageSize() int {
	if o.MaxMessageSize < 0 {
		return maxMaxMessageSize
	}
	return o.MaxMessageSize
}

// withDefaults returns a validated copy with every field set.
func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Addr == "" {
		out.Addr = defaultAddr
	}
	if out.MaxMessageSize == 0 {
		out.MaxMessageSize = defaultMaxMessageSize
	}
	if n := out.takenMessageSize(); out.MaxMessageSize < UnstatedMessageSize || n < minMaxMessageSize || n > maxMaxMessageSize {
		return out, fmt.Errorf("emulator: Options.MaxMessageSize is %d; it counts bytes and must be between %d and %d, UnlimitedMessageSize or UnstatedMessageSize",
			out.MaxMessageSize, minMaxMessageSize, maxMaxMessageSize)
	}
	switch {
	case out.IdleTimeout == 0:
		out.IdleTimeout = defaultIdleTimeout
	case out.IdleTimeout >= 0 && out.IdleTimeout < minIdleTimeout:
		return out, fmt.Errorf("emulator: Options.IdleTimeout is %v; clients refuse less than %v (negative switches it off)", out.IdleTimeout, minIdleTimeout)
	}
	out.Idle = out.Idle.withDefaults()
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if len(out.Hubs) == 0 {
		out.Hubs = []Hub{{Name: defaultHub}}
	}
	out.Hubs = slices.Clone(out.Hubs)
	if out.ThroughputUnits < 0 {
		return out, fmt.Errorf("emulator: Options.ThroughputUnits is %d; it cannot be negative, and 0 means no bounds", out.ThroughputUnits)
	}
	switch {
	case out.MaxMemory == 0:
		out.MaxMemory = defaultMaxMemory()
	case out.MaxMemory > 0 && out.MaxMemory < minMaxMemory:
		return out, fmt.Errorf("emulator: Options.MaxMemory is %d; it counts bytes and must be at least %d (negative: no bound)", out.MaxMemory, minMaxMemory)
	}
	if out.Discard && out.Store != nil {
		return out, errors.New("emulator: Options.Discard keeps no events, so there is nothing for Options.Store")
	}
	if err := out.validateTransports(); err != nil {
		return out, err
	}
	if err := out.validateAuthentication(); err != nil {
		return out, err
	}
	return out, validateHubs("Options.Hubs", out.Hubs)
}

// A HubError says which field of a [Hub] is wrong. [New], [Server.AddHub] and
// [Server.AddPartitions] return it.
type HubError struct {
	// Field is the field's name in Hub.
	Field string
	text  string
}

func (e *HubError) Error() string { return e.text }

// wrongHub makes a HubError about a field of the hub that where names. The field may have an index.
func wrongHub(where, field, format string, args ...any) *HubError {
	name, _, _ := strings.Cut(field, "[")
	return &HubError{Field: name, text: "emulator: " + where + "." + field + fmt.Sprintf(format, args...)}
}

// validateHubs checks hubs and fills in their defaults. Errors begin with what.
func validateHubs(what string, hubs []Hub) error {
	seen := make(map[string]bool, len(hubs))
	for i := range hubs {
		h := &hubs[i]
		where := what + "[" + strconv.Itoa(i) + "]"
		if err := checkName(where, "Name", h.Name, maxHubName); err != nil {
			return err
		}
		if slices.ContainsFunc(strings.Split(h.Name, "/"), isAddressWord) {
			return wrongHub(where, "Name", " is %q; empty parts and the words Partitions, ConsumerGroups and Publishers are reserved for addresses", h.Name)
		}
		if seen[strings.ToLower(h.Name)] {
			return wrongHub(where, "Name", " %q appears twice (case does not matter)", h.Name)
		}
		seen[strings.ToLower(h.Name)] = true
		if h.Partitions == 0 {
			h.Partitions = defaultPartitions
		}
		if h.Partitions < 0 || h.Partitions > maxPartitions {
			return wrongHub(where, "Partitions", " is %d; it must be between 1 and %d", h.Partitions, maxPartitions)
		}
		if err := h.Retention.validate(where + ".Retention"); err != nil {
			return err
		}
		for i, group := range h.ConsumerGroups {
			if strings.EqualFold(group, DefaultConsumerGroup) {
				continue
			}
			field := "ConsumerGroups[" + strconv.Itoa(i) + "]"
			if err := checkName(where, field, group, maxConsumerGroup); err != nil {
				return err
			}
			if strings.Contains(group, "/") {
				return wrongHub(where, field, " is %q; a slash is reserved for addresses", group)
			}
			if j := slices.IndexFunc(h.ConsumerGroups, func(g string) bool { return strings.EqualFold(g, group) }); j < i {
				return wrongHub(where, field, " is %q, and ConsumerGroups[%d] is %q; case does not matter", group, j, h.ConsumerGroups[j])
			}
		}
	}
	return nil
}

// isAddressWord reports whether a part of a hub's name would be parsed as the structure of an
// address.
func isAddressWord(part string) bool {
	return part == "" || strings.EqualFold(part, wordPartitions) ||
		strings.EqualFold(part, wordGroups) || strings.EqualFold(part, wordPublishers)
}

// checkName refuses names that cannot appear in an address or a connection string.
func checkName(where, field, name string, limit int) error {
	if name == "" || len(name) > limit {
		return wrongHub(where, field, " is %q; it must have between 1 and %d characters", name, limit)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case strings.ContainsRune("._-/", r):
		default:
			return wrongHub(where, field, " is %q; %q is not allowed, only letters, digits and . _ - /", name, r)
		}
	}
	return nil
}
