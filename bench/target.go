package main

import (
	"fmt"
	"time"
)

// A target is a requirement. It holds if all its figures hold.
type target struct {
	number  string
	text    string
	table   bool // its figures are written as a table with a column for each size
	figures []wanted
}

// A wanted figure is a number with a lower or upper limit.
type wanted struct {
	name      string
	scenarios []scenario // the scenarios to measure
	value     func(book) (float64, bool)
	atMost    bool
	limit     float64
	row       string // of the table
	size      int    // its column
	// deciding is the ratio of client CPU. It decides a missed ratio of events per second if judged
	// is bound by the server or by the cores.
	deciding func(book) (float64, bool)
	judged   scenario
}

// noise is the allowance for "no worse" and "no loss". Repeats of one scenario differ by as much.
const noise = 0.05

// rateOver wants the events per second of over to be at least limit times those of under.
func rateOver(over, under scenario, limit float64) wanted {
	w := ratioWanted("events/s", over, under, eventsPerSecond, false, limit)
	w.judged = over
	w.deciding = func(b book) (float64, bool) { return b.ratio(under, over, cpuPerEvent) }
	return w
}

func ratioWanted(what string, over, under scenario, f figure, atMost bool, limit float64) wanted {
	return wanted{
		name: fmt.Sprintf("%s: %v / %v", what, &over, &under), scenarios: []scenario{over, under}, atMost: atMost, limit: limit,
		value: func(b book) (float64, bool) { return b.ratio(over, under, f) },
	}
}

func medianWanted(what string, s scenario, f figure, atMost bool, limit float64) wanted {
	return wanted{
		name: fmt.Sprintf("%s: %v", what, &s), scenarios: []scenario{s}, atMost: atMost, limit: limit,
		value: func(b book) (float64, bool) { return b.median(s, f) },
	}
}

// targets returns the project's targets in order.
func targets() []target {
	return []target{
		{number: "1", text: "Full speed, acknowledgements at once", table: true, figures: speedTargets()},
		{number: "2", text: "Allocations", figures: []wanted{
			medianWanted("allocations a call, over a million calls", of(ours, 100), overMillion(allocsPerEvent), true, 0.005),
			medianWanted("bytes allocated for a byte of body", of(ours, 10_000), allocatedPerByte, true, 0.1),
		}},
		{number: "3", text: "What Enqueue costs its caller", figures: callTargets()},
		{number: "4", text: "Latency at 1,000 events a second", figures: latencyTargets()},
		{number: "5", text: "Acknowledgements after 30 ms: the share of what the sends in flight allow", figures: flightTargets()},
		{number: "6", text: "1,024 partitions, against 8, Sticky, and memory in MB", figures: []wanted{
			rateOver(of(ours, 1000).with(sticky).with(func(s *scenario) { s.Partitions = 1024 }), of(ours, 1000).with(sticky), 0.6),
			medianWanted("full speed", crowd, scaled(peakBytes, 1e6), true, 300),
			medianWanted("a sparse stream", sparse, scaled(peakBytes, 1e6), true, 200),
		}},
		{number: "7", text: "Idle: CPU of 32 open partitions over 10 s, ms", figures: []wanted{medianWanted("CPU", resting, scaled(cpuSeconds, 1e-3), true, 10)}},
		{number: "8", text: "Patterns", figures: patternTargets()},
		{number: "9", text: "Goroutines that enqueue, against one", figures: goroutineTargets()},
		{number: "10", text: "Defaults, acknowledgements after 30 ms: the share of 2500 events a round trip", figures: defaultsTargets()},
		{number: "11", text: "Other clients of Event Hubs", figures: []wanted{
			rateOver(of(ours, 100), of(byHand, 100), 2.5), rateOver(of(ours, 1000), of(byHand, 1000), 1.3), rateOver(of(ours, 10_000), of(byHand, 10_000), 1.1),
			rateOver(of(ours, 100), of(javaScript, 100), 30), rateOver(of(ours, 1000), of(javaScript, 1000), 30),
		}},
		{number: "12 journal", text: "A journal under the buffer", figures: journalTargets()},
		{number: "13 telemetry", text: "OpenTelemetry, full batches", figures: telemetryTargets()},
	}
}

