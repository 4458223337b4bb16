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

// InMemory as [Options.Addr] makes a server without a listener: clients reach it through
// [Server.Dial] only. A test with virtual time (testing/synctest) needs this, since a goroutine
// that waits in a real network read would stop the clock.
const InMemory = "memory"

// DefaultConsumerGroup is the consumer group that every hub has without being asked for it.
const DefaultConsumerGroup = "$Default"

// The largest messages of the service's tiers, for [Options.MaxMessageSize].
const (
	BasicMessageSize    = 262_144   // 256 KiB
	StandardMessageSize = 1_046_528 // 1022 KiB; Premium has the same
)

// What brokers without a limit state, for [Options.MaxMessageSize]. AMQP has two ways to say it (2.7.3, max-message-size). Both mean that there is no limit.
// The service always states one.
const (
	UnlimitedMessageSize = -1 // 2^64-1, the largest number
	UnstatedMessageSize  = -2 // nothing
)

const (
	defaultAddr           = "127.0.0.1:0"
	defaultHub            = "events"
	defaultPartitions     = 4
	defaultMaxMessageSize = StandardMessageSize
	defaultIdleTimeout    = 240 * time.Second
	defaultMaxConnections = 5_000

	// The .NET client refuses a connection whose peer asks for less than this.
	minIdleTimeout = 5 * time.Second
	// A message must at least hold an envelope; anything below is a mistake in units.
	minMaxMessageSize = 1024
	// Dedicated clusters go up to 20 MB; the log's index has 32 bits.
	maxMaxMessageSize = 256 << 20
	// The service's hash of a key has 16 bits, so more partitions than this would stay empty.
	maxPartitions    = 32_768
	maxHubName       = 256 // section "limits" of the service's documentation
	maxConsumerGroup = 50
)

// Options configure [New]. The zero value of each field means its default, and nil options mean
// defaults throughout. New copies them.
type Options struct {
	// Addr is the TCP address to listen on, or [InMemory]. A port of 0 lets the system choose one,
	// which [Server.Addr] then tells. Unless Authentication is set everybody gets in, so think twice before
	// listening on anything but loopback. Without a host, as in ":5672", it is loopback; all interfaces are "0.0.0.0:5672".
	// Default: "127.0.0.1:0".
	Addr string

	// ExtraAddrs are more addresses to listen on, for clients that insist on a port: 5671 for TLS, 5672 without, 443 for
	// WebSocket. [Server.Addrs] tells them all.
	// Default: none.
	ExtraAddrs []string

	// Transports are those that clients may use, on each address and with [Server.Dial].
	// Default: [TransportAll].
	Transports Transport

	// TLSConfig is how the server does TLS. It must have a certificate and must not be changed any more.
	// Default: the server makes a certificate authority of its own; see [Server.TLSConfig].
	TLSConfig *tls.Config

	// Authentication, if set, makes the server verify tokens and what they allow.
	// Default: every token is taken.
	Authentication *Authentication

	// MaxConnections is how many connections may be open; more are closed with amqp:resource-limit-exceeded.
	// Default: 5,000, as on the service's Standard tier.
	MaxConnections int

	// Hubs are the event hubs that exist from the start.
	// Default: one hub named "events" with 4 partitions.
	Hubs []Hub

	// MaxMessageSize is the largest message (an event or a batch) in bytes that a sender link takes;
	// what is larger is rejected with amqp:link:message-size-exceeded. It is between 1 KiB and 256 MiB. With [UnlimitedMessageSize] and
	// [UnstatedMessageSize] clients hear of no limit, and 256 MiB are taken.
	// Default: [StandardMessageSize], 1,046,528.
	MaxMessageSize int

	// IdleTimeout is what the server announces: a client that sends nothing for twice this time is
	// disconnected. At least 5 seconds; negative: never.
	// Default: 4 minutes, as on the service.
	IdleTimeout time.Duration

	// Idle is how long clients that are connected may do nothing.
	// Default: as long as with the service; see [Idle].
	Idle Idle

	// Logger hears of connections (debug), of links and refusals (debug) and of protocol errors (warn).
	// Default: silence.
	Logger *slog.Logger

	// Idempotence says how idempotent producers are dealt with.
	// Default: they are, in the way that the documentation of [Idempotence] describes.
	Idempotence Idempotence

	// ThroughputUnits bound what the server takes in, as the service's do: each lets in 1 MB or 1,000 events a second,
	// all hubs together; more is rejected with com.microsoft:server-busy (50002). With any, 50 management calls a
	// second are answered, and more get status 503 (50008). What consumers receive is not bounded.
	// Default: 0, no bounds.
	ThroughputUnits int

	// Discard makes partitions count and number events but keep none, for measuring clients: nobody receives any
	// and [Server.Events] yields none.
	Discard bool

	// Store keeps hubs and events for longer than the server lives; see package emulatordata. The server holds
	// everything in memory all the same. Whoever opened the store closes it, after the server. Not with Discard.
	// Default: nothing is kept.
	Store Store

	// Hook sees each operation and decides what becomes of it; see [Hook]. [Server.SetHook] replaces it.
	// Default: every operation passes.
	Hook Hook
}

