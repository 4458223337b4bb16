package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// A target is something that must hold. Each has figures, and holds if they all do.
type target struct {
	number  string
	text    string
	figures []wanted
}

// A wanted figure is a number that must be at least, or at the most, a limit.
type wanted struct {
	name      string
	scenarios []scenario // that must be measured for it
	value     func(book) (float64, bool)
	atMost    bool
	limit     float64
}

// noise is what "no worse" and "no loss" allow for: the repeats of one and the same scenario differ by as much.
const noise = 0.05

// rateOver wants that one scenario's events per second are at least so many times another's.
func rateOver(over, under scenario, limit float64) wanted {
	return ratioWanted("events/s", over, under, eventsPerSecond, false, limit)
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

// targets are those of the project, in their order.
func targets() []target {
	return []target{
		{"1", "Throughput with acknowledgements at once", throughputTargets()},
		{"2", "Client CPU per event, against franz-go", cpuTargets()},
		{"3", "What Enqueue costs its caller", callTargets()},
		{"4", "Latency at 1,000 events a second", latencyTargets()},
		{"5", "Acknowledgements after 30 ms: the share of what the sends in flight allow", flightTargets()},
		{"6", "Memory, MB", memoryTargets()},
		{"7", "Idle: CPU of 32 open partitions over 10 s, ms", []wanted{medianWanted("CPU", resting, scaled(cpuSeconds, 1e-3), true, 10)}},
		{"8", "1,024 partitions against 8, Sticky", []wanted{
			rateOver(of(ours, 1000).with(sticky).with(func(s *scenario) { s.Partitions = 1024 }), of(ours, 1000).with(sticky), 0.5)}},
		{"9", "Defaults, acknowledgements after 30 ms: the share of 2500 events a round trip", defaultsTargets()},
		{"10", "Patterns", patternTargets()},
	}
}

func throughputTargets() []wanted {
	plain := func(peer string, size int) scenario { return of(peer, size) }
	small := wanted{
		name: "events/s: ours 100 B, in millions / 3, or of go-amqp / 0.35, whichever is more", limit: 1,
		scenarios: []scenario{plain(ours, 100), plain(rawAMQP, 100)},
		value: func(b book) (float64, bool) {
			rate, ok1 := b.median(plain(ours, 100), eventsPerSecond)
			share, ok2 := b.ratio(plain(ours, 100), plain(rawAMQP, 100), eventsPerSecond)
			return max(rate/3e6, share/0.35), ok1 && ok2
		},
	}
	return []wanted{
		small,
		rateOver(plain(ours, 1000), plain(rawAMQP, 1000), 0.80),
		rateOver(plain(ours, 10_000), plain(rawAMQP, 10_000), 0.80),
		rateOver(plain(ours, 100), plain(byHand, 100), 2.5),
		rateOver(plain(ours, 1000), plain(byHand, 1000), 1.3),
		rateOver(plain(ours, 10_000), plain(byHand, 10_000), 1.1),
		rateOver(plain(ours, 100), plain(javaScript, 100), 30),
		rateOver(plain(ours, 1000), plain(javaScript, 1000), 30),
	}
}

func cpuTargets() (list []wanted) {
	for _, encrypted := range []bool{false, true} {
		change := func(s *scenario) { s.TLS = encrypted }
		for size, limit := range map[int]float64{100: 1, 1000: 1.2} {
			list = append(list, ratioWanted("CPU", of(ours, size).with(change), of(franz, size).with(change), cpuPerEvent, true, limit))
		}
	}
	slices.SortFunc(list, func(a, b wanted) int { return a.scenarios[0].Size - b.scenarios[0].Size })
	return list
}

func callTargets() []wanted {
	called := func(s *scenario) { s.Kind = call }
	list := []wanted{
		ratioWanted("thread time of a call", of(ours, 100).with(called), of(franz, 100).with(called), callTime, true, 1),
		ratioWanted("thread time of a call", of(ours, 1000).with(called), of(franz, 1000).with(called), callTime, true, 1.5),
		medianWanted("allocations a call, over a million calls", of(ours, 100), overMillion(allocsPerEvent), true, 0.02),
	}
	for _, keys := range []int{0, 1000} {
		for _, goroutines := range []int{4, 16, 64} {
			keyed := func(s *scenario) { s.Keys = keys }
			many := of(ours, 100).with(keyed).with(func(s *scenario) { s.Goroutines = goroutines })
			list = append(list, rateOver(many, of(ours, 100).with(keyed), 1-noise))
		}
	}
	return list
}

// overMillion is a figure of measurements that are of a million events at least.
func overMillion(f figure) figure {
	return func(m *measurement) (float64, bool) {
		if m.Events < 1_000_000 {
			return 0, false
		}
		return f(m)
	}
}

// scaled is a figure in units of that size.
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
		// franz-go without keys stays with a partition for a while, which is what Sticky does.
		our, their := of(ours, 1000).with(sticky).with(calm(linger)), of(franz, 1000).with(calm(linger))
		list = append(list, ratioWanted("p50", our, their, p50, true, 1+noise), ratioWanted("p99", our, their, p99, true, 1+noise))
	}
	return append(list, medianWanted("p99, ms", of(ours, 1000).with(calm(250*time.Millisecond)), p99, true, 255))
}