// tableSizes are the columns of a target's table.
var tableSizes = []int{100, 1000, 10_000}

// speedTargets returns the project's table, row by row. A limit of 0 means none.
func speedTargets() (list []wanted) {
	plainly := func(*scenario) {}
	add := func(row string, limits [3]float64, one func(size int, limit float64) wanted) {
		for i, limit := range limits {
			if limit == 0 {
				continue
			}
			w := one(tableSizes[i], limit)
			w.row, w.size = row, tableSizes[i]
			list = append(list, w)
		}
	}
	cpu := func(row, peer string, change func(*scenario), limits ...float64) {
		add("client CPU an event, of "+row, [3]float64(limits), func(size int, limit float64) wanted {
			return ratioWanted("CPU", of(ours, size).with(change), of(peer, size).with(change), cpuPerEvent, true, limit)
		})
	}
	rate := func(row, peer string, limits ...float64) {
		add("events/s, of "+row, [3]float64(limits), func(size int, limit float64) wanted { return rateOver(of(ours, size), of(peer, size), limit) })
	}
	cpu("before's, plain", before, plainly, 0.85, 0.60, 0.50)
	cpu("before's, TLS", before, encryptedToo, 0.9, 0.75, 0.70)
	cpu("franz-go's, plain", franz, plainly, 0.5, 0.8, 0.9)
	cpu("franz-go's, TLS", franz, encryptedToo, 0.6, 0.85, 0.9)
	cpu("ready-made AMQP frames", rawFrames, plainly, 0, 3, 2.2)
	rate("go-amqp's full batches encoded beforehand", rawAMQP, 0.6, 1.3, 1.5)
	rate("franz-go's", franz, 2.5, 1.3, 1.3)
	rate(".NET's full batches by hand", dotnetByHand, 17, 5, 1.5)
	add("RSS with the 64 MiB buffer, MB", [3]float64{75, 110, 110}, func(size int, limit float64) wanted {
		return medianWanted("RSS", full(size), scaled(peakBytes, 1e6), true, limit)
	})
	return list
}

func callTargets() []wanted {
	called := func(s *scenario) { s.Kind = call }
	return []wanted{
		ratioWanted("thread time of a call", of(ours, 100).with(called), of(franz, 100).with(called), callTime, true, 1),
		ratioWanted("thread time of a call", of(ours, 1000).with(called), of(franz, 1000).with(called), callTime, true, 1.5),
	}
}

// telemetryTargets want little of a traceparent in each event of 1 KB, and no loss through metrics
// and batch spans.
func telemetryTargets() (list []wanted) {
	off := telemetryScenario(1000, noTelemetry)
	for _, use := range []telemetryUse{unsampled, oneSpan, manySpans} {
		on := telemetryScenario(1000, use)
		list = append(list, ratioWanted("CPU", on, off, cpuPerEvent, true, 1.2), ratioWanted("time of an event", on, off, secondsPerEvent, true, 1.2))
	}
	for _, size := range []int{100, 1000} {
		off, on := telemetryScenario(size, noTelemetry), telemetryScenario(size, metricsOnly)
		list = append(list, slowdownWanted("CPU", on, off, cpuPerEvent, 0.03), slowdownWanted("time of an event", on, off, secondsPerEvent, 0.03))
	}
	return list
}

func goroutineTargets() (list []wanted) {
	for _, keys := range []int{0, 1000} {
		for _, goroutines := range []int{4, 16, 64} {
			keyed := func(s *scenario) { s.Keys = keys }
			many := of(ours, 100).with(keyed).with(func(s *scenario) { s.Goroutines = goroutines })
			list = append(list, rateOver(many, of(ours, 100).with(keyed), 1-noise))
		}
	}
	return list
}

