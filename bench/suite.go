package main

import (
	"slices"
	"time"
)

// A group is a table: its scenarios take turns.
type group struct {
	name    string // for -rows
	title   string
	columns []column
	// scenarios returns the group's rows for a size; nil if the group does not have that size.
	scenarios func(size int) []scenario
	// reference returns the scenario that a row's ratio refers to.
	reference func(scenario) scenario
}

var groups = slices.Concat([]group{
	{"plain", "Throughput, acknowledgements at once", throughputColumns, func(size int) []scenario {
		var list []scenario
		for _, p := range peers {
			// With the others' buffer and wait, Java's producer interrupts its own threads and
			// fails, and .NET's comes to a standstill.
			list = append(list, of(p.name, size).with(func(s *scenario) { s.Defaults = p.name == javaAzure || p.name == dotnet }))
		}
		return append(list, of(ours, size).with(toEmulator))
	}, func(s scenario) scenario { return of(ours, s.Size) }},
	{"before", "Beside the build of an earlier commit (-before)", throughputColumns, func(size int) []scenario {
		both := []string{ours, before}
		list := forPeers(size, both, func(*scenario) {})
		if size == 1000 {
			list = slices.Concat(list, forPeers(size, both, hot), forPeers(size, both, oneKey), forPeers(size, both, func(s *scenario) { s.Goroutines, s.Keys = 16, 1000 }))
		}
		return list
	}, func(s scenario) scenario {
		s.Peer = before
		return s
	}},
	{"tls", "The same with TLS 1.3", throughputColumns, func(size int) []scenario {
		return forPeers(size, []string{rawTCP, rawFrames, rawAMQP, ours, before, franz, byHand}, func(s *scenario) { s.TLS = true })
	}, toOurs},
	{"defaults", "Defaults and tuned options", throughputColumns, func(size int) []scenario {
		return slices.Concat(forPeers(size, []string{ours, franz}, func(*scenario) {}), forPeers(size, []string{ours, franz}, func(s *scenario) { s.Defaults = true }))
	}, func(s scenario) scenario { return of(ours, s.Size) }},
	{"ack", "Acknowledgements that come late", throughputColumns, func(size int) []scenario {
		var list []scenario
		for _, ack := range []time.Duration{5 * time.Millisecond, 30 * time.Millisecond} {
			late := func(s *scenario) { s.Ack = ack }
			list = append(list, forPeers(size, []string{rawAMQP, ours, franz, byHand}, late)...)
			list = append(list, of(ours, size).with(late).with(func(s *scenario) { s.Sends = 2 }))
			for _, change := range defaultVariants {
				list = append(list, of(ours, size).with(late).with(change))
			}
		}
		return list
	}, toOurs},
	{"latency", "From the call to the outcome, 1,000 events a second, none of them with a key", latencyColumns, at(1000, func() []scenario {
		var list []scenario
		for _, linger := range []time.Duration{1, 5 * time.Millisecond, 250 * time.Millisecond} {
			calm := func(s *scenario) { s.Rate, s.Linger = 1000, linger }
			list = append(list, forPeers(1000, []string{ours, franz}, calm)...)
			list = append(list, of(ours, 1000).with(calm).with(sticky))
		}
		return list
	}), toOurs},
	{"partitions", "Partitions", throughputColumns, at(1000, func() []scenario {
		var list []scenario
		for _, n := range []int{1, 8, 32, 256, 1024} {
			many := func(s *scenario) { s.Partitions = n }
			list = append(list, forPeers(1000, []string{ours, franz}, many)...)
			list = append(list, of(ours, 1000).with(many).with(sticky))
		}
		return list
	}), func(scenario) scenario { return of(ours, 1000) }},
	{"goroutines", "Goroutines that enqueue", throughputColumns, func(size int) []scenario {
		if size > 1000 {
			return nil
		}
		var list []scenario
		for _, keys := range []int{0, 1000} {
			for _, n := range []int{1, 4, 16, 64} {
				list = append(list, forPeers(size, []string{ours, franz}, func(s *scenario) { s.Goroutines, s.Keys = n, keys })...)
			}
		}
		return list
	}, func(s scenario) scenario { return of(ours, s.Size) }},
	{"patterns", "Bursts with gaps, one hot key, mixed sizes", throughputColumns, at(1000, func() []scenario {
		var list []scenario
		for _, change := range []func(*scenario){func(*scenario) {}, burst, mix, wide, hot} {
			list = append(list, forPeers(1000, []string{ours, franz}, change)...)
		}
		return list
	}), func(scenario) scenario { return of(ours, 1000) }},
	{"patterns-latency", "The same below saturation: 20,000 events a second, acknowledged after 5 ms", latencyColumns, at(1000, func() []scenario {
		var list []scenario
		for _, change := range []func(*scenario){func(*scenario) {}, burst, mix, hot} {
			list = append(list, of(ours, 1000).with(change).with(below), of(franz, 1000).with(change).with(below))
		}
		return list
	}), toOurs},
	{"call", "What a call costs its caller", callColumns, func(size int) []scenario {
		if size > 1000 {
			return nil
		}
		return forPeers(size, []string{ours, franz}, func(s *scenario) { s.Kind = call })
	}, toOurs},
	{"memory", "Memory", throughputColumns, at(1000, func() []scenario { return []scenario{full(100), full(1000), full(10_000), sparse, crowd} }),
		func(scenario) scenario { return full(1000) }},
	{"telemetry", "OpenTelemetry, full batches", telemetryColumns, func(size int) (list []scenario) {
		for _, use := range []telemetryUse{noTelemetry, again, metricsOnly, unsampled, oneSpan, manySpans} {
			list = append(list, telemetryScenario(size, use))
		}
		return list
	}, func(s scenario) scenario { return telemetryScenario(s.Size, noTelemetry) }},
	{"idle", "Open partitions without traffic, 10 seconds", idleColumns, at(1000, func() []scenario { return []scenario{resting} }),
		func(scenario) scenario { return resting }},
}, journalGroups)

