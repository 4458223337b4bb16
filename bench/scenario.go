package main

import (
	"fmt"
	"strings"
	"time"
)

// A scenario says what one run publishes, and how. Equal scenarios are the same measurement.
type scenario struct {
	Peer         string
	Kind         kind
	Size         int // bytes of a body; the mean for mixed
	Partitions   int
	Goroutines   int           // that enqueue
	Keys         int           // events carry one of so many keys; 0: none
	Pattern      pattern       // when events come, and which ones
	Rate         int           // events a second; 0: full speed
	Linger       time.Duration // 0: the default of Options
	Ack          time.Duration // delay of the server's acknowledgements, give or take 2 %
	Sends        int           // in flight for each partition; 0: one
	TLS          bool
	Defaults     bool // the peer's own defaults instead of the tuned options
	Sticky       bool // ours only: Sticky instead of RoundRobin
	Emulator     bool // AMQP peers publish to the emulator instead of the null server
	Telemetry    telemetryUse
	PinnedMemory bool // no ring of bodies: the process's memory is the producer's
	// Of the rows of the journal.
	Journal journalSync
	All     bool  // EnqueueAll instead of Enqueue
	Backlog int64 // bytes of bodies in the journal before the run, for drain
	Cold    bool  // the backlog is not in the system's cache
}

// A journalSync is when a kept event is safe. The peers that keep events in a database have two of
// these: syncEach, and syncOS for no fsync.
type journalSync string

const (
	noJournal    journalSync = ""
	syncEach     journalSync = "SyncEach"
	syncInterval journalSync = "SyncInterval"
	syncOS       journalSync = "SyncOS"
)

// A kind is the measured quantity.
type kind string

const (
	throughput kind = ""      // events a second, and their cost
	call       kind = "call"  // the cost of one call to its caller, while the buffer has room
	idle       kind = "idle"  // the cost of open partitions without traffic
	wait       kind = "wait"  // events a second, and how long a call takes
	drain      kind = "drain" // events a second from the journal of a former process
	inTurns    kind = "turns" // throughput of several scenarios in one process; see turns.go
)

// A pattern is the shape of a stream.
type pattern string

const (
	steady pattern = ""
	bursts pattern = "bursts" // many events at once, then nothing for a while
	hotKey pattern = "hot"    // nine events of ten carry the same key
	mixed  pattern = "mixed"  // of 100 B, 1 KB and 10 KB, 1,000 bytes on average
)

// ackJitter is the variation of acknowledgements, up and down, as a share of scenario.Ack.
const ackJitter = 0.02

// Tuned options, for a program that publishes all the time.
const (
	tunedEvents = 100_000
	tunedBytes  = 64 << 20
	tunedLinger = 5 * time.Millisecond
)

// of returns the plain scenario, the base of all others.
func of(peer string, size int) scenario {
	return scenario{Peer: peer, Size: size, Partitions: 8, Goroutines: 1}
}

// with returns a changed copy.
func (s scenario) with(change func(*scenario)) scenario {
	change(&s)
	return s
}

// linger returns how long a batch waits.
func (s *scenario) linger() time.Duration {
	if s.Linger != 0 {
		return s.Linger
	}
	return tunedLinger
}

// server returns the kind of server for the peer.
func (s *scenario) server() serverKind {
	kind := peerNamed(s.Peer).server
	if s.Emulator && kind == nullServerAMQP {
		return emulatorServer
	}
	return kind
}

// variant describes the difference from the plain scenario, apart from peer and size; empty for
// none.
func (s *scenario) variant() string {
	var words []string
	say := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	say(s.Kind != throughput && s.Kind != inTurns, "%s", s.Kind)
	say(s.Emulator, "to the emulator")
	say(s.Defaults, "defaults")
	say(s.TLS, "TLS")
	say(s.Sticky, "sticky")
	say(s.Keys == 1, "one key")
	say(s.Keys > 1, "%d keys", s.Keys)
	say(s.Partitions != 8, "%d partitions", s.Partitions)
	say(s.Goroutines != 1, "%d goroutines", s.Goroutines)
	say(s.Sends > 1, "%d sends", s.Sends)
	say(s.Ack > 0, "ack %v", s.Ack)
	say(s.Linger == 1, "send at once")
	say(s.Linger > 1, "linger %v", s.Linger)
	say(s.Rate > 0, "%d/s", s.Rate)
	say(s.Pattern != steady, "%s", s.Pattern)
	say(s.Telemetry != noTelemetry, "%s", s.Telemetry)
	say(s.Journal != noJournal, "%s", s.Journal)
	say(s.All, "EnqueueAll")
	say(s.Backlog > 0, "%d MB", s.Backlog/1e6)
	say(s.Cold, "cold")
	return strings.Join(words, ", ")
}

func (s *scenario) String() string {
	text := fmt.Sprintf("%s %s", s.Peer, sizeText(s.Size))
	if v := s.variant(); v != "" {
		text += ", " + v
	}
	return text
}

// sizeText formats a size as the tables do: 100 B, 1 KB.
func sizeText(bytes int) string {
	if bytes%1000 == 0 {
		return fmt.Sprintf("%d KB", bytes/1000)
	}
	return fmt.Sprintf("%d B", bytes)
}
