package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// needed returns the scenarios of targets. Those of one size are together, so that compared
// scenarios are measured close to each other.
func needed(list []target) (scenarios []scenario) {
	for _, t := range list {
		for _, w := range t.figures {
			scenarios = append(scenarios, w.scenarios...)
		}
	}
	slices.SortStableFunc(scenarios, func(a, b scenario) int { return cmp.Compare(a.Size, b.Size) })
	return scenarios
}

// A verdict is the result for a wanted figure.
type verdict string

const (
	holds   verdict = "ok"
	misses  verdict = "MISS"
	unknown verdict = "NONE" // not measured although its peers are present: it does not hold
	leftOut verdict = "out"  // a peer is absent
)

// judge returns a figure's verdict, with an explanation. absent has the peers that cannot run.
func (w *wanted) judge(b book, absent map[string]error) (v verdict, said string) {
	for _, s := range w.scenarios {
		if absent[s.Peer] != nil && len(b[s]) == 0 {
			return leftOut, "left out: " + s.Peer + " is absent"
		}
	}
	value, measured := w.value(b)
	if !measured {
		return unknown, "not measured"
	}
	sign := "≥"
	if w.atMost {
		sign = "≤"
	}
	said = fmt.Sprintf("%.3g (%s %g)", value, sign, w.limit)
	if w.met(value) {
		return holds, said
	}
	if w.deciding != nil {
		by, _ := b.median(w.judged, boundBy)
		ratio, ok := w.deciding(b)
		if text := boundText(by); text != "" && ok {
			said += fmt.Sprintf(", bound by the %s; by client CPU %.3g", text, ratio)
			value = ratio
		}
	}
	if w.met(value) {
		return holds, said
	}
	return misses, fmt.Sprintf("%s, missed by %.0f %%", said, 100*max(value/w.limit-1, 1-value/w.limit))
}

func (w *wanted) met(value float64) bool {
	if w.atMost {
		return value <= w.limit
	}
	return value >= w.limit
}

// judge writes each target with its figures, and reports whether all hold. A figure whose peer is
// absent is named, and does not count.
func judge(w io.Writer, b book, list []target, absent map[string]error) (ok bool) {
	ok = true
	for _, t := range list {
		fmt.Fprintf(w, "\n%s. %s\n", t.number, t.text)
		if t.table {
			ok = t.writeTable(w, b, absent) && ok
			continue
		}
		for _, f := range t.figures {
			v, said := f.judge(b, absent)
			ok = ok && (v == holds || v == leftOut)
			fmt.Fprintf(w, "  %-4s  %s  %s\n", v, said, f.name)
		}
	}
	return ok
}

// writeTable writes a row for each row of the target, and a column for each size. Missed figures
// are bold.
func (t *target) writeTable(w io.Writer, b book, absent map[string]error) (ok bool) {
	fmt.Fprint(w, "\n| |")
	for _, size := range tableSizes {
		fmt.Fprintf(w, " %s |", sizeText(size))
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(tableSizes)))
	ok = true
	var rows []string
	for _, f := range t.figures {
		if !slices.Contains(rows, f.row) {
			rows = append(rows, f.row)
		}
	}
	for _, row := range rows {
		fmt.Fprintf(w, "| %s |", row)
		for _, size := range tableSizes {
			text := "–"
			for _, f := range t.figures {
				if f.row != row || f.size != size {
					continue
				}
				v, said := f.judge(b, absent)
				if text = said; v == misses || v == unknown {
					text, ok = "**"+said+"**", false
				}
			}
			fmt.Fprintf(w, " %s |", text)
		}
		fmt.Fprintln(w)
	}
	return ok
}