// Hub describes an event hub.
type Hub struct {
	// Name of the hub: letters, digits, '.', '-', '_' and '/', at most 256. Case does not matter when it is looked up.
	Name string

	// Partitions is their number; their ids are "0", "1" and so on. Default: 4.
	Partitions int

	// ConsumerGroups exist besides [DefaultConsumerGroup].
	ConsumerGroups []string

	// Retention limits what each partition keeps. Default: everything is kept.
	Retention Retention

	// Disabled makes senders and receivers be refused with com.microsoft:entity-disabled. $management still tells
	// about the hub.
	Disabled bool
}

// takenMessageSize is the largest message that is taken, whatever clients hear of a limit.
func (o *Options) takenMessageSize() int {
	if o.MaxMessageSize < 0 {
		return maxMaxMessageSize
	}
	return o.MaxMessageSize
}

// withDefaults returns a validated copy in which every field is set.
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

// validateHubs checks hubs, which errors call what, and fills in what they leave open.
func validateHubs(what string, hubs []Hub) error {
	seen := make(map[string]bool, len(hubs))
	for i := range hubs {
		h := &hubs[i]
		field := what + "[" + strconv.Itoa(i) + "]"
		if err := checkName(field+".Name", h.Name, maxHubName); err != nil {
			return err
		}
		if slices.ContainsFunc(strings.Split(h.Name, "/"), isAddressWord) {
			return fmt.Errorf("emulator: %s is %q; empty parts and the words Partitions, ConsumerGroups and Publishers have a meaning of their own in an address", field+".Name", h.Name)
		}
		if seen[strings.ToLower(h.Name)] {
			return fmt.Errorf("emulator: %s.Name %q appears twice (case does not matter)", field, h.Name)
		}
		seen[strings.ToLower(h.Name)] = true
		if h.Partitions == 0 {
			h.Partitions = defaultPartitions
		}
		if h.Partitions < 0 || h.Partitions > maxPartitions {
			return fmt.Errorf("emulator: %s.Partitions is %d; it must be between 1 and %d", field, h.Partitions, maxPartitions)
		}
		if err := h.Retention.validate(field + ".Retention"); err != nil {
			return err
		}
		for _, group := range h.ConsumerGroups {
			if strings.EqualFold(group, DefaultConsumerGroup) {
				continue
			}
			if err := checkName(field+".ConsumerGroups", group, maxConsumerGroup); err != nil {
				return err
			}
			if strings.Contains(group, "/") {
				return fmt.Errorf("emulator: %s.ConsumerGroups has %q; a slash has a meaning of its own in an address", field, group)
			}
		}
	}
	return nil
}

// isAddressWord tells whether a part of a hub's name would be taken for the structure of an address.
func isAddressWord(part string) bool {
	return part == "" || strings.EqualFold(part, wordPartitions) ||
		strings.EqualFold(part, wordGroups) || strings.EqualFold(part, wordPublishers)
}

// checkName refuses names that cannot stand in an address or in a connection string.
func checkName(field, name string, limit int) error {
	if name == "" || len(name) > limit {
		return fmt.Errorf("emulator: %s is %q; it must have between 1 and %d characters", field, name, limit)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case strings.ContainsRune("._-/", r):
		default:
			return fmt.Errorf("emulator: %s is %q; %q is not allowed, only letters, digits and . _ - /", field, name, r)
		}
	}
	return nil
}
