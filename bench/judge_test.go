package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheVerdictOfAFigure(t *testing.T) {
	a, b := of(ours, 1000), of(franz, 1000)
	w := rateOver(a, b, 2)
	slow := func(events int64, cpu time.Duration, cores float64) *measurement {
		m := measured(events)
		m.CPU, m.Cores, m.ServerCPU = cpu, cores, 900*time.Millisecond
		return m
	}
	for name, c := range map[string]struct {
		book   book
		absent map[string]error
		want   verdict
		said   string
	}{
		"met":                          {book{a: {measured(300)}, b: {measured(100)}}, nil, holds, "3 (≥ 2)"},
		"missed":                       {book{a: {measured(150)}, b: {measured(100)}}, nil, misses, "1.5 (≥ 2), missed by 25 %"},
		"cores bind, CPU meets":        {book{a: {slow(150, time.Second, 2)}, b: {slow(100, 2*time.Second, 2)}}, nil, holds, "1.5 (≥ 2), bound by the cores; by client CPU 3"},
		"the server binds, CPU misses": {book{a: {slow(150, time.Second, 8)}, b: {slow(100, time.Second, 8)}}, nil, misses, "1.5 (≥ 2), bound by the server; by client CPU 1.5, missed by 25 %"},
		"absent":                       {book{a: {measured(150)}}, map[string]error{franz: errors.New("gone")}, leftOut, "left out: franz-go is absent"},
		"not measured":                 {book{a: {measured(150)}}, nil, unknown, "not measured"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, said := w.judge(c.book, c.absent); got != c.want || said != c.said {
				t.Errorf("got %s %q, want %s %q", got, said, c.want, c.said)
			}
		})
	}
}

func TestATargetsTableHasACellForEachSize(t *testing.T) {
	b := make(book)
	for _, size := range tableSizes {
		b[of(ours, size)], b[of(rawFrames, size)] = []*measurement{measured(100)}, []*measurement{measured(250)}
	}
	list := []target{{number: "1", text: "fast", table: true}}
	for _, w := range speedTargets() {
		if strings.Contains(w.row, "ready-made") {
			list[0].figures = append(list[0].figures, w)
		}
	}
	var text strings.Builder
	if judge(&text, b, list, nil) {
		t.Error("a target that is missed holds")
	}
	const want = "| client CPU an event, of ready-made AMQP frames | – | 2.5 (≤ 3) | **2.5 (≤ 2.2), missed by 14 %** |\n"
	if !strings.Contains(text.String(), want) {
		t.Errorf("the table has no %q:\n%s", want, text.String())
	}
}