// overMillion accepts a figure only from measurements of at least a million events.
func overMillion(f figure) figure {
	return func(m *measurement) (float64, bool) {
		if m.Events < 1_000_000 {
			return 0, false
		}
		return f(m)
	}
}

// scaled converts a figure to a unit.
func scaled(f figure, unit float64) figure {
	return func(m *measurement) (float64, bool) {
		v, ok := f(m)
		return v / unit, ok
	}
}

func latencyTargets() (list []wanted) {
	calm := func(linger time.Duration) func(*scenario) {
		return func(s *scenario) { s.Rate, s.Linger = 1000, linger }
	}
	for _, linger := range []time.Duration{1, 5 * time.Millisecond} {
		// franz-go without keys stays with a partition for a while, like Sticky.
		our, their := of(ours, 1000).with(sticky).with(calm(linger)), of(franz, 1000).with(calm(linger))
		limit := 1 + noise
		if linger == 1 {
			limit = 1 - noise // at once
		}
		list = append(list, ratioWanted("p50", our, their, p50, true, limit), ratioWanted("p99", our, their, p99, true, limit))
	}
	return append(list, medianWanted("p99, ms", of(ours, 1000).with(calm(250*time.Millisecond)), p99, true, 255))
}

func flightTargets() (list []wanted) {
	for _, sends := range []int{1, 2} {
		// With four partitions, the network and the CPU of a small machine can keep up with all
		// flights.
		s := of(ours, 1000).with(func(s *scenario) { s.Ack, s.Sends, s.Partitions = 30*time.Millisecond, sends, 4 })
		inTheory := float64(s.Partitions*sends*eventsPerBlock(s.Size)) / s.Ack.Seconds()
		list = append(list, medianWanted("share", s, scaled(eventsPerSecond, inTheory), false, 0.9))
	}
	return list
}

func defaultsTargets() (list []wanted) {
	limits := []float64{0.55, 0.55, 0.85}
	for i, change := range defaultVariants {
		s := of(ours, 1000).with(change).with(func(s *scenario) { s.Ack = 30 * time.Millisecond })
		list = append(list, medianWanted("share", s, scaled(eventsPerSecond, 2500/s.Ack.Seconds()), false, limits[i]))
	}
	return list
}

func patternTargets() []wanted {
	list := []wanted{
		rateOver(of(ours, 1000).with(burst), of(ours, 1000), 0.7),
		rateOver(of(ours, 1000).with(mix), of(ours, 1000), 0.7),
		rateOver(of(ours, 1000).with(hot), of(ours, 1000).with(wide), 0.75),
	}
	for _, change := range []func(*scenario){func(*scenario) {}, burst, mix, hot} {
		s := of(ours, 1000).with(change).with(below)
		limit := s.linger() + 2*s.Ack + 5*time.Millisecond
		list = append(list, medianWanted("p99, ms", s, p99, true, limit.Seconds()*1e3))
	}
	return list
}

// shortTargets returns what a shared machine can show in less than a minute: bounds for allocations
// and memory, and ratios with wide margins.
func shortTargets() []target {
	late := of(ours, 1000).with(defaultVariants[0]).with(func(s *scenario) { s.Ack = 30 * time.Millisecond })
	return []target{{number: "short", text: "Guards with wide margins", figures: []wanted{
		medianWanted("allocations an event", of(ours, 100), allocsPerEvent, true, 0.1),
		medianWanted("memory, MB", of(ours, 1000), scaled(peakBytes, 1e6), true, 400),
		rateOver(of(ours, 100), of(byHand, 100), 1.2),
		rateOver(of(ours, 100), of(oneByOne, 100), 5),
		rateOver(of(ours, 1000), of(rawAMQP, 1000), 0.3),
		medianWanted("share of 2500 events a round trip", late, scaled(eventsPerSecond, 2500/late.Ack.Seconds()), false, 0.25),
	}}}
}