func flightTargets() (list []wanted) {
	for _, sends := range []int{1, 2} {
		// Of four partitions the network and the CPU of a small machine can keep up with all that is in flight.
		s := of(ours, 1000).with(func(s *scenario) { s.Ack, s.Sends, s.Partitions = 30*time.Millisecond, sends, 4 })
		inTheory := float64(s.Partitions*sends*eventsPerBlock(s.Size)) / s.Ack.Seconds()
		list = append(list, medianWanted("share", s, scaled(eventsPerSecond, inTheory), false, 0.9))
	}
	return list
}

func memoryTargets() []wanted {
	held := scaled(peakBytes, 1e6)
	return []wanted{
		medianWanted("full speed", full(100), held, true, 100),
		medianWanted("full speed", full(1000), held, true, 100),
		medianWanted("full speed", full(10_000), held, true, 100),
		medianWanted("a sparse stream", sparse, held, true, 200),
		medianWanted("full speed", crowd, held, true, 600),
	}
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
		rateOver(of(ours, 1000).with(hot), of(ours, 1000).with(wide), 0.7),
	}
	for _, change := range []func(*scenario){func(*scenario) {}, burst, mix, hot} {
		s := of(ours, 1000).with(change).with(below)
		limit := s.linger() + 2*s.Ack + 5*time.Millisecond
		list = append(list, medianWanted("p99, ms", s, p99, true, limit.Seconds()*1e3))
	}
	return list
}

// shortTargets are what a shared machine can tell in less than a minute: guards of allocations and of memory, and ratios with wide margins.
func shortTargets() []target {
	late := of(ours, 1000).with(defaultVariants[0]).with(func(s *scenario) { s.Ack = 30 * time.Millisecond })
	return []target{{"short", "Guards with wide margins", []wanted{
		medianWanted("allocations an event", of(ours, 100), allocsPerEvent, true, 0.1),
		medianWanted("memory, MB", of(ours, 1000), scaled(peakBytes, 1e6), true, 400),
		rateOver(of(ours, 100), of(byHand, 100), 1.2),
		rateOver(of(ours, 100), of(oneByOne, 100), 5),
		rateOver(of(ours, 1000), of(rawAMQP, 1000), 0.3),
		medianWanted("share of 2500 events a round trip", late, scaled(eventsPerSecond, 2500/late.Ack.Seconds()), false, 0.25),
	}}}
}

// needed are the scenarios that targets are about, those of one target together.
func needed(list []target) (scenarios []scenario) {
	for _, t := range list {
		for _, w := range t.figures {
			scenarios = append(scenarios, w.scenarios...)
		}
	}
	return scenarios
}

// judge writes each target with its figures, and tells whether they all hold. What could not be measured does not hold.
func judge(w io.Writer, b book, list []target) (ok bool) {
	ok = true
	for _, t := range list {
		fmt.Fprintf(w, "\n%s. %s\n", t.number, t.text)
		for _, f := range t.figures {
			value, measured := f.value(b)
			verdict, sign := "ok  ", ">="
			if f.atMost {
				sign = "<="
			}
			switch {
			case !measured:
				verdict, value = "NONE", math.NaN()
			case f.atMost && value > f.limit, !f.atMost && value < f.limit:
				verdict = "MISS"
			}
			ok = ok && verdict == "ok  "
			fmt.Fprintf(w, "  %s %8.3g  (%s %g)  %s\n", verdict, value, sign, f.limit, f.name)
		}
	}
	return ok
}