// Changes that several groups or targets use.
func toEmulator(s *scenario)   { s.Emulator = true }
func encryptedToo(s *scenario) { s.TLS = true }
func sticky(s *scenario)       { s.Sticky = true }
func burst(s *scenario)        { s.Pattern = bursts }
func mix(s *scenario)          { s.Pattern = mixed }
func wide(s *scenario)         { s.Partitions = 32 }
func hot(s *scenario)          { s.Pattern, s.Partitions = hotKey, 32 }
func oneKey(s *scenario)       { s.Keys = 1 } // all events to one partition
func below(s *scenario)        { s.Rate, s.Ack = 20_000, 5*time.Millisecond }

// defaultVariants are the proposals' defaults, with keys, round robin and sticky.
var defaultVariants = []func(*scenario){
	func(s *scenario) { s.Defaults, s.Keys = true, 1000 },
	func(s *scenario) { s.Defaults = true },
	func(s *scenario) { s.Defaults, s.Sticky = true, true },
}

// Scenarios for memory and for idle producers.
var (
	sparse  = of(ours, 1000).with(func(s *scenario) { s.Partitions, s.Rate, s.PinnedMemory = 1000, 2000, true })
	crowd   = of(ours, 1000).with(func(s *scenario) { s.Partitions, s.PinnedMemory = 1024, true })
	resting = of(ours, 1000).with(func(s *scenario) { s.Kind, s.Partitions = idle, 32 })
)

// full is full speed, with nothing in memory except the producer's buffer.
func full(size int) scenario {
	return of(ours, size).with(func(s *scenario) { s.PinnedMemory = true })
}

// toOurs returns the same scenario with our producer.
func toOurs(s scenario) scenario {
	s.Peer, s.Sticky = ours, false
	return s
}

// forPeers returns a changed plain scenario for each peer.
func forPeers(size int, names []string, change func(*scenario)) (list []scenario) {
	for _, name := range names {
		list = append(list, of(name, size).with(change))
	}
	return list
}

// at is for a group with one size.
func at(size int, list func() []scenario) func(int) []scenario {
	return func(wanted int) []scenario {
		if wanted != size {
			return nil
		}
		return list()
	}
}
