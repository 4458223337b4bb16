package emulator

import (
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

const (
	defaultAddr           = "127.0.0.1:0"
	defaultHub            = "events"
	defaultPartitions     = 4
	defaultMaxMessageSize = 1_046_528 // what the service states on its 1 MB tiers: 1022 KiB
	defaultIdleTimeout    = 240 * time.Second

	// The .NET client refuses a connection whose peer asks for less than this.
	minIdleTimeout = 5 * time.Second
	// A message must at least hold an envelope; anything below is a mistake in units.
	minMaxMessageSize = 1024
	// Dedicated clusters go up to 20 MB; the log's index has 32 bits.
	maxMaxMessageSize = 256 << 20
	// The service's hash of a key has 16 bits, so more partitions than this would stay empty.
	maxPartitions       = 32_768
	maxHubName          = 256 // section "limits" of the service's documentation
	maxConsumerGroup    = 50
	maxPartitionKeySize = 128
)

// Options configure [New]. The zero value of each field means its default, and nil options mean
// defaults throughout. New copies them.
type Options struct {
	// Addr is the TCP address to listen on, or [InMemory]. A port of 0 lets the system choose one,
	// which [Server.Addr] then tells. There is no authentication, so think twice before listening
	// on anything but loopback.
	// Default: "127.0.0.1:0".
	Addr string

	// Hubs are the event hubs that exist from the start.
	// Default: one hub named "events" with 4 partitions.
	Hubs []Hub

	// MaxMessageSize is the largest message (an event or a batch) in bytes that a sender link takes;
	// what is larger is rejected with amqp:link:message-size-exceeded.
	// Default: 1,046,528, as on the service's Standard tier.
	MaxMessageSize int

	// IdleTimeout is what the server announces: a client that sends nothing for twice this time is
	// disconnected. At least 5 seconds; negative: never.
	// Default: 4 minutes, as on the service.
	IdleTimeout time.Duration

	// Logger hears of connections (debug), of links and refusals (debug) and of protocol errors (warn).
	// Default: silence.
	Logger *slog.Logger

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
	if out.MaxMessageSize < minMaxMessageSize || out.MaxMessageSize > maxMaxMessageSize {
		return out, fmt.Errorf("emulator: Options.MaxMessageSize is %d; it counts bytes and must be between %d and %d", out.MaxMessageSize, minMaxMessageSize, maxMaxMessageSize)
	}
	switch {
	case out.IdleTimeout == 0:
		out.IdleTimeout = defaultIdleTimeout
	case out.IdleTimeout >= 0 && out.IdleTimeout < minIdleTimeout:
		return out, fmt.Errorf("emulator: Options.IdleTimeout is %v; clients refuse less than %v (negative switches it off)", out.IdleTimeout, minIdleTimeout)
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if len(out.Hubs) == 0 {
		out.Hubs = []Hub{{Name: defaultHub}}
	}
	out.Hubs = slices.Clone(out.Hubs)
	return out, validateHubs(out.Hubs)
}

// validateHubs checks hubs and fills in what they leave open.
func validateHubs(hubs []Hub) error {
	seen := make(map[string]bool, len(hubs))
	for i := range hubs {
		h := &hubs[i]
		field := "Options.Hubs[" + strconv.Itoa(i) + "]"
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
