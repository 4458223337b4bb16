package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// measured returns a measurement of so many events in a second.
func measured(events int64) *measurement {
	return &measurement{Sent: events, Stored: events, Events: events, Bytes: 1000 * events, Seconds: 1, CPU: time.Second, Mallocs: events, Batches: 10, PeakRSS: 50_000_000}
}

func TestARatioIsTakenWithinATurn(t *testing.T) {
	a, b := of(ours, 1000), of(franz, 1000)
	// The machine was slow in the second turn. In each turn a was twice as fast.
	m := book{a: {measured(200), measured(20), measured(220)}, b: {measured(100), measured(10), measured(110)}}
	if got, ok := m.ratio(a, b, eventsPerSecond); !ok || got != 2 {
		t.Errorf("ratio %v %v, want 2", got, ok)
	}
	if got, ok := m.median(a, eventsPerSecond); !ok || got != 200 {
		t.Errorf("median %v %v, want 200", got, ok)
	}
	if _, ok := m.ratio(a, of(byHand, 1000), eventsPerSecond); ok {
		t.Error("there is a ratio to an unmeasured scenario")
	}
}

func TestABookIsReadAsItWasWritten(t *testing.T) {
	want := book{of(ours, 1000).with(sticky): {measured(1), measured(2)}, sparse: {measured(3)}}
	path := filepath.Join(t.TempDir(), "book.json")
	if err := want.save(path); err != nil {
		t.Fatal(err)
	}
	got, err := loadBook(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestATableHasARowForEachMeasuredScenario(t *testing.T) {
	b := book{of(ours, 100): {measured(2_000_000)}, of(franz, 100): {measured(1_000_000)}}
	var text strings.Builder
	writeTable(&text, b, &groups[0], []int{100, 1000})
	for _, want := range []string{
		"Throughput, acknowledgements at once, 100 B\n",
		"| **this producer**, event by event | 2.00 M | 2000 | 1.00 | | 500 | 0.00 | 1.000 | 50 | 200000 |\n",
		"| franz-go to a null Kafka server, record by record | 1.00 M | 1000 | 0.50 | | 1000 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "1 KB") || strings.Contains(text.String(), "azeventhubs") {
		t.Errorf("the table has an unmeasured row:\n%s", text.String())
	}
}

func TestAChartHasABarForEachRow(t *testing.T) {
	b := book{of(ours, 100): {measured(2_000_000)}, of(franz, 100): {measured(1_000_000)}}
	c := &charts[0]
	picture := c.draw([]string{"100 B"}, [][]bar{c.bars(b, 100)})
	if got := strings.Count(picture, "<rect"); got != 3 { // the paper is one
		t.Errorf("%d rectangles, want 3:\n%s", got, picture)
	}
}

func TestNoScenarioIsInAGroupTwice(t *testing.T) {
	for _, g := range groups {
		seen := make(map[scenario]bool)
		for _, size := range []int{100, 1000, 10_000} {
			for _, s := range g.scenarios(size) {
				if seen[s] {
					t.Errorf("%s has %v twice", g.name, &s)
				}
				seen[s] = true
				if reference := g.reference(s); peerNamed(reference.Peer) == nil {
					t.Errorf("%s: %v has no scenario to compare with", g.name, &s)
				}
			}
		}
	}
}

func TestATargetHoldsOnlyIfItWasMeasured(t *testing.T) {
	a, b := of(ours, 1000), of(franz, 1000)
	list := []target{{number: "1", text: "twice as fast", figures: []wanted{rateOver(a, b, 2)}}, {number: "2", text: "small", figures: []wanted{medianWanted("MB", a, scaled(peakBytes, 1e6), true, 60)}}}
	for name, c := range map[string]struct {
		book book
		ok   bool
		text string
	}{
		"holds":        {book{a: {measured(200)}, b: {measured(100)}}, true, "ok  "},
		"too slow":     {book{a: {measured(199)}, b: {measured(100)}}, false, "MISS"},
		"not measured": {book{a: {measured(200)}}, false, "NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			if got := judge(&text, c.book, list, nil); got != c.ok || !strings.Contains(text.String(), c.text) {
				t.Errorf("got %v, want %v and %q:\n%s", got, c.ok, c.text, text.String())
			}
		})
	}
}

func TestTargetsNameScenariosOfPeersThatThereAre(t *testing.T) {
	for _, list := range [][]target{targets(), shortTargets()} {
		for _, s := range needed(list) {
			if peerNamed(s.Peer) == nil || s.Size == 0 {
				t.Errorf("a target needs %v", &s)
			}
		}
	}
}
