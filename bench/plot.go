package main

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
)

// A chart is a bar chart: a panel for each size, a bar for each row.
type chart struct {
	file   string
	title  string
	unit   string
	group  string
	figure figure
	format func(float64) string
}

var charts = []chart{
	{"throughput.svg", "Throughput, acknowledgements at once", "events/s", "plain", eventsPerSecond, short},
	{"cpu.svg", "Client CPU per event, acknowledgements at once", "ns", "plain", cpuPerEvent, significant},
	{"throughput-tls.svg", "Throughput with TLS", "events/s", "tls", eventsPerSecond, short},
	{"cpu-tls.svg", "Client CPU per event with TLS", "ns", "tls", cpuPerEvent, significant},
	{"acknowledgements.svg", "Throughput, acknowledgements that come late", "events/s", "ack", eventsPerSecond, short},
	{"latency.svg", "From the call to the outcome, 1,000 events a second, p99", "ms", "latency", p99, fixed(2)},
	{"partitions.svg", "Throughput by partitions", "events/s", "partitions", eventsPerSecond, short},
}

// Measures of a chart, in pixels.
const (
	chartWidth = 860
	labelWidth = 380
	valueWidth = 90
	barHeight  = 16
	barGap     = 5
	panelHead  = 30
	chartHead  = 34
)

// A bar is one row of a panel.
type bar struct {
	label string
	value float64
	own   bool
}

// writeCharts writes each chart whose group is in the book.
func writeCharts(dir string, b book) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range charts {
		var panels []string
		var bars [][]bar
		for _, size := range []int{100, 1000, 10_000} {
			if list := c.bars(b, size); len(list) > 0 {
				panels, bars = append(panels, sizeText(size)), append(bars, list)
			}
		}
		if len(panels) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.draw(panels, bars)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *chart) bars(b book, size int) (list []bar) {
	for _, g := range groups {
		if g.name != c.group {
			continue
		}
		for _, s := range g.scenarios(size) {
			if v, ok := b.median(s, c.figure); ok {
				list = append(list, bar{strings.Trim(strings.ReplaceAll(rowTitle(s), "**", ""), " "), v, s.Peer == ours})
			}
		}
	}
	return list
}

// draw draws the panels, each to its own scale.
func (c *chart) draw(panels []string, bars [][]bar) string {
	height := chartHead
	for _, list := range bars {
		height += panelHead + len(list)*(barHeight+barGap)
	}
	var w strings.Builder
	fmt.Fprintf(&w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", chartWidth, height)
	fmt.Fprintf(&w, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&w, `<text x="8" y="22" font-size="15" font-weight="bold">%s (%s)</text>`+"\n", html.EscapeString(c.title), c.unit)
	y := chartHead
	for i, list := range bars {
		fmt.Fprintf(&w, `<text x="8" y="%d" font-weight="bold">%s</text>`+"\n", y+20, panels[i])
		y += panelHead
		most := 0.0
		for _, one := range list {
			most = max(most, one.value)
		}
		for _, one := range list {
			colour := "#9aa7b4"
			if one.own {
				colour = "#1f6feb"
			}
			length := int(one.value / most * (chartWidth - labelWidth - valueWidth))
			fmt.Fprintf(&w, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, y+12, html.EscapeString(one.label))
			fmt.Fprintf(&w, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`, labelWidth, y, max(1, length), barHeight, colour)
			fmt.Fprintf(&w, `<text x="%d" y="%d">%s</text>`+"\n", labelWidth+max(1, length)+6, y+12, c.format(one.value))
			y += barHeight + barGap
		}
	}
	w.WriteString("</svg>\n")
	return w.String()
}
