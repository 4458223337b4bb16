package main

import (
	"fmt"
	"io"
	"strings"
)

// A column of a table. A ratio refers to the group's reference.
type column struct {
	title  string
	figure figure
	format func(float64) string
	ratio  bool
}

var (
	throughputColumns = []column{
		{"events/s", eventsPerSecond, short, false},
		{"MB/s", bytesPerSecond, func(v float64) string { return fixed(0)(v / 1e6) }, false},
		{"ratio", eventsPerSecond, fixed(2), true},
		{"bound by", boundBy, boundText, false},
		{"client CPU, ns/event", cpuPerEvent, significant, false},
		{"server CPU, ns/event", serverCPU, significant, false},
		{"allocations/event", allocsPerEvent, fixed(3), false},
		{"max RSS, MB", peakBytes, megabytes, false},
		{"events/batch", eventsPerBatch, significant, false},
	}
	latencyColumns = []column{
		{"p50, ms", p50, fixed(2), false},
		{"p99, ms", p99, fixed(2), false},
		{"p99.9, ms", p999, fixed(2), false},
		{"p99, ratio", p99, fixed(2), true},
		{"client CPU, ns/event", cpuPerEvent, significant, false},
		{"events/batch", eventsPerBatch, fixed(1), false},
	}
	callColumns = []column{
		{"a call, ns of its thread", callTime, significant, false},
		{"ratio", callTime, fixed(2), true},
		{"allocations/event", allocsPerEvent, fixed(3), false},
	}
	journalColumns = []column{
		{"events/s", eventsPerSecond, short, false},
		{"ratio", eventsPerSecond, fixed(2), true},
		{"bound by", boundBy, boundText, false},
		{"client CPU, ns/event", cpuPerEvent, significant, false},
		{"ratio", cpuPerEvent, fixed(1), true},
		{"allocations/event", allocsPerEvent, fixed(3), false},
		{"max RSS, MB", peakBytes, megabytes, false},
	}
	telemetryColumns = []column{
		{"events/s", eventsPerSecond, short, false},
		{"ratio", eventsPerSecond, fixed(2), true},
		{"client CPU, ns/event", cpuPerEvent, significant, false},
		{"ratio", cpuPerEvent, fixed(2), true},
		{"allocations/event", allocsPerEvent, fixed(3), false},
	}
	waitColumns = []column{
		{"events/s", eventsPerSecond, short, false},
		{"MB/s", bytesPerSecond, func(v float64) string { return fixed(0)(v / 1e6) }, false},
		{"ratio", eventsPerSecond, fixed(2), true},
		{"p50, ms", p50, fixed(2), false},
		{"ratio", p50, fixed(2), true},
		{"p99, ms", p99, fixed(2), false},
		{"ratio", p99, fixed(2), true},
	}
	drainColumns = []column{
		{"events/s", eventsPerSecond, short, false},
		{"ratio", eventsPerSecond, fixed(2), true},
		{"bound by", boundBy, boundText, false},
		{"client CPU, ns/event", cpuPerEvent, significant, false},
		{"opening, ms", opening, func(v float64) string { return fixed(1)(v * 1e3) }, false},
		{"RSS then, MB", openingRSS, megabytes, false},
		{"max RSS, MB", peakBytes, megabytes, false},
		{"disk for a byte of the encoded events", spaceRatio, fixed(3), false},
	}
	idleColumns = []column{
		{"client CPU, ms", cpuSeconds, func(v float64) string { return fixed(1)(v * 1e3) }, false},
		{"max RSS, MB", peakBytes, megabytes, false},
	}
)

func fixed(digits int) func(float64) string {
	return func(v float64) string { return fmt.Sprintf("%.*f", digits, v) }
}

func megabytes(v float64) string { return fixed(0)(v / 1e6) }

// short formats 1234567 as 1.23 M and 12345 as 12.3 k.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return significant(v/1e6) + " M"
	case v >= 1e3:
		return significant(v/1e3) + " k"
	default:
		return significant(v)
	}
}

// significant formats three significant digits.
func significant(v float64) string {
	switch {
	case v >= 100:
		return fixed(0)(v)
	case v >= 10:
		return fixed(1)(v)
	default:
		return fixed(2)(v)
	}
}

// writeTable writes the book's part of a group, one table for each size.
func writeTable(w io.Writer, b book, g *group, sizes []int) {
	for _, size := range sizes {
		rows := g.scenarios(size)
		measured := false
		for _, s := range rows {
			measured = measured || len(b[s]) > 0
		}
		if !measured {
			continue
		}
		fmt.Fprintf(w, "\n%s, %s\n\n| |", g.title, sizeText(size))
		for _, c := range g.columns {
			fmt.Fprintf(w, " %s |", c.title)
		}
		fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(g.columns)))
		for _, s := range rows {
			if len(b[s]) > 0 {
				fmt.Fprintf(w, "| %s |%s\n", rowTitle(s), cells(b, g, s))
			}
		}
	}
}

func rowTitle(s scenario) string {
	title := peerNamed(s.Peer).title
	if v := s.variant(); v != "" {
		title += "; " + v
	}
	return title
}

func cells(b book, g *group, s scenario) string {
	var text strings.Builder
	for _, c := range g.columns {
		value, ok := b.median(s, c.figure)
		if c.ratio {
			value, ok = b.ratio(s, g.reference(s), c.figure)
		}
		if ok {
			text.WriteString(" " + c.format(value) + " |")
		} else {
			text.WriteString(" |")
		}
	}
	return text.String()
}
