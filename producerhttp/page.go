package producerhttp

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-eventhubs/eventhubs"
	"github.com/go-eventhubs/eventhubs/internal/page"
)

var (
	//go:embed page/page.html
	layoutText string
	//go:embed page/page.css
	style []byte
	//go:embed page/page.js
	script []byte
)

// layout is the page. Package html/template escapes every text in it.
var layout = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"count": count[int], "size": size[int], "age": age, "state": state, "facts": facts, "journalFacts": journalFacts,
	"rateRows": rateRows, "percent": percent[int], "percent64": percent[int64],
	"partitionName": partitionName, "partitionError": partitionError, "changeText": changeText, "ago": ago,
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"instant": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"mood":    mood, "chart": chartOf,
	"newest": func(all []eventhubs.HealthChange) []eventhubs.HealthChange {
		all = slices.Clone(all)
		slices.Reverse(all)
		return all
	},
	"most": func(partitions []eventhubs.PartitionStats) (most int) {
		for _, p := range partitions {
			most = max(most, p.BufferedEvents)
		}
		return most
	},
}).Parse(layoutText))

// writeHTML writes the report as a page.
func (r *report) writeHTML(to io.Writer) error {
	return layout.Execute(to, struct {
		*report
		Names []string
		Only  string
	}{r, r.names, r.only})
}

// mood is the class of a state: its colour. The state itself is there as a word.
func mood(s eventhubs.HealthState) string {
	switch s {
	case eventhubs.HealthReady:
		return "good"
	case eventhubs.HealthConnecting:
		return "idle"
	}
	return "bad"
}

// A chart shows how many events were accepted and stored per second, over the last minutes.
type chart struct {
	Area, Stored, Accepted string // paths in a box of 600 by 80
	Top                    string // the largest number in it
	Text                   string // for readers that do not see it
	From                   string // how long ago it begins
}

// chartOf draws the chart. It is nil while there is nothing to draw.
func chartOf(p *producer) *chart {
	rates := columnsOf(p.moments)
	if len(rates) < 2 {
		return nil
	}
	top := 0.0
	for _, r := range rates {
		top = max(top, r.StoredEvents, r.AcceptedEvents)
	}
	path := func(of func(*rate) float64) string {
		var b strings.Builder
		for i := range rates {
			x := 600 * float64(columns-len(rates)+i) / float64(columns-1)
			y := 78 - 76*of(&rates[i])/max(top, math.SmallestNonzeroFloat64)
			fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], x, y)
		}
		return b.String()
	}
	stored := path(func(r *rate) float64 { return r.StoredEvents })
	from := 600 * float64(columns-len(rates)) / float64(columns-1)
	now := rates[len(rates)-1]
	begins := span(time.Duration(len(rates)) * column)
	return &chart{
		Area: fmt.Sprintf("%sL600 80L%.1f 80Z", stored, from), Stored: stored,
		Accepted: path(func(r *rate) float64 { return r.AcceptedEvents }),
		Top:      perSecond(top), From: begins,
		Text: fmt.Sprintf("Events per second in the last %s: at most %s; in the last 15 s %s accepted and %s stored", begins, perSecond(top), perSecond(now.AcceptedEvents), perSecond(now.StoredEvents)),
	}
}

// pageFiles are the files of the page, by their names in its references.
var pageFiles = map[string]page.File{
	"base.css": page.Style,
	"icon.svg": page.Icon,
	"page.css": {Type: "text/css; charset=utf-8", Text: style},
	"page.js":  {Type: "text/javascript; charset=utf-8", Text: script},
}
